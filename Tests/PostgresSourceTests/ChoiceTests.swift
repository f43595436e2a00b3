import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

/// Which tables, columns and rows are captured, on a real server.
@Suite(.timeLimit(.minutes(5)))
struct ChoiceTests {
    @Test func excludedTablesAreNeitherPublishedNorCaptured() async throws {
        let database = try TestDatabase()
        try database.run(
            "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE audit_a (id int PRIMARY KEY); "
                + "CREATE TABLE \"Odd.Name*\" (id int PRIMARY KEY); CREATE TABLE \"Odd.Nameless\" (id int PRIMARY KEY)")
        let reader = try SourceReader(
            database, tables: ["public.*"], exclude: ["public.audit_*", "public.\"Odd.Name*\"", "nothing.*"])
        try await reader.open()
        #expect(try publishedTables(database) == ["Odd.Nameless", "a"])
        #expect(reader.notices.all.contains { $0.contains("no table matches nothing.*, which is to be left out") })
        try database.run(
            "INSERT INTO audit_a VALUES (1); INSERT INTO a VALUES (2); INSERT INTO \"Odd.Nameless\" VALUES (3)")
        try await reader.catchUp()
        #expect(reader.lines() == ["insert public.a 2", "insert public.Odd.Nameless 3"])
        await reader.source.close()
    }

    @Test func aColumnListIsPushedIntoThePublicationAndAgreesWithItsOwnSpelling() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY, \"E-Mail\" text, card text, n int)")
        let choice = SettingValues(["tables": .list(["public.t"]), "columns": .list(["n", "E-Mail", "id"])])
        let reader = try SourceReader(database, tables: ["public.*"], publication: "p", choices: [choice])
        try await reader.open()
        if TestServer.publishesParts {
            #expect(try database.value("SELECT attnames FROM pg_publication_tables") == "{id,E-Mail,n}")
        } else {
            #expect(
                reader.notices.all.contains {
                    $0.hasPrefix("Millrace leaves columns of public.t out itself: the server is PostgreSQL 14")
                })
        }
        try database.run("INSERT INTO t VALUES (1, 'a@b', 'secret', 5); UPDATE t SET n = 6; DELETE FROM t")
        try await reader.catchUp()
        #expect(reader.lines() == ["insert public.t 1,a@b,5", "update public.t 1,a@b,6", "delete public.t 1,-,- -> "])
        await reader.source.close()
        let changes = { reader.notices.all.filter { $0.contains("PUBLICATION") } }
        let count = changes().count
        try await reader.open()
        #expect(changes().count == count, "an unchanged choice changes nothing")
        await reader.source.close()
    }

    @Test func excludedColumnsAreLeftOutAndAColumnThatIsAddedLaterArrives() async throws {
        let database = try TestDatabase()
        try database.run(
            "CREATE TABLE t (id int PRIMARY KEY, v text, secret text); ALTER TABLE t REPLICA IDENTITY FULL")
        let choice = SettingValues(["tables": .list(["public.*"]), "exclude_columns": .list(["secret", "elsewhere"])])
        let reader = try SourceReader(database, tables: ["public.t"], choices: [choice])
        try await reader.open()
        try database.run("INSERT INTO t VALUES (1, 'a', 's'); ALTER TABLE t ADD w text; UPDATE t SET w = 'x'")
        try await reader.catchUp()
        #expect(reader.seen.map { $0.relation.columns.map(\.name) } == [["id", "v"], ["id", "v", "w"]])
        #expect(reader.lines() == ["insert public.t 1,a", "update public.t 1,a,- -> 1,a,x"])
        // What is not published can be dropped without harm.
        try database.run("ALTER TABLE t DROP COLUMN secret; INSERT INTO t VALUES (2, 'b', 'y')")
        try await reader.catchUp()
        #expect(reader.lines() == ["insert public.t 2,b,y"])
        await reader.source.close()
    }

    /// A dropped column was refused at the next start, and nothing was said before.
    @Test func anExcludedColumnThatIsDroppedIsSaidAndStopsNothing() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY, v text, secret text, other text)")
        func reader(_ excluded: [String]) throws -> SourceReader {
            let choice = SettingValues(["tables": .list(["public.t"]), "exclude_columns": .list(excluded)])
            return try SourceReader(database, tables: ["public.t"], publication: "p", choices: [choice]) {
                $0.watchInterval = .milliseconds(50)
            }
        }
        func isSaid(_ reader: SourceReader, _ names: String) -> Bool {
            let text =
                "table public.t has no column \(names) any more, which exclude_columns in source.postgres.choices"
            return reader.notices.all.contains { $0.hasPrefix(text) }
        }
        let misspelled = try reader(["secert"])
        #expect(await refusal(misspelled)?.code == "postgres.column_missing")
        let running = try reader(["secret", "other"])
        try await running.open()
        try await running.catchUp()
        try database.run("ALTER TABLE t DROP COLUMN secret")
        #expect(
            try await polls {
                try await running.take()
                return isSaid(running, "secret")
            })
        try database.run("INSERT INTO t VALUES (1, 'a', 'b')")
        try await running.catchUp()
        #expect(running.lines().last == "insert public.t 1,a")
        await running.source.close()
        // Also while nothing runs, and also at a start that changes the publication.
        try database.run("ALTER TABLE t DROP COLUMN other; CREATE TABLE u (id int PRIMARY KEY)")
        for tables in [["public.t"], ["public.t", "public.u"], ["public.t"]] {
            let choice = SettingValues(["tables": .list(["public.t"]), "exclude_columns": .list(["secret", "other"])])
            let later = try SourceReader(database, tables: tables, publication: "p", choices: [choice])
            later.checkpoint = running.checkpoint
            try await later.open()
            #expect(isSaid(later, "other, secret"))
            try await later.catchUp()
            running.checkpoint = later.checkpoint
            await later.source.close()
        }
        let mistaken = try reader(["secret", "nothing"])
        mistaken.checkpoint = running.checkpoint
        #expect(await refusal(mistaken)?.code == "postgres.column_missing")
    }

    @Test(.enabled(if: TestServer.publishesParts, "conditions in publications need 15"))
    func aConditionIsPushedAndAnUpdateAcrossItArrivesAsInsertOrDelete() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY, status text); ALTER TABLE t REPLICA IDENTITY FULL")
        let choice = SettingValues([
            "tables": .list(["public.t"]), "where": .text("status<>'draft' and ID < 100 -- a remark"),
        ])
        let reader = try SourceReader(database, tables: ["public.t"], publication: "p", choices: [choice])
        try await reader.open()
        try database.run(
            "INSERT INTO t VALUES (1, 'draft'), (2, 'new'), (200, 'new'); UPDATE t SET status = 'new' WHERE id = 1; "
                + "UPDATE t SET status = 'draft' WHERE id = 2; UPDATE t SET status = 'done' WHERE id = 1")
        try await reader.catchUp()
        #expect(
            reader.lines() == [
                "insert public.t 2,new", "insert public.t 1,new", "delete public.t 2,new -> ",
                "update public.t 1,new -> 1,done",
            ])
        await reader.source.close()
        let count = reader.notices.all.count
        try await reader.open()
        #expect(reader.notices.all.count == count, "the server's own spelling of the condition is the same condition")
        await reader.source.close()
    }

    @Test(.enabled(if: !TestServer.publishesParts, "for servers before 15"))
    func aConditionIsRefusedWhereTheServerKnowsNone() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY, status text); ALTER TABLE t REPLICA IDENTITY FULL")
        let choice = SettingValues(["tables": .list(["public.t"]), "where": .text("id < 100")])
        let failure = await refusal(try SourceReader(database, tables: ["public.t"], choices: [choice]))
        #expect(failure?.code == "postgres.where_unavailable" && failure?.remedy == .stop)
        #expect(failure?.message.contains("conditions in publications need 15") == true)
        #expect(failure?.hint == "take the condition out, or upgrade the server")
        #expect(try database.value("SELECT count(*) FROM pg_publication") == "0")
        #expect(
            try database.value("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == "0")
    }

    @Test(.enabled(if: TestServer.publishesParts, "column lists and conditions in publications need 15"))
    func aChangedChoiceChangesItsOwnTableAndNoOther() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE a (id int PRIMARY KEY, v text, w text); CREATE TABLE b (id int PRIMARY KEY, v text);
            CREATE TABLE theirs (id int PRIMARY KEY, v text); CREATE TABLE c (id int PRIMARY KEY, v text);
            CREATE PUBLICATION p FOR TABLE a (id, v), b (id) WHERE (id > 5), theirs (id) WHERE (id > 7)
                WITH (publish_via_partition_root = true)
            """)
        let choice = SettingValues([
            "tables": .list(["public.a"]), "columns": .list(["id", "w"]), "where": .text("id>1"),
        ])
        let reader = try SourceReader(
            database, tables: ["public.a", "public.b", "public.c"], publication: "p", choices: [choice])
        try await reader.open()
        await reader.source.close()
        let rows = try database.run(
            "SELECT tablename, attnames, rowfilter FROM pg_publication_tables ORDER BY 1"
        ).rows
        #expect(
            rows == [
                ["a", "{id,w}", "(id > 1)"], ["b", "{id}", "(id > 5)"], ["c", "{id,v}", nil],
                ["theirs", "{id}", "(id > 7)"],
            ])
        let said = reader.notices.all
        #expect(said.contains { $0.hasSuffix("ALTER PUBLICATION \"p\" ADD TABLE \"public\".\"c\";") })
        #expect(
            said.contains {
                $0.hasPrefix("publication \"p\" sends the columns id, v of all rows of public.a, and should send ")
                    && $0.hasSuffix(
                        "BEGIN; ALTER PUBLICATION \"p\" DROP TABLE \"public\".\"a\"; ALTER PUBLICATION \"p\" "
                            + "ADD TABLE \"public\".\"a\" (\"id\", \"w\") WHERE ((id > 1)); COMMIT;")
            }, "\(said)")
        #expect(
            said.contains { $0.contains("sends the columns id where (id > 5) of public.b, about which") }, "\(said)")
        // An entry without columns and condition asks for the whole table.
        let whole = SettingValues(["tables": .list(["public.a"])])
        let again = try SourceReader(database, tables: ["public.a"], publication: "p", choices: [whole])
        try await again.open()
        await again.source.close()
        #expect(
            try database.value("SELECT attnames FROM pg_publication_tables WHERE tablename = 'a' AND rowfilter IS NULL")
                == "{id,v,w}")
    }

    @Test func columnsBesideAFullReplicaIdentityAreLeftOutHereAndWritesGoOn() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY, v text, w text); ALTER TABLE t REPLICA IDENTITY FULL")
        let choice = SettingValues(["tables": .list(["public.t"]), "columns": .list(["id", "v"])])
        let reader = try SourceReader(database, tables: ["public.t"], choices: [choice])
        try await reader.open()
        try database.run("INSERT INTO t VALUES (1, 'a', 'x'); UPDATE t SET w = 'y'; DELETE FROM t")
        try await reader.catchUp()
        #expect(
            reader.lines() == ["insert public.t 1,a", "update public.t 1,a -> 1,a", "delete public.t 1,a -> "])
        #expect(reader.notices.all.contains { $0.contains("leaves columns of public.t out itself") })
        await reader.source.close()
    }

    @Test func whatAnAdministratorPublishesAsAWholeIsLeftAsItIs() async throws {
        let database = try TestDatabase()
        try database.run(
            "CREATE TABLE t (id int PRIMARY KEY, v text, w text); CREATE TABLE u (id int PRIMARY KEY); "
                + "CREATE PUBLICATION everything FOR ALL TABLES WITH (publish_via_partition_root = true)")
        var publications = ["everything"]
        if TestServer.publishesParts {
            publications.append("schema")
            try database.run(
                "CREATE PUBLICATION schema FOR TABLES IN SCHEMA public WITH (publish_via_partition_root = true)")
        }
        let columns = SettingValues(["tables": .list(["public.t"]), "columns": .list(["id", "v"])])
        for publication in publications {
            let reader = try SourceReader(
                database, tables: ["public.t"], slot: database.name + publication, publication: publication,
                choices: [columns])
            try await reader.open()
            try database.run("TRUNCATE t; INSERT INTO t VALUES (1, 'a', 'x'); INSERT INTO u VALUES (1); DELETE FROM u")
            try await reader.catchUp()
            #expect(reader.lines() == ["truncate public.t ", "insert public.t 1,a"])
            await reader.source.close()
            let filter = SettingValues(["tables": .list(["public.t"]), "where": .text("id > 0")])
            let refused = try SourceReader(
                database, tables: ["public.t"], slot: database.name + publication, publication: publication,
                choices: [filter])
            #expect(await refusal(refused)?.code == "postgres.where_unavailable")
        }
    }
}

func publishedTables(_ database: TestDatabase) throws -> [String?] {
    try database.run("SELECT tablename FROM pg_publication_tables ORDER BY tablename COLLATE \"C\"").rows.map(\.[0])
}

/// The failure with which a source does not open; nil when it does.
func refusal(_ reader: SourceReader) async -> ConnectorFailure? {
    do throws(ConnectorFailure) {
        _ = try await reader.source.open(resumingAfter: reader.checkpoint, of: nil)
        await reader.source.close()
        return nil
    } catch {
        await reader.source.close()
        return error
    }
}
