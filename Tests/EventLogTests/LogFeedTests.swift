import ChangeModel
import ConnectorKit
import Foundation
import Synchronization
import Testing

@testable import EventLog

struct LogFeedTests {
    let folder: TemporaryFolder
    let log: EventLog

    init() throws {
        folder = try TemporaryFolder()
        log = try EventLog(directory: folder.log)
    }

    private var soon: ContinuousClock.Instant { .now + .seconds(60) }

    @Test func whatWasPublishedComesFromMemory() async throws {
        let feed = LogFeed(nextOffset: 0)
        let logged = try await log.appendOrders(sampleBatch(commit: 1, rows: 3))
        feed.publish(logged)
        let consumer = LogConsumer(feed: feed, reader: try log.makeReader())
        for offset: UInt64 in 0..<3 {
            #expect(try await consumer.next(from: offset, orUntil: soon)?.batch === logged.batch)
        }
        #expect(feed.nextOffset == 3)
    }

    @Test func whatLeftTheMemoryComesFromTheDatabase() async throws {
        let feed = LogFeed(nextOffset: 0, bytesMax: 4000)
        let consumer = LogConsumer(feed: feed, reader: try log.makeReader())
        var all: [LoggedBatch] = []
        for commit in 1...40 {
            all.append(try await log.appendOrders(sampleBatch(commit: UInt64(commit), rows: 2)))
            feed.publish(all[commit - 1])
        }
        let oldest = try #require(try await consumer.next(from: 0, orUntil: soon))
        #expect(oldest.batch !== all[0].batch)
        #expect(oldest.firstOffset == 0)
        #expect(try await consumer.next(from: 79, orUntil: soon)?.batch === all[39].batch)
    }

    @Test func whatTheLogHadBeforeTheFeedIsRead() async throws {
        try await log.appendOrders(sampleBatch(commit: 1, rows: 3))
        let feed = LogFeed(nextOffset: 3)
        let consumer = LogConsumer(feed: feed, reader: try log.makeReader())
        #expect(try await consumer.next(from: 1, orUntil: soon)?.nextOffset == 3)
    }

    @Test func whatIsNotPublishedIsNotSeen() async throws {
        let feed = LogFeed(nextOffset: 0)
        let consumer = LogConsumer(feed: feed, reader: try log.makeReader())
        try await log.appendOrders(sampleBatch(commit: 1))
        #expect(try await consumer.next(from: 0, orUntil: .now + .milliseconds(20)) == nil)
        #expect(try await consumer.next(from: 0, orUntil: .now - .seconds(1)) == nil)
    }

    @Test func whatRetentionRemovedIsAnError() async throws {
        let feed = LogFeed(nextOffset: 0, bytesMax: 0)
        for commit in 1...2 { feed.publish(try await log.appendOrders(sampleBatch(commit: UInt64(commit)))) }
        await log.close()
        let short = try EventLog(directory: folder.log, retention: LogRetention(age: .zero))
        _ = try await short.retain(activeSinks: [])
        let consumer = LogConsumer(feed: feed, reader: try short.makeReader())
        #expect(await failureCode { _ = try await consumer.next(from: 0, orUntil: soon) } == "log.retained_away")
    }

    @Test func theMemoryIsBounded() async throws {
        var ring = BatchRing()
        let version = try await log.register(orders, subject: "s", version: 1)
        for number in 0..<5000 {
            let batch = try sampleBatch(commit: UInt64(number + 1), rows: 1)
            ring.append(
                LoggedBatch(firstOffset: UInt64(number), batch: batch, versions: [version]), bytesMax: 20_000)
            #expect(ring.byteCount <= 20_000)
            #expect(ring.batch(containing: UInt64(number))?.batch === batch)
        }
        #expect(ring.count < 50)
        #expect(ring.batch(containing: 0) == nil)
        #expect(ring.batch(containing: 4990) != nil)
    }

    @Test func aCancelledWaitEndsWithoutABatch() async throws {
        let feed = LogFeed(nextOffset: 0)
        let consumer = LogConsumer(feed: feed, reader: try log.makeReader())
        for _ in 0..<200 {
            let task = Task { try await consumer.next(from: 0, orUntil: .now + .seconds(600)) }
            await Task.yield()
            task.cancel()
            #expect(try await task.value == nil)
        }
        #expect(feed.waiterCount == 0)
    }

    @Test func manyWaitersEachGetEveryBatchAndNoWakeUpIsLost() async throws {
        let feed = LogFeed(nextOffset: 0, bytesMax: 6000)
        let version = try await log.register(orders, subject: "s", version: 1)
        let total: UInt64 = 600
        try await withThrowingTaskGroup(of: [UInt64].self) { group in
            for _ in 0..<4 {
                let consumer = LogConsumer(feed: feed, reader: try log.makeReader())
                group.addTask {
                    var (seen, offset): ([UInt64], UInt64) = ([], 0)
                    while offset < total {
                        // A lost wake-up would make this wait for its deadline and fail.
                        guard let next = try await consumer.next(from: offset, orUntil: .now + .seconds(120)) else {
                            return seen
                        }
                        seen.append(next.firstOffset)
                        offset = next.nextOffset
                    }
                    return seen
                }
            }
            for number in 1...total {
                let batch = try sampleBatch(commit: number, rows: 1)
                feed.publish(try await log.append(batch, versions: [version]))
                if number % 7 == 0 { await Task.yield() }
            }
            for try await seen in group { #expect(seen == Array(0..<total)) }
        }
        #expect(feed.waiterCount == 0)
    }

    @Test func waitersEndInTheOrderOfTheirDeadlinesWhateverTheyWereSetIn() async throws {
        let feed = LogFeed(nextOffset: 0)
        let reader = try log.makeReader()
        let start = ContinuousClock.now
        await withTaskGroup(of: Bool.self) { group in
            for milliseconds in [400, 30, 200, 60, 100] {
                group.addTask {
                    let consumer = LogConsumer(feed: feed, reader: reader)
                    let deadline = start + .milliseconds(milliseconds)
                    let got = try? await consumer.next(from: 0, orUntil: deadline)
                    return got == nil && ContinuousClock.now >= deadline
                }
            }
            for await isRight in group { #expect(isRight) }
        }
    }

    // MARK: Bulk waits for those that keep up

    /// Batches of one log, each of which fills a feed of one byte alone.
    private func batches(_ count: Int) async throws -> [LoggedBatch] {
        var all: [LoggedBatch] = []
        for commit in 1...count { all.append(try await log.appendOrders(sampleBatch(commit: UInt64(commit), rows: 2))) }
        return all
    }

    @Test func roomIsMadeWhenTheFollowerWantsWhatComesNext() async throws {
        let all = try await batches(2)
        let feed = LogFeed(nextOffset: 0, bytesMax: 1)
        let consumer = LogConsumer(feed: feed, reader: try log.makeReader(), isFollowed: true)
        feed.publish(all[0])
        #expect(try await consumer.next(from: 0, orUntil: soon)?.batch === all[0].batch)
        let room = Task { await feed.makeRoom(for: all[1], until: .now + .seconds(600)) }
        while feed.waiterCount == 0 { await Task.yield() }
        // The other half of the batch is still wanted.
        _ = try await consumer.next(from: 1, orUntil: soon)
        #expect(feed.waiterCount == 1)
        #expect(try await consumer.next(from: 2, orUntil: .now) == nil)
        await room.value
        feed.publish(all[1])
        #expect(try await consumer.next(from: 2, orUntil: soon)?.batch === all[1].batch)
    }

    @Test func aFollowerThatStandsStillIsWaitedForOnceOnly() async throws {
        let all = try await batches(3)
        let feed = LogFeed(nextOffset: 0, bytesMax: 1)
        let consumer = LogConsumer(feed: feed, reader: try log.makeReader(), isFollowed: true)
        feed.publish(all[0])
        _ = try await consumer.next(from: 0, orUntil: soon)
        await feed.makeRoom(for: all[1], until: .now + .milliseconds(20))
        feed.publish(all[1])
        // Were it waited for again, this would not end.
        await feed.makeRoom(for: all[2], until: .now + .seconds(86_400))
        feed.publish(all[2])
        // It catches up from the database, and is waited for from then on.
        for offset: UInt64 in [2, 4] { _ = try await consumer.next(from: offset, orUntil: soon) }
        let more = try await log.appendOrders(sampleBatch(commit: 4, rows: 2))
        let room = Task { await feed.makeRoom(for: more, until: .now + .seconds(600)) }
        while feed.waiterCount == 0 { await Task.yield() }
        _ = try await consumer.next(from: 6, orUntil: .now)
        await room.value
    }

    @Test func nobodyWaitsForAFollowerThatLeftNorForOthersThanFollowers() async throws {
        let all = try await batches(2)
        let feed = LogFeed(nextOffset: 0, bytesMax: 1)
        let stranger = LogConsumer(feed: feed, reader: try log.makeReader())
        feed.publish(all[0])
        _ = try await stranger.next(from: 0, orUntil: soon)
        var follower: LogConsumer? = LogConsumer(feed: feed, reader: try log.makeReader(), isFollowed: true)
        _ = try await follower?.next(from: 0, orUntil: soon)
        let room = Task { await feed.makeRoom(for: all[1], until: .now + .seconds(600)) }
        while feed.waiterCount == 0 { await Task.yield() }
        follower = nil
        await room.value
        await feed.makeRoom(for: all[1], until: .now + .seconds(86_400))
    }

    @Test func whatFitsIntoTheMemoryWaitsForNobody() async throws {
        let all = try await batches(2)
        let feed = LogFeed(nextOffset: 0)
        let consumer = LogConsumer(feed: feed, reader: try log.makeReader(), isFollowed: true)
        feed.publish(all[0])
        _ = try await consumer.next(from: 0, orUntil: soon)
        await feed.makeRoom(for: all[1], until: .now + .seconds(86_400))
    }

    @Test func nobodyWaitsForAFollowerThatIsFarBehindThoughItMoves() async throws {
        let all = try await batches(40)
        let feed = LogFeed(nextOffset: 0, bytesMax: 1)
        let consumer = LogConsumer(feed: feed, reader: try log.makeReader(), isFollowed: true)
        for batch in all.dropLast() { feed.publish(batch) }
        _ = try await consumer.next(from: 0, orUntil: soon)
        await feed.makeRoom(for: all[39], until: .now + .seconds(86_400))
        _ = try await consumer.next(from: 2, orUntil: soon)
        await feed.makeRoom(for: all[39], until: .now + .seconds(86_400))
        _ = try await consumer.next(from: 76, orUntil: soon)
        let room = Task { await feed.makeRoom(for: all[39], until: .now + .seconds(600)) }
        while feed.waiterCount == 0 { await Task.yield() }
        _ = try await consumer.next(from: 78, orUntil: .now)
        await room.value
    }
}
