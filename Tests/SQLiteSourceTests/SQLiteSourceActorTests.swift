import ChangeModel
import ConnectorKit
import Foundation
import Testing

@testable import SQLiteSource

/// The source as the pipeline sees it, on its own thread.
@Suite struct SQLiteSourceActorTests {
    private func source(_ database: SourceDatabase, snapshot: Bool = false) -> SQLiteSource {
        SQLiteSource(database.settings(snapshot: snapshot)) { _ in }
    }

    private func soon() -> ContinuousClock.Instant { ContinuousClock.now + .milliseconds(200) }

    /// Takes batches until `count` changes came; fails after ten seconds.
    private func take(_ count: Int, from source: SQLiteSource) async throws -> [ChangeBatch] {
        var batches: [ChangeBatch] = []
        let limit = ContinuousClock.now + .seconds(120)
        while batches.reduce(0, { $0 + $1.changeCount }) < count {
            try #require(ContinuousClock.now < limit, "no more changes")
            let batch = try await source.nextBatch(until: soon())
            if batch.changeCount > 0 { batches.append(batch) }
        }
        return batches
    }

    @Test(arguments: ["wal", "delete", "persist", "truncate"])
    func changesOfAnotherProcessArriveAndTheJournalModeStays(journal: String) async throws {
        let database = try SourceDatabase(journal: journal, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        let source = source(database)
        let identity = try await source.open(resumingAfter: nil, of: nil)
        #expect(identity.kind == "sqlite" && identity.fingerprint["database"]?.count == 16)
        let tool = Process()
        tool.executableURL = URL(fileURLWithPath: "/usr/bin/sqlite3")
        tool.arguments = [
            database.path, ".timeout 5000",
            "BEGIN; INSERT INTO t VALUES(1, 'a'); INSERT OR REPLACE INTO t VALUES(1, 'b'); COMMIT",
            "BEGIN; DELETE FROM t; ROLLBACK", "DELETE FROM t",
        ]
        try tool.run()
        let batches = try await take(3, from: source)
        tool.waitUntilExit()
        #expect(tool.terminationStatus == 0)
        let lines = try batches.flatMap { try changes(of: $0) }.map(\.line)
        #expect(lines == ["insert t 1,'a'", "update t 1,'a' -> 1,'b'", "delete t 1,'b'"])
        #expect(try database.writer.text("PRAGMA journal_mode") == journal)
        await source.close()
    }

    @Test func emptyBatchComesAtTheDeadlineWithACheckpoint() async throws {
        let database = try SourceDatabase("CREATE TABLE t(id INTEGER PRIMARY KEY)")
        let source = source(database)
        _ = try await source.open(resumingAfter: nil, of: nil)
        let deadline = soon()
        let batch = try await source.nextBatch(until: deadline)
        #expect(batch.changeCount == 0 && ContinuousClock.now >= deadline)
        #expect(try #require(batch.checkpoint).resume == (try await source.endPosition()))
    }

    @Test func changesMadeWhileNobodyLookedArriveAfterAResume() async throws {
        let database = try SourceDatabase("CREATE TABLE t(id INTEGER PRIMARY KEY)")
        let first = source(database)
        let identity = try await first.open(resumingAfter: nil, of: nil)
        try database.run("INSERT INTO t VALUES(1)")
        let checkpoint = try #require(try await take(1, from: first).last?.checkpoint)
        first.acknowledge(checkpoint.resume)
        await first.close()
        try database.run("INSERT INTO t VALUES(2)")
        let second = source(database)
        #expect(try await second.open(resumingAfter: checkpoint, of: nil) == identity)
        let events = try await take(1, from: second).flatMap { try changes(of: $0) }
        #expect(events.map(\.line) == ["insert t 2"])
        #expect(try #require(checkpoint.last) < events[0].identity)
        let now = Int64(Date().timeIntervalSince1970 * 1e6)
        #expect((now - events[0].committedAt).magnitude < 60_000_000)
    }

    @Test func everyBatchBoundaryIsAPlaceToResume() throws {
        let database = try SourceDatabase("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        let session = try database.open()
        let start = try session.emptyBatch().checkpoint
        try database.run(
            "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 4000)"
                + " INSERT INTO t SELECT i, hex(randomblob(200)) FROM s")
        let batches = try session.drain()
        #expect(batches.count > 3)
        let all = try batches.flatMap { try changes(of: $0) }
        var taken = 0
        for checkpoint in [start] + batches.map(\.checkpoint) {
            let rest = try database.open(after: checkpoint).drainEvents()
            #expect(rest == Array(all[taken...]))
            if let next = batches.first(where: { $0.identity(at: 0) == all[min(taken, all.count - 1)].identity }) {
                taken += next.changeCount
            }
        }
        #expect(taken == all.count)
    }

    @Test func acknowledgedRowsAreRemovedAndTheResumeStillHolds() async throws {
        let database = try SourceDatabase("CREATE TABLE t(id INTEGER PRIMARY KEY)")
        let source = source(database)
        _ = try await source.open(resumingAfter: nil, of: nil)
        try database.run(
            "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 5000) "
                + "INSERT INTO t SELECT i FROM s",
            "INSERT OR IGNORE INTO t VALUES(1)")
        let checkpoint = try #require(try await take(5000, from: source).last?.checkpoint)
        source.acknowledge(checkpoint.resume)
        source.acknowledge(ResumePosition(0))
        let limit = ContinuousClock.now + .seconds(120)
        while try database.writer.integer("SELECT count(*) FROM _millrace_changes") ?? 0 > 1 {
            try #require(ContinuousClock.now < limit, "rows stay")
            _ = try await source.nextBatch(until: ContinuousClock.now)
        }
        #expect(try database.writer.integer("SELECT count(*) FROM _millrace_conflicts_1") == 0)
        await source.close()
        try database.run("INSERT INTO t VALUES(6000)")
        let again = self.source(database)
        _ = try await again.open(resumingAfter: checkpoint, of: nil)
        #expect(try await take(1, from: again).flatMap { try changes(of: $0) }.map(\.line) == ["insert t 6000"])
    }

    @Test func anEarlierAcknowledgementDoesNotTakeTheLogsNoteBack() async throws {
        let database = try SourceDatabase("CREATE TABLE t(id INTEGER PRIMARY KEY)")
        let source = source(database)
        _ = try await source.open(resumingAfter: nil, of: nil)
        try database.run("INSERT INTO t VALUES(1)", "INSERT INTO t VALUES(2)", "INSERT INTO t VALUES(3)")
        let checkpoint = try #require(try await take(3, from: source).last?.checkpoint)
        source.acknowledge(checkpoint.resume)
        await source.close()
        let acknowledged = try ChangeLogTables.identity(database.writer).acknowledged
        #expect(acknowledged == SourceProgress.seq(of: checkpoint.resume))
        let again = self.source(database)
        _ = try await again.open(resumingAfter: checkpoint, of: nil)
        again.acknowledge(ResumePosition(checkpoint.resume.value - 2))
        await again.close()
        #expect(try ChangeLogTables.identity(database.writer).acknowledged == acknowledged)
    }

    @Test func pruningGivesWayToAWriter() async throws {
        let database = try SourceDatabase("CREATE TABLE t(id INTEGER PRIMARY KEY)")
        let source = source(database)
        _ = try await source.open(resumingAfter: nil, of: nil)
        try database.run("INSERT INTO t VALUES(1)")
        let checkpoint = try #require(try await take(1, from: source).last?.checkpoint)
        source.acknowledge(checkpoint.resume)
        try database.run("BEGIN IMMEDIATE", "INSERT INTO t VALUES(2)")
        for _ in 0..<5 { #expect(try await source.nextBatch(until: ContinuousClock.now).changeCount == 0) }
        try database.run("COMMIT")
        #expect(try await take(1, from: source).flatMap { try changes(of: $0) }.map(\.line) == ["insert t 2"])
    }
}
