import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

/// Partitioned tables: rows arrive under the name of the root.
@Suite(.timeLimit(.minutes(5)))
struct PartitionTests {
    @Test func rowsOfEveryLevelAndOfNewPartitionsArriveUnderTheRoot() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE r (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
            CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (10);
            CREATE TABLE r2 PARTITION OF r FOR VALUES FROM (10) TO (30) PARTITION BY RANGE (id);
            CREATE TABLE r2a PARTITION OF r2 FOR VALUES FROM (10) TO (20)
            """)
        let reader = try SourceReader(database, tables: ["public.*"])
        try await reader.open()
        #expect(try publishedTables(database) == ["r"], "the globs match root and leaves; only the root is published")
        try database.run("INSERT INTO r VALUES (1, 'a'), (11, 'b'); UPDATE r SET id = 2 WHERE id = 11")
        // Attached while streaming, in another order of columns; inserted by its own name too.
        try database.run(
            """
            CREATE TABLE r3 (v text, extra int, id int NOT NULL); ALTER TABLE r3 DROP COLUMN extra;
            \(TestServer.version >= 150_000 ? "INSERT INTO r3 VALUES ('unseen', 40);" : "")
            ALTER TABLE r ATTACH PARTITION r3 FOR VALUES FROM (40) TO (50);
            INSERT INTO r VALUES (41, 'c'); INSERT INTO r3 VALUES ('d', 42);
            CREATE TABLE r2b PARTITION OF r2 FOR VALUES FROM (20) TO (30); INSERT INTO r VALUES (21, 'e')
            """)
        try await reader.catchUp()
        #expect(
            reader.lines() == [
                "insert public.r 1,a", "insert public.r 11,b", "delete public.r 11,- -> ", "insert public.r 2,b",
                "insert public.r 41,c", "insert public.r 42,d", "insert public.r 21,e",
            ])
        // A detached partition is a table of its own that nothing publishes, until the publication is looked at again.
        try database.run("ALTER TABLE r DETACH PARTITION r3")
        if TestServer.version >= 150_000 { try database.run("INSERT INTO r3 VALUES ('unpublished', 43)") }
        try database.run("INSERT INTO r VALUES (3, 'f')")
        try await reader.catchUp()
        #expect(reader.lines() == ["insert public.r 3,f"])
        await reader.source.close()
        try await reader.open()
        try database.run("INSERT INTO r3 VALUES ('own', 44)")
        try await reader.catchUp()
        #expect(reader.lines() == ["insert public.r3 own,44"])
        await reader.source.close()
    }

    /// The catalogue did not know any more that it was one, and a notice said that its changes are left out.
    @Test(arguments: ["ALTER TABLE r DETACH PARTITION r1", "DROP TABLE r1"])
    func aTableThatWasAPartitionForAWhileIsNotSaidToBeLeftOut(_ end: String) async throws {
        let database = try TestDatabase()
        try database.run(
            "CREATE TABLE r (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE r1 (id int PRIMARY KEY); "
                + "CREATE TABLE other (id int PRIMARY KEY)")
        let reader = try SourceReader(database, tables: ["public.r"], publication: "p")
        try await reader.open()
        for statement in [
            "ALTER TABLE r ATTACH PARTITION r1 FOR VALUES FROM (0) TO (10)", "INSERT INTO r VALUES (2)", end,
            "ALTER PUBLICATION p ADD TABLE other", "INSERT INTO other VALUES (1)",
        ] { try database.run(statement) }
        try await reader.catchUp()
        #expect(reader.lines() == ["insert public.r 2"])
        let said = reader.notices.all.filter { $0.contains("changes are left out") }
        #expect(said.count == 1 && said[0].hasPrefix("table public.other is in publication \"p\""), "\(said)")
    }

    /// The server's own fault, which the manual of Millrace tells.
    @Test(.enabled(if: TestServer.version < 150_000, "for servers before 15"))
    func whatAPartitionIsAPartOfIsKnownAnewOnceTheStreamIsOpenedAgain() async throws {
        let database = try TestDatabase()
        try database.run(
            "CREATE TABLE r (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE r1 (id int PRIMARY KEY)")
        let reader = try SourceReader(database, tables: ["public.r"])
        try await reader.open()
        try database.run(
            """
            INSERT INTO r1 VALUES (1); ALTER TABLE r ATTACH PARTITION r1 FOR VALUES FROM (0) TO (10);
            INSERT INTO r VALUES (2)
            """)
        try await reader.catchUp()
        #expect(reader.lines() == [])
        await reader.source.close()
        try await reader.open()
        try database.run("INSERT INTO r VALUES (3)")
        try await reader.catchUp()
        #expect(reader.lines() == ["insert public.r 3"])
        try database.run("ALTER TABLE r DETACH PARTITION r1; INSERT INTO r1 VALUES (4)")
        try await reader.catchUp()
        #expect(reader.lines() == ["insert public.r 4"])
        await reader.source.close()
        try await reader.open()
        try database.run("INSERT INTO r1 VALUES (5)")
        try await reader.catchUp()
        #expect(reader.lines() == [])
        await reader.source.close()
    }

    /// They are announced too, and so is a table that somebody else put into the publication.
    @Test func partitionsOfACapturedRootAreNotSaidToBeLeftOut() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE r (id int PRIMARY KEY) PARTITION BY RANGE (id);
            CREATE TABLE r2 PARTITION OF r FOR VALUES FROM (10) TO (30) PARTITION BY RANGE (id);
            CREATE TABLE r2a PARTITION OF r2 FOR VALUES FROM (10) TO (20);
            CREATE TABLE other (id int PRIMARY KEY)
            """)
        let reader = try SourceReader(database, tables: ["public.r"], publication: "p")
        try await reader.open()
        try database.run("ALTER PUBLICATION p ADD TABLE other; INSERT INTO r VALUES (11); INSERT INTO other VALUES (1)")
        try await reader.catchUp()
        #expect(reader.lines() == ["insert public.r 11"])
        await reader.source.close()
        let leftOut = reader.notices.all.filter { $0.contains("its changes are left out") }
        #expect(leftOut.count == 1 && leftOut.first?.hasPrefix("table public.other is in publication") == true)
    }

    @Test func aLeafIsCapturedByItsOwnNameWhenItsRootIsNot() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE r (id int PRIMARY KEY) PARTITION BY RANGE (id);
            CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (10);
            CREATE TABLE r2 PARTITION OF r FOR VALUES FROM (10) TO (20);
            CREATE PUBLICATION everything FOR ALL TABLES WITH (publish_via_partition_root = true)
            """)
        let reader = try SourceReader(database, tables: ["public.r1"])
        try await reader.open()
        try database.run("INSERT INTO r VALUES (1), (11)")
        try await reader.catchUp()
        #expect(reader.lines() == ["insert public.r1 1"])
        await reader.source.close()
        let hidden = try SourceReader(database, tables: ["public.r1"], publication: "everything")
        let failure = await refusal(hidden)
        #expect(failure?.code == "postgres.publication_options")
        #expect(failure?.message.contains("sends the changes of public.r1 under the name of public.r") == true)
    }

    /// `SET SCHEMA` leaves the partitions where they were, so that the pattern still matches them.
    @Test(arguments: ["ALTER TABLE r SET SCHEMA archive", "ALTER TABLE r RENAME TO old_r"])
    func aRootThatLeavesWhatIsCapturedDoesNotStopTheOthers(leave: String) async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE SCHEMA archive; CREATE TABLE o (id int PRIMARY KEY);
            CREATE TABLE r (id int PRIMARY KEY) PARTITION BY RANGE (id);
            CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (10)
            """)
        let reader = try SourceReader(database, tables: ["public.*"], publication: "p", exclude: ["public.old*"])
        try await reader.open()
        try database.run("INSERT INTO r VALUES (1)")
        try await reader.catchUp()
        await reader.source.close()
        try database.run("\(leave); INSERT INTO r1 VALUES (2); INSERT INTO o VALUES (3)")
        try await reader.open()
        try await reader.catchUp()
        await reader.source.close()
        #expect(reader.lines() == ["insert public.r 1", "insert public.o 3"])
        let said = reader.notices.all.filter { $0.contains("public.r1 is NOT captured") }
        #expect(said.count == 1 && said[0].contains("ALTER PUBLICATION \"p\" DROP TABLE"), "\(reader.notices.all)")
        // One that is named is refused, and any at the first start.
        let named = try SourceReader(
            database, tables: ["public.o", "public.r1"], slot: "\(database.name)", publication: "p")
        named.checkpoint = reader.checkpoint
        #expect(await refusal(named)?.code == "postgres.publication_options")
        let first = try SourceReader(
            database, tables: ["public.*"], slot: "\(database.name)_2", publication: "p", exclude: ["public.old*"])
        #expect(await refusal(first)?.code == "postgres.publication_options")
        // Taken out of the publication, the partition is captured by itself.
        let root = leave.contains("archive") ? "archive.r" : "old_r"
        try database.run("ALTER PUBLICATION p DROP TABLE \(root)")
        try await reader.open()
        try database.run("INSERT INTO r1 VALUES (4)")
        try await reader.catchUp()
        await reader.source.close()
        #expect(reader.lines() == ["insert public.r1 4"])
    }

    @Test(.enabled(if: TestServer.publishesParts, "column lists and conditions in publications need 15"))
    func columnsAndConditionOfARootHoldForItsPartitions() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE r (id int PRIMARY KEY, v text, w text) PARTITION BY RANGE (id);
            CREATE TABLE r1 (w text, v text, id int NOT NULL);
            ALTER TABLE r ATTACH PARTITION r1 FOR VALUES FROM (0) TO (10)
            """)
        let choice = SettingValues([
            "tables": .list(["public.r"]), "columns": .list(["id", "w"]), "where": .text("id <> 2"),
        ])
        let reader = try SourceReader(database, tables: ["public.r"], choices: [choice])
        try await reader.open()
        try database.run(
            "INSERT INTO r VALUES (1, 'a', 'x'), (2, 'b', 'y'); "
                + "CREATE TABLE r2 PARTITION OF r FOR VALUES FROM (10) TO (20); "
                + "INSERT INTO r VALUES (12, 'c', 'z'); UPDATE r SET w = 'n'; DELETE FROM r")
        try await reader.catchUp()
        #expect(
            reader.lines() == [
                "insert public.r 1,x", "insert public.r 12,z", "update public.r 1,n", "update public.r 12,n",
                "delete public.r 1,- -> ", "delete public.r 12,- -> ",
            ])
        await reader.source.close()
    }
}
