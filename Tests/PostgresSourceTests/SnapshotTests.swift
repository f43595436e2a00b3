import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

/// Rows that are there before the stream begins.
struct SnapshotTests {
    @Test func rowsFromBeforeTheStreamArriveOnceInTheOrderOfTheirKey() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE t (id int PRIMARY KEY, a text);
            INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 3000) i
            """)
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "initial")
        try await reader.open()
        try await reader.finishSnapshot()
        #expect(reader.seen.count == 3000)
        #expect(reader.seen.allSatisfy { $0.operation == .snapshot })
        #expect(reader.seen.map { $0.after } == (1...3000).map { ["\($0)", "row \($0)"] })
        #expect(zip(reader.seen, reader.seen.dropFirst()).allSatisfy { $0.identity < $1.identity })
        #expect(reader.seen.allSatisfy { $0.identity.ordinal >= ChangeIdentity.snapshotOrdinalMin })
        #expect(reader.batches.allSatisfy { $0.mustBeDurableBeforeDelivery })
        try database.run("UPDATE t SET a = 'new' WHERE id = 7")
        reader.seen = []
        try await reader.catchUp()
        #expect(reader.lines() == ["update public.t 7,new"])
        await reader.source.close()
    }

    @Test func aFinishedSnapshotIsNotBegunAgain() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "initial")
        for _ in 0..<3 {
            try await reader.open()
            try await reader.finishSnapshot()
            await reader.source.close()
        }
        #expect(reader.lines() == ["snapshot public.t 1", "snapshot public.t 2"])
    }

    @Test func whatAnOlderVersionCapturedIsNotReadAgain() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
        let old = try SourceReader(database, tables: ["public.t"], snapshot: "never")
        try await old.open()
        try await old.catchUp()
        await old.source.close()
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "initial")
        reader.checkpoint = old.checkpoint
        reader.checkpoint?.notes = []
        try await reader.open()
        try await reader.finishSnapshot()
        #expect(reader.lines() == [])
        await reader.source.close()
    }

    @Test func aTableThatIsAddedLaterIsReadByItself() async throws {
        let database = try TestDatabase()
        try database.run(
            "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY); INSERT INTO t VALUES (1); "
                + "INSERT INTO u VALUES (5)")
        let first = try SourceReader(database, tables: ["public.t"], snapshot: "initial")
        try await first.open()
        try await first.finishSnapshot()
        await first.source.close()
        let reader = try SourceReader(database, tables: ["public.t", "public.u"], snapshot: "initial")
        reader.checkpoint = first.checkpoint
        try await reader.open()
        try await reader.finishSnapshot()
        #expect(reader.lines() == ["truncate public.u ", "snapshot public.u 5"])
        await reader.source.close()
    }

    @Test func aRequestReadsATableAgainAndIsRemembered() async throws {
        let database = try TestDatabase()
        try database.run(
            "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY); INSERT INTO t VALUES (1); "
                + "INSERT INTO u VALUES (5)")
        let reader = try SourceReader(database, tables: ["public.*"], snapshot: "never")
        try await reader.open()
        try await reader.catchUp()
        let request = SnapshotRequest(id: "one", tables: [TablePattern("t")])
        #expect(!reader.source.remembers(request, in: try #require(reader.checkpoint)))
        try await reader.source.requestSnapshot(request)
        repeat { try await reader.take() } while !reader.source.remembers(request, in: try #require(reader.checkpoint))
        try await reader.finishSnapshot()
        #expect(reader.lines() == ["truncate public.t ", "snapshot public.t 1"])
        try await reader.source.requestSnapshot(request)
        try await reader.finishSnapshot()
        #expect(reader.lines() == [])
        await #expect(throws: PostgresFailure.snapshotOfUnknownTable("nothing")) {
            try await reader.source.requestSnapshot(SnapshotRequest(id: "two", tables: [TablePattern("nothing")]))
        }
        await reader.source.close()
    }

    @Test(arguments: [
        "a int, b text, PRIMARY KEY (b, a)", "a uuid PRIMARY KEY DEFAULT gen_random_uuid()",
        "a numeric PRIMARY KEY, b text", "a bpchar(9), b timestamptz, PRIMARY KEY (a, b)", "a bytea PRIMARY KEY",
        "a mood, b int[], PRIMARY KEY (a, b)", "a positive PRIMARY KEY", "a pair PRIMARY KEY", "a text UNIQUE NOT NULL",
        "a citext, b int, PRIMARY KEY (a, b)", "a citext, b citext, PRIMARY KEY (b, a)",
        "a text COLLATE \"und-x-icu\" PRIMARY KEY", "a int", "a text, b jsonb", "a bit(3), b char(2)",
    ])
    func anyKeyOrNoneIsReadByChunksWithoutGapsOrRepetitions(columns: String) async throws {
        let database = try TestDatabase()
        // A server that was built without ICU has no other order of text at hand.
        let hasICU = try database.value("SELECT count(*) FROM pg_collation WHERE collname = 'und-x-icu'") != "0"
        let columns = hasICU ? columns : columns.replacing("und-x-icu", with: "C")
        let identity = columns.contains("UNIQUE") ? "USING INDEX t_a_key" : columns.contains("KEY") ? "DEFAULT" : "FULL"
        try database.run(
            """
            CREATE EXTENSION citext; CREATE TYPE mood AS ENUM ('so', '''quoted"', 'Ünder');
            CREATE DOMAIN positive AS int CHECK (value > 0); CREATE TYPE pair AS (x int, y text);
            CREATE TABLE t (\(columns)); ALTER TABLE t REPLICA IDENTITY \(identity)
            """)
        let types = try database.run(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass "
                + "AND attnum > 0 ORDER BY attnum"
        ).rows.map { ($0[0] ?? "", $0[1] ?? "") }
        let values = types.map { Self.value($0.1) }.joined(separator: ", ")
        try database.run("INSERT INTO t SELECT \(values) FROM generate_series(1, 700) i ON CONFLICT DO NOTHING")
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "initial") { $0.chunkBytes = 500 }
        try await reader.open()
        try await reader.finishSnapshot()
        await reader.source.close()
        let rows = reader.seen.filter { $0.operation == .snapshot }.map(\.after)
        let table = try database.run(
            "SET DateStyle TO ISO; SET TimeZone TO UTC; SET bytea_output TO hex; SELECT * FROM t"
        ).rows
        #expect(table.count > 8)
        #expect(rows.map { "\($0)" }.sorted() == table.map { "\($0)" }.sorted())
    }

    private static func value(_ type: String) -> String {
        switch type {
        case "uuid": "gen_random_uuid()"
        case "mood": "(ARRAY['so', '''quoted\"', 'Ünder'])[i % 3 + 1]::mood"
        case "integer[]": "ARRAY[i, NULL, -i]"
        case "pair": "ROW(i, 'a b,\"''' || i)::pair"
        case "jsonb": "jsonb_build_object('a', i, 'tab', E'x\\ty\\nz\\\\')"
        case "timestamp with time zone": "CASE WHEN i = 5 THEN 'infinity' ELSE now() + i * interval '1 s' END"
        case "bytea": "decode(lpad(to_hex(i), 6, '0'), 'hex')"
        case "numeric": "(i - 300)::numeric / 7"
        case "bit(3)": "(i % 8)::bit(3)"
        case "character(2)": "(i % 100)::text"
        case "integer", "positive": "i"
        default: "CASE WHEN i % 2 = 0 THEN 'Zeile' || i ELSE E'\\t\\\\''ä' || i END"
        }
    }

    @Test func aPartitionedTableIsReadAsItsRoot() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE t (id int PRIMARY KEY, a text) PARTITION BY RANGE (id);
            CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100);
            CREATE TABLE t2 (a text, dropped int, id int NOT NULL); ALTER TABLE t2 DROP COLUMN dropped;
            ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (100) TO (1000);
            INSERT INTO t SELECT i, 'x' FROM generate_series(1, 300) i
            """)
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "initial") { $0.chunkBytes = 300 }
        try await reader.open()
        try await reader.finishSnapshot()
        await reader.source.close()
        #expect(reader.seen.map(\.after) == (1...300).map { ["\($0)", "x"] })
        #expect(reader.seen.allSatisfy { $0.table == "public.t" })
    }

    @Test func whoMayNotReadATableIsToldTheGrant() async throws {
        let database = try TestDatabase()
        let role = "reader_\(database.name)"
        try database.run(
            "CREATE TABLE t (id int PRIMARY KEY); CREATE ROLE \(role) LOGIN REPLICATION; "
                + "CREATE PUBLICATION \(database.name) FOR TABLE t WITH (publish_via_partition_root = true)")
        defer { _ = try? database.run("DROP OWNED BY \(role); DROP ROLE \(role)") }
        let reader = try SourceReader(
            database, tables: ["public.t"], url: database.url(as: role), publication: database.name,
            snapshot: "initial")
        let failure = await #expect(throws: ConnectorFailure.self) {
            try await reader.open()
            try await reader.finishSnapshot()
        }
        await reader.source.close()
        #expect(failure?.code == "postgres.not_readable")
        #expect(failure?.hint?.contains("GRANT SELECT ON \"public\".\"t\" TO \"\(role)\";") ?? false)
    }
}
