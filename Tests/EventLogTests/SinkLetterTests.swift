import ChangeModel
import ConnectorKit
import EventLog
import Testing

/// Letters of a sink whose events its cursor is before, after a replay.
struct SinkLetterTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Appends commits of one change each and sets all of them aside.
    private func setAside(commits: ClosedRange<UInt64>, _ log: EventLog) async throws {
        _ = try await log.createCursor(of: "a", at: 0)
        let order = try await log.register(orders, subject: "shop.public.orders", version: 1)
        for commit in commits {
            let batch = try sampleBatch(commit: commit, rows: 1)
            let logged = try await log.append(batch, versions: [order])
            let letter = DeadLetter(
                subject: "@a", code: "test.refused", message: "test", batch: batch, versions: [order],
                offset: logged.firstOffset)
            try await log.setAside([letter], for: "a", movingCursorTo: logged.nextOffset, state: nil)
        }
    }

    private func waiting(_ log: EventLog) async throws -> DeadLetterGroup {
        try #require(try await log.statistics().deadLetters.first)
    }

    @Test func lettersAheadOfTheCursorAreTakenBackInShortSteps() async throws {
        let log = try EventLog(directory: folder.log)
        try await setAside(commits: 1...300, log)
        #expect(try await log.takeBackLetters(of: "a").changeCount == 0)
        _ = try await log.replay("a", from: 10, skipping: false)
        let step = try await log.takeBackLetters(of: "a")
        #expect(step.changeCount == 256 && step.isUnfinished)
        let rest = try await log.takeBackLetters(of: "a")
        #expect(rest.changeCount == 34 && !rest.isUnfinished)
        let left = try await waiting(log)
        #expect(left.changeCount == 10 && left.releasedCount == 0 && left.discardedCount == 0)
        _ = try await log.replay("a", from: 0, skipping: false)
        #expect(try await log.takeBackLetters(of: "a").changeCount == 10)
        #expect(try await waiting(log).byteCount == 0)
    }

    @Test func aLetterWhoseEventRetentionRemovedStays() async throws {
        let log = try EventLog(directory: folder.log, retention: LogRetention(age: .zero, dropsUndelivered: true))
        try await setAside(commits: 1...5, log)
        try await log.moveCursor(of: "a", to: 0)
        while try await log.retain(activeSinks: ["a"]).isUnfinished {}
        #expect(try await log.takeBackLetters(of: "a").changeCount == 0)
        try await setAside(commits: 6...7, log)
        try await log.moveCursor(of: "a", to: 0)
        #expect(try await log.takeBackLetters(of: "a").changeCount == 2)
        #expect(try await waiting(log).changeCount == 5)
    }
}
