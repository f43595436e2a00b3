import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

/// Capture beside and from a physical standby, on servers of the tests' own.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct StandbyTests {
    private static let table = "CREATE TABLE public.t (id int PRIMARY KEY, v text)"
    private static let publication = "CREATE PUBLICATION p FOR TABLE public.t WITH (publish_via_partition_root = true)"

    private func primary() throws -> PrivateServer {
        let primary = try PrivateServer(["fsync = off"])
        try primary.run("\(Self.table); INSERT INTO public.t SELECT i, 'old' FROM generate_series(1, 500) i")
        return primary
    }

    /// A standby with a slot on its primary, which keeps the rows of the catalogue that decoding needs.
    private func standby(of primary: PrivateServer, _ settings: [String] = []) throws -> PrivateServer {
        try primary.run("SELECT pg_create_physical_replication_slot('standby')")
        return try PrivateServer(
            following: primary,
            [
                "fsync = off", "hot_standby_feedback = on", "primary_slot_name = standby",
                "wal_receiver_status_interval = 1s",
            ]
                + settings)
    }

    private func url(_ servers: PrivateServer...) -> String {
        let hosts = servers.map { _ in "127.0.0.1" }.joined(separator: ",")
        return
            "host=\(hosts) port=\(servers.map { String($0.port) }.joined(separator: ",")) user=postgres dbname=postgres"
    }

    @Test(arguments: [1, 2]) func rowsThatAreReadOnAStandbyTellTheTableOfThePrimary(round: Int) async throws {
        let primary = try PrivateServer(["fsync = off"])
        let standby = try standby(of: primary)
        let database = try TestDatabase(on: primary)
        let there = database.url.replacing("port=\(primary.port)", with: "port=\(standby.port)")
        #expect(try await standby.waits(for: "EXISTS (SELECT FROM pg_database WHERE datname = '\(database.name)')"))
        try await SnapshotConsistencyTests.tell(round, database, values: ["snapshot_url": .text(there)])
        let reads = try standby.run(
            "SELECT sum(tup_fetched) > 1000 FROM pg_stat_database WHERE datname = '\(database.name)'")
        #expect(reads == "t", "the standby was read")
    }

    @Test func aStandbyThatIsNoneAnyMoreIsNotReadOn() async throws {
        let primary = try primary()
        let standby = try standby(of: primary)
        let values: [String: SettingValue] = ["snapshot_url": .text(standby.url)]
        let reader = try ServerReader(primary, values: values)
        try await reader.open()
        try await reader.take(until: "the snapshot") {
            reader.lines.count == 500 && (reader.checkpoint.map { reader.source.isComplete($0) } ?? false)
        }
        try await reader.source.requestSnapshot(SnapshotRequest(id: "again", tables: [TablePattern("public.t")]))
        try await reader.take(until: "the second snapshot") {
            reader.lines.filter { $0.hasPrefix("snapshot") }.count == 1000
        }
        try standby.control("promote")
        try standby.run("UPDATE public.t SET v = 'of another line'; CHECKPOINT")
        // A server that was promoted has rows that the stream knows nothing of.
        await #expect(throws: PostgresFailure.snapshotElsewhere()) {
            try await reader.source.requestSnapshot(SnapshotRequest(id: "more", tables: [TablePattern("public.t")]))
        }
        await reader.source.close()
        #expect(!reader.lines.contains { $0.contains("another line") })
    }

    @Test(.enabled(if: TestServer.version < 160_000, "from 16 on a standby decodes"))
    func aStandbyThatCannotDecodeIsRefused() async throws {
        let primary = try primary()
        let standby = try PrivateServer(following: primary)
        let failure = await (try ServerReader(standby)).failureToOpen()
        #expect(failure?.code == "postgres.standby" && failure?.remedy == .stop)
        #expect(failure?.hint?.contains("target_session_attrs=read-write") == true)
        let findings = await PostgresDoctor(settings: try ServerReader(standby).settings).findings()
        #expect(findings.contains { $0.code == "postgres.standby" && $0.level == .problem })
    }

    @Test(.enabled(if: TestServer.version >= 160_000, "before 16 a standby does not decode"))
    func whatAStandbyCannotMakeIsNamedBeforeAnythingIsMade() async throws {
        let primary = try primary()
        let standby = try standby(of: primary)
        let alone = await (try ServerReader(standby)).failureToOpen()
        #expect(alone?.code == "postgres.snapshot_standby", "\(String(describing: alone))")
        let reader = try ServerReader(standby, values: ["snapshot_url": .text(primary.url)])
        let failure = await reader.failureToOpen()
        #expect(failure?.code == "postgres.standby" && failure?.remedy == .stop)
        #expect(failure?.hint?.hasPrefix("on its primary: CREATE PUBLICATION \"p\" FOR TABLE") == true)
        let findings = await PostgresDoctor(settings: reader.settings).findings()
        #expect(findings.contains { $0.fix == failure?.hint && $0.level == .problem }, "\(findings)")
        #expect(try standby.run("SELECT count(*) FROM pg_replication_slots") == "0")
        // Its own words are enough to go on.
        try primary.run(String((failure?.hint ?? "").dropFirst("on its primary: ".count)))
        #expect(try await standby.waits(for: "EXISTS (SELECT FROM pg_publication)"))
        try await reader.open()
        await reader.source.close()
    }

    @Test(.enabled(if: TestServer.version >= 160_000, "before 16 a standby does not decode"))
    func aStandbyIsCapturedThroughRestartsAndItsPromotion() async throws {
        let primary = try primary()
        try primary.run(Self.publication)
        let standby = try standby(of: primary)
        let reader = try ServerReader(standby, values: ["snapshot_url": .text(primary.url)]) {
            $0.chunkBytes = 2000
            // The promotion is not seen while the stream runs.
            $0.watchInterval = .seconds(3600)
        }
        try await reader.open()
        try await reader.take(until: "the snapshot") {
            reader.lines.count == 500 && (reader.checkpoint.map { reader.source.isComplete($0) } ?? false)
        }
        #expect(Set(reader.lines) == Set((1...500).map { "snapshot public.t \($0),old" }))

        var expected = reader.lines
        func write(_ id: Int, on server: PrivateServer) async throws {
            try server.run("INSERT INTO public.t VALUES (\(id), 'new')")
            expected.append("insert public.t \(id),new")
            try await reader.take(until: "row \(id)") { reader.lines.count >= expected.count }
        }
        try await write(1001, on: primary)
        for (number, how) in ["fast", "immediate"].enumerated() {
            try standby.control("restart -m \(how)")
            let failure = try await reader.failure()
            #expect(failure?.remedy == .retry)
            try await reopen(reader)
            try await write(1002 + number, on: primary)
        }
        try standby.control("promote")
        try await write(1100, on: standby)
        await reader.source.close()
        #expect(reader.lines == expected)
        // What was read beyond the fork was read from this server, also for one who comes later.
        let later = try ServerReader(standby, after: reader.checkpoint, of: reader.identity)
        try await later.open()
        #expect(later.notices.all.contains { $0.contains("timeline 2 now, not 1; it is the standby that was read") })
        try later.run("INSERT INTO public.t VALUES (1101, 'new')")
        try await later.catchUp()
        await later.source.close()
        #expect(later.lines == ["insert public.t 1101,new"])
        // And once that is known, nobody need have been there.
        try standby.control("restart -m fast")
        let last = try ServerReader(standby, after: later.checkpoint, of: reader.identity)
        try await last.open()
        try last.run("INSERT INTO public.t VALUES (1102, 'new')")
        try await last.catchUp()
        await last.source.close()
        #expect(last.lines == ["insert public.t 1102,new"])
    }

    @Test(.enabled(if: TestServer.version >= 160_000, "before 16 a standby does not decode"))
    func aPromotionIsNoticedAndWrittenDown() async throws {
        let primary = try primary()
        try primary.run(Self.publication)
        let standby = try standby(of: primary)
        let reader = try ServerReader(
            standby, values: ["snapshot": .text("never"), "snapshot_url": .text(primary.url)])
        try await reader.open()
        try await reader.catchUp()
        try primary.control("stop -m fast")
        try standby.control("promote")
        try standby.run("INSERT INTO public.t VALUES (1001, 'new')")
        #expect(try await reader.failure()?.code == "postgres.promoted")
        try await reopen(reader)
        try standby.run("INSERT INTO public.t VALUES (1002, 'new')")
        try await reader.take(until: "both rows") { reader.lines.count >= 2 }
        await reader.source.close()
        #expect(reader.lines == ["insert public.t 1001,new", "insert public.t 1002,new"])
    }

    /// Opens as a pipeline does: again and again while the failure says so.
    private func reopen(_ reader: ServerReader) async throws {
        let isOpen = try await polls {
            guard let failure = await reader.failureToOpen() else { return true }
            try #require(failure.remedy == .retry, "\(failure)")
            return false
        }
        try #require(isOpen)
    }

    @Test(.enabled(if: TestServer.version >= 160_000, "before 16 a standby does not decode"))
    func aStandbyThatLagsIsWaitedFor() async throws {
        let primary = try primary()
        try primary.run(Self.publication)
        let standby = try standby(of: primary)
        let values: [String: SettingValue] = ["snapshot": .text("never"), "snapshot_url": .text(primary.url)]
        let reader = try ServerReader(standby, values: values)
        try await reader.open()
        try await reader.catchUp()
        try reader.run("SELECT pg_wal_replay_pause()")
        #expect(try await standby.waits(for: "pg_get_wal_replay_pause_state() = 'paused'"))
        try primary.run("INSERT INTO public.t VALUES (1001, 'new'); SELECT pg_switch_wal()")
        await reader.source.close()
        let end = try #require(try primary.run("SELECT pg_current_wal_lsn()").flatMap { LSN($0) })
        var checkpoint = try #require(reader.checkpoint)
        checkpoint.resume = ResumePosition(end.value)
        let ahead = try ServerReader(standby, after: checkpoint, of: reader.identity, values: values)
        let failure = await ahead.failureToOpen()
        #expect(
            failure?.code == "postgres.standby_behind" && failure?.remedy == .retry, "\(String(describing: failure))")
        try standby.run("SELECT pg_wal_replay_resume()")
        #expect(try await standby.waits(for: "pg_last_wal_replay_lsn() >= '\(end)'"))
        try await ahead.open()
        await ahead.source.close()
    }

    @Test(.enabled(if: TestServer.version >= 160_000, "before 16 a standby does not decode"))
    func aSlotThatConflictsWithReplayIsLostAndTheSettingIsNamed() async throws {
        let primary = try primary()
        try primary.run(Self.publication)
        let standby = try PrivateServer(following: primary, ["fsync = off"])
        let reader = try ServerReader(
            standby, values: ["snapshot": .text("never"), "snapshot_url": .text(primary.url)])
        try await reader.open()
        for statement in ["CREATE TABLE public.u (id int)", "DROP TABLE public.u", "VACUUM pg_class"] {
            try primary.run(statement)
        }
        let ending = try await reader.failure()
        #expect(ending?.remedy == .retry || ending?.code == "postgres.slot_lost", "\(String(describing: ending))")
        let failure = await reader.failureToOpen()
        #expect(failure?.code == "postgres.slot_lost")
        #expect(failure?.hint?.contains("hot_standby_feedback = on") == true, "\(String(describing: failure))")
    }

    @Test(.enabled(if: TestServer.version >= 170_000, "slots are carried over from 17 on"))
    func aSlotThatIsCarriedOverIsReadOnBehindAFailover() async throws {
        let primary = try primary()
        let standby = try standby(
            of: primary,
            [
                "sync_replication_slots = on",
                "primary_conninfo = 'host=127.0.0.1 port=\(primary.port) user=postgres dbname=postgres'",
            ])
        try primary.run("ALTER SYSTEM SET synchronized_standby_slots = 'standby'")
        try primary.run("SELECT pg_reload_conf()")
        let values: [String: SettingValue] = [
            "url": .text(url(standby, primary) + " target_session_attrs=read-write"), "snapshot": .text("never"),
        ]
        let reader = try ServerReader(primary, values: values)
        try await reader.open()
        #expect(reader.notices.all.contains { $0.contains("FAILOVER") })
        try reader.run("INSERT INTO public.t VALUES (1001, 'new')")
        try await reader.catchUp()
        let findings = await PostgresDoctor(settings: reader.settings).findings()
        #expect(findings.contains { $0.code == "postgres.failover" && $0.level == .ok }, "\(findings)")
        let isThere = "EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 's' AND synced AND NOT temporary)"
        try await reader.take(until: "the slot on the standby") {
            try reader.run("INSERT INTO public.t SELECT max(id) + 1, 'more' FROM public.t")
            return try standby.run("SELECT \(isThere)") == "t"
        }
        // Who comes to the standby meanwhile is told to wait.
        let early = await (try ServerReader(standby, after: reader.checkpoint, of: reader.identity)).failureToOpen()
        #expect(early?.code == "postgres.slot_synced" && early?.remedy == .retry, "\(String(describing: early))")

        try reader.run("INSERT INTO public.t VALUES (5001, 'last')")
        try await reader.catchUp()
        try primary.control("stop -m immediate")
        #expect(try await reader.failure()?.remedy == .retry)
        try standby.control("promote")
        try await reopen(reader)
        #expect(reader.notices.all.contains { $0.contains("timeline 2 now, not 1") }, "\(reader.notices.all)")
        try standby.run("INSERT INTO public.t VALUES (6001, 'after')")
        try await reader.take(until: "the row behind the failover") { reader.lines.last?.contains("6001") == true }
        await reader.source.close()
        let rows = try standby.run("SELECT string_agg(id::text, ',' ORDER BY id) FROM public.t WHERE id > 1000")
        #expect(
            reader.lines.compactMap { $0.split(separator: " ").last?.split(separator: ",").first }.joined(
                separator: ",")
                == rows)
    }

    @Test(.enabled(if: TestServer.version >= 170_000, "synchronized_standby_slots is of 17"))
    func aStandbyThatIsWaitedForIsNamedAndNotTakenForAStall() async throws {
        let primary = try primary()
        try primary.run("SELECT pg_create_physical_replication_slot('absent', true)")
        try primary.run("ALTER SYSTEM SET synchronized_standby_slots = 'absent'")
        try primary.run("SELECT pg_reload_conf()")
        let reader = try ServerReader(primary, values: ["snapshot": .text("never")]) {
            $0.stallPatience = .milliseconds(400)
        }
        try await reader.open()
        try primary.run("INSERT INTO public.t SELECT i, 'new' FROM generate_series(1001, 2000) i")
        try await reader.take(until: "the warning") {
            reader.notices.all.contains { $0.contains("synchronized_standby_slots names") }
        }
        // Long enough to give up a stream that has stalled.
        let end = ContinuousClock.now + .seconds(2)
        try await reader.take(until: "the end of a while") { ContinuousClock.now > end }
        #expect(reader.lines == [])
        try primary.run("ALTER SYSTEM RESET synchronized_standby_slots")
        try primary.run("SELECT pg_reload_conf()")
        try await reader.take(until: "what was held back") { reader.lines.count == 1000 }
        await reader.source.close()
    }
}
