import ArgumentParser
import ConnectorKit
import SchemaRegistry

/// `millrace schema`
struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Look at the contracts of tables, and accept changed ones.",
        subcommands: [
            SchemaListCommand.self, SchemaDiffCommand.self, SchemaAcceptCommand.self, SchemaServeCommand.self,
        ])

    static func unknown(_ subject: String, _ folder: SchemaFolder) -> ConnectorFailure {
        ConnectorFailure(
            "schema.unknown_subject", .stop, "there is no subject \(subject) in \(folder.directory)",
            setting: "schemas.directory", hint: "see which there are: millrace schema list", exitCode: 2)
    }
}

/// `millrace schema list`
struct SchemaListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the subjects with their versions and with what waits to be accepted.")

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let folder = SchemaFolder(directory: try Project.load(shared.config).schemasDirectory)
        for subject in try folder.subjects() {
            let versions = try folder.versions(of: subject)
            var line = subject + (versions.isEmpty ? ": no version" : ": version \(Self.ranges(versions))")
            let proposals = try folder.proposals(of: subject)
            if !proposals.isEmpty {
                line += ", proposed: " + proposals.map { "proposed-\($0.number)" }.joined(separator: ", ")
            }
            Terminal.printLine(line)
        }
    }

    /// Such as `1-4, 6`.
    private static func ranges(_ numbers: [Int]) -> String {
        var ranges: [ClosedRange<Int>] = []
        for number in numbers {
            if let last = ranges.last, last.upperBound + 1 == number {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
        return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ", ")
    }
}

/// `millrace schema diff`
struct SchemaDiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Show what changed in a table between two versions.",
        discussion: "Each line is a difference; the last one says whom it breaks.")

    @OptionGroup var shared: SharedOptions
    @Argument(help: "The subject, such as shop.public.orders.")
    var subject: String
    @Argument(help: ArgumentHelp("A version's number, or proposed-1.", valueName: "from"))
    var old: String
    @Argument(help: ArgumentHelp("A version's number, or proposed-1.", valueName: "to"))
    var new: String

    func run() throws {
        let folder = SchemaFolder(directory: try Project.load(shared.config).schemasDirectory)
        guard let before = try folder.schema(named: old, of: subject),
            let after = try folder.schema(named: new, of: subject)
        else {
            throw ConnectorFailure(
                "schema.unknown_version", .stop, "\(subject) has no version \(old) or no version \(new)",
                setting: "schemas.directory", hint: "see which there are: millrace schema list", exitCode: 2)
        }
        let difference = SchemaDifference(from: before, to: after)
        for line in difference.lines { Terminal.printLine(line) }
        Terminal.printLine(difference.isEmpty ? "no difference" : difference.verdict)
    }
}

/// `millrace schema accept`
struct SchemaAcceptCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "accept", abstract: "Make the proposed forms of a table versions of its contract.",
        discussion: """
            A table that changed while schemas.on_change is halt or quarantine, or a new one while \
            schemas.on_new_table is require, has a proposal beside its versions. A running process notices within a \
            second, and delivers what was set aside; a stopped one goes on at its next start.
            """)

    @OptionGroup var shared: SharedOptions
    @Argument(help: "Subjects, such as shop.public.orders.")
    var subjects: [String]

    func run() throws {
        let folder = SchemaFolder(directory: try Project.load(shared.config).schemasDirectory)
        for subject in subjects {
            let proposals = try folder.proposals(of: subject)
            if proposals.isEmpty {
                guard let latest = try folder.latest(of: subject) else {
                    throw SchemaCommand.unknown(subject, folder)
                }
                Terminal.printLine("\(subject): nothing is proposed; the latest version is \(latest.version)")
            }
            for proposal in proposals {
                let before = try folder.latest(of: subject)
                let version = try folder.accept(proposal, of: subject)
                let difference = before.map { SchemaDifference(from: $0.schema, to: proposal.schema) }
                let text = difference.map { ": \($0.summary) (\($0.verdict))" } ?? ""
                Terminal.printLine("\(subject): proposed-\(proposal.number) is version \(version)\(text)")
            }
        }
    }
}
