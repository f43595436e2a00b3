import ByteKit
import ChangeModel
package import ConnectorKit

/// One reader of the log that wants every batch in order: from memory while it keeps up, from the database when not.
///
/// Reads of the database run on a thread of the consumer's own, so neither other sinks nor the tasks of this process
/// wait for them.
package actor LogConsumer {
    private let feed: LogFeed
    private let reader: LogReader
    private let follower: FollowerKey?
    private let thread = BlockingThread(name: "log-consumer")
    /// The consumer's own thread.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// A consumer of `feed` that reads older batches through `reader`, which should be its own. Bulk waits a moment for
    /// one that `isFollowed`; see ``LogFeed/makeRoom(for:until:)``.
    package init(feed: LogFeed, reader: LogReader, isFollowed: Bool = false) {
        self.feed = feed
        self.reader = reader
        follower = isFollowed ? feed.follow() : nil
    }

    deinit {
        if let follower { feed.unfollow(follower) }
    }

    /// The batch that contains `offset`, which may begin before it. Waits for it to be published; nil when `deadline`
    /// passes or the task is cancelled first, or when `admits` says that so many bytes are not wanted now.
    package nonisolated func next(
        from offset: UInt64, orUntil deadline: ContinuousClock.Instant,
        admits: @Sendable (Int) -> Bool = { _ in true }
    ) async throws(ConnectorFailure) -> LoggedBatch? {
        var hasWaited = false
        while true {
            switch feed.look(at: offset, by: follower) {
            case .inMemory(let batch): return admits(batch.batch.body.count) ? batch : nil
            case .inDatabase: return try await stored(at: offset, admits)
            case .ahead where hasWaited: return nil
            case .ahead:
                await feed.wait(for: offset, until: deadline)
                hasWaited = true
            }
        }
    }

    /// The offset at which somebody who begins there begins; see ``LogReader/offset(at:)``.
    package func offset(at start: StartPosition) throws(ConnectorFailure) -> UInt64 { try reader.offset(at: start) }

    /// True when the batch with `offset` may be read now.
    package nonisolated func has(_ offset: UInt64) -> Bool { feed.nextOffset > offset }

    private func stored(
        at offset: UInt64, _ admits: @Sendable (Int) -> Bool
    ) throws(ConnectorFailure) -> LoggedBatch? {
        if let byteCount = try reader.byteCount(at: offset), !admits(byteCount) { return nil }
        guard let batch = try reader.read(from: offset) else {
            throw LogFailure.damaged("offset \(offset) was published, but the log ends before it")
        }
        return batch
    }
}
