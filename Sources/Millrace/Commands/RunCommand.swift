import ArgumentParser
import ConnectorKit
import EventLog
import Logging
import Pipeline
import PipelineConfiguration
import SchemaRegistry

/// `millrace run`
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Capture and deliver until stopped.",
        discussion: """
            Continues where the last run ended. SIGINT and SIGTERM end it cleanly; a second signal ends it at once, \
            which loses nothing either. SIGHUP reads the configuration again and has the sinks deliver that it names \
            now; everything else in it takes a new start.
            """)

    @OptionGroup var shared: SharedOptions
    @Flag(help: "End when everything committed before the start is delivered to every sink.")
    var untilCaughtUp = false
    @Option(
        help: ArgumentHelp(
            """
            With --until-caught-up: how long to try what fails, a database, a sink, a full disk, without getting on \
            before the run ends with its error. (default: 60)
            """, valueName: "seconds"))
    var patience: Int?
    @Option(help: ArgumentHelp("What to do when the source has lost changes, instead of refusing.", valueName: "how"))
    var recover: RecoveryKind?

    /// The one way to go on after a loss.
    enum RecoveryKind: String, ExpressibleByArgument, CaseIterable {
        /// Make what is missing on the server anew, and read the tables that lost changes again.
        case snapshot
    }

    /// How long a run that is to end tries what fails, unless somebody says otherwise.
    static let usualPatience = 60

    func validate() throws {
        guard let patience else { return }
        guard untilCaughtUp else { throw ValidationError("--patience has a meaning only with --until-caught-up") }
        guard patience >= 0 else { throw ValidationError("--patience is a number of seconds, 0 or more") }
    }

    func run() async throws {
        SignalWatcher.ignoreReloads()
        let project = try Project.load(shared.config)
        if recover != nil, case .sqlite = project.source {
            throw ValidationError("--recover is for a PostgreSQL source: SQLite reads lost tables anew by itself")
        }
        let logger = LogLines.logger()
        let signals = SignalWatcher()
        let log: EventLog
        do throws(ConnectorFailure) {
            log = try EventLog(directory: project.logDirectory, retention: project.retention)
        } catch {
            throw project.located(error)
        }
        let parts = Pipeline.Parts(
            name: project.configuration.name, sourceKind: project.configuration.sourceKind,
            source: project.makeSource(
                recovers: recover != nil, notice: { logger.notice("\($0)") }, warning: { logger.warning("\($0)") }),
            sinks: project.makeSinks(), log: log,
            schemas: SchemaFolder(directory: project.schemasDirectory), masks: project.masks,
            sensitivity: project.sensitivity, outbox: project.outbox, policy: project.schemaPolicy,
            requests: RequestBox(logDirectory: project.logDirectory),
            acknowledgement: project.configuration.log.acknowledge == .delivered ? .delivered : .logged)
        let pipeline = Pipeline(parts, logger: logger)
        // Beside the run: a database that does not answer is the run's own business.
        Task.detached {
            for finding in project.sensitivityFindings() + (await project.ruleFindings() ?? [])
                + (await project.choiceFindings())
            where finding.level != .ok {
                logger.warning("\(finding.message)", metadata: ["code": "\(finding.code)"])
            }
        }
        let reload = SinkReload(shared.config, project, pipeline, logger)
        signals.start(onReload: { reload.run() }, onRequest: { pipeline.stop.request() })
        let service = project.configuration.server.map { HTTPService($0, project, pipeline, log, logger) }
        do throws(ConnectorFailure) {
            try await service?.start()
        } catch {
            await log.close()
            throw project.located(error)
        }
        let display = ProgressDisplay(pipeline.progress)
        display.start()
        let outcome: Result<Void, ConnectorFailure>
        do throws(ConnectorFailure) {
            outcome = .success(
                try await pipeline.run(
                    untilCaughtUp: untilCaughtUp, patience: .seconds(patience ?? Self.usualPatience)))
        } catch {
            outcome = .failure(error)
        }
        display.finish()
        await service?.stop()
        await log.close()
        if case .failure(let failure) = outcome { throw project.located(failure) }
        if let signal = signals.received { throw RunEnd.signal(signal) }
    }
}
