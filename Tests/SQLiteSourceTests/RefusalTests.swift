import ChangeModel
import ConnectorKit
import Foundation
import Testing

@testable import SQLiteSource

/// What is refused rather than passed over.
@Suite struct RefusalTests {
    private func code(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "no failure"
        } catch let error as SQLiteError {
            return ConnectorFailure(error, path: "p", while: "w").code
        } catch { return "\(error)" }
    }

    private func captured() throws -> (SourceDatabase, SourceCheckpoint) {
        let database = try SourceDatabase("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        let session = try database.open()
        try database.run("INSERT INTO t VALUES(1, 'a'), (2, 'b'), (3, 'c')")
        return (database, try #require(try session.drain().last?.checkpoint))
    }

    @Test func missingOrStrangeFilesHaveTheirOwnCodes() throws {
        #expect(code { _ = try CaptureSession.connect("/nonexistent/app.db") } == "sqlite.file_missing")
        let database = try SourceDatabase()
        try String(repeating: "no database at all ", count: 100)
            .write(toFile: database.folder + "/text.db", atomically: true, encoding: .utf8)
        #expect(code { _ = try CaptureSession.connect(database.folder + "/text.db") } == "sqlite.not_a_database")
        #expect(code { _ = try CaptureSession.connect(database.folder) } == "sqlite.cannot_open")
    }

    @Test func lockedDatabaseIsTriedAgain() throws {
        let error = SQLiteError(code: 5, message: "database is locked")
        let failure = ConnectorFailure(error, path: "p", while: "preparing the capture")
        #expect(failure.code == "sqlite.locked" && failure.remedy == .retry)
    }

    @Test func checkpointWithoutOurTablesIsRefused() throws {
        let (database, checkpoint) = try captured()
        for table in ["changes", "captures", "columns", "source"] { try database.run("DROP TABLE _millrace_\(table)") }
        #expect(code { _ = try database.open(after: checkpoint) } == "sqlite.capture_missing")
    }

    @Test func anotherDatabaseIsRefusedBeforeAnythingIsInstalled() async throws {
        let (database, checkpoint) = try captured()
        let (other, _) = try captured()
        let expected = try await identity(database)
        try other.run("CREATE TABLE later(id INTEGER PRIMARY KEY)")
        let before = try contents(other)
        let openings: [(SourceCheckpoint?, SourceIdentity?)] = [
            (checkpoint, nil), (nil, expected), (checkpoint, expected),
            (nil, SourceIdentity(kind: "postgres", fingerprint: expected.fingerprint)),
        ]
        for (checkpoint, expected) in openings {
            let source = SQLiteSource(other.settings()) { _ in }
            let failure = await #expect(throws: ConnectorFailure.self) {
                try await source.open(resumingAfter: checkpoint, of: expected)
            }
            #expect(failure?.code == "sqlite.other_database")
            #expect(failure?.remedy == .stop)
            #expect(failure?.hint?.contains("state folder") == true)
            await source.close()
        }
        #expect(try contents(other) == before)
    }

    @Test func aDatabaseThatWasNeverCapturedIsRefusedForALogOfAnother() async throws {
        let (database, _) = try captured()
        let expected = try await identity(database)
        let other = try SourceDatabase("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        let before = try contents(other)
        let failure = await #expect(throws: ConnectorFailure.self) {
            try await SQLiteSource(other.settings()) { _ in }.open(resumingAfter: nil, of: expected)
        }
        #expect(failure?.code == "sqlite.capture_missing")
        #expect(try contents(other) == before)
    }

    private func identity(_ database: SourceDatabase) async throws -> SourceIdentity {
        let source = SQLiteSource(database.settings()) { _ in }
        let identity = try await source.open(resumingAfter: nil, of: nil)
        await source.close()
        return identity
    }

    /// Everything that the file says of itself and of our tables.
    private func contents(_ database: SourceDatabase) throws -> [String] {
        let tables = ["sqlite_schema", "_millrace_source", "_millrace_changes"]
        let present = try database.writer.integer("SELECT count(*) FROM sqlite_schema WHERE name = '_millrace_source'")
        return try tables.prefix(present == 1 ? 3 : 1).flatMap { try database.rows($0) }
    }

    @Test func strangeCheckpointIsRefused() throws {
        let (database, checkpoint) = try captured()
        var cut = checkpoint
        for count in 0..<checkpoint.notes.count {
            cut.notes = Array(checkpoint.notes.prefix(count))
            #expect(code { _ = try database.open(after: cut) } == "sqlite.checkpoint_unknown")
        }
        for index in checkpoint.notes.indices {
            cut.notes = checkpoint.notes
            cut.notes[index] ^= 0xFF
            _ = SourceProgress(cut)  // a value or nil, never a trap
        }
    }

    @Test func databaseRestoredFromACopyIsRefused() throws {
        let (database, checkpoint) = try captured()
        try database.run("PRAGMA wal_checkpoint(TRUNCATE)")
        let copy = database.folder + "/copy.db"
        try FileManager.default.copyItem(atPath: database.path, toPath: copy)
        let session = try database.open(after: checkpoint)
        try database.run("INSERT INTO t VALUES(4, 'd')")
        let later = try #require(try session.drain().last?.checkpoint)
        let settings = SQLiteSettings(path: copy, takesSnapshot: false)
        #expect(
            code { _ = try CaptureSession.open(settings, resumingAfter: later, of: nil) { _ in } }
                == "sqlite.log_went_back")
        // Also when the copy has gone on by itself, to the same number.
        let writer = try SQLiteConnection(path: copy)
        try writer.execute("INSERT INTO t VALUES(4, 'another'), (5, 'more')")
        #expect(
            code { _ = try CaptureSession.open(settings, resumingAfter: later, of: nil) { _ in } }
                == "sqlite.log_went_back")
    }

    @Test(arguments: ["DELETE FROM _millrace_changes", "DELETE FROM _millrace_changes WHERE seq <= 4"])
    func emptiedLogIsRefused(statement: String) throws {
        let (database, checkpoint) = try captured()
        // Rows are told apart by number and millisecond: what follows must not happen in the same one.
        let begin = ContinuousClock.now
        while ContinuousClock.now - begin < .milliseconds(3) {}
        try database.run(statement)
        let refused = ["sqlite.log_went_back", "sqlite.changes_missing"]
        #expect(refused.contains(code { _ = try database.open(after: checkpoint) }))
        try database.run("INSERT INTO t VALUES(4, 'a'), (5, 'b'), (6, 'c'), (7, 'd'), (8, 'e')")
        #expect(refused.contains(code { _ = try database.open(after: checkpoint) }))
    }

    @Test func logThatWasReplacedWhileRunningAndGrewPastOurPlaceIsNoticed() throws {
        let (database, checkpoint) = try captured()
        let session = try database.open(after: checkpoint)
        _ = try session.drain()
        let begin = ContinuousClock.now
        while ContinuousClock.now - begin < .milliseconds(3) {}
        try database.run(
            "BEGIN", "DELETE FROM _millrace_changes",
            "WITH n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 30) INSERT INTO t SELECT i, 'r' FROM n",
            "COMMIT")
        #expect(code { _ = try session.drain() } == "sqlite.log_went_back")
    }

    @Test func rowsRemovedFromTheLogWhileRunningAreNoticed() throws {
        let (database, checkpoint) = try captured()
        let session = try database.open(after: checkpoint)
        _ = try session.drain()
        try database.run(
            "BEGIN", "INSERT INTO t VALUES(4, 'a'), (5, 'b')", "DELETE FROM _millrace_changes WHERE seq = 5", "COMMIT")
        #expect(code { _ = try session.drain() } == "sqlite.changes_missing")
    }

    @Test func stateFolderOlderThanWhatWasRemovedIsRefused() throws {
        let (database, old) = try captured()
        let session = try database.open(after: old)
        try database.run("INSERT INTO t VALUES(4, 'd'), (5, 'e')")
        let new = try #require(try session.drain().last?.checkpoint)
        try session.prune(upTo: new.resume, isClosing: true)
        #expect(code { _ = try database.open(after: old) } == "sqlite.changes_missing")
        #expect(code { _ = try database.open(after: new) } == "no failure")
    }

    @Test func newPipelineOnACapturedDatabaseNeverReusesAnIdentity() throws {
        let database = try SourceDatabase("CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES(1, 'a')")
        let first = try database.open(snapshot: true)
        try database.run("INSERT INTO t VALUES(2, 'b')")
        let batches = try first.drain()
        // Nothing was acknowledged, so the same events come again under the same identities.
        let repeated = try database.open(snapshot: true).drainEvents()
        #expect(try repeated.map(\.identity) == batches.flatMap { try changes(of: $0) }.map(\.identity))
        try first.prune(upTo: try #require(batches.last?.checkpoint).resume, isClosing: true)
        let second = try database.open(snapshot: true).drainEvents()
        #expect(second.map(\.line) == ["snapshot t 1,'a'", "snapshot t 2,'b'"])
        #expect(Set(second.map(\.identity)).isDisjoint(with: repeated.map(\.identity)))
        #expect(second.allSatisfy { $0.identity.commit >> 48 == 1 })
    }

    @Test func fileThatIsReplacedWhileItIsReadIsNoticed() throws {
        let (database, checkpoint) = try captured()
        let session = try database.open(after: checkpoint)
        try FileManager.default.moveItem(atPath: database.path, toPath: database.path + ".old")
        #expect(code { _ = try session.drain() } == "sqlite.file_replaced")
    }
}
