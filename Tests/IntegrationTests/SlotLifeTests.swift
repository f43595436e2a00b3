import Foundation
import ProgramTesting
import Testing

/// The slot's life as whoever runs the program sees it.
@Suite(.serialized)
struct SlotLifeTests {
    /// Waited for hours before: the server makes a slot only when every transaction that runs has ended.
    @Test func aStopEndsTheWaitForASlotBehindALongTransaction() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY)")
        let holder = try ChildProcess(
            "/usr/bin/psql",
            [
                "-X", "-q", "-d", database.name, "-c",
                "BEGIN; INSERT INTO orders VALUES (1); SELECT pg_sleep(600) /* \(database.name) holder */",
            ])
        defer { holder.kill() }
        let running = "FROM pg_stat_activity WHERE datname = '\(database.name)'"
        try holder.wait(for: "the long transaction") {
            try database.sql("SELECT count(*) \(running) AND backend_xid IS NOT NULL AND wait_event = 'PgSleep'") == [
                "1"
            ]
        }
        let program = try MillraceProgram(configuration: configuration(database))
        let run = try program.start("run")
        try run.wait(for: "the command that makes the slot") {
            try database.sql("SELECT count(*) \(running) AND query LIKE 'CREATE_REPLICATION_SLOT%'") == ["1"]
        }
        let asked = Date()
        run.send(SIGTERM)
        let result = try run.finish()
        #expect(result.exitCode == 143)
        // The transaction would have held it for ten minutes; the limit is far from both.
        #expect(Date().timeIntervalSince(asked) < 30)
        try holder.wait(for: "the end of the half-made slot") {
            try database.sql("SELECT count(*) FROM pg_replication_slots WHERE database = '\(database.name)'") == ["0"]
        }
    }

    @Test func aSlotThatAnotherClientReadsIsWaitedForAndItsReaderNamed() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY)")
        let program = try MillraceProgram(configuration: configuration(database))
        try program.catchUp()
        let slot = "millrace_\(database.name)"
        let reader = try ChildProcess(
            Self.receiver,
            [
                "-d", database.name, "--slot", slot, "--start", "-s", "0", "-f", "/dev/null", "-o", "proto_version=1",
                "-o",
                "publication_names=\(slot)",
            ], environment: ["PGAPPNAME": "the other one"])
        defer { reader.kill() }
        try reader.wait(for: "the other reader") {
            try database.sql("SELECT active FROM pg_replication_slots WHERE slot_name = '\(slot)'") == ["t"]
        }
        let run = try program.start("run")
        try run.waitForError(containing: "code=postgres.slot_active")
        #expect(run.errorText.contains("(the other one, role"))
        #expect(try database.sql("SELECT active FROM pg_replication_slots WHERE slot_name = '\(slot)'") == ["t"])
        reader.kill()
        try run.waitForError(containing: "capturing")
        try database.sql("INSERT INTO orders VALUES (1)")
        try run.wait(for: "the event") { try program.events(in: "out/orders.jsonl", ignoringTornEnd: true).count == 1 }
        run.send(SIGTERM)
        #expect(try run.finish().exitCode == 143)
    }

    /// A machine whose disk does not outlive the process: what a sink does not have comes again from the slot.
    @Test func deliveredKeepsInTheSlotWhatASinkDoesNotHaveAlsoWhenTheLogIsGone() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY)")
        let whole = configuration(database) + "\nlog: {acknowledge: delivered}\n"
        let program = try MillraceProgram(configuration: whole)
        try program.catchUp()
        // A pipe that nobody reads takes nothing.
        try program.folder.write(
            "millrace.yaml",
            whole.replacingOccurrences(of: "sinks:\n", with: "sinks:\n  blocked:\n    file: {path: blocked.pipe}\n"))
        _ = try runProgram("/usr/bin/mkfifo", ["blocked.pipe"], folder: program.folder.url)
        try database.sql("INSERT INTO orders SELECT generate_series(1, 100)")
        // Idle WAL from before these rows may still be confirmed, and nothing behind them.
        let before = try database.sql("SELECT pg_current_wal_flush_lsn()").first ?? ""
        let run = try program.start("run")
        func archived() throws -> Int { try program.events(in: "out/orders.jsonl", ignoringTornEnd: true).count }
        try run.wait(for: "the events in the other sink") { try archived() == 100 }
        try database.sql("INSERT INTO orders SELECT generate_series(101, 200)")
        try run.wait(for: "more events in the other sink") { try archived() == 200 }
        let isHeld = "SELECT confirmed_flush_lsn < '\(before)' FROM pg_replication_slots WHERE database = "
        #expect(try database.sql(isHeld + "'\(database.name)'") == ["t"])
        run.kill()
        let ids = try program.loggedEvents().map(\.id)
        #expect(ids.count == 200)
        try FileManager.default.removeItem(at: program.folder.url.appendingPathComponent(".millrace"))
        try program.folder.write("millrace.yaml", whole)
        try program.catchUp()
        func streamed() throws -> [String] {
            try program.loggedEvents().filter { $0.operation != "snapshot" }.map(\.id)
        }
        #expect(try streamed() == ids)
        // A run that ends when caught up has told the server so.
        #expect(try database.sql(isHeld + "'\(database.name)'") == ["f"])
        try FileManager.default.removeItem(at: program.folder.url.appendingPathComponent(".millrace"))
        try program.catchUp()
        #expect(try streamed().isEmpty)
    }

    @Test func aDroppedSlotIsFoundByDoctorRefusedByRunAndRecoveredOnRequest() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY)")
        let program = try MillraceProgram(configuration: configuration(database))
        try program.catchUp()
        let healthy = try program.run("doctor")
        #expect(healthy.exitCode == 0, "\(healthy.output)")
        #expect(try program.run("status").output.contains("up to date"))
        try database.sql("SELECT pg_drop_replication_slot('millrace_\(database.name)')")
        let doctor = try program.run("doctor")
        #expect(doctor.exitCode == 3 && doctor.output.contains("[postgres.slot_missing]"))
        #expect(try program.run("status").output.contains("does not exist"))
        let refused = try program.run("run", "--until-caught-up")
        #expect(refused.exitCode == 3 && refused.errors.contains("millrace run --recover snapshot"))
        let recovered = try program.run("run", "--recover", "snapshot", "--until-caught-up")
        #expect(recovered.exitCode == 0, "\(recovered.errors)")
        #expect(recovered.errors.contains("GAP:"))
        try database.sql("INSERT INTO orders VALUES (1)")
        try program.catchUp()
        #expect(try program.events(in: "out/orders.jsonl").map(\.key).last == "id=1")
        #expect(try program.run("run", "--recover", "everything").exitCode == 2)
    }

    /// pg_recvlogical of the server that the tests use.
    private static var receiver: String {
        (ProcessInfo.processInfo.environment["MILLRACE_PGBIN"] ?? "/usr/bin") + "/pg_recvlogical"
    }
}
