private import Synchronization

/// A request to end that many tasks may look at and wait for.
package final class StopSignal: Sendable {
    private struct State {
        var isRequested = false
        var nextNumber = 0
        /// What waits, by number.
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
    }
    private let state = Mutex(State())

    /// Nobody asked yet.
    package init() {}

    /// True once somebody asked to end.
    package var isRequested: Bool { state.withLock { $0.isRequested } }

    /// Asks to end. May be called often and from anywhere.
    package func request() {
        let waiters = state.withLock { state in
            state.isRequested = true
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }

    /// Waits for the request; returns early when the task is cancelled.
    package func wait() async {
        let number = state.withLock { state in
            state.nextNumber += 1
            return state.nextNumber
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = state.withLock { state in
                    if state.isRequested || Task.isCancelled { return false }
                    state.waiters[number] = continuation
                    return true
                }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: number) }?.resume()
        }
    }

    /// Waits for `pause`, or for the request, whichever comes first.
    package func wait(upTo pause: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.wait() }
            group.addTask { try? await Task.sleep(for: pause) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Does `work` in a task that is cancelled soon after the request, for work that waits by itself, such as for a
    /// server; or when `isOver`, which is cancelled at the end of the work, answers true.
    package func cancelling<T: Sendable>(
        when isOver: @escaping @Sendable () async -> Bool = { false }, _ work: @escaping @Sendable () async -> T
    ) async -> T {
        await withTaskGroup(of: Void.self) { group in
            let task = Task { await work() }
            group.addTask {
                await self.wait()
                if self.isRequested { task.cancel() }
            }
            group.addTask {
                if await isOver() { task.cancel() }
            }
            let result = await withTaskCancellationHandler {
                await task.value
            } onCancel: {
                task.cancel()
            }
            group.cancelAll()
            return result
        }
    }
}
