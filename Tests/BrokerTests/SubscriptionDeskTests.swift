import ConnectorKit
import EventLog
import Foundation
import JSONText
import Synchronization
import Testing

@testable import Broker

/// Consumers at the desk of a real log, many at a time.
struct SubscriptionDeskTests {
    private let place: LogUnderTest

    init() throws { place = try LogUnderTest() }

    private func settings(_ change: (inout SubscriptionSettings) -> Void = { _ in }) throws -> SubscriptionSettings {
        var settings = try SubscriptionSettings(JSONObject([]))
        change(&settings)
        return settings
    }

    private struct Item {
        var receipt: Receipt
        var offset: UInt64
        var delivery: Int
    }

    private func pull(
        _ desk: SubscriptionDesk, _ count: Int, wait: Duration = .zero
    ) async throws -> [Item] {
        try items(try await desk.pull("jobs", countMax: count, wait: wait))
    }

    /// The consumer has the answer, or its connection ended.
    private func taken(_ answer: SubscriptionDesk.Answer) throws {
        let taken = try #require(answer.taken)
        taken()
    }

    private func items(_ answer: SubscriptionDesk.Answer) throws -> [Item] {
        let object = try JSONSerialization.jsonObject(with: Data(answer.bytes)) as? [String: Any]
        return try #require(object?["events"] as? [[String: Any]]).map { event in
            Item(
                receipt: try #require((event["receipt"] as? String).flatMap { Receipt($0) }),
                offset: (event["offset"] as? NSNumber)?.uint64Value ?? 0, delivery: event["delivery"] as? Int ?? 0)
        }
    }

    private func code(_ body: () async throws(SubscriptionDesk.Refusal) -> Void) async -> String? {
        do throws(SubscriptionDesk.Refusal) {
            try await body()
            return nil
        } catch {
            if case .failure(let failure) = error { return failure.code }
            return "\(error)"
        }
    }

    @Test func aRetriedLetterOfATableThatIsNoLongerWantedDoesNotStopTheSubscription() async throws {
        let desk = place.subscriptions()
        _ = try await desk.put("jobs", try settings { $0.deliveryMax = 1 }, from: .earliest)
        try await place.commit(1, ids: [1])
        try await place.commit(2, table: "stock", ids: [1])
        let items = try await pull(desk, 5)
        #expect(items.map(\.offset) == [0, 1])
        _ = try await desk.settle("jobs", [items[0].receipt], .reject(delay: .zero))
        _ = try await desk.settle("jobs", [items[1].receipt], .acknowledge)
        #expect(try await desk.decide("jobs", nil, retries: true) == 1)
        _ = try await desk.put("jobs", try settings { $0.tables = ["stock"] }, from: .earliest)
        try await place.commit(3, table: "stock", ids: [2])
        #expect(try await pull(desk, 5).map(\.offset) == [2])
        #expect(try await place.log.deliveries(of: "jobs").map(\.offset) == [2])
    }

    @Test func whatCannotBeWrittenAsAnEventIsADeadLetterAndTheRestGoesOn() async throws {
        let desk = place.subscriptions()
        _ = try await desk.put("jobs", try settings(), from: .earliest)
        try await place.commit(1, ids: [1, 2, 3], breaking: [2])
        let items = try await pull(desk, 5)
        #expect(items.map(\.offset) == [0, 2])
        #expect(try await desk.deadLetters(of: "jobs").map(\.offset) == [1])
        #expect(try await place.log.statistics().subscriptions.first?.deadCount == 1, "status shows it")
        let refused = await code { () async throws(SubscriptionDesk.Refusal) in
            _ = try await desk.decide("jobs", nil, retries: true)
        }
        #expect(refused == "event.not_encodable")
        _ = try await desk.settle("jobs", items.map(\.receipt), .acknowledge)
        // The next process knows it too.
        let next = place.subscriptions()
        #expect(try await next.deadLetters(of: "jobs").map(\.offset) == [1])
        #expect(try await next.decide("jobs", nil, retries: false) == 1)
        #expect(try await place.log.subscriptions().map(\.cursor) == [3])
    }

    @Test(.timeLimit(.minutes(10)))
    func whoWaitsIsWokenByAnAcknowledgementThatComesInTheSameMoment() async throws {
        let desk = place.subscriptions()
        _ = try await desk.put("jobs", try settings { $0.ackTimeout = .seconds(3600) }, from: .earliest)
        for round in 0..<20 as Range<UInt64> {
            try await place.commit(2 * round + 1, ids: [1, 1])
            let items = try await pull(desk, 1)
            #expect(items.map(\.offset) == [3 * round])
            // The second consumer meets what has no event, which is stored before it goes to sleep.
            try await place.commit(2 * round + 2, ids: [2], breaking: [2])
            async let waiting = pull(desk, 1, wait: .seconds(3600))
            async let done = desk.settle("jobs", items.map(\.receipt), .acknowledge)
            #expect(try await done.doneCount == 1)
            let freed = try await waiting
            #expect(freed.map(\.offset) == [3 * round + 1])
            _ = try await desk.settle("jobs", freed.map(\.receipt), .acknowledge)
        }
    }

    @Test func oneOfManyWhoMakeASubscriptionMakesIt() async throws {
        let desk = place.subscriptions(countMax: 1)
        let wanted = try settings()
        let made = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<20 { group.addTask { try await desk.put("jobs", wanted, from: .latest) } }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(made == 1)
    }

    @Test func consumersThatDoNotTakeLargeAnswersHoldNoMoreThanThereIsRoomFor() async throws {
        let room = StreamRoom(bytesMax: 3 << 20, slice: .zero)
        let desk = place.subscriptions(room: room)
        _ = try await desk.put("jobs", try settings(), from: .earliest)
        try await place.commit(1, ids: [1, 2, 3], noteBytes: 2 << 20)
        let first = try await desk.pull("jobs", countMax: 9, wait: .zero)
        #expect(try items(first).map(\.offset) == [0])
        async let second = desk.pull("jobs", countMax: 9, wait: .seconds(3600))
        while !room.isAwaited { await Task.yield() }
        let status = try await place.log.statistics().subscriptions.first
        #expect(status?.inFlightCount == 1, "what cannot be sent is not given out")
        try taken(first)
        let next = try await second
        #expect(try items(next).map(\.offset) == [1])
        try taken(next)
        #expect(room.byteCount == 0)
        let small = try await desk.pull("jobs", countMax: 9, wait: .zero)
        try taken(small)
        _ = try await pull(desk, 1)
        #expect(room.byteCount == 0, "an answer without events holds nothing")
    }

    @Test func consumersOfManySubscriptionsTogetherHoldNoMoreThanThereIsRoomFor() async throws {
        let room = StreamRoom(bytesMax: 5 << 20, slice: .seconds(3600))
        let desk = place.subscriptions(room: room)
        try await place.commit(1, ids: [1], noteBytes: 3 << 20)
        let wanted = try settings()
        for number in 0..<6 { _ = try await desk.put("jobs-\(number)", wanted, from: .earliest) }
        let count = try await withThrowingTaskGroup(of: SubscriptionDesk.Answer.self) { group in
            for number in 0..<6 {
                group.addTask { try await desk.pull("jobs-\(number)", countMax: 1, wait: .seconds(3600)) }
            }
            var count = 0
            while let answer = try await group.next() {
                #expect(room.byteCount < 4 << 20, "one at a time has room")
                try taken(answer)
                count += 1
            }
            return count
        }
        #expect(count == 6 && room.byteCount == 0)
    }

    @Test func aConsumerThatTakesTooLongOverALargeAnswerIsCutWhenOthersWait() async throws {
        let room = StreamRoom(bytesMax: 3 << 20, slice: .zero)
        let desk = place.subscriptions(room: room)
        _ = try await desk.put("jobs", try settings(), from: .earliest)
        try await place.commit(1, ids: [1, 2], noteBytes: 2 << 20)
        let (cuts, cut) = AsyncStream.makeStream(of: Void.self)
        let first = try await desk.pull("jobs", countMax: 9, wait: .zero) { cut.yield() }
        async let second = desk.pull("jobs", countMax: 9, wait: .seconds(3600))
        for await _ in cuts { break }
        // The connection ends, and with it the answer.
        try taken(first)
        #expect(try items(try await second).map(\.offset) == [1])
    }

    /// Nobody hands anything back and no time ends: whatever comes twice was forgotten or given to two.
    @Test func nothingIsGivenOutTwiceWhileSettingsChangeUnderManyConsumers() async throws {
        let desk = place.subscriptions()
        let (eager, patient) = (try settings { $0.inFlightMax = 7 }, try settings { $0.inFlightMax = 20 })
        _ = try await desk.put("jobs", eager, from: .earliest)
        for commit in 1...20 as ClosedRange<UInt64> {
            try await place.commit(commit, ids: (0..<20).map { Int(commit) * 100 + $0 })
        }
        let seen = Seen()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    while seen.count < 400 {
                        let items = try await pull(desk, 3)
                        seen.add(items.map(\.offset))
                        guard !items.isEmpty else { continue }
                        let settled = try await desk.settle("jobs", items.map(\.receipt), .acknowledge)
                        #expect(settled.doneCount == items.count)
                    }
                }
            }
            group.addTask {
                while seen.count < 400 {
                    _ = try await desk.put("jobs", Bool.random() ? eager : patient, from: .earliest)
                }
            }
            try await group.waitForAll()
        }
        #expect(seen.isEachOnce)
        #expect(try await place.log.subscriptions().map(\.cursor) == [400])
        #expect(try await place.log.deliveries(of: "jobs").isEmpty)
    }

    @Test func anAcknowledgementInTheMomentOfAMoveDoesNotUndoIt() async throws {
        let desk = place.subscriptions()
        let wanted = try settings()
        _ = try await desk.put("jobs", wanted, from: .earliest)
        try await place.commit(1, ids: Array(0..<10))
        for _ in 0..<20 {
            try await desk.seek("jobs", to: .earliest)
            let items = try await pull(desk, 3)
            #expect(items.map(\.offset) == [0, 1, 2])
            async let late = desk.settle("jobs", items.map(\.receipt), .acknowledge)
            async let moved: Void = desk.seek("jobs", to: .offset(7))
            _ = try await (late, moved)
            #expect(try await place.log.subscriptions().map(\.cursor) == [7])
            #expect(try await pull(desk, 9).map(\.offset) == [7, 8, 9])
        }
    }
}

/// How often each event came.
private final class Seen: Sendable {
    private let counts = Mutex<[UInt64: Int]>([:])

    var count: Int { counts.withLock { $0.count } }
    var isEachOnce: Bool { counts.withLock { $0.values.allSatisfy { $0 == 1 } } }

    func add(_ offsets: [UInt64]) {
        counts.withLock { counts in for offset in offsets { counts[offset, default: 0] += 1 } }
    }
}
