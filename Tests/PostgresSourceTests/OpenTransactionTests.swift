import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

/// Transactions of others that stay open: what waits for them says which, and what to do.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct OpenTransactionTests {
    private func server() throws -> PrivateServer {
        let server = try PrivateServer(["fsync = off", "max_prepared_transactions = 5"])
        try server.run("CREATE TABLE public.t (id int PRIMARY KEY); INSERT INTO public.t VALUES (1)")
        return server
    }

    private func prepare(_ name: String, on server: PrivateServer) throws {
        let client = try PostgresConnection(opening: server.url, for: .catalogue)
        for statement in ["BEGIN", "CREATE TABLE public.w_\(name) ()", "PREPARE TRANSACTION '\(name)'"] {
            _ = try client.execute(statement)
        }
    }

    @Test func whatASlotWaitsForIsNamedAndASlotThatIsGivenUpIsGone() async throws {
        let server = try server()
        try prepare("forgotten", on: server)
        let reader = try ServerReader(server)
        let source = reader.source
        let opening = Task { try await source.open(resumingAfter: nil, of: nil) }
        #expect(try await polls { source.obstacle != nil })
        let obstacle = try #require(source.obstacle)
        #expect(obstacle.code == "postgres.transaction_open" && obstacle.remedy == .retry)
        #expect(obstacle.message.contains("the prepared one \"forgotten\" in database \"postgres\", "))
        #expect(obstacle.hint?.contains("ROLLBACK PREPARED 'forgotten';") == true)
        let status = try await PostgresStatus.look(reader.settings, at: nil)
        #expect(status.isBeingMade && status.waitsFor?.contains("ROLLBACK PREPARED 'forgotten';") == true)
        opening.cancel()
        await #expect(throws: ConnectorFailure.self) { try await opening.value }
        // While the transaction is still open, so nothing but the end of the command can have taken it away.
        #expect(try await server.waits(for: "NOT EXISTS (SELECT FROM pg_replication_slots)"))
        #expect(try await server.waits(for: "NOT EXISTS (SELECT FROM pg_stat_replication)"))
        #expect(try server.run("SELECT count(*) FROM pg_prepared_xacts") == "1")
        try server.run("ROLLBACK PREPARED 'forgotten'")
        try await reader.open()
        #expect(reader.source.obstacle == nil)
        await reader.source.close()
    }

    /// Another role may see neither transaction nor age of a process, but it may see the process.
    @Test func whatASnapshotWaitsForIsNamed() async throws {
        let server = try server()
        try server.run(
            "CREATE ROLE reader LOGIN REPLICATION; GRANT SELECT ON public.t TO reader; "
                + "CREATE PUBLICATION p FOR TABLE public.t")
        let url = server.url.replacing("user=postgres", with: "user=reader")
        let reader = try ServerReader(server, values: ["snapshot": .text("never"), "url": .text(url)])
        try await reader.open()
        try await reader.catchUp()
        await reader.source.close()
        let holder = try PostgresConnection(opening: server.url, for: .catalogue)
        _ = try holder.execute("SET application_name TO 'nightly report'; BEGIN; CREATE TABLE public.w ()")
        try await reader.open()
        try await reader.source.requestSnapshot(SnapshotRequest(id: "r", tables: [TablePattern("public.t")]))
        try await reader.take(until: "the name") { reader.source.obstacle != nil }
        let obstacle = try #require(reader.source.obstacle)
        #expect(obstacle.code == "postgres.transaction_open")
        #expect(obstacle.message.hasPrefix("snapshot of public.t waits for transactions that began before it"))
        #expect(obstacle.message.contains("that of process \(holder.processID) (nightly report, role \"postgres\", "))
        #expect(obstacle.message.contains(", of an age that only pg_read_all_stats shows"))
        #expect(obstacle.hint?.contains("SELECT pg_terminate_backend(\(holder.processID));") == true)
        // Consumers keep what they have as long as nothing can be read.
        #expect(reader.lines == [])
        _ = try holder.execute("COMMIT")
        try await reader.take(until: "the row") { reader.lines.contains("snapshot public.t 1") }
        #expect(reader.lines == ["truncate public.t ", "snapshot public.t 1"])
        #expect(reader.source.obstacle == nil)
        await reader.source.close()
    }

    @Test func whoLocksATableThatIsToBeReadIsNamed() async throws {
        let server = try server()
        let reader = try ServerReader(server, values: ["snapshot": .text("never")])
        try await reader.open()
        let client = try PostgresConnection(opening: server.url, for: .catalogue)
        for statement in ["BEGIN", "ALTER TABLE public.t ADD note text", "PREPARE TRANSACTION 'migration'"] {
            _ = try client.execute(statement)
        }
        try await reader.source.requestSnapshot(SnapshotRequest(id: "r", tables: [TablePattern("public.t")]))
        try await reader.take(until: "the name") { reader.source.obstacle != nil }
        let obstacle = try #require(reader.source.obstacle)
        #expect(obstacle.code == "postgres.locked")
        #expect(obstacle.message.contains("somebody has locked the table, in a transaction, the prepared one"))
        #expect(obstacle.hint?.contains("COMMIT PREPARED 'migration';") == true)
        try server.run("COMMIT PREPARED 'migration'")
        try await reader.take(until: "the row") { reader.lines.contains("snapshot public.t 1,-") }
        #expect(reader.source.obstacle == nil)
        await reader.source.close()
    }

    /// Whoever waits for ACCESS EXCLUSIVE holds nothing yet, and yet no reader gets past.
    @Test func whoIsWaitedForByTheOneWhoIsToLockATableIsNamed() async throws {
        let server = try server()
        let reader = try ServerReader(server, values: ["snapshot": .text("never")])
        try await reader.open()
        let holder = try PostgresConnection(opening: server.url, for: .catalogue)
        _ = try holder.execute("SET application_name TO 'long report'; BEGIN; SELECT FROM public.t")
        startThread(name: "migration") {
            _ = try? server.run("SET lock_timeout TO 0; SET statement_timeout TO 0; ALTER TABLE public.t ADD note text")
        }
        #expect(try await server.waits(for: "EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))
        try await reader.source.requestSnapshot(SnapshotRequest(id: "r", tables: [TablePattern("public.t")]))
        try await reader.take(until: "the name") { reader.source.obstacle != nil }
        let obstacle = try #require(reader.source.obstacle)
        #expect(obstacle.code == "postgres.locked")
        #expect(obstacle.message.contains("somebody waits to lock the table, behind a transaction that uses it, that"))
        #expect(obstacle.message.contains("that of process \(holder.processID) (long report, "))
        #expect(obstacle.hint?.contains("SELECT pg_terminate_backend(\(holder.processID));") == true)
        _ = try holder.execute("COMMIT")
        try await reader.take(until: "the row") { reader.lines.contains("snapshot public.t 1,-") }
        await reader.source.close()
    }

    @Test func doctorNamesAForgottenTransactionBeforeAnythingWaitsForIt() async throws {
        let server = try server()
        try prepare("forgotten", on: server)
        func findings(after span: Duration) async throws -> [Finding] {
            let settings = try ServerReader(server) { $0.forgottenAfter = span }.settings
            return await PostgresDoctor(settings: settings).findings().filter { $0.code == "postgres.transaction_open" }
        }
        #expect(try await findings(after: .seconds(60)).map(\.level) == [.ok])
        let found = try await findings(after: .zero)
        #expect(found.map(\.level) == [.warning])
        #expect(found.first?.message.contains("the prepared one \"forgotten\" in database \"postgres\", ") == true)
        #expect(found.first?.fix?.contains("ROLLBACK PREPARED 'forgotten';") == true)
        try server.run("ROLLBACK PREPARED 'forgotten'")
        #expect(try await findings(after: .zero).map(\.level) == [.ok])
    }
}
