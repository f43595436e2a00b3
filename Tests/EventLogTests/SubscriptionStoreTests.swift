import ConnectorKit
import EventLog
import Testing

/// What the log keeps of subscriptions.
struct SubscriptionStoreTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func delivery(_ offset: UInt64, _ phase: StoredDelivery.Phase) -> StoredDelivery {
        StoredDelivery(offset: offset, phase: phase, deliveryCount: 2, until: 9_000_000_000_000_000)
    }

    @Test func progressOutlivesTheProcess() async throws {
        let stored = StoredSubscription(name: "work", settings: "{}", cursor: 2)
        do {
            let log = try EventLog(directory: folder.log)
            _ = try await log.add(stored, atMost: 9)
            var changes = SubscriptionChanges(cursor: 3)
            changes.deliveries = [delivery(1, .dead), delivery(3, .inFlight), delivery(5, .settled)]
            changes.deliveredCount = 4
            try await log.store(changes, of: "work", epoch: stored.epoch)
            await log.close()
        }
        let log = try EventLog(directory: folder.log)
        let found = try #require(try await log.subscriptions().first)
        #expect(found.epoch == stored.epoch && found.cursor == 3 && found.counts.delivered == 4)
        #expect(try await log.deliveries(of: "work").map(\.offset) == [1, 3, 5])
        let report = try #require(try await log.statistics().subscriptions.first)
        #expect(report.inFlightCount == 1 && report.waitingCount == 0 && report.deadCount == 1)
        // What the cursor passed is forgotten, but for what is not done with.
        var changes = SubscriptionChanges(cursor: 6)
        changes.removed = [3]
        try await log.store(changes, of: "work", epoch: stored.epoch)
        #expect(try await log.deliveries(of: "work") == [delivery(1, .dead)])
        await log.close()
    }

    @Test func onlyAMoveForgetsWhatWasOut() async throws {
        let log = try EventLog(directory: folder.log)
        let stored = StoredSubscription(name: "work", settings: "{}", cursor: 0)
        #expect(try await log.add(stored, atMost: 9) == .added)
        var changes = SubscriptionChanges(cursor: 0)
        changes.deliveries = [delivery(0, .inFlight)]
        try await log.store(changes, of: "work", epoch: stored.epoch)
        try await log.store(settings: "{\"a\":1}", of: "work")
        #expect(try await log.subscriptions().map(\.settings) == ["{\"a\":1}"])
        #expect(try await log.subscriptions().map(\.epoch) == [stored.epoch])
        #expect(try await log.deliveries(of: "work").count == 1, "other settings change nothing of it")
        try await log.move("work", to: 7, epoch: 5)
        let moved = try #require(try await log.subscriptions().first)
        #expect(moved.cursor == 7 && moved.epoch == 5 && moved.settings == "{\"a\":1}")
        #expect(try await log.deliveries(of: "work").isEmpty)
        try await log.removeSubscription("work")
        #expect(try await log.subscriptions().isEmpty)
        for action in [
            { try await log.store(changes, of: "work", epoch: stored.epoch) },
            { try await log.store(settings: "{}", of: "work") }, { try await log.move("work", to: 1, epoch: 1) },
        ] as [() async throws -> Void] {
            #expect(await failureCode(action) == "log.unknown_subscription")
        }
        await log.close()
    }

    @Test func progressFromBeforeAMoveDoesNotMoveTheCursorBack() async throws {
        let log = try EventLog(directory: folder.log)
        let stored = StoredSubscription(name: "work", settings: "{}", cursor: 0)
        _ = try await log.add(stored, atMost: 9)
        try await log.move("work", to: 7, epoch: stored.epoch &+ 1)
        var changes = SubscriptionChanges(cursor: 3)
        changes.deliveries = [delivery(4, .inFlight)]
        let code = await failureCode { try await log.store(changes, of: "work", epoch: stored.epoch) }
        #expect(code == "log.unknown_subscription")
        #expect(try await log.subscriptions().map(\.cursor) == [7])
        #expect(try await log.deliveries(of: "work").isEmpty)
        await log.close()
    }

    @Test func aSecondSubscriptionOfANameDoesNotReplaceTheFirst() async throws {
        let log = try EventLog(directory: folder.log)
        let first = StoredSubscription(name: "work", settings: "{}", cursor: 3)
        #expect(try await log.add(first, atMost: 1) == .added)
        let second = StoredSubscription(name: "work", settings: "{\"a\":1}", cursor: 9)
        #expect(try await log.add(second, atMost: 1) == .known)
        #expect(try await log.add(StoredSubscription(name: "other", settings: "{}", cursor: 0), atMost: 1) == .tooMany)
        #expect(try await log.subscriptions() == [first])
        await log.close()
    }

    @Test func retentionKeepsWhatASubscriptionIsNotDoneWith() async throws {
        let log = try EventLog(directory: folder.log, retention: LogRetention(age: .zero))
        for commit in 1...4 { try await log.appendOrders(sampleBatch(commit: UInt64(commit))) }
        let stored = StoredSubscription(name: "work", settings: "{}", cursor: 7)
        _ = try await log.add(stored, atMost: 9)
        var step = try await log.retain(activeSinks: [])
        #expect(step.firstOffset == 6 && step.heldBy == "subscription work")
        var changes = SubscriptionChanges(cursor: 12)
        changes.deliveries = [delivery(10, .dead)]
        try await log.store(changes, of: "work", epoch: stored.epoch)
        step = try await log.retain(activeSinks: [])
        #expect(step.firstOffset == 9, "a dead letter is needed too")
        try await log.removeSubscription("work")
        #expect(try await log.retain(activeSinks: []).firstOffset == nil)
        await log.close()
    }
}
