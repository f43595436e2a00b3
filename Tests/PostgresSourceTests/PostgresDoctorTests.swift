import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

@Suite(.serialized, .timeLimit(.minutes(5)))
struct PostgresDoctorTests {
    private func settings(_ url: String, _ tables: [String], name: String) throws -> PostgresSettings {
        try PostgresSettings(
            values: SettingValues([
                "url": .text(url), "tables": .list(tables), "slot": .text(name), "publication": .text("p"),
            ]),
            pipelineName: name)
    }

    @Test func aHealthyServerHasNoProblem() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY)")
        let settings = try settings(database.url, ["public.*"], name: database.name)
        let findings = await PostgresDoctor(settings: settings).findings()
        #expect(findings.filter { $0.level == .problem } == [])
        #expect(findings.contains { $0.message.contains("CREATE PUBLICATION \"p\" FOR TABLE \"public\".\"t\"") })
        #expect(try database.value("SELECT count(*) FROM pg_publication") == "0")
    }

    @Test func everyProblemHasItsExactFix() async throws {
        let database = try TestDatabase()
        let role = database.name + "_role"
        try database.run(
            "CREATE ROLE \(role) LOGIN; CREATE TABLE keyless (v text); CREATE TABLE t (id int PRIMARY KEY)")
        defer { _ = try? database.run("DROP ROLE \(role)") }
        let settings = try settings(database.url(as: role), ["public.*"], name: database.name)
        let findings = await PostgresDoctor(settings: settings).findings()
        let fixes = findings.compactMap { $0.level == .ok ? nil : $0.fix }
        #expect(fixes.contains { $0.hasPrefix("ALTER ROLE \"\(role)\" REPLICATION;") })
        #expect(fixes.contains { $0.hasPrefix("ALTER TABLE \"public\".\"keyless\" REPLICA IDENTITY FULL;") })
        #expect(fixes.contains { $0.contains("GRANT SELECT ON \"public\".\"t\" TO \"\(role)\";") })
        let statement = "CREATE PUBLICATION \"p\" FOR TABLE \"public\".\"keyless\", \"public\".\"t\""
        #expect(fixes.filter { $0.contains("CREATE PUBLICATION") }.count == 1, "one statement for all tables")
        #expect(fixes.contains { $0.contains(statement) })
        #expect(findings.filter { $0.level == .problem }.allSatisfy { $0.fix != nil })
    }

    @Test func whatTheLogRemembersIsComparedWithTheServer() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
        let reader = try SourceReader(database, tables: ["public.*"], publication: "p")
        let identity = try await reader.open()
        try await reader.catchUp()
        await reader.source.close()
        let settings = try settings(database.url, ["public.*"], name: database.name)
        func problems(_ identity: SourceIdentity, _ checkpoint: SourceCheckpoint?) async -> [String] {
            let log = PostgresDoctor.LogMemory(identity: identity, checkpoint: checkpoint)
            return await PostgresDoctor(settings: settings, log: log).findings()
                .filter { $0.level == .problem }.map(\.code)
        }
        let checkpoint = try #require(reader.checkpoint)
        #expect(await problems(identity, checkpoint) == [])
        var other = identity
        other.fingerprint["system identifier"] = "1"
        #expect(await problems(other, checkpoint) == ["postgres.other_database"])
        let future = SourceCheckpoint(last: nil, resume: ResumePosition(1 << 60), notes: checkpoint.notes)
        #expect(await problems(identity, future) == ["postgres.server_behind"])
        let past = SourceCheckpoint(last: nil, resume: ResumePosition(1), notes: checkpoint.notes)
        #expect(await problems(identity, past) == ["postgres.slot_ahead"])
        var old = checkpoint
        var notes = try SourceNotes(decoding: checkpoint.notes)
        notes.publication?.row?.writer -= 1
        old.notes = notes.encoded
        #expect(await problems(identity, old) == ["postgres.publication_altered"])
        try database.run("ALTER PUBLICATION p DROP TABLE b; ALTER PUBLICATION p ADD TABLE b")
        #expect(await problems(identity, checkpoint) == ["postgres.table_unpublished"])
        #expect(
            try await database.waits(
                for: "(SELECT NOT active FROM pg_replication_slots WHERE slot_name = '\(database.name)')"))
        try database.run("SELECT pg_drop_replication_slot('\(database.name)')")
        #expect(await problems(identity, checkpoint) == ["postgres.table_unpublished", "postgres.slot_missing"])
    }

    /// A role that row security hides all rows of the published table `t` from.
    private func roleBehindRowSecurity(_ database: TestDatabase) throws -> String {
        let role = database.name + "_role"
        try database.run(
            """
            CREATE ROLE \(role) LOGIN REPLICATION; CREATE TABLE t (id int PRIMARY KEY); GRANT SELECT ON t TO \(role);
            ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE PUBLICATION p FOR TABLE t
            """)
        return role
    }

    /// A run refuses it too, before it makes anything.
    @Test func rowsThatRowSecurityHidesFromTheRoleAreFoundAndRefused() async throws {
        let database = try TestDatabase()
        let role = try roleBehindRowSecurity(database)
        defer { _ = try? database.run("DROP OWNED BY \(role); DROP ROLE \(role)") }
        let settings = try settings(database.url(as: role), ["public.t"], name: database.name)
        func problems() async -> [Finding] {
            await PostgresDoctor(settings: settings).findings().filter { $0.level == .problem }
        }
        let found = await problems()
        #expect(found.map(\.code) == ["postgres.not_readable"])
        #expect(found.first?.message.contains("row level security of public.t hides rows") == true)
        let reader = try SourceReader(
            database, tables: ["public.t"], url: database.url(as: role), publication: "p", snapshot: "initial")
        let failure = await #expect(throws: ConnectorFailure.self) { try await reader.open() }
        #expect(failure?.code == "postgres.not_readable" && failure?.hint?.contains("BYPASSRLS;") == true)
        #expect(
            try database.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '\(database.name)'") == "0")
        try database.run(try #require(found.first?.fix))
        #expect(await problems() == [])
        try await reader.open()
        await reader.source.close()
    }

    /// The stream goes on without a look at rows; what has to read them is refused before consumers forget anything.
    @Test func rowSecurityThatComesAfterTheSnapshotIsNoProblemForTheStream() async throws {
        let database = try TestDatabase()
        let role = database.name + "_role"
        try database.run(
            """
            CREATE ROLE \(role) LOGIN REPLICATION; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);
            CREATE TABLE u (id int PRIMARY KEY); GRANT SELECT ON t, u TO \(role); CREATE PUBLICATION p FOR TABLE t, u
            """)
        defer { _ = try? database.run("DROP OWNED BY \(role); DROP ROLE \(role)") }
        let reader = try SourceReader(
            database, tables: ["public.t"], url: database.url(as: role), publication: "p", snapshot: "initial")
        let identity = try await reader.open()
        try await reader.finishSnapshot()
        await reader.source.close()
        try database.run("ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE u ENABLE ROW LEVEL SECURITY")
        func levels(_ tables: [String], _ checkpoint: SourceCheckpoint?) async throws -> [Finding.Level] {
            let settings = try settings(database.url(as: role), tables, name: database.name)
            let found = await PostgresDoctor(
                settings: settings, log: .init(identity: identity, checkpoint: checkpoint)
            ).findings().filter { $0.code == "postgres.not_readable" }
            #expect(found.allSatisfy { $0.fix == "ALTER ROLE \"\(role)\" BYPASSRLS;" })
            #expect(found.allSatisfy { $0.message.contains("`millrace snapshot ") == ($0.level == .warning) })
            return found.map(\.level)
        }
        #expect(try await levels(["public.t"], nil) == [.problem])
        #expect(try await levels(["public.t"], reader.checkpoint) == [.warning])
        #expect(try await levels(["public.t", "public.u"], reader.checkpoint) == [.warning, .problem])
        var checkpoint = try #require(reader.checkpoint)
        var notes = try SourceNotes(decoding: checkpoint.notes)
        let oid = try #require(notes.snapshot?.tables.keys.first)
        notes.snapshot?.tables[oid]?.stage = .pending(clears: true)
        checkpoint.notes = notes.encoded
        #expect(try await levels(["public.t"], checkpoint) == [.problem])

        try await reader.open()
        let request = SnapshotRequest(id: "r", tables: [TablePattern("public.t")])
        let failure = await #expect(throws: ConnectorFailure.self) { try await reader.source.requestSnapshot(request) }
        #expect(failure?.code == "postgres.not_readable" && failure?.hint == "ALTER ROLE \"\(role)\" BYPASSRLS;")
        try database.run("INSERT INTO t VALUES (2)")
        try await reader.catchUp()
        await reader.source.close()
        #expect(reader.lines() == ["snapshot public.t 1", "insert public.t 2"])
        reader.checkpoint = checkpoint
        try await reader.open()
        let deadline = ContinuousClock.now + .seconds(60)
        while !reader.notices.all.contains(where: { $0.hasPrefix("the rows of public.t are NOT read for now") }) {
            try #require(ContinuousClock.now < deadline, "\(reader.notices.all)")
            try await reader.take()
        }
        await reader.source.close()
        #expect(!reader.seen.contains { $0.operation == .truncate })
    }

    @Test func rowsThatNobodyReadsUnaskedAreNoProblemBeforeTheFirstStart() async throws {
        let database = try TestDatabase()
        let role = try roleBehindRowSecurity(database)
        defer { _ = try? database.run("DROP OWNED BY \(role); DROP ROLE \(role)") }
        let settings = try PostgresSettings(
            values: SettingValues([
                "url": .text(database.url(as: role)), "tables": .list(["public.t"]), "slot": .text(database.name),
                "publication": .text("p"), "snapshot": .text("never"),
            ]),
            pipelineName: database.name)
        let found = await PostgresDoctor(settings: settings).findings().filter { $0.code == "postgres.not_readable" }
        #expect(found.map(\.level) == [.warning])
        #expect(found.first?.message.contains("but `millrace snapshot public.t` is refused") == true)
    }

    @Test func sessionsThatMayNotWriteAreFoundWithTheirFix() async throws {
        let database = try TestDatabase()
        let role = database.name + "_role"
        try database.run(
            """
            CREATE ROLE \(role) LOGIN REPLICATION; CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t OWNER TO \(role);
            GRANT CREATE ON DATABASE \(database.name) TO \(role);
            ALTER ROLE \(role) SET default_transaction_read_only = on
            """)
        defer { _ = try? database.run("DROP OWNED BY \(role); DROP ROLE \(role)") }
        let settings = try settings(database.url(as: role), ["public.t"], name: database.name)
        func findings() async -> [Finding] {
            await PostgresDoctor(settings: settings).findings().filter { $0.level != .ok }
        }
        let found = try #require(await findings().first { $0.code == "postgres.read_only" })
        #expect(found.level == .problem)
        let reader = try SourceReader(database, tables: ["public.t"], url: database.url(as: role), publication: "p")
        let failure = await #expect(throws: ConnectorFailure.self) { try await reader.open() }
        #expect(failure?.code == "postgres.read_only")
        #expect(failure?.hint?.contains("SET default_transaction_read_only = off;") == true)
        // Where the publication is there already, nothing is in the way.
        try database.run("CREATE PUBLICATION p FOR TABLE t WITH (publish_via_partition_root = true)")
        #expect(await findings().first { $0.code == "postgres.read_only" }?.level == .warning)
        try await reader.open()
        await reader.source.close()
        try database.run(try #require(found.fix))
        #expect(await !findings().contains { $0.code == "postgres.read_only" })
    }

    @Test func aKeylessTableThatARunLeavesOutIsNoProblem() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE a (id int PRIMARY KEY)")
        let reader = try SourceReader(database, tables: ["public.*"], publication: "p")
        let identity = try await reader.open()
        try await reader.catchUp()
        await reader.source.close()
        try database.run("CREATE TABLE keyless (v text)")
        let memory = PostgresDoctor.LogMemory(identity: identity, checkpoint: reader.checkpoint)
        func levels(_ tables: [String], _ log: PostgresDoctor.LogMemory?) async throws -> [Finding.Level] {
            let settings = try settings(database.url, tables, name: database.name)
            let findings = await PostgresDoctor(settings: settings, log: log).findings()
            return findings.filter { $0.code == "postgres.no_replica_identity" && $0.level != .ok }.map(\.level)
        }
        #expect(try await levels(["public.*"], memory) == [.warning])
        #expect(try await levels(["public.*"], nil) == [.problem])
        #expect(try await levels(["public.*", "public.keyless"], memory) == [.problem])
        try await reader.open()
        await reader.source.close()
        #expect(try database.value("SELECT count(*) FROM pg_publication_tables WHERE pubname = 'p'") == "1")
    }

    @Test func aServerThatIsNotThereIsTheOnlyFinding() async throws {
        let settings = try settings("host=127.0.0.1 port=1 dbname=x", ["public.*"], name: "s")
        let findings = await PostgresDoctor(settings: settings).findings()
        #expect(findings.map(\.code) == ["postgres.connection_failed"])
        #expect(findings.map(\.level) == [.problem])
    }

    @Test func statusShowsTheSlotAndItsLag() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY)")
        let settings = try settings(database.url, ["public.t"], name: database.name)
        let before = try await PostgresStatus.look(settings, at: nil)
        #expect(!before.exists)
        let reader = try SourceReader(database, tables: ["public.t"], publication: "p")
        try await reader.open()
        try await reader.catchUp()
        let checkpoint = try #require(reader.checkpoint)
        try database.run("INSERT INTO t SELECT generate_series(1, 1000)")
        let status = try await PostgresStatus.look(settings, at: checkpoint)
        #expect(status.exists && status.activeProcess != nil && status.confirmed != nil)
        #expect((status.lagBytes ?? 0) > 1000)
        #expect((status.retainedBytes ?? 0) > 0)
        await reader.source.close()
    }
}
