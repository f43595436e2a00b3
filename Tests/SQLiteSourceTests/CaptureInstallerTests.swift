import ChangeModel
import ConnectorKit
import Testing

@testable import SQLiteSource

@Suite struct CaptureInstallerTests {
    private func code(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "no failure"
        } catch let error as SQLiteError {
            return ConnectorFailure(error, path: "p", while: "w").code
        } catch { return "\(error)" }
    }

    @Test func literalNamesThatCannotBeCapturedAreErrors() throws {
        let database = try SourceDatabase(
            "CREATE TABLE good(id INTEGER PRIMARY KEY)", "CREATE TABLE keyless(a)", "CREATE VIEW seen AS SELECT 1",
            "CREATE VIRTUAL TABLE words USING fts5(w)")
        #expect(code { _ = try database.open(["missing"]) } == "sqlite.table_missing")
        #expect(code { _ = try database.open(["Good"]) } == "sqlite.table_missing")
        #expect(code { _ = try database.open(["keyless"]) } == "sqlite.no_primary_key")
        #expect(code { _ = try database.open(["seen"]) } == "sqlite.not_a_table")
        #expect(code { _ = try database.open(["words"]) } == "sqlite.not_a_table")
        #expect(code { _ = try database.open(["k*"]) } == "sqlite.no_tables")
        #expect(code { _ = try database.open(["good"]) } == "no failure")
    }

    @Test func patternsPassOverWhatCannotBeCapturedAndSaySo() throws {
        let database = try SourceDatabase("CREATE TABLE good(id INTEGER PRIMARY KEY)", "CREATE TABLE keyless(a)")
        let notices = Notices()
        let session = try database.open(notices: notices)
        #expect(session.tables.map(\.shape.name) == ["good"])
        #expect(notices.all.count == 1 && notices.all.first?.contains("keyless") == true)
    }

    @Test func tableThatIsTooWideIsRefused() throws {
        let columns = (1...999).map { "x\($0)" }.joined(separator: ", ")
        let database = try SourceDatabase("CREATE TABLE wide(id INTEGER PRIMARY KEY, \(columns))")
        #expect(code { _ = try database.open(["wide"]) } == "sqlite.too_many_columns")
    }

    @Test func widestTableThatFitsIsCaptured() throws {
        let columns = (1...996).map { "x\($0)" }.joined(separator: ", ")
        let database = try SourceDatabase(
            "CREATE TABLE wide(id INTEGER PRIMARY KEY, \(columns), u UNIQUE)")
        let session = try database.open(["wide"])
        try database.run(
            "INSERT INTO wide(id, x1, u) VALUES(1, 'a', 1)", "UPDATE wide SET x996 = 'z'",
            "INSERT OR REPLACE INTO wide(id, u) VALUES(2, 1)")
        let events = try session.drainEvents()
        #expect(events.map(\.operation) == [.insert, .update, .delete, .insert])
        #expect(events[1].after?[996] == .text([0x7A]))
    }

    @Test func tableThatNeedsTheApplicationsCollationIsRefusedAndLeftAlone() throws {
        let database = try SourceDatabase("CREATE TABLE ok(id INTEGER PRIMARY KEY)")
        try database.run(
            "PRAGMA writable_schema = ON",
            "INSERT INTO sqlite_schema VALUES('table', 'odd', 'odd', (SELECT rootpage FROM sqlite_schema WHERE name"
                + " = 'ok'),"
                + " 'CREATE TABLE odd(id INTEGER PRIMARY KEY, a TEXT AS (appfunction(id)))')",
            "PRAGMA writable_schema = RESET")
        try database.reconnect()
        let notices = Notices()
        let session = try database.open(notices: notices)
        #expect(session.tables.map(\.shape.name) == ["ok"])
        #expect(notices.all.contains { $0.contains("sqlite.table_unusable") })
        #expect(try InstalledTrigger.all(database.writer).allSatisfy { $0.table == "ok" })
    }

    @Test func installingAgainChangesNothing() throws {
        let database = try SourceDatabase("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        let first = try database.open()
        let version = try database.writer.integer("PRAGMA schema_version")
        let checkpoint = try first.emptyBatch().checkpoint
        _ = try database.open(after: checkpoint)
        _ = try database.open()
        #expect(try database.writer.integer("PRAGMA schema_version") == version)
    }

    @Test func addedColumnIsCapturedFromTheNextLookOnAndTheRowsAreReadAgain() throws {
        let database = try SourceDatabase(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES(1, 'a')")
        let notices = Notices()
        let session = try database.open(snapshot: true, notices: notices)
        _ = try session.drain()
        try database.run("ALTER TABLE t ADD COLUMN w DEFAULT 7", "UPDATE t SET v = 'b'")
        let lines = try session.drainEvents().map(\.line)
        #expect(lines == ["update t 1,'a' -> 1,'b'", "snapshot t 1,'b',7"])
        try database.run("UPDATE t SET w = 8")
        #expect(try session.drainEvents().map(\.line) == ["update t 1,'b',7 -> 1,'b',8"])
        #expect(notices.all.count == 1)
    }

    @Test func renamedColumnNeedsNoSnapshotAndNoNotice() throws {
        let database = try SourceDatabase("CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES(1, 'a')")
        let notices = Notices()
        let session = try database.open(snapshot: true, notices: notices)
        _ = try session.drain()
        try database.run("ALTER TABLE t RENAME COLUMN v TO w", "UPDATE t SET w = 'b'")
        #expect(try session.drainEvents().map(\.line) == ["update t 1,'a' -> 1,'b'"])
        try database.run("UPDATE t SET w = 'c'")
        let events = try session.drainEvents()
        #expect(events.map(\.line) == ["update t 1,'b' -> 1,'c'"])
        #expect(events.first?.relation.columns.map(\.name) == ["id", "w"])
        #expect(notices.all.isEmpty)
    }

    @Test func renamedTableIsCapturedUnderItsNewNameOnce() throws {
        let database = try SourceDatabase("CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES(1, 'a')")
        let session = try database.open(snapshot: true)
        _ = try session.drain()
        try database.run("ALTER TABLE t RENAME TO s")
        #expect(try session.drainEvents().map(\.line) == ["snapshot s 1,'a'"])
        try database.run("UPDATE s SET v = 'b'")
        #expect(try session.drainEvents().map(\.line) == ["update s 1,'a' -> 1,'b'"])
    }

    @Test func rebuiltTableIsNoticedAndReadAgain() throws {
        let database = try SourceDatabase("CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES(1, 'a')")
        let notices = Notices()
        let session = try database.open(snapshot: true, notices: notices)
        let checkpoint = try #require(try session.drain().last?.checkpoint)
        try database.run(
            "BEGIN", "CREATE TABLE n(id INTEGER PRIMARY KEY, v)", "INSERT INTO n SELECT * FROM t",
            "INSERT INTO n VALUES(2, 'unseen')", "DROP TABLE t", "ALTER TABLE n RENAME TO t", "COMMIT")
        #expect(try session.drainEvents().map(\.line) == ["snapshot t 1,'a'", "snapshot t 2,'unseen'"])
        #expect(notices.all.count == 1 && notices.all.first?.contains("were gone") == true)
        // The same after a crash before the checkpoint was durable.
        let again = try database.open(snapshot: true, after: checkpoint)
        #expect(try again.drainEvents().map(\.line) == ["snapshot t 1,'a'", "snapshot t 2,'unseen'"])
    }

    @Test func triggerOfTheApplicationThatIsNewerMakesOursAnew() throws {
        let database = try SourceDatabase("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        let session = try database.open()
        try database.run("CREATE TRIGGER app AFTER INSERT ON T BEGIN UPDATE t SET v = 1 WHERE id = NEW.id; END")
        _ = try session.drain()
        let triggers = try InstalledTrigger.all(database.writer)
        let app = try #require(triggers.first { $0.name == "app" })
        #expect(triggers.filter { $0.isOurs && $0.isAfter }.allSatisfy { $0.rowid > app.rowid })
        try database.run("INSERT INTO t VALUES(1, 0)")
        #expect(
            try session.drainEvents().map(\.line)
                == ["insert t 1,0", "update t 1,0 -> 1,1"])
    }

    @Test func tableTakenOutOfTheSettingLosesItsTriggersAndIsReadAgainWhenItComesBack() throws {
        let database = try SourceDatabase(
            "CREATE TABLE a(id INTEGER PRIMARY KEY)", "CREATE TABLE b(id INTEGER PRIMARY KEY)",
            "INSERT INTO a VALUES(1)",
            "INSERT INTO b VALUES(1)")
        let both = try database.open(snapshot: true)
        let first = try #require(try both.drain().last?.checkpoint)
        let one = try database.open(["a"], snapshot: true, after: first)
        try database.run("INSERT INTO b VALUES(2)")
        let second = try one.emptyBatch().checkpoint
        #expect(try one.drainEvents().isEmpty)
        let again = try database.open(snapshot: true, after: second)
        #expect(try again.drainEvents().map(\.line) == ["snapshot b 1", "snapshot b 2"])
    }
}
