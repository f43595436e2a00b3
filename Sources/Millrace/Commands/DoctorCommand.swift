import ArgumentParser
import ConnectorKit
import JSONText

/// `millrace doctor`
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check database, privileges, tables, slot and sinks; print the exact fix for each problem.",
        discussion: """
            Changes nothing; where a file sink writes it makes a file and removes it. Ends with 0 when capture would \
            work, warnings included, otherwise with 3.
            """)

    @OptionGroup var shared: SharedOptions
    @Flag(help: "Print a JSON list.")
    var json = false

    func run() async throws {
        let project = try Project.load(shared.config)
        let findings = await project.findings()
        if json {
            Terminal.printLine(JSONValue.array(findings.map(Self.object)).compactText)
        } else {
            for finding in findings { Terminal.printLine(Self.text(finding)) }
        }
        if findings.contains(where: { $0.level == .problem }) { throw RunEnd(exitCode: 3) }
    }

    private static func text(_ finding: Finding) -> String {
        let word =
            switch finding.level {
            case .ok: "ok      "
            case .warning: "warning "
            case .problem: "problem "
            }
        // The code names what was looked for: beside an "ok" it would read like a failure.
        let code = finding.level == .ok ? "" : "[\(finding.code)] "
        var text = "\(word) \(code)\(finding.message)"
        if let fix = finding.fix {
            text += "\n         fix: " + fix.split(separator: "\n").joined(separator: "\n              ")
        }
        return text
    }

    private static func object(_ finding: Finding) -> JSONValue {
        [
            "level": .string(finding.level.rawValue), "code": .string(finding.code),
            "message": .string(finding.message), "fix": finding.fix.map { .string($0) } ?? .null,
        ]
    }
}
