private import Synchronization

/// Something did not come to an end in the time that a test gives it.
package struct PatienceLost: Error, Sendable, CustomStringConvertible {
    /// What was waited for.
    package var what: String
    /// How long.
    package var limit: Duration

    /// What, and how long.
    package var description: String { "\(what) did not return within \(limit)" }
}

/// Runs `body` and waits for it at most `limit`. After that it throws ``PatienceLost`` and leaves the body behind,
/// cancelled: a call that hangs is reported by name instead of hanging the test.
package func within<Result: Sendable>(
    _ limit: Duration, _ what: String, _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    let race = Race<Result>()
    let runner = Task {
        do { race.finish(.success(try await body())) } catch { race.finish(.failure(error)) }
    }
    let timer = Task {
        try await Task.sleep(for: limit)
        race.finish(.failure(PatienceLost(what: what, limit: limit)))
        runner.cancel()
    }
    defer { timer.cancel() }
    return try await withCheckedThrowingContinuation { race.start($0) }
}

/// The first of several results resumes one continuation; the others are dropped.
private final class Race<Value: Sendable>: Sendable {
    private enum State {
        case idle
        case waiting(CheckedContinuation<Value, any Error>)
        case early(Result<Value, any Error>)
        case done
    }
    private let state = Mutex<State>(.idle)

    func start(_ continuation: CheckedContinuation<Value, any Error>) {
        let early = state.withLock { state -> Result<Value, any Error>? in
            if case .early(let result) = state {
                state = .done
                return result
            }
            state = .waiting(continuation)
            return nil
        }
        if let early { continuation.resume(with: early) }
    }

    func finish(_ result: Result<Value, any Error>) {
        let waiting = state.withLock { state -> CheckedContinuation<Value, any Error>? in
            switch state {
            case .idle: state = .early(result)
            case .waiting(let continuation):
                state = .done
                return continuation
            case .early, .done: break
            }
            return nil
        }
        waiting?.resume(with: result)
    }
}
