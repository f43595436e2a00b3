import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

@Suite(.serialized, .timeLimit(.minutes(5)))
struct PostgresSourceTests {
    @Test func insertsUpdatesDeletesAndTruncatesArriveInOrder() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY, v text, n numeric)")
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        try database.run("INSERT INTO t VALUES (1, 'a', 1.50), (2, NULL, 'NaN')")
        try database.run("UPDATE t SET v = 'ä\u{1F600}' WHERE id = 1")
        try database.run("UPDATE t SET id = 3 WHERE id = 2")
        try database.run("DELETE FROM t WHERE id = 1")
        try database.run("TRUNCATE t")
        try await reader.catchUp()
        #expect(
            reader.seen.map(\.line) == [
                "insert public.t 1,a,1.50", "insert public.t 2,-,NaN", "update public.t 1,ä\u{1F600},1.50",
                "update public.t 2,-,- -> 3,-,NaN", "delete public.t 1,-,- -> ", "truncate public.t ",
            ])
        #expect(reader.seen.map(\.identity.ordinal) == [0, 1, 0, 0, 0, 0])
        #expect(reader.seen.map(\.identity) == reader.seen.map(\.identity).sorted())
        #expect(reader.seen[2].beforeImage == .none)
        #expect(reader.seen[3].beforeImage == .key)
        await reader.source.close()
    }

    @Test func aRelationHasItsTypesKeyAndNames() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN cents AS bigint; CREATE DOMAIN price AS cents;
            CREATE TABLE t (b int, a varchar(20), m mood, p price, j jsonb, ts timestamptz(3), f float8,
                d numeric(12,2), z text[], y bytea, PRIMARY KEY (a, b))
            """)
        let reader = try SourceReader(database, tables: ["public.*"])
        try await reader.open()
        try database.run("INSERT INTO t (a, b) VALUES ('x', 1)")
        try await reader.catchUp()
        let relation = try #require(reader.seen.first?.relation)
        #expect(
            relation.columns.map(\.typeName) == [
                "integer", "character varying(20)", "public.mood", "public.price", "jsonb",
                "timestamp(3) with time zone",
                "double precision", "numeric(12,2)", "text[]", "bytea",
            ])
        #expect(
            relation.columns.map(\.type) == [
                .int32, .text, .other, .int64, .json, .timestampTZ, .float64, .numeric, .other, .bytes,
            ])
        #expect(relation.keyColumns.map { relation.columns[$0].name } == ["b", "a"])
        #expect(relation.columns.map(\.isNullable) == [false, false] + Array(repeating: true, count: 8))
        await reader.source.close()
    }

    @Test func fullIdentityGivesWholeOldRowsAndThePrimaryKey() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE t (id int PRIMARY KEY, v text); ALTER TABLE t REPLICA IDENTITY FULL;
            CREATE TABLE keyless (v text); ALTER TABLE keyless REPLICA IDENTITY FULL
            """)
        let reader = try SourceReader(database, tables: ["public.*"])
        try await reader.open()
        try database.run(
            "INSERT INTO t VALUES (1, 'a'); UPDATE t SET v = 'b'; DELETE FROM t; INSERT INTO keyless VALUES ('x')")
        try await reader.catchUp()
        #expect(
            reader.seen.map(\.line) == [
                "insert public.t 1,a", "update public.t 1,a -> 1,b", "delete public.t 1,b -> ",
                "insert public.keyless x",
            ])
        #expect(reader.seen.map(\.identity.ordinal) == [0, 1, 2, 3])
        #expect(reader.seen[1].beforeImage == .full)
        #expect(reader.seen[1].relation.keyColumns == [0])
        #expect(reader.seen[3].relation.keyColumns.isEmpty)
        await reader.source.close()
    }

    @Test func indexIdentityGivesTheIndexAsKey() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL, v text); CREATE UNIQUE INDEX by_code ON t (code);
            ALTER TABLE t REPLICA IDENTITY USING INDEX by_code
            """)
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        try database.run("INSERT INTO t VALUES (1, 'x', 'a'); UPDATE t SET code = 'y'; DELETE FROM t")
        try await reader.catchUp()
        #expect(
            reader.seen.map(\.line) == [
                "insert public.t 1,x,a", "update public.t -,x,- -> 1,y,a", "delete public.t -,y,- -> ",
            ])
        #expect(reader.seen[0].relation.keyColumns == [1])
        await reader.source.close()
    }

    @Test func anUnchangedToastedValueIsMarkedAndNotFaked() async throws {
        let database = try TestDatabase()
        try database.run(
            "CREATE TABLE t (id int PRIMARY KEY, n int, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL")
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        try database.run("INSERT INTO t VALUES (1, 1, repeat('x', 10000)); UPDATE t SET n = 2")
        try await reader.catchUp()
        #expect(reader.seen.first?.after.last??.utf8.count == 10000)
        #expect(reader.seen.last?.line == "update public.t 1,2,~")
        await reader.source.close()
    }

    @Test func oddNamesAreCarriedAsTheyAre() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE SCHEMA "We ird";
            CREATE TABLE "We ird"."ta""b.le 'ü" ("i d" int PRIMARY KEY, "sel""ect" text, "" text)
            """.replacing(", \"\" text", with: ""))
        let reader = try SourceReader(database, tables: ["We ird.*"], publication: "pub'li\"cation ö")
        try await reader.open()
        try database.run("INSERT INTO \"We ird\".\"ta\"\"b.le 'ü\" VALUES (1, 'x')")
        try await reader.catchUp()
        #expect(reader.seen.map(\.line) == ["insert We ird.ta\"b.le 'ü 1,x"])
        #expect(reader.seen.first?.relation.columns.map(\.name) == ["i d", "sel\"ect"])
        await reader.source.close()
    }

    @Test func aPartitionedTableArrivesAsItsRoot() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
            CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);
            CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20)
            """)
        let reader = try SourceReader(database, tables: ["public.*"])
        try await reader.open()
        try database.run("INSERT INTO t VALUES (1, 'a'), (11, 'b'); UPDATE t SET v = 'c' WHERE id = 11; DELETE FROM t1")
        try await reader.catchUp()
        #expect(
            reader.lines() == [
                "insert public.t 1,a", "insert public.t 11,b", "update public.t 11,c", "delete public.t 1,- -> ",
            ])
        await reader.source.close()
    }

    @Test func truncateOfSeveralTablesCountsEach() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY REFERENCES a)")
        let reader = try SourceReader(database, tables: ["public.*"])
        try await reader.open()
        try database.run("BEGIN; TRUNCATE a, b; INSERT INTO a VALUES (1); COMMIT")
        try await reader.catchUp()
        #expect(reader.seen.map(\.identity.ordinal) == [0, 1, 2])
        #expect(Set(reader.seen.prefix(2).map(\.line)) == ["truncate public.a ", "truncate public.b "])
        await reader.source.close()
    }

    @Test func changesOfTablesThatAreNotNamedAreLeftOutButCounted() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE mine (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY);
            CREATE PUBLICATION p FOR TABLE mine, other WITH (publish_via_partition_root = true)
            """)
        let reader = try SourceReader(database, tables: ["public.mine"], publication: "p")
        try await reader.open()
        try database.run("BEGIN; INSERT INTO other VALUES (1), (2); INSERT INTO mine VALUES (1); COMMIT")
        try database.run("INSERT INTO other VALUES (3)")
        try await reader.catchUp()
        #expect(reader.seen.map(\.line) == ["insert public.mine 1"])
        #expect(reader.seen.map(\.identity.ordinal) == [2])
        #expect(reader.notices.all.contains { $0.contains("public.other") && $0.contains("left out") })
        #expect(try database.value("SELECT count(*) FROM pg_publication_tables WHERE pubname = 'p'") == "2")
        await reader.source.close()
    }

    @Test func textThatIsNotUTF8IsMarkedInADatabaseWithoutEncoding() async throws {
        let database = try TestDatabase(encoding: "SQL_ASCII")
        try database.run("CREATE TABLE t (id int PRIMARY KEY, v text, w text)")
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        try database.run("INSERT INTO t VALUES (1, E'caf\\351', 'ok'), (2, 'ä', NULL)")
        try await reader.catchUp()
        #expect(reader.seen.map(\.line) == ["insert public.t 1,!,ok", "insert public.t 2,ä,-"])
        await reader.source.close()
    }

    @Test func aTransactionHasItsNumberAndTime() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY, xid text, at text)")
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        try database.run(
            "INSERT INTO t VALUES (1, pg_current_xact_id()::text, extract(epoch FROM now())::bigint::text)")
        try await reader.catchUp()
        let change = try #require(reader.seen.first)
        #expect(String(change.transaction.id) == change.after[1])
        let began = try #require(change.after[2].flatMap { Int64($0) })
        #expect(abs(change.transaction.committedAt / 1_000_000 - began) <= 5)
        await reader.source.close()
    }
}
