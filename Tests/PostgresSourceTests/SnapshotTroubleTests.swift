import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

/// What happens to tables while they are read.
struct SnapshotTroubleTests {
    @Test func aKeyThatGetsAnotherOrderIsReadFromItsBeginning() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE FUNCTION reversed(int, int) RETURNS int LANGUAGE sql IMMUTABLE
                AS 'SELECT pg_catalog.btint4cmp($2, $1)';
            CREATE OPERATOR CLASS reversed FOR TYPE int USING btree AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =,
                OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 reversed(int, int);
            CREATE TABLE t (id int NOT NULL);
            CREATE UNIQUE INDEX up ON t (id); CREATE UNIQUE INDEX down ON t (id reversed);
            ALTER TABLE t REPLICA IDENTITY USING INDEX up; INSERT INTO t SELECT generate_series(1, 800)
            """)
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "initial") { $0.chunkBytes = 300 }
        try await reader.open()
        while reader.seen.count < 200 { try await reader.take() }
        await reader.source.close()
        try database.run("ALTER TABLE t REPLICA IDENTITY USING INDEX down")
        try await reader.open()
        try await reader.finishSnapshot()
        await reader.source.close()
        let told = Set(reader.seen.filter { $0.operation == .snapshot }.compactMap { $0.after.first ?? nil })
        #expect(told.count == 800)
    }

    @Test func aTableThatGoesWithChunksOnTheirWayDoesNotStopTheOthers() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE x (id int PRIMARY KEY, a text); CREATE TABLE y (id int PRIMARY KEY);
            INSERT INTO x SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i;
            INSERT INTO y SELECT i FROM generate_series(1, 3000) i
            """)
        let reader = try SourceReader(database, tables: ["public.*"], snapshot: "initial") {
            $0.chunkBytes = 10_000
            $0.partBytes = 100_000
            $0.watchInterval = .milliseconds(50)
        }
        try await reader.open()
        // Nobody takes batches, so the stream stands still, and the workers go on until they may have no more chunks.
        let idle = """
            (SELECT count(*) >= 2 FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'
                AND query LIKE '%millrace.snapshot%high%')
            """
        #expect(try await database.waits(for: idle))
        try database.run("DROP TABLE x")
        try await reader.finishSnapshot()
        await reader.source.close()
        let told = reader.seen.filter { $0.table == "public.y" && $0.operation == .snapshot }
        #expect(told.map(\.after) == (1...3000).map { ["\($0)"] })
    }

    @Test func aLaterTableThatMayNotBeReadIsPutOffAndTheOthersGoOn() async throws {
        let database = try TestDatabase()
        let role = "reader_\(database.name)"
        try database.run(
            "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE ROLE \(role) LOGIN REPLICATION; "
                + "GRANT SELECT ON t TO \(role); "
                + "CREATE PUBLICATION \(database.name) FOR ALL TABLES WITH (publish_via_partition_root = true)")
        defer { _ = try? database.run("DROP OWNED BY \(role); DROP ROLE \(role)") }
        let reader = try SourceReader(
            database, tables: ["public.*"], url: database.url(as: role), publication: database.name,
            snapshot: "initial"
        ) { $0.watchInterval = .milliseconds(50) }
        try await reader.open()
        try await reader.finishSnapshot()
        await reader.source.close()
        try await reader.open()
        try database.run("CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (5)")
        let deadline = ContinuousClock.now + .seconds(60)
        while !reader.notices.all.contains(where: { $0.hasPrefix("the rows of public.u are NOT read for now") }) {
            try #require(ContinuousClock.now < deadline, "\(reader.notices.all)")
            try await reader.take()
        }
        try database.run("INSERT INTO t VALUES (2)")
        while reader.seen.last?.line != "insert public.t 2" {
            try #require(ContinuousClock.now < deadline, "capture does not go on")
            try await reader.take()
        }
        await reader.source.close()
        try database.run("GRANT SELECT ON u TO \(role)")
        try await reader.open()
        try await reader.finishSnapshot()
        #expect(reader.seen.contains { $0.line == "snapshot public.u 5" })
        await reader.source.close()
    }

    /// What consumers have of each table by its name, from rows with one column.
    private func folded(_ reader: SourceReader) -> [String: Set<String>] {
        reader.seen.reduce(into: [:]) { tables, change in
            if change.operation == .truncate { tables[change.table] = [] }
            if let value = change.after.first ?? nil { tables[change.table, default: []].insert(value) }
        }
    }

    @Test(arguments: ["while it runs", "while it is stopped"])
    func tablesThatSwapNamesAreReadUnderTheirNewOnes(moment: String) async throws {
        let database = try TestDatabase()
        try database.run(
            "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1), (2); "
                + "CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (3)")
        let reader = try SourceReader(database, tables: ["public.*"], snapshot: "initial") {
            $0.watchInterval = .milliseconds(50)
        }
        try await reader.open()
        try await reader.finishSnapshot()
        if moment == "while it is stopped" { await reader.source.close() }
        try database.run(
            "BEGIN; ALTER TABLE a RENAME TO c; ALTER TABLE b RENAME TO a; ALTER TABLE c RENAME TO b; "
                + "INSERT INTO a VALUES (4); INSERT INTO b VALUES (5); COMMIT")
        if moment == "while it is stopped" { try await reader.open() }
        let deadline = ContinuousClock.now + .seconds(60)
        while folded(reader) != ["public.a": ["3", "4"], "public.b": ["1", "2", "5"]] {
            try #require(ContinuousClock.now < deadline, "\(folded(reader))")
            try await reader.take()
        }
        await reader.source.close()
    }

    @Test func aTableThatIsMadeAgainBeginsWithATruncate() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1), (2)")
        let reader = try SourceReader(database, tables: ["public.a"], snapshot: "initial")
        try await reader.open()
        try await reader.finishSnapshot()
        await reader.source.close()
        try database.run("DROP TABLE a; CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (2), (7)")
        try await reader.open()
        try await reader.finishSnapshot()
        #expect(folded(reader) == ["public.a": ["2", "7"]])
        await reader.source.close()
    }

    @Test func onlyANamedParentIsPublishedAndNotWhatInheritsFromIt() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1);
            CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (2)
            """)
        let reader = try SourceReader(database, tables: ["public.parent"], snapshot: "initial")
        try await reader.open()
        try await reader.finishSnapshot()
        // Published without a key of its own, these would fail.
        try database.run("UPDATE child SET id = 3; UPDATE ONLY parent SET id = 4; DELETE FROM parent WHERE id = 3")
        try await reader.catchUp()
        #expect(reader.lines() == ["snapshot public.parent 1", "update public.parent 1 -> 4"])
        await reader.source.close()
    }

    @Test func theFixForAPartitionWithoutAnIdentityNamesThePartition() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE r (id int, kind int) PARTITION BY LIST (kind); ALTER TABLE r REPLICA IDENTITY FULL;
            CREATE TABLE r1 PARTITION OF r FOR VALUES IN (1);
            CREATE TABLE n (id int PRIMARY KEY); ALTER TABLE n REPLICA IDENTITY NOTHING
            """)
        let reader = try SourceReader(database, tables: ["public.r", "public.n"])
        let failure = await #expect(throws: ConnectorFailure.self) { try await reader.open() }
        await reader.source.close()
        let hint = try #require(failure?.hint)
        #expect(hint.contains("ALTER TABLE \"public\".\"r1\" REPLICA IDENTITY FULL;"))
        #expect(hint.contains("ALTER TABLE \"public\".\"n\" REPLICA IDENTITY DEFAULT;"))
        #expect(!hint.contains("\"r\""))
    }
}

/// What the coordinator decides, without a server.
struct SnapshotCoordinatorTests {
    private func coordinator(owing count: Int = 0) throws -> SnapshotCoordinator {
        let owed = (0..<count).map { [0, 0, 0, 1, UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
        let part = SnapshotNotes.Part(isDone: count > 0)
        let reading = SnapshotNotes.Reading(key: "id integer", parts: [part], owed: owed)
        var notes = SnapshotNotes()
        notes.tables[7] = .init(name: "public.t", stage: .reading(reading))
        let coordinator = SnapshotCoordinator(
            notes: notes, chunkBytes: 1000, workers: [try #require(WakeUp())], streamWakeUp: try #require(WakeUp()),
            notice: { _ in })
        coordinator.tracks(epoch: 1)
        return coordinator
    }

    private func nextChunk(_ coordinator: SnapshotCoordinator) throws -> (SnapshotChunk, [[UInt8]]) {
        guard case .read(let chunk, _, _, let keys, _) = try #require(coordinator.next()) else {
            throw ConnectorFailure("test", .stop, "no chunk")
        }
        return (chunk, keys)
    }

    @Test func aChunkIsEitherToldOrGivenUp() throws {
        let coordinator = try coordinator()
        let (first, _) = try nextChunk(coordinator)
        coordinator.release(first, mayRetryAfter: .zero)
        #expect(!coordinator.claim(first), "its rows are read again")
        let (second, _) = try nextChunk(coordinator)
        #expect(coordinator.claim(second))
        coordinator.release(second, mayRetryAfter: .zero)
        if coordinator.next() != nil { Issue.record("its rows are being told") }
        second.reachesEnd = true
        coordinator.finish(second, rowCount: 0)
        #expect(coordinator.progress == nil)
    }

    @Test func chunksLookLaterWhereOthersWereCommitting() throws {
        let coordinator = try coordinator()
        #expect(coordinator.settling == .zero)
        for _ in 0..<3 {
            let (chunk, _) = try nextChunk(coordinator)
            coordinator.release(chunk, wasTooOld: true)
        }
        #expect(coordinator.settling == .milliseconds(20))
        for _ in 0..<200 {
            let (chunk, _) = try nextChunk(coordinator)
            coordinator.finish(chunk, rowCount: 1)
        }
        #expect(coordinator.settling == .zero)
    }

    @Test func fewerLargeRowsAreReadByTheirKeysAtOnce() throws {
        let coordinator = try coordinator(owing: 600)
        let (first, keys) = try nextChunk(coordinator)
        #expect(keys.count == 256)
        coordinator.shortenKeys(of: 7)
        coordinator.release(first, mayRetryAfter: .zero)
        let (second, fewer) = try nextChunk(coordinator)
        #expect(fewer == Array(keys.prefix(128)))
        coordinator.finish(second, rowCount: 128)
        #expect(try nextChunk(coordinator).1.count == 256)
    }

    @Test func whatWasSeenOnceIsForgottenAlsoBetweenChunks() throws {
        let coordinator = try coordinator()
        #expect(coordinator.knownSnapshots() == nil)
        let (first, _) = try nextChunk(coordinator)
        let seen = try #require(ServerSnapshot("5:9:6"))
        coordinator.saw(seen, first)
        coordinator.finish(first, rowCount: 1)
        #expect(coordinator.knownSnapshots() == [seen])
        // It has not looked yet, but it will see what the one before it saw.
        _ = try nextChunk(coordinator)
        #expect(coordinator.knownSnapshots() == [seen, seen])
    }
}
