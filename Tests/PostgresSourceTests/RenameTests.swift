import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

/// Tables that are called otherwise for a while, so that the catalogue looks as before.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct RenameTests {
    static let tables = """
        CREATE SCHEMA s; CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text);
        INSERT INTO a SELECT i, 'a' FROM generate_series(1, 10) i;
        INSERT INTO b SELECT i, 'b' FROM generate_series(1, 10) i;
        """
    /// Both names change at once.
    static let swap =
        "BEGIN; ALTER TABLE a RENAME TO z; ALTER TABLE b RENAME TO a; ALTER TABLE z RENAME TO b; COMMIT"

    static func changes(of table: String) -> String {
        "UPDATE \(table) SET v = 'new' WHERE id = 1; DELETE FROM \(table) WHERE id = 2; "
            + "INSERT INTO \(table) VALUES (77)"
    }

    static let visits = [
        ("ALTER TABLE a RENAME TO hid", changes(of: "hid"), "ALTER TABLE hid RENAME TO a"),
        ("ALTER TABLE a SET SCHEMA s", changes(of: "s.a"), "ALTER TABLE s.a SET SCHEMA public"),
        ("ALTER TABLE a RENAME TO hid", "TRUNCATE hid", "ALTER TABLE hid RENAME TO a"),
        (swap, changes(of: "a"), swap), (swap, changes(of: "a") + "; DELETE FROM b WHERE id > 4", swap),
        (swap, "TRUNCATE a", swap),
    ]

    func reader(
        _ database: TestDatabase, _ tables: [String] = ["public.a", "public.b"], snapshot: String = "initial",
        watchInterval: Duration = .seconds(600), exclude: [String] = []
    ) throws -> SourceReader {
        let reader = try SourceReader(
            database, tables: tables, publication: "p", snapshot: snapshot, exclude: exclude
        ) { $0.watchInterval = watchInterval }
        reader.reopens = true
        return reader
    }

    func expectAlike(_ reader: SourceReader, _ database: TestDatabase, _ tables: [String] = ["a", "b"]) throws {
        for table in tables.map({ $0.contains(".") ? $0 : "public.\($0)" }) {
            #expect(try isAlike(reader, database, table), "\(table): \(reader.notices.all)")
        }
    }

    /// True when who follows the table has its rows and nothing else.
    func isAlike(_ reader: SourceReader, _ database: TestDatabase, _ table: String) throws -> Bool {
        let fold = KeyFold(reader.seen.filter { $0.table == table })
        let rows = try database.run("SELECT * FROM \(table)").rows
        return fold.rows.values.map { "\($0)" }.sorted() == rows.map { "\($0)" }.sorted()
    }

    func truncates(_ reader: SourceReader) -> Int {
        reader.seen.filter { $0.operation == .truncate && $0.identity.ordinal >= ChangeIdentity.snapshotOrdinalMin }
            .count
    }

    @Test(arguments: visits)
    func aTableThatWasAwayAndBackWhileStoppedIsReadAnewOnce(away: String, changes: String, back: String) async throws {
        let database = try TestDatabase()
        try database.run(Self.tables)
        let reader = try reader(database)
        try await reader.open()
        try await reader.finishSnapshot()
        await reader.source.close()
        for statements in [away, changes, back] { try database.run(statements) }
        try await reader.open()
        try await reader.catchUp()
        try await reader.finishSnapshot()
        try expectAlike(reader, database)
        let isSwap = away == Self.swap
        #expect(truncates(reader) == (isSwap ? 2 : 1))
        #expect(reader.notices.all.contains { $0.contains("public.a was changed under the name") } || isSwap)
        // It is done then.
        for _ in 0..<2 {
            try database.run("UPDATE a SET v = 'later' WHERE id = 3")
            try await reader.catchUp()
            await reader.source.close()
            try await reader.open()
            try await reader.finishSnapshot()
        }
        await reader.source.close()
        try expectAlike(reader, database)
        #expect(truncates(reader) == (isSwap ? 2 : 1))
    }

    @Test(arguments: visits)
    func aTableThatWasAwayAndBackBetweenTwoLooksIsReadAnew(away: String, changes: String, back: String) async throws {
        let database = try TestDatabase()
        try database.run(Self.tables)
        let reader = try reader(database)
        try await reader.open()
        try await reader.finishSnapshot()
        try database.run(away)
        try database.run(changes)
        // The reading may begin, and must not tell rows under the other name.
        try await reader.catchUp()
        for _ in 0..<5 { try await reader.take(within: .milliseconds(100)) }
        #expect(truncates(reader) == 0)
        try database.run(back)
        try await reader.finishSnapshot()
        await reader.source.close()
        try expectAlike(reader, database)
    }

    @Test func aMarkOutlivesAStopBeforeTheTableIsBack() async throws {
        let database = try TestDatabase()
        try database.run(Self.tables)
        let reader = try reader(database)
        try await reader.open()
        try await reader.finishSnapshot()
        try database.run("ALTER TABLE a RENAME TO hid; \(Self.changes(of: "hid"))")
        // No batch comes of it.
        try await reader.catchUp()
        await reader.source.close()
        try database.run("ALTER TABLE hid RENAME TO a")
        try await reader.open()
        try await reader.finishSnapshot()
        await reader.source.close()
        try expectAlike(reader, database)
    }

    @Test func aNamedTableThatWasAwayForLongIsReadAnewWhenItIsBack() async throws {
        let database = try TestDatabase()
        try database.run(Self.tables)
        let reader = try reader(database, ["public.a"], watchInterval: .milliseconds(50))
        try await reader.open()
        try await reader.finishSnapshot()
        try database.run("ALTER TABLE a RENAME TO hid")
        #expect(
            try await polls {
                try await reader.take(within: .milliseconds(20))
                return reader.notices.all.contains { $0.contains("public.a is called public.hid now") }
            })
        try database.run(Self.changes(of: "hid"))
        try await reader.catchUp()
        try database.run("ALTER TABLE hid RENAME TO a")
        #expect(
            try await polls {
                try await reader.take(within: .milliseconds(20))
                return reader.seen.contains { $0.operation == .truncate }
            })
        try await reader.finishSnapshot()
        await reader.source.close()
        try expectAlike(reader, database, ["a"])
    }

    @Test(arguments: [true, false])
    func aTableThatKeepsItsNewNameIsReadOnceUnderIt(isStopped: Bool) async throws {
        let database = try TestDatabase()
        try database.run(Self.tables)
        let reader = try reader(database, ["public.*"], watchInterval: .milliseconds(isStopped ? 600_000 : 50))
        try await reader.open()
        try await reader.finishSnapshot()
        if isStopped { await reader.source.close() }
        try database.run("UPDATE a SET v = 'old'; ALTER TABLE a RENAME TO c; UPDATE c SET v = 'new' WHERE id = 1")
        if isStopped { try await reader.open() }
        #expect(
            try await polls {
                try await reader.take(within: .milliseconds(20))
                return reader.seen.contains { $0.operation == .truncate }
            })
        try await reader.finishSnapshot()
        for _ in 0..<2 {
            try database.run("UPDATE c SET v = 'later' WHERE id = 3")
            try await reader.catchUp()
            await reader.source.close()
            try await reader.open()
            try await reader.finishSnapshot()
        }
        await reader.source.close()
        try expectAlike(reader, database, ["b", "c"])
        #expect(truncates(reader) == 1)
        #expect(reader.seen.filter { $0.table == "public.c" && $0.operation == .snapshot }.count == 10)
    }

    @Test func whereNothingIsReadUnaskedTheWarningNamesTheRequest() async throws {
        let database = try TestDatabase()
        try database.run(Self.tables)
        let reader = try reader(database, ["public.*"], snapshot: "never")
        try await reader.open()
        try await reader.catchUp()
        await reader.source.close()
        // A table that keeps its new name is no reason for a word.
        try database.run("UPDATE a SET v = 'old'; ALTER TABLE a RENAME TO c; UPDATE c SET v = 'new' WHERE id = 1")
        try await reader.open()
        try await reader.catchUp()
        #expect(!reader.notices.all.contains { $0.contains("was changed") })
        await reader.source.close()
        try database.run("ALTER TABLE c RENAME TO d; UPDATE d SET v = 'x'; ALTER TABLE d RENAME TO c")
        try await reader.open()
        try await reader.catchUp()
        let lines = reader.notices.all.filter { $0.contains("public.c was changed under the name public.d") }
        #expect(lines.count == 1 && lines.first?.contains("`millrace snapshot public.c`") ?? false, "\(lines)")
        #expect(!reader.seen.contains { $0.operation == .snapshot || $0.operation == .truncate })
        await reader.source.close()
    }
}
