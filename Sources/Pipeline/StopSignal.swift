private import Synchronization

/// A request to end that many tasks may look at and wait for.
package final class StopSignal: Sendable {
    private let requested = Atomic<Bool>(false)

    /// Nobody asked yet.
    package init() {}

    /// True once somebody asked to end.
    package var isRequested: Bool { requested.load(ordering: .acquiring) }

    /// Asks to end. May be called often and from anywhere.
    package func request() { requested.store(true, ordering: .releasing) }

    /// Waits for `pause`, or for the request, whichever comes first (looked at four times a second).
    package func wait(upTo pause: Duration) async {
        let end = ContinuousClock.now + pause
        while !isRequested, ContinuousClock.now < end {
            let step = min(end - ContinuousClock.now, .milliseconds(250))
            try? await Task.sleep(for: step)
        }
    }
}
