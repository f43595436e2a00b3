package import ConnectorKit
private import Synchronization

/// What a running pipeline has done so far, for the terminal, `status` and tests. Updated per batch.
package final class PipelineProgress: Sendable {
    /// The numbers at one moment.
    package struct Snapshot: Sendable {
        /// Row changes that were appended to the log since the start.
        package var capturedCount: UInt64 = 0
        /// Commit time of the newest captured change, in microseconds since 1970; nil before the first.
        package var newestCommit: Int64?
        /// Log offset behind the newest event; nil before the first append of this run.
        package var nextOffset: UInt64?
        /// Log offset before which each sink has everything durable, by sink name.
        package var cursors: [String: UInt64] = [:]
        /// The sinks that there should be, by name: true for one that stopped for good.
        package var isStopped: [String: Bool] = [:]
        /// True when there are sinks and none delivers any more.
        package var areAllSinksStopped: Bool { !isStopped.isEmpty && !isStopped.values.contains(false) }
        /// Log offset before which a sink that is open has taken everything out of the log, by sink name.
        package var readUntil: [String: UInt64] = [:]
        /// True once everything that was committed before the start is in the log.
        package var isCaughtUp = false
        /// True while the source is open and what it gives goes into the log.
        package var isCapturing = false
        /// The code of the failure that capture waits to pass; nil when it waits for nothing.
        package var waitsFor: String?
        /// How far the source is with reading old rows; nil when it reads none.
        package var snapshot: SnapshotProgress?
    }

    private let state = Mutex(Snapshot())

    /// Nothing done yet.
    package init() {}

    /// The numbers now.
    package var snapshot: Snapshot { state.withLock { $0 } }

    func captured(_ count: Int, newestCommit: Int64?, nextOffset: UInt64) {
        state.withLock {
            $0.capturedCount += UInt64(count)
            if let newestCommit { $0.newestCommit = newestCommit }
            $0.nextOffset = nextOffset
        }
    }

    func delivered(by sink: String, before offset: UInt64) { state.withLock { $0.cursors[sink] = offset } }
    func reads(_ sink: String, until offset: UInt64?) { state.withLock { $0.readUntil[sink] = offset } }
    func sinks(stopped: [String: Bool]) { state.withLock { $0.isStopped = stopped } }
    func reads(_ snapshot: SnapshotProgress?) { state.withLock { $0.snapshot = snapshot } }
    func captures() { waits(for: nil) }
    func waits(for failure: ConnectorFailure?) {
        state.withLock {
            $0.isCapturing = failure == nil
            $0.waitsFor = failure?.code
        }
    }
    func caughtUp() { state.withLock { $0.isCaughtUp = true } }
}
