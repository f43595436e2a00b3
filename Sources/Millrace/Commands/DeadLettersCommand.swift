import ArgumentParser
import ConnectorKit
import EventLog
import JSONText
import Pipeline
import PipelineConfiguration

/// `millrace deadletters`
struct DeadLettersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deadletters", abstract: "Look at changes that were set aside; release or discard them.",
        subcommands: [
            DeadLettersListCommand.self, DeadLettersShowCommand.self, DeadLettersRetryCommand.self,
            DeadLettersDiscardCommand.self,
        ])

    /// The groups that the arguments mean, by subject, by table, or by pattern; all that wait when there are none.
    static func groups(_ tables: [String], _ project: Project) throws(ConnectorFailure) -> [DeadLetterGroup] {
        let waiting = try LogReader(directory: project.logDirectory).statistics().deadLetters
            .filter { $0.changeCount > 0 }
        if tables.isEmpty { return waiting }
        let prefix = project.configuration.name + "."
        let patterns = tables.map { TablePattern($0) }
        return waiting.filter { group in
            var table = group.subject.hasPrefix(prefix) ? String(group.subject.dropFirst(prefix.count)) : group.subject
            if table.hasSuffix(Quarantine.rejectedSuffix) { table.removeLast(Quarantine.rejectedSuffix.count) }
            let bare = table.split(separator: ".", maxSplits: 1).last.map(String.init) ?? table
            return tables.contains(group.subject) || patterns.contains { $0.matches(table) || $0.matches(bare) }
        }
    }
}

/// `millrace deadletters list`
struct DeadLettersListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the tables of which changes were set aside, with the reason.",
        discussion: "Reads the log beside a running `millrace run`.")

    @OptionGroup var shared: SharedOptions
    @Flag(help: "Print one JSON object a table.")
    var json = false

    func run() throws {
        let project = try Project.load(shared.config)
        for group in try LogReader(directory: project.logDirectory).statistics().deadLetters {
            Terminal.printLine(json ? Self.json(group).compactText : Self.text(group))
        }
    }

    static func json(_ group: DeadLetterGroup) -> JSONValue {
        [
            "subject": .string(group.subject), "changes": .number(JSONNumber(group.changeCount)),
            "bytes": .number(JSONNumber(group.byteCount)),
            "since": group.since.map { .string(UTCTime.text($0)) } ?? .null,
            "code": group.code.map { .string($0) } ?? .null, "message": group.message.map { .string($0) } ?? .null,
            "released": .number(JSONNumber(group.releasedCount)),
            "discarded": .number(JSONNumber(group.discardedCount)),
        ]
    }

    static func text(_ group: DeadLetterGroup) -> String {
        var line = "\(group.subject): "
        if let since = group.since {
            line +=
                "\(counted(group.changeCount, "change")) waiting (\(ByteCount.text(group.byteCount))), "
                + "since \(UTCTime.text(since))"
        } else {
            line += "nothing waits"
        }
        if group.releasedCount > 0 { line += ", \(group.releasedCount) released" }
        if group.discardedCount > 0 { line += ", \(group.discardedCount) discarded" }
        if let code = group.code, let message = group.message { line += "\n  [\(code)] \(message)" }
        return line
    }
}
