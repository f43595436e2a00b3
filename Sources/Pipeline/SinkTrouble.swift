import ConnectorKit
import EventLog
import Logging
import Synchronization

/// What an open sink says that keeps it from getting on while it tries by itself: told once, and shown by `status`.
final class SinkTrouble: Sendable {
    private struct State {
        var failure: ConnectorFailure?
        /// Since when there is one.
        var since: ContinuousClock.Instant?
        var pause: Duration?
        /// True when the log does not have it.
        var isNews = false
        var isStoring = false
    }

    private let sink: String
    private let log: EventLog
    private let logger: Logger
    private let state = Mutex(State())

    /// A sink of which nothing was heard.
    init(_ sink: String, _ log: EventLog, _ logger: Logger) {
        self.sink = sink
        self.log = log
        self.logger = logger
    }

    /// Why the sink does not get on; nil while it does.
    var failure: ConnectorFailure? { state.withLock { $0.failure } }

    /// True when the sink does not get on for so long.
    func lasts(for limit: Duration) -> Bool {
        state.withLock { state in state.since.map { ContinuousClock.now - $0 >= limit } ?? false }
    }

    /// Notes what the sink says; nil when it gets on again. Callable from any thread.
    func report(_ failure: ConnectorFailure?, retryIn pause: Duration?) {
        let (starts, isNew) = state.withLock { state in
            let isNew = state.failure?.code != failure?.code
            state.since = failure == nil ? nil : state.since ?? .now
            (state.failure, state.pause, state.isNews) = (failure, pause, true)
            defer { state.isStoring = true }
            return (!state.isStoring, isNew)
        }
        if !isNew {
            // Said already; only what `status` shows is renewed.
        } else if let failure {
            logger.warning("sink does not get on, tries again", metadata: .failure(failure, retryIn: pause))
        } else {
            logger.notice("sink works again")
        }
        if starts { Task { await store() } }
    }

    /// Stores what was said last, one thing after the other. When that fails, for example on a full disk, the next
    /// report tries again.
    private func store() async {
        while let news = next() {
            // Without a time of the next attempt it would be one that stopped.
            let pause = news.failure.map { _ in news.pause ?? .zero }
            try? await log.setError(of: sink, news.failure, retryIn: pause)
        }
    }

    private func next() -> State? {
        state.withLock { state in
            guard state.isNews else {
                state.isStoring = false
                return nil
            }
            state.isNews = false
            return state
        }
    }
}
