import ArgumentParser
import ConnectorKit
import EventLog
import Pipeline
import PipelineConfiguration

/// `millrace replay`
struct ReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Deliver events to a sink again, from a place of the log on.",
        discussion: """
            Moves the sink's cursor; other sinks and the source do not notice. The events come under the ids that they \
            always had. Works beside a running `millrace run`, and without one on the log itself.
            """)

    @OptionGroup var shared: SharedOptions
    @Argument(help: "The sink's name in the configuration.")
    var sink: String
    @Option(
        help: ArgumentHelp(
            "Where to begin: earliest, latest, a log offset, or a UTC time (2026-11-21T10:00:00Z) of commit.",
            valueName: "position"))
    var from: String
    @Flag(help: "Yes, also forward: the sink never gets the events between.")
    var skip = false
    @Option(help: ArgumentHelp("How long to wait for a running process.", valueName: "seconds"))
    var wait = 30

    func run() async throws {
        let start = try StartPosition(option: from)
        let project = try Project.load(shared.config)
        do throws(ConnectorFailure) {
            try project.checkSink(sink)
            let reader = try LogReader(directory: project.logDirectory)
            let statistics = try reader.statistics()
            let offset = try reader.offset(at: start)
            try reader.checkReplay(of: sink, from: offset, skipping: skip)
            guard let log = try project.openIdleLog() else {
                let request = OperatorRequest.Action.replay(sink: sink, offset: offset, skipping: skip)
                return try await OperatorDesk(project).ask(request, patience: .seconds(max(0, wait)))
            }
            let entry = project.sinks.first { $0.configuration.name == sink }
            let moved = try await log.replayWithLetters(
                sink, from: offset, skipping: skip, forgetting: entry?.settings.forgetsAtReplay ?? false,
                tables: entry?.configuration.tables ?? [])
            await log.close()
            Terminal.printLine(
                "sink \(sink) goes on with offset \(offset); it was at \(moved.former), and the log ends at "
                    + "\(statistics.nextOffset)"
                    + (moved.letterCount > 0 ? "; \(DeliveryStage.comeAgain(moved.letterCount))" : ""))
        } catch {
            throw project.located(error)
        }
    }
}

extension Project {
    /// Throws `config.unknown_sink` for a sink that the configuration does not name.
    func checkSink(_ name: String) throws(ConnectorFailure) {
        let names = configuration.sinks.map(\.name)
        if names.contains(name) { return }
        throw ConnectorFailure(
            "config.unknown_sink", .stop, "the configuration has no sink \(name)", setting: "sinks",
            hint: names.isEmpty ? "it has none" : "it has " + names.joined(separator: ", "), exitCode: 2)
    }

    /// The log, while no other process writes to it; nil while one does.
    func openIdleLog() throws(ConnectorFailure) -> EventLog? {
        do throws(ConnectorFailure) {
            return try EventLog(directory: logDirectory, retention: retention)
        } catch {
            if error.code == "log.in_use" { return nil }
            throw error
        }
    }
}
