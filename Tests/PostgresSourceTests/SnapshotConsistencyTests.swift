import ChangeModel
import ConnectorKit
import ConnectorTesting
import Testing

@testable import PostgresSource

/// Snapshots while rows change: in the end the events tell the table, and no event tells a row older than one before it
/// did.
@Suite(.serialized)
struct SnapshotConsistencyTests {
    @Test(arguments: 0..<3) func aSnapshotUnderRandomChangesWithRestartsTellsTheTable(round: Int) async throws {
        try await Self.tell(round, try TestDatabase())
    }

    /// Reads a table again and again while it changes and the source is opened anew. Rows are read where
    /// `snapshot_url` says, if it says so.
    static func tell(_ round: Int, _ database: TestDatabase, values: [String: SettingValue] = [:]) async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let identity = round == 1 ? "FULL" : "DEFAULT"
        try database.run(
            SnapshotScribe.table + "ALTER TABLE t REPLICA IDENTITY \(identity);"
                + "INSERT INTO t SELECT i, nextval('versions'), 'old', CASE WHEN i % 3 = 0 THEN repeat('o', 2700) END "
                + "FROM generate_series(0, 1999, 2) i")
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "initial", values: values) {
            $0.chunkBytes = 6000
            $0.partBytes = 40_000
            $0.snapshotConnections = 3
        }
        reader.keepsBatches = false
        let scribes = try (0..<3).map { number in
            try SnapshotScribe(
                database, remainder: number, of: 3, keys: 2000, hasTruncate: round == 2, seed: random.next())
        }
        var history = RowHistory()
        func take() async throws {
            for scribe in scribes { scribe.allow(6) }
            try await reader.take()
            for change in reader.seen { history.apply(change) }
            reader.seen = []
        }
        for turn in 0..<12 {
            try await reader.open()
            if turn % 4 == 3 {
                let request = SnapshotRequest(id: "\(turn)", tables: [TablePattern("public.t")])
                try await reader.source.requestSnapshot(request)
            }
            for _ in 0..<Int.random(in: 1...60, using: &random) {
                try await take()
            }
            await reader.source.close()
        }
        try await reader.open()
        let deadline = ContinuousClock.now + .seconds(120)
        while !reader.source.isComplete(try #require(reader.checkpoint)) {
            let notices = reader.notices.all.suffix(9)
            try #require(ContinuousClock.now < deadline, "the snapshot does not end (seed \(seed)) \(notices)")
            try await take()
        }
        for scribe in scribes {
            #expect(scribe.stop() == nil)
            #expect(scribe.count > 0)
        }
        try await reader.catchUp()
        for change in reader.seen { history.apply(change) }
        await reader.source.close()
        #expect(history.contradictions.prefix(5) == [], "seed \(seed)")
        #expect(history.snapshotCount > 0)
        let table = try database.run("SELECT * FROM t").rows
        #expect(history.differences(from: table) == [], "seed \(seed)")
    }

    @Test func aTransactionThatIsStreamedBeforeOthersSeeItIsNeverUndoneByASnapshot() async throws {
        let server = try PrivateServer([])
        let admin = try PostgresConnection(opening: server.url, for: .catalogue)
        _ = try admin.execute(
            "SET search_path TO public; CREATE TABLE t (id int PRIMARY KEY, v int); "
                + "INSERT INTO t VALUES (1, 1), (2, 1)")
        var settings = try PostgresSettings(
            values: SettingValues([
                "url": .text(server.url), "tables": .list(["public.t"]), "snapshot": .text("never"),
            ]),
            pipelineName: "standby")
        settings.watchInterval = .seconds(3600)
        let notices = SourceReader.Notices()
        let source = PostgresSource(settings: settings) { notices.add($0) }
        _ = try await source.open(resumingAfter: nil, of: nil)
        _ = try admin.execute("ALTER SYSTEM SET synchronous_standby_names TO 'missing'")
        _ = try admin.execute("SELECT pg_reload_conf()")
        let writer = try PostgresConnection(opening: server.url, for: .catalogue)
        repeat {
            _ = try writer.execute("SET synchronous_commit TO local")
        } while try writer.execute("SHOW synchronous_standby_names").rows != [["missing"]]
        // The commit is in the WAL and waits for the standby that never comes: nobody else sees it.
        _ = try writer.execute("SET synchronous_commit TO on")
        try writer.sendQuery("UPDATE public.t SET v = 2 WHERE id = 1")
        var history = RowHistory()
        func take() async throws {
            for change in try await source.nextBatch(until: .now + .milliseconds(100)).seen { history.apply(change) }
        }
        let deadline = ContinuousClock.now + .seconds(60)
        while history.rows["1"] == nil, ContinuousClock.now < deadline { try await take() }
        #expect(history.rows["1"] == ["1", "2"])
        #expect(try admin.execute("SELECT v FROM public.t WHERE id = 1").rows == [["1"]])
        try await source.requestSnapshot(SnapshotRequest(id: "r", tables: [TablePattern("public.t")]))
        while !notices.all.contains(where: { $0.contains("snapshot of public.t waits") }) {
            try #require(ContinuousClock.now < deadline, "it does not say that it waits")
            try await take()
        }
        #expect(history.snapshotCount == 0)
        _ = try admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
        _ = try admin.execute("SELECT pg_reload_conf()")
        while history.snapshotCount < 2 {
            try #require(ContinuousClock.now < deadline, "the snapshot does not end")
            try await take()
        }
        await source.close()
        #expect(history.contradictions == [])
        #expect(history.rows == ["1": ["1", "2"], "2": ["2", "1"]])
    }

    @Test func aTableWithoutAKeyIsToldAtOnePlace() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE t (id int, v int, note text); ALTER TABLE t REPLICA IDENTITY FULL;
            INSERT INTO t SELECT i % 500, 0, repeat('x', 300) FROM generate_series(1, 9000) i
            """)
        let reader = try SourceReader(database, tables: ["public.t"], snapshot: "initial")
        let writer = try database.session()
        let isOver = Flag()
        startThread(name: "writer") {
            var number = 0
            while !isOver.isUp {
                number += 1
                _ = try? writer.execute(
                    """
                    BEGIN; UPDATE public.t SET v = v + 1 WHERE id = \(number % 500);
                    INSERT INTO public.t VALUES (\(number % 7), 5, NULL);
                    DELETE FROM public.t WHERE id = \(number % 9); COMMIT
                    """)
            }
            isOver.lower()
        }
        try await reader.open()
        var counts: [[String?]: Int] = [:]
        func play() {
            for change in reader.seen {
                if change.operation == .truncate { counts = [:] }
                if change.beforeImage == .full { counts[change.before, default: 0] -= 1 }
                if !change.after.isEmpty { counts[change.after, default: 0] += 1 }
            }
            reader.seen = []
        }
        for _ in 0..<3 {
            for _ in 0..<20 { try await reader.take() }
            play()
            await reader.source.close()
            try await reader.open()
        }
        try await reader.finishSnapshot()
        try await reader.source.requestSnapshot(SnapshotRequest(id: "again", tables: [TablePattern("t")]))
        for _ in 0..<20 { try await reader.take() }
        isOver.raise()
        while isOver.isUp { await Task.yield() }
        try await reader.finishSnapshot()
        play()
        await reader.source.close()
        var table: [[String?]: Int] = [:]
        for row in try database.run("SELECT * FROM t").rows { table[row, default: 0] += 1 }
        #expect(counts.filter { $0.value != 0 } == table)
    }
}
