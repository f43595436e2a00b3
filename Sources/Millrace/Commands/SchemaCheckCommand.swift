import ArgumentParser
import ConnectorKit
import JSONSchema
import JSONText
import SchemaRegistry

/// `millrace schema check`
struct SchemaCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Say whether a schema could be registered, or whether the whole folder is sound.",
        discussion: """
            With SUBJECT and FILE: whether the schema may become the next version under the subject's level. Each \
            reason against it is printed with its path, what both versions say, the direction and the rule. Nothing \
            is written.

            Without them: whether every file of the folder can be used. With --against, which names the folder as it \
            was before (of the main branch, say): also that no version that was there is gone or changed, and that \
            each new one is compatible with those before it.

            EXIT CODES, made for CI: 0 compatible, 1 incompatible, 2 wrong usage, or something cannot be read or used.
            """)

    @OptionGroup var place: SchemaOptions
    @Argument(help: "The subject, such as shop.public.orders.")
    var subject: String?
    @Argument(help: "A file with the schema, or - for standard input.")
    var file: String?
    @OptionGroup var used: ReferenceOptions
    @Option(help: ArgumentHelp("The schema folder as it was before.", valueName: "folder"))
    var against: String?
    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        if (subject == nil) != (file == nil) { throw ValidationError("SUBJECT needs a FILE to compare it with.") }
        if subject != nil, against != nil { throw ValidationError("--against goes without SUBJECT and FILE.") }
    }

    func run() throws {
        do {
            // A folder that somebody names is one that is there.
            for folder in [place.schemas, against].compactMap(\.self) { try SchemaFolder.require(folder) }
            if let subject, let file { try check(subject, file) } else { try checkFolder() }
        } catch let failure as RegistryFailure {
            throw Self.withExitCode(failure.asConnectorFailure)
        } catch let failure as ConnectorFailure {
            throw Self.withExitCode(failure)
        }
    }

    /// Whatever cannot be read is 2 here, so that 1 always means incompatible.
    private static func withExitCode(_ failure: ConnectorFailure) -> ConnectorFailure {
        var failure = failure
        failure.exitCode = 2
        return failure
    }

    private func check(_ subject: String, _ file: String) throws {
        let store = try place.store()
        let submitted = try used.submitted(file)
        let report = try store.compatibility(of: submitted, with: subject)
        let others = try otherDirections(report, submitted, subject, store)
        if json {
            Terminal.printLine(object(subject, report, others).compactText)
        } else {
            printText(subject, report, others)
        }
        if !report.isCompatible { throw RunEnd(exitCode: 1) }
    }

    /// What breaks in directions that the level does not ask for: nothing forbids it, and somebody may want to know.
    private func otherDirections(
        _ report: CompatibilityReport, _ submitted: SubmittedSchema, _ subject: String, _ store: SchemaStore
    ) throws -> [CompatibilityBreak] {
        guard let latest = report.latest else { return [] }
        let (old, new) = (try store.versioned(subject, latest), try store.versioned(submitted))
        return CompatibilityDirection.allCases.filter { !report.level.directions.contains($0) }.flatMap { direction in
            direction.breaks(from: old, to: new).map {
                CompatibilityBreak(direction: direction, version: latest, reason: $0)
            }
        }
    }

    private func printText(_ subject: String, _ report: CompatibilityReport, _ others: [CompatibilityBreak]) {
        for found in report.breaks { for line in BreakText.lines(found) { Terminal.printLine(line) } }
        for found in others {
            let version = found.version.map { ", version \($0)" } ?? ""
            Terminal.printLine(
                "note: \(found.reason.path): \(BreakText.of(found))\(version); the level does not ask for it")
        }
        let level = "level \(report.level.rawValue): \(report.level.meaning)"
        if !report.isCompatible {
            Terminal.printLine("incompatible with \(subject) (\(level))")
        } else if let latest = report.latest {
            let versions = report.versions.isEmpty ? [latest] : report.versions
            let name = versions.count == 1 ? "version" : "versions"
            Terminal.printLine(
                "compatible with \(name) \(SchemaListCommand.ranges(versions.sorted())) of \(subject) (\(level))")
        } else {
            Terminal.printLine("compatible: \(subject) has no version yet")
        }
    }

    private func object(
        _ subject: String, _ report: CompatibilityReport, _ others: [CompatibilityBreak]
    ) -> JSONValue {
        [
            "subject": .string(subject), "compatible": .bool(report.isCompatible),
            "level": .string(report.level.rawValue),
            "versions": .array(report.versions.map { .number(JSONNumber($0)) }),
            "breaks": .array(report.breaks.map(BreakText.json)), "notes": .array(others.map(BreakText.json)),
        ]
    }

    private func checkFolder() throws {
        let examination = try place.store().examine(against: against.map { SchemaStore(directory: $0) })
        if json {
            let findings = examination.findings.map(Self.object)
            Terminal.printLine(
                JSONValue.object(
                    JSONObject([
                        .init(name: "subjects", value: .number(JSONNumber(examination.subjectCount))),
                        .init(name: "versions", value: .number(JSONNumber(examination.versionCount))),
                        .init(name: "findings", value: .array(findings)),
                    ])
                ).compactText)
        } else {
            for finding in examination.findings {
                Terminal.printLine("\(finding.file): \(finding.message)")
                for found in finding.breaks { for line in BreakText.lines(found) { Terminal.printLine("  " + line) } }
            }
            let count = examination.findings.count
            Terminal.printLine(
                "\(examination.subjectCount) subjects, \(examination.versionCount) versions: "
                    + (count == 0 ? "nothing is wrong" : "\(count) \(count == 1 ? "finding" : "findings")"))
        }
        if examination.findings.contains(where: { $0.kind == .unusable }) { throw RunEnd(exitCode: 2) }
        if !examination.findings.isEmpty { throw RunEnd(exitCode: 1) }
    }

    private static func object(_ finding: FolderExamination.Finding) -> JSONValue {
        [
            "kind": .string(finding.kind.rawValue), "file": .string(finding.file), "message": .string(finding.message),
            "breaks": .array(finding.breaks.map(BreakText.json)),
        ]
    }
}
