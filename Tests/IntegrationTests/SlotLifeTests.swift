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

    /// pg_recvlogical of the server that the tests use.
    private static var receiver: String {
        (ProcessInfo.processInfo.environment["MILLRACE_PGBIN"] ?? "/usr/bin") + "/pg_recvlogical"
    }
}
