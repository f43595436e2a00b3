import ArgumentParser
import ChangeModel
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

    /// The groups that the arguments mean and in which something waits: by subject, by table, by pattern, or `@` and a
    /// sink's name; all when there are no arguments. Throws `deadletters.unknown` for an argument that means nothing.
    static func groups(_ names: [String], _ project: Project) throws(ConnectorFailure) -> [DeadLetterGroup] {
        let log = try LogReader(directory: project.logDirectory).statistics()
        let waiting = log.deadLetters.filter { $0.changeCount > 0 }
        if names.isEmpty { return waiting }
        let known = Set(log.deadLetters.map(\.subject) + log.relations.map(\.subject))
            .union(project.configuration.sinks.map { DeadLetter.subject(ofSink: $0.name) })
        for name in names where !known.contains(where: { means(name, $0, project) }) {
            throw ConnectorFailure(
                "deadletters.unknown", .stop, "\(name) is neither a table of the log nor a sink's name behind @",
                hint: "millrace deadletters list says what waits", exitCode: 2)
        }
        return waiting.filter { group in names.contains { means($0, group.subject, project) } }
    }

    private static func means(_ name: String, _ subject: String, _ project: Project) -> Bool {
        if name == subject { return true }
        if DeadLetter.sink(ofSubject: subject) != nil { return false }
        let prefix = project.configuration.name + "."
        var table = subject.hasPrefix(prefix) ? String(subject.dropFirst(prefix.count)) : subject
        if table.hasSuffix(Quarantine.rejectedSuffix) { table.removeLast(Quarantine.rejectedSuffix.count) }
        let bare = table.split(separator: ".", maxSplits: 1).last.map(String.init) ?? table
        let pattern = TablePattern(name)
        return pattern.matches(table) || pattern.matches(bare)
    }
}

/// `millrace deadletters list`
struct DeadLettersListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the tables and sinks of which changes were set aside, with the reason.",
        discussion: "Reads the log beside a running `millrace run`.")

    @OptionGroup var shared: SharedOptions
    @Flag(help: "Print one JSON object a table.")
    var json = false

    func run() throws {
        let project = try Project.load(shared.config)
        let log = try LogReader(directory: project.logDirectory).statistics()
        for group in log.deadLetters { Terminal.printLine(json ? Self.json(group).compactText : Self.text(group)) }
        for report in log.subscriptions where report.deadCount > 0 {
            Terminal.printLine(json ? Self.json(report).compactText : Self.text(report))
        }
    }

    private static func json(_ report: SubscriptionReport) -> JSONValue {
        [
            "subscription": .string(report.subscription.name), "changes": .number(JSONNumber(report.deadCount)),
        ]
    }

    private static func text(_ report: SubscriptionReport) -> String {
        let path = "/v1/subscriptions/\(report.subscription.name)/deadletters"
        return "subscription \(report.subscription.name): \(counted(report.deadCount, "change")) waiting"
            + "\n  given out max_deliveries times and never acknowledged; "
            + "GET \(path) lists them, POST \(path)/retry or /discard decides"
    }

    static func json(_ group: DeadLetterGroup) -> JSONValue {
        [
            "subject": .string(group.subject),
            "sink": DeadLetter.sink(ofSubject: group.subject).map { .string($0) } ?? .null,
            "changes": .number(JSONNumber(group.changeCount)),
            "bytes": .number(JSONNumber(group.byteCount)),
            "since": group.since.map { .string(UTCTime.text($0)) } ?? .null,
            "code": group.code.map { .string($0) } ?? .null, "message": group.message.map { .string($0) } ?? .null,
            "released": .number(JSONNumber(group.releasedCount)),
            "discarded": .number(JSONNumber(group.discardedCount)),
        ]
    }

    static func text(_ group: DeadLetterGroup) -> String {
        let sink = DeadLetter.sink(ofSubject: group.subject)
        var line = sink.map { "\(group.subject) (sink \($0)): " } ?? "\(group.subject): "
        if let since = group.since {
            line +=
                "\(counted(group.changeCount, "change")) waiting (\(ByteCount.text(group.byteCount))), "
                + "since \(UTCTime.text(since))"
        } else {
            line += "nothing waits"
        }
        if group.releasedCount > 0 {
            line += ", \(group.releasedCount) \(sink == nil ? "released" : "delivered since")"
        }
        if group.discardedCount > 0 { line += ", \(group.discardedCount) discarded" }
        if let code = group.code, let message = group.message { line += "\n  [\(code)] \(message)" }
        return line
    }
}
