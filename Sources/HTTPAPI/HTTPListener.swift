package import ConnectorKit
import HummingbirdCore
package import Logging
import NIOCore
import NIOPosix
private import Synchronization

/// The one listener: answers HTTP/1.1 requests by a table of routes, within bounds, until it is stopped.
///
/// It has one thread for its sockets. What it does never holds up capture, and when its socket is lost it opens another
/// one with growing pauses.
package final class HTTPListener: Sendable {
    private struct State {
        var server: Server<ConnectionChannel>?
        var task: Task<Void, Never>?
        var isStopping = false
        /// The port, once it is known: a listener that opens again keeps the one it got for port 0.
        var port: Int
    }

    private let host: String
    private let responder: RequestResponder
    private let limits: ListenerLimits
    private let logger: Logger
    private let state: Mutex<State>

    /// One thread is plenty for registries and scrapers. It lives as long as the process.
    private static let threads = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private static let pauses = (first: Duration.seconds(1), longest: Duration.seconds(60))

    /// A listener that does not listen yet. Without a `token`, `host` must be a loopback address.
    package init(
        host: String, port: Int, token: String?, routes: RouteTable, limits: ListenerLimits = .usual, logger: Logger
    ) {
        self.host = host
        self.limits = limits
        self.logger = logger
        responder = RequestResponder(routes: routes, access: AccessRule(token: token), limits: limits)
        state = Mutex(State(port: port))
    }

    /// Answers so far, by the first digit of their status.
    package var replyCounts: [Int: UInt64] { responder.replyCounts }

    /// Begins to listen and returns the port. Throws `http.address_in_use` or `http.listen` when that cannot be; what
    /// happens later is said in the log and overcome. Call once.
    @discardableResult
    package func start() async throws(ConnectorFailure) -> Int {
        let opened = await withCheckedContinuation { continuation in
            let first = FirstOutcome(continuation)
            let task = Task { await listen(first) }
            state.withLock { $0.task = task }
        }
        let port = try opened.get()
        logger.notice("listening for HTTP", metadata: ["address": "\(address)"])
        return port
    }

    /// Stops listening, ends streams, lets requests that have begun end, and cuts them off after `patience`.
    package func stop(within patience: Duration) async {
        responder.table.endWaiting()
        let (server, task) = state.withLock { state in
            state.isStopping = true
            return (state.server, state.task)
        }
        guard let task else { return }
        if server == nil { task.cancel() }
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        Task {
            try? await server?.shutdownGracefully()
            await task.value
            end.finish()
        }
        let alarm = Task {
            try? await Task.sleep(for: patience)
            end.finish()
        }
        for await _ in ends {}
        alarm.cancel()
        task.cancel()
    }

    /// The address with the port that it has by now.
    private var address: String {
        let port = state.withLock { $0.port }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Listens until asked to stop. The first outcome is told; later failures are said and overcome.
    private func listen(_ first: FirstOutcome) async {
        var pause = Self.pauses.first
        while !Task.isCancelled {
            var failure: (any Error)?
            let started = ContinuousClock.now
            do { try await serveOnce(first) } catch { failure = error }
            state.withLock { $0.server = nil }
            if let failure, first.tell(.failure(HTTPFailure.listen(address, failure))) { return }
            if state.withLock({ $0.isStopping }) { return }
            if ContinuousClock.now - started > Self.pauses.longest { pause = Self.pauses.first }
            let ended = HTTPFailure.ended(address, failure)
            logger.error(
                "the listener ended, will open it again",
                metadata: ["code": "\(ended.code)", "message": "\(ended.message)", "try": "\(ended.hint ?? "")"])
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, Self.pauses.longest)
        }
    }

    /// Opens the socket and answers until it is closed.
    private func serveOnce(_ first: FirstOutcome) async throws {
        let (responder, limits) = (responder, limits)
        let channel = ConnectionChannel(
            responder: { request, writer, channel in
                try await responder.respond(to: request, by: writer, on: channel)
            }, limits: limits, table: responder.table, refused: { responder.count($0) })
        var quiet = logger
        quiet.logLevel = .critical
        let server = Server(
            childChannelSetup: channel,
            configuration: ServerConfiguration(
                address: .hostname(host, port: state.withLock { $0.port }), backlog: limits.backlog,
                availableConnectionsDelegate: .maximum(limits.connectionCountMax, logger: quiet)),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? 0
                self.state.withLock { $0.port = port }
                first.tell(.success(port))
            }, eventLoopGroup: Self.threads, logger: quiet)
        let isStopping = state.withLock { state in
            state.server = server
            return state.isStopping
        }
        if !isStopping { try await server.run() }
    }
}

/// How opening the socket went the first time, told once.
private final class FirstOutcome: Sendable {
    typealias Outcome = Result<Int, ConnectorFailure>
    private let waiting: Mutex<CheckedContinuation<Outcome, Never>?>

    init(_ continuation: CheckedContinuation<Outcome, Never>) { waiting = Mutex(continuation) }

    /// False when it was told before.
    @discardableResult
    func tell(_ outcome: Outcome) -> Bool {
        let continuation = waiting.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
        continuation?.resume(returning: outcome)
        return continuation != nil
    }
}
