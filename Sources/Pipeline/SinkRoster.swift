private import Synchronization

/// The sinks of a running pipeline: which there should be, which deliver, and how each is asked to end.
final class SinkRoster: Sendable {
    private struct State {
        /// The sinks that there should be, by name.
        var wanted: [String: SinkPlan] = [:]
        /// Those that deliver now.
        var running: [String: StopSignal] = [:]
        /// Those that were asked to end, and have not.
        var ending: Set<String> = []
        /// Those that ended and begin anew in a moment.
        var restarts: Set<String> = []
        /// True once all were asked to end: none begins any more.
        var isStopped = false
        /// Those that failed for good, and have not ended yet.
        var failing: Set<String> = []
        /// Those that failed for good, and wait for somebody to begin them again.
        var stopped: Set<String> = []
        /// Those that were there at the start, and never ended since.
        var originals: Set<String> = []
    }
    private let state = Mutex(State())

    /// The sinks of the configuration.
    init(_ plans: [SinkPlan]) {
        state.withLock { state in
            for plan in plans {
                state.wanted[plan.name] = plan
                state.originals.insert(plan.name)
            }
        }
    }

    /// The names of the sinks that there should be, whether they work or not.
    var names: [String] { state.withLock { $0.wanted.keys.sorted() } }
    /// A sink that there should be; nil for others.
    func plan(of name: String) -> SinkPlan? { state.withLock { $0.wanted[name] } }
    /// The names of those that deliver now, or begin anew in a moment.
    var running: Set<String> { state.withLock { $0.restarts.union($0.running.keys) } }

    /// The sinks that there should be, by name: true for one that failed for good.
    var stopped: [String: Bool] {
        state.withLock { state in
            Dictionary(
                state.wanted.keys.map { ($0, state.stopped.contains($0)) }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// The sinks that should deliver and do not, each with the signal that ends it.
    func starting() -> [(plan: SinkPlan, stop: StopSignal)] {
        state.withLock { state in
            var starting: [(plan: SinkPlan, stop: StopSignal)] = []
            if state.isStopped { return starting }
            for (name, plan) in state.wanted.sorted(by: { $0.key < $1.key }) where state.running[name] == nil {
                let stop = StopSignal()
                state.running[name] = stop
                state.restarts.remove(name)
                state.stopped.remove(name)
                starting.append((plan, stop))
            }
            return starting
        }
    }

    /// Takes another set of sinks. Those that are gone or `changed` are asked to end.
    func replace(by plans: [SinkPlan], changed: Set<String>) {
        let ending = state.withLock { state in
            state.wanted = Dictionary(plans.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
            let ending = state.running.filter { state.wanted[$0.key] == nil || changed.contains($0.key) }
            state.ending.formUnion(ending.keys)
            // It is too late for them to notice: they begin anew.
            state.ending.formUnion(state.failing)
            state.restarts.formIntersection(state.wanted.keys)
            return ending.map(\.value)
        }
        for stop in ending { stop.request() }
    }

    /// A sink is about to end for good. A reload from now on begins it again.
    func fails(_ name: String) { state.withLock { _ = $0.failing.insert(name) } }

    /// A sink ended, or `failed` for good. True when it was one of the start's; and whether it has to begin anew: one
    /// that was asked to end and is wanted all the same, by that request or by a later one.
    func ended(_ name: String, failed: Bool = false) -> (wasOriginal: Bool, restarts: Bool) {
        state.withLock { state in
            state.running[name] = nil
            state.failing.remove(name)
            if state.ending.remove(name) != nil, state.wanted[name] != nil { state.restarts.insert(name) }
            if failed, !state.restarts.contains(name) { state.stopped.insert(name) }
            return (state.originals.remove(name) != nil, state.restarts.contains(name))
        }
    }

    /// Asks all of them to end, for good.
    func stopAll() {
        let running = state.withLock { state in
            state.isStopped = true
            return Array(state.running.values)
        }
        for stop in running { stop.request() }
    }
}
