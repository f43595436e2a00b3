import ConnectorKit
package import EventLog
package import Logging
private import Synchronization

/// Hands the requests of a box to the stages that carry them out, one at a time, and gives the answers back.
package final class RequestDesk: Sendable {
    private struct State {
        var waiting: [OperatorRequest] = []
        /// Requests that were handed out or wait to be, so that none is handed out twice.
        var known: Set<String> = []
        /// True when the box could not be read at the last look, which is said once.
        var isUnreadable = false
    }
    private let box: RequestBox?
    private let logger: Logger
    private let state = Mutex(State())

    /// How often the box is looked into.
    static let interval = Duration.milliseconds(500)

    /// A desk for a box; without one there are never any requests.
    package init(_ box: RequestBox?, logger: Logger) {
        self.box = box
        self.logger = logger
    }

    /// The oldest request for a sink, or with nil for capture, that nobody took yet; nil for none.
    package func next(for sink: String? = nil) -> OperatorRequest? {
        state.withLock { state in
            guard let place = state.waiting.firstIndex(where: { $0.action.sink == sink }) else { return nil }
            return state.waiting.remove(at: place)
        }
    }

    /// The oldest request to move a sink's cursor that nobody took yet; nil for none.
    func nextReplay(for sink: String) -> OperatorRequest? {
        state.withLock { state in
            let place = state.waiting.firstIndex { $0.action.isReplay(of: sink) }
            return place.map { state.waiting.remove(at: $0) }
        }
    }

    /// True when a request for a sink waits.
    func hasRequest(for sink: String) -> Bool { state.withLock { $0.waiting.contains { $0.action.sink == sink } } }

    /// True when a request to move its cursor waits.
    func hasReplay(for sink: String) -> Bool {
        state.withLock { $0.waiting.contains { $0.action.isReplay(of: sink) } }
    }

    /// The oldest request for a sink that is not among those that run; nil for none.
    func nextStray(besides running: Set<String>) -> OperatorRequest? {
        state.withLock { state in
            let place = state.waiting.firstIndex { $0.action.sink.map { !running.contains($0) } ?? false }
            return place.map { state.waiting.remove(at: $0) }
        }
    }

    /// Puts a request back that could not be carried out now.
    func postpone(_ request: OperatorRequest) { state.withLock { $0.waiting.insert(request, at: 0) } }

    /// Gives the answer. When it cannot be written, the request is carried out again after the next start, which every
    /// request allows.
    func answer(_ request: OperatorRequest, _ outcome: RequestOutcome) {
        if outcome.isDone {
            logger.notice("request carried out: \(outcome.text)")
        } else {
            // Whoever asked may be gone: the command waits for an answer a while, and nobody asks for it later.
            logger.warning(
                "a request is refused and forgotten: \(outcome.text)", metadata: ["request": "\(request.action.words)"])
        }
        do throws(ConnectorFailure) {
            try box?.answer(request.id, outcome)
            _ = state.withLock { $0.known.remove(request.id) }
        } catch {
            logger.warning("the answer to a request could not be written", metadata: .failure(error))
        }
    }

    /// Looks into the box until asked to stop, and calls `afterwards` each time.
    func run(until stop: StopSignal, afterwards: () async -> Void) async {
        if box == nil { return }
        while !stop.isRequested {
            look()
            await afterwards()
            await stop.wait(upTo: Self.interval)
        }
    }

    /// Takes what lies in the box. A run that is to end soon must know it before it begins.
    func look() {
        guard let box else { return }
        do throws(ConnectorFailure) {
            let requests = try box.pending()
            state.withLock { state in
                for request in requests where state.known.insert(request.id).inserted { state.waiting.append(request) }
                state.isUnreadable = false
            }
        } catch {
            let isKnown = state.withLock { state in
                defer { state.isUnreadable = true }
                return state.isUnreadable
            }
            if !isKnown { logger.warning("requests cannot be read", metadata: .failure(error)) }
        }
    }
}

extension OperatorRequest.Action {
    /// The command that asked for it, as far as it tells what was wanted.
    fileprivate var words: String {
        switch self {
        case .snapshot(let tables): "millrace snapshot \(tables.joined(separator: " "))"
        case .releaseDeadLetters(let subjects): "millrace deadletters retry \(subjects.joined(separator: " "))"
        case .discardDeadLetters(let subject, _), .discardInvalidRows(let subject, _):
            "millrace deadletters discard \(subject)"
        case .redeliver(let sink, _): "millrace deadletters retry @\(sink)"
        case .replay(let sink, let offset, _): "millrace replay \(sink) --from \(offset)"
        }
    }

    fileprivate func isReplay(of name: String) -> Bool {
        if case .replay(name, _, _) = self { true } else { false }
    }
}
