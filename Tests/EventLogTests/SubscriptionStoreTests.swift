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
            try await log.store(stored)
            var changes = SubscriptionChanges(cursor: 3)
            changes.deliveries = [delivery(1, .dead), delivery(3, .inFlight), delivery(5, .settled)]
            changes.deliveredCount = 4
            try await log.store(changes, of: "work")
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
        try await log.store(changes, of: "work")
        #expect(try await log.deliveries(of: "work") == [delivery(1, .dead)])
        await log.close()
    }

    @Test func anotherEpochForgetsWhatWasOut() async throws {
        let log = try EventLog(directory: folder.log)
        var stored = StoredSubscription(name: "work", settings: "{}", cursor: 0)
        try await log.store(stored)
        var changes = SubscriptionChanges(cursor: 0)
        changes.deliveries = [delivery(0, .inFlight)]
        try await log.store(changes, of: "work")
        stored.settings = "{\"a\":1}"
        try await log.store(stored)
        #expect(try await log.subscriptions().map(\.settings) == ["{\"a\":1}"])
        #expect(try await log.deliveries(of: "work").count == 1, "other settings change nothing of it")
        try await log.store(StoredSubscription(name: "work", settings: "{}", cursor: 7))
        #expect(try await log.subscriptions().map(\.cursor) == [7])
        #expect(try await log.deliveries(of: "work").isEmpty)
        try await log.removeSubscription("work")
        #expect(try await log.subscriptions().isEmpty)
        #expect(await failureCode { try await log.store(changes, of: "work") } == "log.unknown_subscription")
        await log.close()
    }

    @Test func retentionKeepsWhatASubscriptionIsNotDoneWith() async throws {
        let log = try EventLog(directory: folder.log, retention: LogRetention(age: .zero))
        for commit in 1...4 { try await log.appendOrders(sampleBatch(commit: UInt64(commit))) }
        try await log.store(StoredSubscription(name: "work", settings: "{}", cursor: 7))
        var step = try await log.retain(activeSinks: [])
        #expect(step.firstOffset == 6 && step.heldBy == "subscription work")
        var changes = SubscriptionChanges(cursor: 12)
        changes.deliveries = [delivery(10, .dead)]
        try await log.store(changes, of: "work")
        step = try await log.retain(activeSinks: [])
        #expect(step.firstOffset == 9, "a dead letter is needed too")
        try await log.removeSubscription("work")
        #expect(try await log.retain(activeSinks: []).firstOffset == nil)
        await log.close()
    }
}
