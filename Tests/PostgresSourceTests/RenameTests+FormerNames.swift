import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

/// Names that were another table's before, and are again for a while.
extension RenameTests {
    /// A table that is published and not captured, and how it takes the name of one that is.
    struct Stranger: Sendable, CustomTestStringConvertible {
        var tables = ["public.a"]
        var exclude: [String] = []
        var name = "a_old"
        var arrival = RenameTests.blueGreen
        var testDescription: String { "\(tables) \(name)" }

        var comes: String { "BEGIN; ALTER TABLE a RENAME TO hid; ALTER TABLE \(name) RENAME TO a; COMMIT" }
        var goes: String { "BEGIN; ALTER TABLE a RENAME TO \(name); ALTER TABLE hid RENAME TO a; COMMIT" }
    }

    static let blueGreen = """
        BEGIN; ALTER TABLE a RENAME TO a_old; CREATE TABLE a (id int PRIMARY KEY, v text);
        INSERT INTO a SELECT id, 'green' FROM a_old; COMMIT
        """
    static let strangers = [
        Stranger(), Stranger(name: "b", arrival: "ALTER PUBLICATION p ADD TABLE b"),
        Stranger(tables: ["public.*"], exclude: ["public.*_old"]),
    ]

    private func warnings(_ reader: SourceReader) -> [String] {
        reader.notices.all.filter { $0.contains("was changed") }
    }

    @Test(arguments: [true, false], [true, false])
    func aTableThatWasReadUnderItsNewNameIsReadAnewWhenItIsChangedUnderItsFormerOne(
        isSwap: Bool, isStopped: Bool
    ) async throws {
        let database = try TestDatabase()
        try database.run(Self.tables)
        let reader = try reader(database, ["public.*"])
        try await reader.open()
        try await reader.finishSnapshot()
        await reader.source.close()
        let forth = isSwap ? Self.swap : "ALTER TABLE a RENAME TO c"
        let back = isSwap ? Self.swap : "ALTER TABLE c RENAME TO a"
        let (names, truncated) = (isSwap ? ["a", "b"] : ["b", "c"], isSwap ? 2 : 1)
        try database.run(forth)
        try await reader.open()
        try await reader.finishSnapshot()
        try expectAlike(reader, database, names)
        #expect(truncates(reader) == truncated && warnings(reader).isEmpty)
        // Nothing was changed under the new name yet.
        if isStopped { await reader.source.close() }
        for statements in [back, Self.changes(of: "a"), forth] { try database.run(statements) }
        if isStopped { try await reader.open() }
        try await reader.catchUp()
        try await reader.finishSnapshot()
        try expectAlike(reader, database, names)
        #expect(truncates(reader) == 2 * truncated)
        #expect(!warnings(reader).isEmpty)
        // It is done then.
        await reader.source.close()
        try await reader.open()
        try await reader.catchUp()
        try await reader.finishSnapshot()
        await reader.source.close()
        #expect(truncates(reader) == 2 * truncated)
    }

    @Test(arguments: strangers, [true, false])
    func aTableIsReadAnewWhenOneThatIsNotCapturedHadItsName(stranger: Stranger, isStopped: Bool) async throws {
        let database = try TestDatabase()
        try database.run(Self.tables + "DROP TABLE IF EXISTS s.a")
        let reader = try reader(database, stranger.tables, exclude: stranger.exclude)
        try await reader.open()
        try await reader.finishSnapshot()
        await reader.source.close()
        try database.run(stranger.arrival)
        try await reader.open()
        try await reader.finishSnapshot()
        let truncated = truncates(reader)
        #expect(warnings(reader).isEmpty)
        if isStopped { await reader.source.close() }
        for statements in [stranger.comes, Self.changes(of: "a"), stranger.goes] { try database.run(statements) }
        if isStopped { try await reader.open() }
        try await reader.catchUp()
        try await reader.finishSnapshot()
        try expectAlike(reader, database, ["a"])
        #expect(truncates(reader) == truncated + 1)
        #expect(warnings(reader).count == 1 && warnings(reader)[0].contains("another table was changed as public.a"))
        // In one transaction, which no look at the catalogue could ever meet.
        let visit = [stranger.comes, Self.changes(of: "a"), stranger.goes].joined(separator: ";")
            .replacing("BEGIN;", with: "").replacing("COMMIT", with: "").replacing("77", with: "78")
        try database.run("BEGIN; UPDATE a SET v = 'mine' WHERE id = 4; \(visit.replacing(";;", with: ";")) COMMIT")
        try await reader.catchUp()
        try await reader.finishSnapshot()
        await reader.source.close()
        try expectAlike(reader, database, ["a"])
        #expect(truncates(reader) == truncated + 2)
    }

    @Test(arguments: ["initial", "never"])
    func aTableThatIsReplacedForGoodIsNoReasonForAWarning(snapshot: String) async throws {
        let database = try TestDatabase()
        try database.run(Self.tables)
        let reader = try reader(database, ["public.a"], snapshot: snapshot)
        try await reader.open()
        try await reader.catchUp()
        if snapshot == "initial" { try await reader.finishSnapshot() }
        await reader.source.close()
        // The stream tells changes under the former name behind the look that finds the new one.
        try database.run("\(Self.changes(of: "a")); \(Self.blueGreen); UPDATE a SET v = 'x' WHERE id = 5")
        try await reader.open()
        try await reader.catchUp()
        if snapshot == "initial" { try await reader.finishSnapshot() }
        try database.run("DROP TABLE a; CREATE TABLE a (id int PRIMARY KEY, v text)")
        await reader.source.close()
        try await reader.open()
        try await reader.catchUp()
        try database.run("INSERT INTO a VALUES (1, 'third')")
        try await reader.catchUp()
        if snapshot == "initial" {
            try await reader.finishSnapshot()
            try expectAlike(reader, database, ["a"])
        }
        await reader.source.close()
        #expect(warnings(reader).isEmpty)
        #expect(truncates(reader) == (snapshot == "initial" ? 2 : 0))
    }

    /// The rows of the new table come under the name before any look finds it.
    @Test(arguments: [blueGreen, "DROP TABLE a; CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (5)"])
    func aTableOfAPublicationForAllTablesThatIsReplacedIsReadOnce(replacement: String) async throws {
        let database = try TestDatabase()
        try database.run(Self.tables + "; CREATE PUBLICATION p FOR ALL TABLES")
        let reader = try reader(database, ["public.a", "public.b"])
        try await reader.open()
        try await reader.finishSnapshot()
        try database.run(replacement)
        try await reader.catchUp()
        #expect(truncates(reader) == 0)
        try database.run("UPDATE a SET v = 'later' WHERE id = 5")
        await reader.source.close()
        try await reader.open()
        try await reader.finishSnapshot()
        await reader.source.close()
        try expectAlike(reader, database)
        #expect(truncates(reader) == 1)
        #expect(warnings(reader).count == 1, "\(warnings(reader))")
    }

    @Test func whereNothingIsReadUnaskedAFormerNameIsAReasonForAWarningAgain() async throws {
        let database = try TestDatabase()
        try database.run(Self.tables)
        let reader = try reader(database, ["public.a", "public.c"], snapshot: "never")
        try database.run("CREATE TABLE c (id int PRIMARY KEY)")
        try await reader.open()
        try await reader.catchUp()
        await reader.source.close()
        try database.run(
            "DROP TABLE c; UPDATE a SET v = 'old'; ALTER TABLE a RENAME TO c; CREATE TABLE a (id int PRIMARY KEY)")
        try await reader.open()
        try await reader.catchUp()
        #expect(warnings(reader).isEmpty)
        let visit = """
            BEGIN; ALTER TABLE a RENAME TO z; ALTER TABLE c RENAME TO a; UPDATE a SET v = 'x';
            ALTER TABLE a RENAME TO c; ALTER TABLE z RENAME TO a; COMMIT
            """
        for _ in 0..<2 {
            try database.run(visit)
            try await reader.catchUp()
        }
        let said = warnings(reader)
        #expect(said.count == 2, "\(said)")
        #expect(said.contains { $0.contains("public.c was changed under the name public.a") })
        #expect(said.contains { $0.contains("another table was changed as public.a") })
        // What was answered is said again when it happens again.
        try await reader.source.requestSnapshot(SnapshotRequest(id: "1", tables: [TablePattern("public.c")]))
        try await reader.finishSnapshot()
        try database.run(visit)
        try await reader.catchUp()
        await reader.source.close()
        #expect(warnings(reader).count == 4)
    }
}
