import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

@Suite(.serialized, .timeLimit(.minutes(5)))
struct RefusalTests {
    private func refusal(_ reader: SourceReader) async -> ConnectorFailure? {
        defer { Task { [source = reader.source] in await source.close() } }
        do throws(ConnectorFailure) {
            _ = try await reader.source.open(resumingAfter: reader.checkpoint, of: nil)
            return nil
        } catch {
            return error
        }
    }

    @Test func aTableWithoutReplicaIdentityIsRefusedBeforeItIsPublished() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE \"No Key\" (v text)")
        let failure = await refusal(try SourceReader(database, tables: ["public.*"]))
        #expect(failure?.code == "postgres.no_replica_identity")
        #expect(failure?.remedy == .stop)
        #expect(failure?.hint?.contains("ALTER TABLE \"public\".\"No Key\" REPLICA IDENTITY FULL;") == true)
        #expect(try database.value("SELECT count(*) FROM pg_publication") == "0")
        #expect(
            try database.value("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == "0")
    }

    @Test func aPartitionWithoutReplicaIdentityIsRefused() async throws {
        let database = try TestDatabase()
        try database.run(
            "CREATE TABLE t (id int) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (9)"
        )
        let failure = await refusal(try SourceReader(database, tables: ["public.t"]))
        #expect(failure?.code == "postgres.no_replica_identity")
    }

    @Test func aTableThatDoesNotExistIsNamed() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE orders (id int PRIMARY KEY)")
        let failure = await refusal(try SourceReader(database, tables: ["public.orders", "public.Orders"]))
        #expect(failure?.code == "postgres.table_missing")
        #expect(failure?.message.contains("public.Orders") == true)
        #expect(failure?.exitCode == 2)
        let nothing = await refusal(try SourceReader(database, tables: ["nowhere.*"]))
        #expect(nothing?.code == "postgres.no_tables")
    }

    @Test func aViewOrAnUnloggedTableCannotBeNamed() async throws {
        let database = try TestDatabase()
        try database.run(
            "CREATE TABLE t (id int PRIMARY KEY); CREATE VIEW v AS SELECT * FROM t; "
                + "CREATE UNLOGGED TABLE u (id int PRIMARY KEY)"
        )
        #expect(await refusal(try SourceReader(database, tables: ["public.v"]))?.code == "postgres.table_unsupported")
        #expect(await refusal(try SourceReader(database, tables: ["public.u"]))?.code == "postgres.table_unsupported")
        #expect(await refusal(try SourceReader(database, tables: ["public.*"])) == nil)
    }

    @Test func aRoleWithoutReplicationIsRefused() async throws {
        let database = try TestDatabase()
        let role = database.name + "_role"
        try database.run("CREATE ROLE \(role) LOGIN; CREATE TABLE t (id int PRIMARY KEY)")
        defer { _ = try? database.run("DROP OWNED BY \(role); DROP ROLE \(role)") }
        let reader = try SourceReader(database, tables: ["public.t"], url: database.url(as: role))
        let failure = await refusal(reader)
        #expect(failure?.code == "postgres.no_replication_privilege")
        #expect(failure?.hint?.hasPrefix("ALTER ROLE \"\(role)\" REPLICATION;") == true)
        try database.run("ALTER ROLE \(role) REPLICATION")
        let owner = await refusal(reader)
        #expect(owner?.code == "postgres.privilege")
        #expect(owner?.remedy == .stop)
    }

    @Test func aMissingDatabaseAndAMissingServerAreToldApart() async throws {
        let database = try TestDatabase()
        let wrongName = database.url.replacing("dbname=\(database.name)", with: "dbname=millrace_not_there")
        let missing = await refusal(try SourceReader(database, tables: ["public.t"], url: wrongName))
        #expect(missing?.code == "postgres.database_missing")
        #expect(missing?.remedy == .stop)
        let nobody = await refusal(
            try SourceReader(database, tables: ["public.t"], url: "host=127.0.0.1 port=1 dbname=x password=secret"))
        #expect(nobody?.code == "postgres.connection_failed")
        #expect(nobody?.remedy == .retry)
        #expect(nobody?.message.contains("refused") == true)
        #expect(nobody?.message.contains("secret") == false)
        let stranger = await refusal(
            try SourceReader(database, tables: ["public.t"], url: database.url(as: "millrace_nobody")))
        #expect(stranger?.code == "postgres.authentication")
    }

    @Test func aSlotInUseIsNamedWithItsProcessAndRetried() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY)")
        let first = try SourceReader(database, tables: ["public.t"])
        try await first.open()
        let failure = await refusal(try SourceReader(database, tables: ["public.t"]))
        #expect(failure?.code == "postgres.slot_active")
        #expect(failure?.remedy == .retry)
        let process = try #require(
            try database.value("SELECT active_pid FROM pg_replication_slots WHERE slot_name = '\(database.name)'"))
        #expect(failure?.message.contains(process) == true)
        await first.source.close()
    }

    @Test func anotherDatabaseIsRefusedBeforeAnythingIsMadeThere() async throws {
        let database = try TestDatabase()
        let other = try TestDatabase()
        for one in [database, other] { try one.run("CREATE TABLE t (id int PRIMARY KEY)") }
        let reader = try SourceReader(database, tables: ["public.t"])
        let identity = try await reader.open()
        try await reader.catchUp()
        await reader.source.close()
        // The same names elsewhere, and the same database with another slot.
        let sources = [
            try SourceReader(other, tables: ["public.t"], slot: other.name, publication: "p"),
            try SourceReader(database, tables: ["public.t"], slot: database.name + "_2", publication: "p"),
        ]
        for stranger in sources {
            for checkpoint in [nil, reader.checkpoint] {
                let failure = await #expect(throws: ConnectorFailure.self) {
                    try await stranger.source.open(resumingAfter: checkpoint, of: identity)
                }
                #expect(failure?.code == "postgres.other_database")
                #expect(failure?.remedy == .stop)
                #expect(failure?.hint?.contains("log.directory") == true)
                await stranger.source.close()
            }
            #expect(stranger.notices.all.isEmpty)
        }
        #expect(try other.value("SELECT count(*) FROM pg_publication") == "0")
        #expect(try database.value("SELECT count(*) FROM pg_publication WHERE pubname = 'p'") == "0")
        let slots = "SELECT count(*) FROM pg_replication_slots WHERE database IN ('\(database.name)', '\(other.name)')"
        #expect(try database.value(slots) == "1")
        #expect(try await reader.source.open(resumingAfter: reader.checkpoint, of: identity) == identity)
        await reader.source.close()
    }

    @Test func aCheckpointWithoutItsSlotIsRefused() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY)")
        let reader = try SourceReader(database, tables: ["public.t"])
        reader.checkpoint = SourceCheckpoint(last: nil, resume: ResumePosition(1))
        let failure = await refusal(reader)
        #expect(failure?.code == "postgres.slot_missing")
        #expect(failure?.remedy == .stop)
    }

    @Test func aSlotThatWasConfirmedBeyondTheCheckpointIsRefused() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY)")
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        try await reader.catchUp()
        await reader.source.close()
        try database.run("INSERT INTO t VALUES (1)")
        #expect(
            try await database.waits(
                for: "(SELECT NOT active FROM pg_replication_slots WHERE slot_name = '\(database.name)')"))
        try database.run("SELECT pg_replication_slot_advance('\(database.name)', pg_current_wal_flush_lsn())")
        let failure = await refusal(reader)
        #expect(failure?.code == "postgres.slot_ahead")
        #expect(failure?.remedy == .stop)
    }

    @Test func aServerThatWasSetBackIsRefused() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY)")
        let reader = try SourceReader(database, tables: ["public.t"])
        try await reader.open()
        await reader.source.close()
        reader.checkpoint = SourceCheckpoint(last: nil, resume: ResumePosition(1 << 60))
        let failure = await refusal(reader)
        #expect(failure?.code == "postgres.server_behind")
        #expect(failure?.remedy == .stop)
    }

    @Test func aSlotOfAnotherPluginOrDatabaseIsRefused() async throws {
        let database = try TestDatabase()
        let other = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY)")
        try database.run("SELECT pg_create_logical_replication_slot('\(database.name)_d', 'test_decoding')")
        try other.run("SELECT pg_create_logical_replication_slot('\(other.name)', 'pgoutput')")
        let plugin = await refusal(try SourceReader(database, tables: ["public.t"], slot: database.name + "_d"))
        #expect(plugin?.code == "postgres.slot_foreign")
        #expect(plugin?.message.contains("test_decoding") == true)
        let elsewhere = await refusal(try SourceReader(database, tables: ["public.t"], slot: other.name))
        #expect(elsewhere?.code == "postgres.slot_foreign")
        #expect(elsewhere?.message.contains(other.name) == true)
    }

    @Test func aPublicationThatHidesPartitionedRootsIsRefused() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id);
            CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (9); CREATE PUBLICATION p FOR TABLE t
            """)
        let failure = await refusal(try SourceReader(database, tables: ["public.t"], publication: "p"))
        #expect(failure?.code == "postgres.publication_options")
        #expect(failure?.hint == "ALTER PUBLICATION \"p\" SET (publish_via_partition_root = true);")
    }

    @Test func whatIsMadeOrChangedIsShownFirst() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE a (id int PRIMARY KEY)")
        let reader = try SourceReader(database, tables: ["public.a"], publication: "p")
        try await reader.open()
        await reader.source.close()
        #expect(reader.notices.all.first?.contains("CREATE PUBLICATION \"p\" FOR TABLE \"public\".\"a\"") == true)
        #expect(reader.notices.all.contains { $0.contains("CREATE_REPLICATION_SLOT") })
        #expect(try database.value("SELECT bool_or(puballtables) FROM pg_publication") == "f")
        try database.run("CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY)")
        let wider = try SourceReader(database, tables: ["public.a", "public.b"], publication: "p")
        wider.checkpoint = reader.checkpoint
        try await wider.open()
        let made = wider.notices.all.filter { !$0.hasPrefix("slot ") }
        #expect(made.map { $0.contains("ALTER PUBLICATION \"p\" ADD TABLE \"public\".\"b\";") } == [true])
        try database.run("INSERT INTO b VALUES (1)")
        try await wider.catchUp()
        #expect(wider.lines() == ["insert public.b 1"])
        await wider.source.close()
    }

    @Test func theIdentityTellsDatabasesApart() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY)")
        let reader = try SourceReader(database, tables: ["public.t"])
        let identity = try await reader.open()
        await reader.source.close()
        #expect(identity == (try await reader.open()))
        #expect(identity.kind == "postgres")
        #expect(identity.fingerprint["database"] == database.name)
        #expect(identity.fingerprint["slot"] == database.name)
        #expect(identity.fingerprint["system identifier"]?.isEmpty == false)
        await reader.source.close()
    }

    private func failure(_ url: String, slot: String, after checkpoint: SourceCheckpoint? = nil) async throws
        -> ConnectorFailure?
    {
        let values = SettingValues([
            "snapshot": .text("never"), "url": .text(url), "tables": .list(["public.t"]), "slot": .text(slot),
        ])
        let source = PostgresSource(settings: try PostgresSettings(values: values, pipelineName: "p"))
        defer { Task { await source.close() } }
        do throws(ConnectorFailure) {
            _ = try await source.open(resumingAfter: checkpoint, of: nil)
            return nil
        } catch {
            return error
        }
    }

    @Test func aServerWithoutLogicalWALIsRefused() async throws {
        let server = try PrivateServer(["wal_level = replica"])
        let client = try PostgresConnection(opening: server.url, for: .catalogue)
        _ = try client.execute("CREATE TABLE public.t (id int PRIMARY KEY)")
        let failure = try await failure(server.url, slot: "s")
        #expect(failure?.code == "postgres.wal_level")
        #expect(failure?.hint?.hasPrefix("ALTER SYSTEM SET wal_level = logical;") == true)
    }

    @Test func aSlotThatLostItsWALIsRefusedAndAFullSlotListIsNamed() async throws {
        let server = try PrivateServer([
            "max_replication_slots = 1", "max_slot_wal_keep_size = 1MB", "max_wal_size = 32MB", "min_wal_size = 32MB",
        ])
        let client = try PostgresConnection(opening: server.url, for: .catalogue)
        _ = try client.execute("CREATE TABLE public.t (id int PRIMARY KEY)")
        _ = try client.execute("SELECT pg_create_logical_replication_slot('old', 'pgoutput')")
        #expect(try await failure(server.url, slot: "another")?.code == "postgres.slots_exhausted")
        for _ in 0..<6 {
            _ = try client.execute("SELECT pg_switch_wal()")
            _ = try client.execute("CREATE TABLE public.u AS SELECT 1; DROP TABLE public.u; CHECKPOINT")
        }
        let lost = try await failure(server.url, slot: "old")
        #expect(lost?.code == "postgres.slot_lost")
        #expect(lost?.remedy == .stop)
        #expect(lost?.hint?.contains("millrace run --recover snapshot") == true)
        #expect(lost?.hint?.contains("max_slot_wal_keep_size (now 1MB)") == true)
    }
}
