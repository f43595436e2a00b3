import Broker
import ChangeModel
import ConnectorKit
import EventFormat
import EventLog
import HTTPAPI
import Logging
import Pipeline
import PipelineConfiguration
import SchemaRegistry
import Sensitivity
private import Synchronization

/// The program's one HTTP listener, with what stands behind its paths.
struct HTTPService {
    private let listener: HTTPListener

    /// How long requests that have begun may go on when the program ends.
    private static let patience = Duration.seconds(5)

    /// The listener of `millrace run`: everything.
    init(_ server: ServerConfiguration, _ project: Project, _ pipeline: Pipeline, _ log: EventLog, _ logger: Logger) {
        let progress = pipeline.progress
        var limits = EventDesk.Limits()
        limits.streamCountMax = server.streamCountMax
        limits.heartbeat = server.heartbeat
        let origin = Self.origin(of: project, log)
        let eventDesk = EventDesk(
            origin, limits: limits, feed: { pipeline.feed },
            makeReader: { () throws(ConnectorFailure) in try log.makeReader() })
        let clearance = server.clearance ?? project.sensitivity.commands
        let events = EventsAPI(eventDesk, clearance: clearance)
        let subscriptions = SubscriptionsAPI(
            SubscriptionDesk(
                origin, log, clearance: clearance, countMax: server.subscriptionCountMax,
                patience: server.stallTime, feed: { pipeline.feed }), events, waitingMax: server.streamCountMax
        ) {
            do throws(ConnectorFailure) {
                return .success(try await log.statistics())
            } catch {
                return .failure(error)
            }
        }
        let counts = ReplyCounts()
        let desk = StatusDesk(project)
        let service = ServiceAPI(
            readiness: {
                let now = progress.snapshot
                if !now.isCapturing { return .waiting(code: now.waitsFor) }
                return .ready(stoppedSinks: now.isStopped.filter(\.value).keys.sorted())
            },
            status: { await desk.report().map(\.json) },
            metrics: {
                let status = try? await desk.report().get()
                return RunMetrics(progress: progress.snapshot, replyCounts: counts.now, status: status).text
            })
        let store = SchemaStore(directory: project.schemasDirectory)
        self.init(
            server, service.routes + events.routes + subscriptions.routes, store, project.configuration.name, counts,
            logger)
    }

    /// What readers over HTTP are told. Which database it is, the log knows once it has a source.
    private static func origin(of project: Project, _ log: EventLog) -> EventOrigin {
        var origin = project.eventOrigin
        origin.debezium = .forReaders
        let isPostgres = project.configuration.sourceKind == "postgres"
        let known = Mutex<String?>(nil)
        // Asked on the threads that read the log: it reads the disk as long as it knows nothing.
        origin.database = {
            guard isPostgres else { return "main" }
            return known.withLock { known in
                if known == nil { known = try? log.makeReader().statistics().source?.fingerprint["database"] }
                return known
            }
        }
        return origin
    }

    /// The listener of `millrace schema serve`: the registry and the program's health.
    init(_ server: ServerConfiguration, registry: SchemaStore, name: String, _ logger: Logger) {
        let counts = ReplyCounts()
        let service = ServiceAPI(
            readiness: { .ready(stoppedSinks: []) },
            metrics: {
                var text = MetricsText()
                text.addProgram(counts.now)
                return text
            })
        self.init(server, service.routes + EventsAPI.absent, registry, name, counts, logger)
    }

    private init(
        _ server: ServerConfiguration, _ routes: [Route], _ store: SchemaStore, _ name: String,
        _ counts: ReplyCounts, _ logger: Logger
    ) {
        let registry = RegistryAPI(store, pipelineName: name, version: Version.text)
        var limits = ListenerLimits.usual
        limits.stallTime = server.stallTime
        listener = HTTPListener(
            host: server.listen.host, port: server.listen.port, token: server.token,
            routes: RouteTable(routes + registry.routes), limits: limits, logger: logger)
        counts.source = listener
    }

    /// Begins to listen. Throws `http.address_in_use` or `http.listen`; what happens later is said in the log.
    func start() async throws(ConnectorFailure) { try await listener.start() }

    /// Stops listening, and lets requests that have begun end.
    func stop() async { await listener.stop(within: Self.patience) }
}

/// The listener's count of answers, for its own metrics, which are made before it is.
private final class ReplyCounts: Sendable {
    private let listener = Mutex<HTTPListener?>(nil)

    var source: HTTPListener? {
        get { listener.withLock { $0 } }
        set { listener.withLock { $0 = newValue } }
    }

    var now: [Int: UInt64] { source?.replyCounts ?? [:] }
}
