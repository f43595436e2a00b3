import ChangeModel
import ConnectorKit
import EventLog
import Testing

struct SinkCursorTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func aCursorKeepsItsPlaceAndStateOverReopening() async throws {
        var log = try EventLog(directory: folder.log)
        #expect(try await log.cursor(of: "a") == nil)
        #expect(try await log.createCursor(of: "a", at: 5).offset == 5)
        #expect(try await log.createCursor(of: "a", at: 9).offset == 5)
        try await log.moveCursor(of: "a", to: 7, state: [1, 2])
        try await log.moveCursor(of: "a", to: 8)
        await log.close()
        log = try EventLog(directory: folder.log)
        let cursor = try #require(try await log.cursor(of: "a"))
        #expect(cursor.offset == 8)
        #expect(cursor.state == [1, 2])
        #expect(cursor.lastError == nil)
    }

    @Test func aStateIsStoredBesideTheUnchangedCursorAndCoversWhatWasAppended() async throws {
        let log = try EventLog(directory: folder.log)
        _ = try await log.createCursor(of: "a", at: 0)
        let batch = try sampleBatch(commit: 1)
        try await log.appendOrders(batch)
        try await log.saveState(of: "a", [9])
        #expect(try await log.cursor(of: "a")?.state == [9])
        #expect(try await log.cursor(of: "a")?.offset == 0)
        #expect(try await log.sync() == batch.checkpoint)
    }

    @Test func aReplayTakesTheStateAwayWhereThatIsWanted() async throws {
        let log = try EventLog(directory: folder.log)
        try await log.appendOrders(try sampleBatch(commit: 1))
        _ = try await log.createCursor(of: "a", at: 0)
        try await log.moveCursor(of: "a", to: 1, state: [1])
        #expect(try await log.replay("a", from: 1, skipping: false) == 1)
        #expect(try await log.cursor(of: "a")?.state == [1])
        #expect(try await log.replay("a", from: 1, skipping: false, forgetting: true) == 1)
        #expect(try await log.cursor(of: "a")?.state == nil)
        try await log.moveCursor(of: "a", to: 1, state: [2])
        #expect(try await log.replay("a", from: 0, skipping: false, forgetting: true) == 1)
        let cursor = try #require(try await log.cursor(of: "a"))
        #expect(cursor.state == nil && cursor.offset == 0)
    }

    @Test func aSinkWithoutACursorCannotBeMoved() async throws {
        let log = try EventLog(directory: folder.log)
        #expect(await failureCode { try await log.moveCursor(of: "x", to: 1) } == "log.unknown_sink")
        #expect(await failureCode { try await log.saveState(of: "x", [1]) } == "log.unknown_sink")
    }

    @Test func theLastErrorIsShownUntilItIsCleared() async throws {
        let log = try EventLog(directory: folder.log)
        _ = try await log.createCursor(of: "a", at: 0)
        try await log.setError(of: "a", ConnectorFailure("file.disk_full", .retry, "no room"))
        let error = try await log.statistics().sinks.first?.lastError
        #expect(error?.code == "file.disk_full")
        #expect(error?.message == "no room")
        try await log.setError(of: "a", nil)
        #expect(try await log.statistics().sinks.first?.lastError == nil)
    }

    @Test func aStateThatIsStoredMovesNothingAndASinkThatRestsHasNoRate() async throws {
        let log = try EventLog(directory: folder.log)
        _ = try await log.createCursor(of: "a", at: 0)
        try await log.moveCursor(of: "a", to: 3, eventsPerSecond: 500)
        let moved = try #require(try await log.cursor(of: "a"))
        try await log.saveState(of: "a", [9])
        #expect(try await log.cursor(of: "a")?.movedAt == moved.movedAt)
        #expect(moved.eventsPerSecond == 500)
        try await log.rests("a")
        #expect(try await log.cursor(of: "a")?.eventsPerSecond == 0)
        #expect(try await log.cursor(of: "a")?.offset == 3)
    }
}
