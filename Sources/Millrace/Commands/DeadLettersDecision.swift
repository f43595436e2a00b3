import ArgumentParser
import ConnectorKit
import EventLog
import Logging
import Outbox
import Pipeline
import PipelineConfiguration
import SchemaRegistry

/// `millrace deadletters retry`
struct DeadLettersRetryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Release changes that were set aside, as far as their contracts are accepted.",
        discussion: """
            They go to the end of the log in their order, under the ids that they always had, and are delivered. A \
            running process does so by itself within a second of `millrace schema accept`; this command also says why \
            something is still not released. Without a running process it works on the log itself.

            What a sink's receiver refused (@SINK) is given to it again, in order; a key whose event is refused again \
            waits on. That takes a running process: without one, the next `millrace run` does it.
            """)

    @OptionGroup var shared: SharedOptions
    @Argument(help: "Tables, subjects, or @SINK. All when none is given.")
    var tables: [String] = []
    @Option(help: ArgumentHelp("How long to wait for a running process.", valueName: "seconds"))
    var wait = 30

    func run() async throws {
        let project = try Project.load(shared.config)
        let all = try DeadLettersCommand.groups(tables, project).map(\.subject)
        guard !all.isEmpty else {
            Terminal.printLine("nothing waits")
            return
        }
        var refusal: ConnectorFailure?
        let subjects = all.filter { DeadLetter.sink(ofSubject: $0) == nil }
        if !subjects.isEmpty { refusal = try await release(subjects, project) }
        for subject in all {
            guard let sink = DeadLetter.sink(ofSubject: subject) else { continue }
            refusal = try await redeliver(subject, to: sink, project) ?? refusal
        }
        if let refusal { throw project.located(refusal) }
    }

    /// Has a running process give a sink what waits for it; returns why it would not.
    private func redeliver(
        _ subject: String, to sink: String, _ project: Project
    ) async throws -> ConnectorFailure? {
        guard let last = try LogReader(directory: project.logDirectory).newestDeadLetter(of: subject) else {
            return nil
        }
        return try await ask(.redeliver(sink: sink, through: last), project)
    }

    private func ask(_ action: OperatorRequest.Action, _ project: Project) async throws -> ConnectorFailure? {
        do throws(ConnectorFailure) {
            try await OperatorDesk(project).ask(action, patience: .seconds(max(0, wait)))
            return nil
        } catch {
            guard error.code == "run.request_refused" else { throw project.located(error) }
            return error
        }
    }

    /// Releases what is accepted of tables; returns why something was not.
    private func release(_ subjects: [String], _ project: Project) async throws -> ConnectorFailure? {
        guard var writer = try LogWriter(project) else {
            return try await ask(.releaseDeadLetters(subjects: subjects), project)
        }
        var refusal: ConnectorFailure?
        for subject in subjects {
            var count = 0
            var isUnfinished = true
            while isUnfinished {
                let step = try await writer.quarantine.release(subject)
                count += step.changeCount
                refusal = refusal ?? step.refusal
                isUnfinished = step.isUnfinished
            }
            Terminal.printLine("\(counted(count, "change")) of \(subject) released")
        }
        try await writer.end()
        // What a running process says to the same question ends with the same code.
        refusal?.exitCode = 1
        return refusal
    }
}

/// `millrace deadletters discard`
struct DeadLettersDiscardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discard", abstract: "Remove changes that were set aside, for good. They are never delivered.",
        discussion: """
            Only what is there now is removed: what is set aside later stays. With --invalid, only changes whose rows \
            are not valid under their contract now; what waited for them alone is released. Works beside a running \
            `millrace run`, and without one on the log itself.
            """)

    @OptionGroup var shared: SharedOptions
    @Argument(help: "Tables, subjects, or @SINK.")
    var tables: [String]
    @Flag(help: "Of rows that are not valid: only the changes that are not, and release what waits behind them.")
    var invalid = false
    @Flag(help: "Yes, lose these changes.")
    var yes = false
    @Option(help: ArgumentHelp("How long to wait for a running process.", valueName: "seconds"))
    var wait = 30

    func run() async throws {
        let project = try Project.load(shared.config)
        let groups = try DeadLettersCommand.groups(tables, project).filter {
            !invalid || ($0.code?.hasPrefix("schema.") ?? false && $0.subject.hasSuffix(Quarantine.rejectedSuffix))
        }
        guard !groups.isEmpty else {
            Terminal.printLine("nothing waits")
            return
        }
        guard yes else {
            for group in groups { Terminal.printLine(DeadLettersListCommand.text(group)) }
            throw ConnectorFailure(
                "deadletters.not_confirmed", .stop, "these changes would be lost for good; nothing was discarded",
                hint: "repeat the command with --yes", exitCode: 2)
        }
        let reader = try LogReader(directory: project.logDirectory)
        for group in groups {
            guard let last = try reader.newestDeadLetter(of: group.subject) else { continue }
            try await discard(group.subject, through: last, project)
        }
    }

    private func discard(_ subject: String, through last: Int64, _ project: Project) async throws {
        guard var writer = try LogWriter(project) else {
            let request: OperatorRequest.Action =
                invalid
                ? .discardInvalidRows(subject: subject, through: last)
                : .discardDeadLetters(subject: subject, through: last)
            return try await OperatorDesk(project).ask(request, patience: .seconds(max(0, wait)))
        }
        if invalid {
            var (discarded, released) = (0, 0)
            var first: Int64? = last
            while true {
                let step = try await writer.quarantine.discardInvalid(subject, through: first)
                first = nil
                discarded += step.discardedCount
                released += step.changeCount
                if !step.isUnfinished { break }
            }
            try await writer.end()
            Terminal.printLine("\(counted(discarded, "change")) of \(subject) discarded, \(released) released")
            return
        }
        let count = try await writer.quarantine.discard(subject, through: last)
        try await writer.end()
        Terminal.printLine("\(counted(count, "change")) of \(subject) discarded")
    }
}

/// The log in the hands of a command, while no other process writes to it.
private struct LogWriter {
    private let log: EventLog
    var quarantine: Quarantine

    /// Nil when another process has the log.
    init?(_ project: Project) throws {
        do throws(ConnectorFailure) {
            log = try EventLog(directory: project.logDirectory, retention: project.retention)
        } catch {
            if error.code == "log.in_use" { return nil }
            throw project.located(error)
        }
        let logger = LogLines.logger(level: .error)
        quarantine = Quarantine(
            log: log,
            contracts: ContractBook(
                pipelineName: project.configuration.name,
                schemas: SchemaFolder(directory: project.schemasDirectory), log: log, policy: project.schemaPolicy,
                logger: logger),
            policy: project.schemaPolicy, routing: OutboxRouting(project.outbox), logger: logger)
    }

    /// Makes what was done durable and lets go of the log.
    func end() async throws {
        _ = try await log.sync()
        await log.close()
    }
}
