import ChangeModel
import ConnectorKit
import Glibc
import Testing

@testable import PostgresSource

/// What a server's life does to a slot: promotion, stalls, WAL that is held and WAL that is lost.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ServerLifeTests {
    private func server(_ settings: String...) throws -> PrivateServer {
        let server = try PrivateServer(["fsync = off"] + settings)
        let client = try PostgresConnection(opening: server.url, for: .catalogue)
        _ = try client.execute("CREATE TABLE public.t (id int PRIMARY KEY); CREATE TABLE public.other (id int)")
        return server
    }

    @Test func aPromotedServerIsFollowedFromBeforeTheForkOnly() async throws {
        let old = try server()
        let reader = try ServerReader(old)
        try await reader.open()
        try reader.run("INSERT INTO public.t VALUES (1)")
        try await reader.catchUp()
        await reader.source.close()
        let fork = reader.checkpoint
        let new = try old.promotedCopy()

        // Nothing was read beyond the fork: the new server has all of it.
        let following = try ServerReader(new, after: fork, of: reader.identity)
        try await following.open()
        #expect(following.notices.all.contains { $0.contains("timeline 2 now, not 1") })
        try following.run("INSERT INTO public.t VALUES (2)")
        try await following.catchUp()
        await following.source.close()
        // And it stays there without another word.
        let staying = try ServerReader(new, after: following.checkpoint, of: reader.identity)
        try await staying.open()
        #expect(staying.notices.all.isEmpty)
        await staying.source.close()

        // The old server went on, and was read further: what the log has is not what the new server has.
        let left = try ServerReader(old, after: fork, of: reader.identity)
        try await left.open()
        try left.run("INSERT INTO public.t VALUES (3)")
        try await left.catchUp()
        await left.source.close()
        let strayed = try ServerReader(new, after: left.checkpoint, of: reader.identity)
        let refusal = await strayed.refusal()
        #expect(refusal?.hasPrefix("postgres.timeline_changed: the server is on timeline 2") == true)
        #expect(refusal?.contains("the log was made on timeline 1") == true)
        // Nor back, from the new server's log to the old server.
        let back = try ServerReader(old, after: staying.checkpoint, of: reader.identity)
        #expect(await back.refusal()?.hasPrefix("postgres.timeline_changed: the server is on timeline 1") == true)

        // On request the new server is read anew, once its WAL is beyond the log's end.
        try strayed.run("SELECT pg_switch_wal()")
        try strayed.run("INSERT INTO public.t VALUES (4)")
        let recovering = try ServerReader(new, after: left.checkpoint, of: reader.identity, recovers: true)
        try await recovering.open()
        #expect(recovering.notices.all.contains { $0.hasPrefix("GAP:") })
        await recovering.source.close()
    }

    @Test func aStalledWalsenderIsSaidAndLeft() async throws {
        let server = try server()
        let reader = try ServerReader(server) { $0.stallPatience = .milliseconds(400) }
        try await reader.open()
        try await reader.catchUp()
        // Idle for much longer than the patience is quiet.
        let idleEnd = ContinuousClock.now + .milliseconds(1500)
        try await reader.take(until: "a long idle time") { ContinuousClock.now > idleEnd }
        #expect(!reader.notices.all.contains { $0.contains("stalled") })
        let process = try #require(
            try reader.run("SELECT active_pid FROM pg_replication_slots WHERE slot_name = 's'").flatMap { pid_t($0) })
        #expect(kill(process, SIGSTOP) == 0)
        defer { kill(process, SIGCONT) }
        try reader.run("INSERT INTO public.t SELECT generate_series(1, 1000)")
        let failure = try await reader.failure()
        #expect(failure?.code == "postgres.stalled")
        #expect(failure?.remedy == .retry)
        #expect(reader.notices.all.contains { $0.hasPrefix("the stream has stalled") })
        await reader.source.close()
    }

    @Test func aTransactionThatHoldsTheSlotIsNamed() async throws {
        let server = try server()
        let reader = try ServerReader(server) {
            $0.restartPatience = .milliseconds(300)
            $0.restartRetainedMin = 1 << 20
        }
        try await reader.open()
        let holder = try PostgresConnection(opening: server.url, for: .catalogue)
        _ = try holder.execute("SET application_name TO 'nightly report'; BEGIN; INSERT INTO public.other VALUES (1)")
        try reader.run("CHECKPOINT")
        try await reader.catchUp()
        try await reader.take(until: "the warning") {
            try reader.run("INSERT INTO public.other SELECT generate_series(1, 20000)")
            try reader.run("CHECKPOINT")
            return reader.notices.all.contains { $0.contains("was confirmed, and yet the server keeps") }
        }
        #expect(reader.notices.all.contains { $0.contains("process \(holder.processID) (nightly report, role") })
        _ = try holder.execute("COMMIT")
        try await reader.take(until: "the release") {
            try reader.run("CHECKPOINT")
            return reader.notices.all.contains { $0.contains("lets go of WAL again") }
        }
        await reader.source.close()
    }

    @Test func aSlotThatRunsOutOfRoomIsForetoldThenLostThenRefused() async throws {
        let server = try server(
            "max_slot_wal_keep_size = 256MB", "max_wal_size = 64MB", "min_wal_size = 32MB", "wal_keep_size = 0")
        let reader = try ServerReader(server) { $0.forecastSpan = .milliseconds(200) }
        try await reader.open()
        let holder = try PostgresConnection(opening: server.url, for: .catalogue)
        _ = try holder.execute("BEGIN; INSERT INTO public.other VALUES (1)")
        func fill() throws {
            try reader.run("INSERT INTO public.other VALUES (2)")
            try reader.run("SELECT pg_switch_wal()")
        }
        try await reader.take(until: "the forecast") {
            try fill()
            return reader.notices.all.contains { $0.contains("will lose its WAL in about") }
        }
        #expect(reader.notices.all.contains { $0.contains("max_slot_wal_keep_size (now 256MB)") })
        do {
            try await reader.take(until: "the loss") {
                try fill()
                try reader.run("CHECKPOINT")
                return false
            }
        } catch let failure as ConnectorFailure {
            // The server ends the walsender of a slot that it gives up.
            #expect(failure.remedy == .retry || failure.code == "postgres.slot_lost")
        }
        await reader.source.close()
        let refusal = await reader.refusal()
        #expect(refusal?.hasPrefix("postgres.slot_lost") == true)
    }
}
