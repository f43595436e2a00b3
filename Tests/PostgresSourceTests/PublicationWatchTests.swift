import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

/// What happens to the publication while the stream runs, and between two runs.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct PublicationWatchTests {
    private func reader(_ database: TestDatabase, _ tables: [String] = ["public.*"]) throws -> SourceReader {
        try SourceReader(database, tables: tables, publication: "p") { $0.watchInterval = .milliseconds(50) }
    }

    /// Takes batches until the condition holds.
    private func take(_ reader: SourceReader, until what: String, _ isThere: () throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(120)
        while try !isThere() {
            try #require(ContinuousClock.now < deadline, "\(what) never happened; \(reader.notices.all)")
            try await reader.take(within: .milliseconds(20))
        }
    }

    /// Takes batches until the source fails.
    private func failure(of reader: SourceReader) async -> ConnectorFailure? {
        let deadline = ContinuousClock.now + .seconds(120)
        do {
            while ContinuousClock.now < deadline { try await reader.take(within: .milliseconds(20)) }
            return nil
        } catch {
            return error as? ConnectorFailure
        }
    }

    private func refusal(_ reader: SourceReader) async -> ConnectorFailure? {
        do {
            try await reader.open()
            return nil
        } catch {
            await reader.source.close()
            return error as? ConnectorFailure
        }
    }

    @Test func aTableMadeWhileStreamingIsPublishedAndCaptured() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE a (id int PRIMARY KEY)")
        let reader = try reader(database)
        try await reader.open()
        try database.run("CREATE TABLE b (id int PRIMARY KEY)")
        let statement = "ALTER PUBLICATION \"p\" ADD TABLE \"public\".\"b\";"
        try await take(reader, until: "the notice") { reader.notices.all.contains { $0.contains(statement) } }
        try await take(reader, until: "the member") {
            try database.value("SELECT count(*) FROM pg_publication_tables WHERE tablename = 'b'") == "1"
        }
        try database.run("INSERT INTO b VALUES (1)")
        try await reader.catchUp()
        #expect(reader.lines() == ["insert public.b 1"])
        // The new member is remembered: taken out while stopped, it is missed.
        try await take(reader, until: "the memory") { memory(reader).map(\.name) == ["public.a", "public.b"] }
        await reader.source.close()
        try database.run("ALTER PUBLICATION p DROP TABLE b")
        let failure = await refusal(reader)
        #expect(failure?.code == "postgres.table_unpublished")
    }

    @Test func rowsOfATableThatIsFoundWhileStreamingAreRead() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
        let reader = try SourceReader(database, tables: ["public.*"], publication: "p", snapshot: "initial") {
            $0.watchInterval = .milliseconds(50)
        }
        try await reader.open()
        try await reader.finishSnapshot()
        #expect(reader.lines() == ["snapshot public.a 1"])
        try database.run("CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (5)")
        try await take(reader, until: "the rows") { reader.seen.contains { $0.line == "snapshot public.b 5" } }
        try database.run("UPDATE b SET id = 6")
        try await reader.finishSnapshot()
        #expect(reader.lines() == ["truncate public.b ", "snapshot public.b 5", "update public.b 5 -> 6"])
        await reader.source.close()
    }

    private func memory(_ reader: SourceReader) -> [PublicationMemory.Table] {
        let notes = reader.checkpoint.flatMap { try? SourceNotes(decoding: $0.notes) }
        return (notes?.publication?.tables.values.map { $0 } ?? []).sorted { $0.name < $1.name }
    }

    @Test func aTableTakenOutWhileStreamingStopsTheSource() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
        let reader = try reader(database)
        try await reader.open()
        try await reader.catchUp()
        try database.run("ALTER PUBLICATION p DROP TABLE b")
        let failure = await failure(of: reader)
        #expect(failure?.code == "postgres.table_unpublished")
        #expect(failure?.remedy == .stop)
        #expect(failure?.message.contains("public.b") == true)
        #expect(failure?.message.contains("public.a") == false)
        #expect(failure?.hint?.contains("millrace run --recover snapshot") == true)
        await reader.source.close()
        #expect(await refusal(reader)?.code == "postgres.table_unpublished")
    }

    @Test func aTableTakenOutAndPutInAgainWhileStoppedIsNoticed() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
        let reader = try reader(database)
        try await reader.open()
        try await reader.catchUp()
        await reader.source.close()
        try database.run("ALTER PUBLICATION p DROP TABLE b; INSERT INTO b VALUES (1)")
        try database.run("ALTER PUBLICATION p ADD TABLE b")
        #expect(await refusal(reader)?.code == "postgres.table_unpublished")
    }

    @Test func operationsTakenOutAndPutInAgainWhileStreamingStopTheSource() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE a (id int PRIMARY KEY)")
        let reader = try reader(database)
        try await reader.open()
        try await reader.catchUp()
        try database.run(
            "BEGIN; ALTER PUBLICATION p SET (publish = 'insert'); "
                + "ALTER PUBLICATION p SET (publish = 'insert, update, delete, truncate'); COMMIT")
        let failure = await failure(of: reader)
        #expect(failure?.code == "postgres.publication_altered")
        #expect(failure?.hint?.contains("millrace run --recover snapshot") == true)
        await reader.source.close()
        #expect(await refusal(reader)?.code == "postgres.publication_altered")
    }

    @Test func operationsTakenOutStopTheSource() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE a (id int PRIMARY KEY)")
        let reader = try reader(database)
        try await reader.open()
        try await reader.catchUp()
        try database.run("ALTER PUBLICATION p SET (publish = 'insert, update')")
        let failure = await failure(of: reader)
        #expect(failure?.code == "postgres.publication_reduced")
        #expect(failure?.message.contains("delete, truncate") == true)
        await reader.source.close()
        #expect(await refusal(reader)?.code == "postgres.publication_reduced")
    }

    @Test func aDroppedTableAndARenamedOneAreNoLoss() async throws {
        let database = try TestDatabase()
        try database.run(
            "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); "
                + "CREATE TABLE c (id int PRIMARY KEY)"
        )
        let reader = try reader(database, ["public.*"])
        try await reader.open()
        try await reader.catchUp()
        try database.run("DROP TABLE b; ALTER TABLE c RENAME TO d")
        try await take(reader, until: "the notices") {
            reader.notices.all.contains { $0.contains("public.b was dropped") }
                && reader.notices.all.contains { $0.contains("public.c is called public.d now") }
        }
        try database.run("CREATE TABLE b (id int PRIMARY KEY)")
        try await take(reader, until: "the new b") {
            try database.value("SELECT count(*) FROM pg_publication_tables WHERE tablename = 'b'") == "1"
        }
        try database.run("INSERT INTO b VALUES (1); INSERT INTO d VALUES (2)")
        try await reader.catchUp()
        #expect(reader.lines() == ["insert public.b 1", "insert public.d 2"])
        await reader.source.close()
    }

    @Test func aTableRenamedAwayFromItsPatternIsLeftOutWithANotice() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE x1 (id int PRIMARY KEY); CREATE TABLE x2 (id int PRIMARY KEY)")
        let reader = try reader(database, ["public.x*"])
        try await reader.open()
        try await reader.catchUp()
        try database.run("ALTER TABLE x2 RENAME TO y")
        try await take(reader, until: "the notice") {
            reader.notices.all.contains { $0.contains("no pattern matches") && $0.contains("public.y") }
        }
        await reader.source.close()
        #expect(await refusal(reader) == nil)
        await reader.source.close()
    }

    @Test(arguments: ["DROP TABLE b", "ALTER TABLE b RENAME TO c", "DROP TABLE b; CREATE VIEW b AS SELECT 1 AS id"])
    func theWatchGoesOnWithoutATableThatIsNamed(change: String) async throws {
        let database = try TestDatabase()
        try database.run(
            "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); "
                + "CREATE TABLE d (id int PRIMARY KEY)")
        let reader = try reader(database, ["public.a", "public.b", "public.d"])
        try await reader.open()
        try await reader.catchUp()
        try database.run(change)
        let notice = change.contains("DROP") ? "public.b was dropped" : "public.b is called public.c now"
        try await take(reader, until: "the notice") { reader.notices.all.contains { $0.contains(notice) } }
        try database.run("ALTER PUBLICATION p DROP TABLE d")
        let failure = await failure(of: reader)
        #expect(failure?.code == "postgres.table_unpublished")
        await reader.source.close()
    }

    @Test func aNewTableWithoutReplicaIdentityIsWarnedOfAndNotPublished() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE a (id int PRIMARY KEY)")
        let reader = try reader(database)
        try await reader.open()
        try database.run("CREATE TABLE keyless (v text); INSERT INTO keyless VALUES ('x')")
        try await take(reader, until: "the warning") {
            reader.notices.all.contains { $0.contains("public.keyless has no replica identity and is NOT captured") }
        }
        try database.run("CREATE TABLE later (id int PRIMARY KEY)")
        try await take(reader, until: "a later table") {
            try database.value("SELECT count(*) FROM pg_publication_tables WHERE tablename = 'later'") == "1"
        }
        #expect(reader.notices.all.filter { $0.contains("keyless") }.count == 1)
        // The application's statements still work.
        try database.run("UPDATE keyless SET v = 'y'; DELETE FROM keyless")
        await reader.source.close()
        // And a restart does not stop the capture of all others.
        #expect(await refusal(reader) == nil)
        #expect(try database.value("SELECT count(*) FROM pg_publication_tables WHERE tablename = 'keyless'") == "0")
        try database.run("ALTER TABLE keyless REPLICA IDENTITY FULL")
        try await take(reader, until: "the table with its identity") {
            try database.value("SELECT count(*) FROM pg_publication_tables WHERE tablename = 'keyless'") == "1"
        }
        await reader.source.close()
    }

    @Test func whatSomebodyElseAddedStays() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE foreign_one (id int PRIMARY KEY)")
        let reader = try reader(database, ["public.a"])
        try await reader.open()
        try database.run("ALTER PUBLICATION p ADD TABLE foreign_one")
        await reader.source.close()
        #expect(await refusal(reader) == nil)
        try await reader.catchUp()
        await reader.source.close()
        try database.run("COMMENT ON PUBLICATION p IS 'made by millrace'")
        try database.run("VACUUM (FREEZE) pg_publication")
        #expect(await refusal(reader) == nil)
        await reader.source.close()
        #expect(try database.value("SELECT count(*) FROM pg_publication_tables WHERE pubname = 'p'") == "2")
        #expect(
            try database.value("SELECT obj_description(oid, 'pg_publication') FROM pg_publication")
                == "made by millrace")
    }
}
