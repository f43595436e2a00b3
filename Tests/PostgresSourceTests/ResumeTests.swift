import ByteKit
import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

@Suite(.serialized, .timeLimit(.minutes(5)))
struct ResumeTests {
    private func database() throws -> TestDatabase {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY, v text)")
        return database
    }

    private func confirmed(_ database: TestDatabase) throws -> LSN {
        let text = try database.value(
            "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '\(database.name)'")
        return try #require(text.flatMap { LSN($0) })
    }

    @Test func aClosedSourceContinuesWithoutLossOrDuplicates() async throws {
        let database = try database()
        let reader = try SourceReader(database, tables: ["public.t"])
        for round in 0..<5 {
            try await reader.open()
            try database.run("INSERT INTO t SELECT g, 'x' FROM generate_series(\(round * 20), \(round * 20 + 9)) g")
            try await reader.catchUp()
            if round % 2 == 0 { reader.acknowledge() }
            await reader.source.close()
            try database.run(
                "INSERT INTO t SELECT g, 'x' FROM generate_series(\(round * 20 + 10), \(round * 20 + 19)) g")
        }
        try await reader.open()
        try await reader.catchUp()
        #expect(reader.seen.map { $0.after[0] } == (0..<100).map { String($0) })
        #expect(Set(reader.seen.map(\.identity)).count == 100)
        await reader.source.close()
    }

    @Test func changesAfterTheCheckpointComeAgainUnderTheSameIdentities() async throws {
        let database = try database()
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        try database.run("INSERT INTO t VALUES (1, 'a')")
        try await reader.catchUp()
        let early = reader.checkpoint
        try database.run("INSERT INTO t VALUES (2, 'b'), (3, 'c')")
        try await reader.catchUp()
        let before = reader.seen
        await reader.source.close()
        reader.checkpoint = early
        reader.seen = []
        try await reader.open()
        try await reader.catchUp()
        #expect(reader.seen == Array(before.suffix(2)))
        await reader.source.close()
    }

    @Test func aHugeTransactionSpansBatchesAndResumesInItsMiddle() async throws {
        let database = try database()
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        try database.run("INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 60000) g")
        while reader.seen.count < 20000 { try await reader.take(within: .seconds(20)) }
        let middle = try #require(reader.checkpoint)
        #expect(reader.seen.count < 60000)
        let commit = try #require(reader.seen.first?.identity.commit)
        #expect(middle.resume.value <= commit)
        #expect(middle.last == reader.seen.last?.identity)
        reader.acknowledge()
        await reader.source.close()
        try await reader.open()
        try await reader.catchUp()
        #expect(reader.seen.map { $0.after[0] } == (1...60000).map { String($0) })
        #expect(reader.seen.map(\.identity.ordinal) == (0..<60000).map { UInt32($0) })
        #expect(reader.batches.allSatisfy { $0.body.count < 2 << 20 })
        #expect(reader.batches.count >= 5)
        await reader.source.close()
    }

    @Test func aFullMailboxStopsReadingAndNothingIsLost() async throws {
        let database = try database()
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        try database.run("INSERT INTO t SELECT g, repeat('x', 300) FROM generate_series(1, 200000) g")
        // The witness that the server cannot send on: it waits for us to read.
        #expect(
            try await database.waits(
                for:
                    "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'WalSenderWriteData' "
                    + "AND datname = current_database())"
            ))
        try await reader.catchUp()
        #expect(reader.seen.count == 200_000)
        await reader.source.close()
    }

    @Test func anIdleSlotAdvancesWithoutChangesOfOurTables() async throws {
        let database = try database()
        try database.run("CREATE TABLE elsewhere (id int)")
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        let start = try confirmed(database)
        try database.run("INSERT INTO elsewhere SELECT generate_series(1, 10000)")
        let written = try #require(try database.value("SELECT pg_current_wal_flush_lsn()"))
        try await reader.catchUp()
        reader.acknowledge()
        #expect(reader.seen.isEmpty)
        #expect(
            try await database.waits(
                for:
                    "(SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '\(database.name)') "
                    + ">= '\(written)'"
            ))
        #expect(try confirmed(database) > start)
        await reader.source.close()
    }

    @Test func nothingIsConfirmedBeforeItIsAcknowledged() async throws {
        let database = try database()
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        let start = try confirmed(database)
        try database.run("INSERT INTO t VALUES (1, 'a')")
        try await reader.catchUp()
        await reader.source.close()
        #expect(try confirmed(database) == start)
        try await reader.open()
        try await reader.take()
        reader.acknowledge()
        await reader.source.close()
        #expect(try confirmed(database) == LSN(try #require(reader.checkpoint).resume.value))
    }

    @Test func aTerminatedWalsenderIsARetryableFailureAndNothingIsLost() async throws {
        let database = try database()
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        try database.run("INSERT INTO t VALUES (1, 'a')")
        try await reader.catchUp()
        try database.run(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '\(database.name)'")
        let failure = await #expect(throws: ConnectorFailure.self) {
            for _ in 0..<100 { try await reader.take() }
        }
        #expect(failure?.remedy == .retry)
        #expect(failure?.code == "postgres.server_stopping")
        await reader.source.close()
        try database.run("INSERT INTO t VALUES (2, 'b')")
        try await reader.open()
        try await reader.catchUp()
        #expect(reader.lines() == ["insert public.t 1,a", "insert public.t 2,b"])
        await reader.source.close()
    }

    @Test func theTableMayBeGoneWhenItsChangesAreRead() async throws {
        let database = try database()
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        await reader.source.close()
        try database.run("INSERT INTO t VALUES (1, 'a'); ALTER TABLE t ADD w int; INSERT INTO t VALUES (2, 'b', 7)")
        try database.run("ALTER TABLE t RENAME TO u; CREATE TABLE t (id int PRIMARY KEY)")
        try await reader.open()
        try await reader.catchUp()
        #expect(reader.seen.map(\.line) == ["insert public.t 1,a", "insert public.t 2,b,7"])
        #expect(reader.seen.map(\.relation.columns.count) == [2, 3])
        await reader.source.close()
    }

    @Test func nextBatchKeepsItsDeadline() async throws {
        let database = try database()
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        let start = ContinuousClock.now
        try await reader.take(within: .milliseconds(150))
        let waited = start.duration(to: .now)
        #expect(waited >= .milliseconds(140) && waited < .seconds(60))
        #expect(reader.seen.isEmpty)
        await reader.source.close()
    }

    @Test func aCancelledTaskDoesNotWaitForTheDeadline() async throws {
        let database = try database()
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        let source = reader.source
        let waiting = Task { try await source.nextBatch(until: .now + .seconds(100)).changeCount }
        waiting.cancel()
        #expect(try await waiting.value == 0)
        await reader.source.close()
    }

    @Test func aRowOfTwentyMebibytesArrivesWhole() async throws {
        let database = try database()
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        try database.run("INSERT INTO t VALUES (1, repeat('0123456789', 2 * 1024 * 1024)), (2, 'b')")
        try await reader.catchUp()
        #expect(reader.seen.first?.after[1]?.utf8.count == 20 << 20)
        #expect(reader.seen.last?.line == "insert public.t 2,b")
        await reader.source.close()
    }

    @Test func committedWithoutWaitingForTheDiskIsCoveredByTheEndPosition() async throws {
        let database = try database()
        try database.run("SET synchronous_commit TO off")
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        for id in 0..<20 {
            try database.run("INSERT INTO t VALUES (\(id), 'a')")
            try await reader.catchUp()
            #expect(reader.seen.count == id + 1)
        }
        await reader.source.close()
    }

    @Test func theReaderForEncryptedConnectionsDeliversTheSame() async throws {
        let database = try database()
        let reader = try SourceReader(database, tables: ["public.t"], throughLibPQ: true)
        try await reader.open()
        try database.run("INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 30000) g")
        try database.run("UPDATE t SET v = repeat('y', 3000000) WHERE id = 1")
        try await reader.catchUp()
        reader.acknowledge()
        #expect(reader.seen.map(\.identity.ordinal) == (0..<30000).map { UInt32($0) } + [0])
        #expect(reader.seen.last?.after[1]?.utf8.count == 3_000_000)
        await reader.source.close()
        #expect(try confirmed(database) == LSN(try #require(reader.checkpoint).resume.value))
        try await reader.open()
        try database.run(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '\(database.name)'")
        let failure = await #expect(throws: ConnectorFailure.self) {
            for _ in 0..<100 { try await reader.take() }
        }
        #expect(failure?.remedy == .retry)
        await reader.source.close()
        try database.run("INSERT INTO t VALUES (0, 'b')")
        try await reader.open()
        try await reader.catchUp()
        #expect(reader.seen.last?.line == "insert public.t 0,b")
        await reader.source.close()
    }

    @Test func aRowThatFillsATLSRecordComesWithoutALaterOneThatPushesIt() async throws {
        let server = try PrivateServer([])
        try server.enableTLS()
        let client = try PostgresConnection(opening: server.url, for: .catalogue)
        _ = try client.execute("CREATE TABLE public.t (id int PRIMARY KEY, v text)")
        let values = SettingValues([
            "url": .text(server.url + " sslmode=require"), "tables": .list(["public.t"]), "slot": .text("s"),
            "snapshot": .text("never"),
        ])
        let source = PostgresSource(settings: try PostgresSettings(values: values, pipelineName: "tls"))
        _ = try await source.open(resumingAfter: nil, of: nil)
        let lengths = Array(stride(from: 7_900, to: 8_400, by: 7)) + Array(stride(from: 16_000, to: 16_900, by: 3))
        for length in lengths {
            _ = try client.execute("INSERT INTO public.t VALUES (\(length), repeat('x', \(length)))")
            // Long before a keepalive could push it.
            let deadline = ContinuousClock.now + .seconds(120)
            var count = 0
            while count == 0, ContinuousClock.now < deadline {
                count += try await source.nextBatch(until: deadline).changeCount
            }
            #expect(count == 1, "a row of \(length) bytes")
        }
        await source.close()
    }

    @Test func aStreamUnderTLSDeliversRowsOfEverySize() async throws {
        let server = try PrivateServer([])
        try server.enableTLS()
        let client = try PostgresConnection(opening: server.url, for: .catalogue)
        _ = try client.execute("CREATE TABLE public.t (id int PRIMARY KEY, v text)")
        let values = SettingValues([
            "url": .text(server.url + " sslmode=require"), "tables": .list(["public.t"]), "slot": .text("s"),
            "snapshot": .text("never"),
        ])
        let source = PostgresSource(settings: try PostgresSettings(values: values, pipelineName: "tls"))
        _ = try await source.open(resumingAfter: nil, of: nil)
        let encrypted = try client.execute(
            "SELECT count(*) FROM pg_stat_replication JOIN pg_stat_ssl USING (pid) WHERE ssl")
        #expect(encrypted.rows == [["1"]])
        var lengths: [Int] = []
        for (id, length) in [1, 8_000, 16_300, 16_400, 20_000, 33_000, 100_000, 5_000_000].enumerated() {
            _ = try client.execute("INSERT INTO public.t VALUES (\(id), repeat('x', \(length)))")
            // Each row must come by itself, without a later one that pushes it.
            let deadline = ContinuousClock.now + .seconds(120)
            while lengths.count <= id, ContinuousClock.now < deadline {
                lengths += try await source.nextBatch(until: deadline).seen.map { $0.after[1]?.utf8.count ?? -1 }
            }
            #expect(lengths.last == length)
        }
        _ = try client.execute("INSERT INTO public.t SELECT g, 'y' FROM generate_series(100, 50099) g")
        var count = 0
        while count < 50_000 { count += try await source.nextBatch(until: .now + .seconds(20)).changeCount }
        #expect(count == 50_000)
        await source.close()
    }
}
