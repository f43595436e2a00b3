import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

/// Tables whose events have another key from some point on, and consumers that keep rows by nothing but that key.
struct KeyChangeTests {
    private static let table = """
        CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL UNIQUE, n int NOT NULL DEFAULT 0, big text);
        ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
        INSERT INTO t SELECT i, 'c' || i, 0, repeat('b', 2500) FROM generate_series(1, 200) i;
        """
    private static let otherKey = "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (code)"

    private func expect(_ fold: KeyFold, equals database: TestDatabase, key: [String], _ comment: Comment? = nil) throws
    {
        let columns = try database.run(
            "SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped "
                + "ORDER BY attnum"
        ).rows.map { $0[0] ?? "" }
        let rows = try database.run("SELECT * FROM t").rows
        let table = Dictionary(rows.map { (KeyFold.key($0, columns, key), $0) }) { $1 }
        #expect(table.count == rows.count)
        let wrong = Set(table.keys).union(fold.rows.keys).filter { table[$0] != fold.rows[$0] }.sorted()
        #expect(Array(wrong.prefix(3)) == [], comment)
    }

    @Test func aTableThatGetsAnotherKeyUnderTrafficIsEmptiedOnceAndToldAnew() async throws {
        let database = try TestDatabase()
        try database.run(Self.table)
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "initial") { $0.chunkBytes = 20_000 }
        try await reader.open()
        try await reader.finishSnapshot()
        try database.run("UPDATE t SET n = 1 WHERE id < 50; \(Self.otherKey); UPDATE t SET n = 2 WHERE id < 20")
        var round = 0
        repeat {
            round += 1
            try database.run(
                """
                UPDATE t SET n = n + 1 WHERE id % 7 = \(round % 7); UPDATE t SET code = code || 'x' WHERE id = \(round);
                DELETE FROM t WHERE id = \(100 + round); INSERT INTO t VALUES (\(1000 + round), 'new\(round)')
                """)
            try await reader.take()
        } while round < 10 || reader.checkpoint.map { !reader.source.isComplete($0) } ?? true
        try await reader.catchUp()
        await reader.source.close()
        try expect(KeyFold(reader.seen), equals: database, key: ["code"])
        #expect(reader.seen.filter { $0.operation == .truncate }.count == 1)
        let lines = reader.notices.all.filter { $0.contains("the key of public.t") }
        #expect(lines.count == 1 && lines.first?.contains("is code now, and was id") ?? false, "\(lines)")
    }

    @Test(arguments: [
        ("", "ALTER TABLE t RENAME id TO number", "number"),
        ("", "ALTER TABLE t REPLICA IDENTITY USING INDEX t_code_key", "code"),
        ("ALTER TABLE t REPLICA IDENTITY FULL", Self.otherKey, "code"),
        ("ALTER TABLE t REPLICA IDENTITY FULL", "ALTER TABLE t RENAME id TO number", "number"),
        ("ALTER TABLE t REPLICA IDENTITY FULL", "ALTER TABLE t DROP CONSTRAINT t_pkey", ""),
        (
            "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t REPLICA IDENTITY FULL",
            "ALTER TABLE t ADD PRIMARY KEY (id); ALTER TABLE t REPLICA IDENTITY DEFAULT", "id"
        ),
        ("", "ALTER TABLE t ALTER id TYPE numeric(9,2)", "id"),
        (
            "",
            "ALTER TABLE t DROP CONSTRAINT t_pkey; INSERT INTO t VALUES (900, 'between'); "
                + "ALTER TABLE t ADD PRIMARY KEY (id)", "id"
        ),
    ])
    func whateverChangesTheKeyOfTheEventsHasTheTableToldAnew(before: String, change: String, key: String) async throws {
        let database = try TestDatabase()
        try database.run(Self.table + before)
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "initial")
        try await reader.open()
        try await reader.finishSnapshot()
        let truncates = reader.seen.filter { $0.operation == .truncate }.count
        try database.run("UPDATE t SET n = 1 WHERE code = 'c7'")
        try await reader.catchUp()
        // Nothing runs while it changes.
        await reader.source.close()
        try database.run("\(change); UPDATE t SET n = 2 WHERE code < 'c3'; DELETE FROM t WHERE code = 'c9'")
        try await reader.open()
        try await reader.catchUp()
        try await reader.finishSnapshot()
        await reader.source.close()
        try expect(
            KeyFold(reader.seen), equals: database, key: key.isEmpty ? [] : [key], "\(reader.notices.all)")
        #expect(reader.seen.filter { $0.operation == .truncate }.count > truncates)
        #expect(reader.notices.all.contains { $0.contains("the key of public.t") })
    }

    @Test(arguments: [
        "ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET n = 2; ALTER TABLE t REPLICA IDENTITY DEFAULT",
        "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (id)",
        "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id) INCLUDE (code); UPDATE t SET n = 2; "
            + "ALTER TABLE t REPLICA IDENTITY FULL",
        "ALTER TABLE t ALTER id TYPE bigint", "ALTER TABLE t RENAME code TO name", "ALTER TABLE t ADD extra text",
        "CREATE UNIQUE INDEX other ON t (n, id)", "\(Self.otherKey); TRUNCATE t; INSERT INTO t VALUES (1, 'only')",
        "ALTER TABLE t RENAME TO u; CREATE TABLE t (LIKE u INCLUDING ALL)",
    ])
    func whatLeavesTheKeyOfTheEventsAloneReadsNothingAgain(change: String) async throws {
        let database = try TestDatabase()
        try database.run(Self.table)
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "initial")
        try await reader.open()
        try await reader.finishSnapshot()
        try database.run("UPDATE t SET n = 1 WHERE id = 1")
        try await reader.catchUp()
        await reader.source.close()
        reader.seen = []
        try database.run("\(change); UPDATE t SET n = 3")
        for _ in 0..<2 {
            try await reader.open()
            try await reader.finishSnapshot()
            try database.run("UPDATE t SET n = 4")
            try await reader.catchUp()
            await reader.source.close()
        }
        #expect(!reader.notices.all.contains { $0.contains("the key of") }, "\(reader.notices.all)")
        let isNew = change.contains("CREATE TABLE")
        #expect(isNew || !reader.seen.contains { $0.operation == .snapshot })
        #expect(
            reader.seen.filter { $0.operation == .truncate }.count == (change.contains("TRUNCATE") || isNew ? 1 : 0))
    }

    @Test func partitionsComeAndGoUnderTheKeyOfTheirRoot() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE t (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
            CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100);
            CREATE TABLE t2 (n int, id int NOT NULL UNIQUE, PRIMARY KEY (id)); INSERT INTO t VALUES (1, 1)
            """)
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "initial")
        try await reader.open()
        try await reader.finishSnapshot()
        try database.run(
            """
            UPDATE t SET n = 2; ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (100) TO (200);
            ALTER TABLE t1 REPLICA IDENTITY FULL; UPDATE t SET n = 3; INSERT INTO t VALUES (150, 1);
            ALTER TABLE t2 REPLICA IDENTITY USING INDEX t2_pkey; UPDATE t SET n = 4; ALTER TABLE t DETACH PARTITION t1;
            UPDATE t SET n = 5
            """)
        try await reader.finishSnapshot()
        await reader.source.close()
        #expect(!reader.notices.all.contains { $0.contains("the key of") }, "\(reader.notices.all)")
        #expect(reader.seen.filter { $0.operation == .snapshot || $0.operation == .truncate }.count == 1)
    }

    /// A reader that reads no rows unasked, of a table whose key became another one between two changes.
    private func readerThatMetAnotherKey(_ database: TestDatabase) async throws -> SourceReader {
        try database.run(Self.table)
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "never")
        try await reader.open()
        try database.run("UPDATE t SET n = 1")
        try await reader.catchUp()
        try database.run("\(Self.otherKey); UPDATE t SET n = 2 WHERE id < 20")
        try await reader.catchUp()
        return reader
    }

    @Test func whereNothingIsReadUnaskedTheRequestEmptiesTheTableFirst() async throws {
        let database = try TestDatabase()
        let reader = try await readerThatMetAnotherKey(database)
        let lines = reader.notices.all.filter { $0.contains("the key of") }
        #expect(lines.count == 1 && lines.first?.contains("`millrace snapshot public.t`") ?? false, "\(lines)")
        #expect(!reader.seen.contains { $0.operation == .truncate || $0.operation == .snapshot })
        // It is remembered over a stop.
        await reader.source.close()
        try await reader.open()
        try await reader.finishSnapshot()
        #expect(!reader.seen.contains { $0.operation == .truncate })
        try await ask("one", reader)
        try expect(KeyFold(reader.seen), equals: database, key: ["code"])
        #expect(reader.seen.filter { $0.operation == .truncate }.count == 1)
        // The key changes while no row does.
        try database.run("ALTER TABLE t REPLICA IDENTITY USING INDEX t_code_key; ALTER TABLE t RENAME code TO name")
        try await ask("two", reader)
        try expect(KeyFold(reader.seen), equals: database, key: ["name"])
        #expect(reader.seen.filter { $0.operation == .truncate }.count == 2)
        await reader.source.close()
    }

    @Test func aTableWithTwoKindsOfKeysIsReadAnewOnceRowsAreReadUnasked() async throws {
        let database = try TestDatabase()
        let reader = try await readerThatMetAnotherKey(database)
        await reader.source.close()
        #expect(!reader.seen.contains { $0.operation == .truncate })
        let later = try SourceReader(database, tables: ["public.t"], snapshot: "initial")
        (later.checkpoint, later.seen) = (reader.checkpoint, reader.seen)
        for _ in 0..<2 {
            try await later.open()
            try await later.finishSnapshot()
            await later.source.close()
            try expect(KeyFold(later.seen), equals: database, key: ["code"])
            #expect(later.seen.filter { $0.operation == .truncate }.count == 1)
        }
        #expect(later.notices.all.filter { $0.contains("under several keys") }.count == 1)
    }

    @Test(arguments: [
        // A checkpoint of a version that remembered no keys, or a table that was not captured meanwhile.
        "SELECT", "DELETE FROM t WHERE id < 30", "TRUNCATE t; INSERT INTO t VALUES (1, 'only')",
        "\(Self.otherKey); UPDATE t SET n = 2", "DROP TABLE t; \(Self.table) \(Self.otherKey)",
    ])
    func aRequestMendsWhateverConsumersMissed(_ missed: String) async throws {
        let database = try TestDatabase()
        try database.run(Self.table)
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "never")
        try await reader.open()
        try database.run("UPDATE t SET n = 1")
        try await reader.catchUp()
        let told = reader.seen
        // Set aside and discarded, say.
        try database.run(missed)
        try await reader.catchUp()
        await reader.source.close()
        try await reader.open()
        reader.seen = told
        try await ask("one", reader)
        await reader.source.close()
        let isOther = missed.contains("PRIMARY KEY (code)")
        try expect(KeyFold(reader.seen), equals: database, key: [isOther ? "code" : "id"])
    }

    private func ask(_ id: String, _ reader: SourceReader) async throws {
        let request = SnapshotRequest(id: id, tables: [TablePattern("t")])
        try await reader.source.requestSnapshot(request)
        repeat { try await reader.take() } while !reader.source.remembers(request, in: try #require(reader.checkpoint))
        try await reader.finishSnapshot()
    }

    @Test func aSnapshotInTheMiddleOfWhichTheKeyChangesBeginsAnewWithAnEmptyTable() async throws {
        let database = try TestDatabase()
        try database.run(Self.table)
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "initial") {
            ($0.chunkBytes, $0.snapshotConnections) = (5000, 1)
        }
        try await reader.open()
        while reader.seen.count < 10 { try await reader.take() }
        try database.run(Self.otherKey)
        try await reader.finishSnapshot()
        await reader.source.close()
        try expect(KeyFold(reader.seen), equals: database, key: ["code"])
        #expect(reader.seen.filter { $0.operation == .truncate }.count == 1)
    }

    @Test func aTableWhoseEventsDoNotHaveItsKeyIsLeftAlone() async throws {
        let database = try TestDatabase()
        try database.run(Self.table)
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "initial", watchesKeys: false)
        try await reader.open()
        try await reader.finishSnapshot()
        try database.run("UPDATE t SET n = 1; \(Self.otherKey); UPDATE t SET n = 2")
        try await reader.finishSnapshot()
        await reader.source.close()
        #expect(!reader.seen.contains { $0.operation == .truncate })
        #expect(reader.seen.filter { $0.operation == .snapshot }.count == 200)
        #expect(!reader.notices.all.contains { $0.contains("the key of") })
    }

    @Test func whatIsSetAsideIsNotReadUntilItIsReleased() async throws {
        let database = try TestDatabase()
        try database.run(Self.table)
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "initial")
        try await reader.open()
        try await reader.finishSnapshot()
        reader.source.setAside(["public.t"])
        try database.run("\(Self.otherKey); UPDATE t SET n = 2 WHERE id < 20")
        try await reader.finishSnapshot()
        #expect(!reader.seen.contains { $0.operation == .truncate })
        await reader.source.close()
        try await reader.open()
        try await reader.finishSnapshot()
        await reader.source.close()
        try expect(KeyFold(reader.seen), equals: database, key: ["code"])
        #expect(reader.notices.all.filter { $0.contains("the key of") }.count == 1)
    }
}
