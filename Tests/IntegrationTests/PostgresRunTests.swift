import Foundation
import ProgramTesting
import Testing

/// The main job over a live PostgreSQL, as a user runs it.
@Suite(.serialized)
struct PostgresRunTests {
    @Test func changesArriveInTheFileInCommitOrder() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY, status text, amount numeric)")
        let program = try MillraceProgram(configuration: configuration(database))
        try program.catchUp()
        try database.sql("INSERT INTO orders VALUES (1, 'new', 1.50), (2, 'new', 'NaN')")
        try database.sql("UPDATE orders SET status = 'paid' WHERE id = 1")
        try database.sql("UPDATE orders SET id = 3 WHERE id = 2")
        try database.sql("DELETE FROM orders WHERE id = 1")
        try database.sql("TRUNCATE orders")
        try program.catchUp()
        let events = try program.events(in: "out/orders.jsonl")
        #expect(events.map(\.operation) == ["insert", "insert", "update", "update", "delete", "truncate"])
        #expect(events.map(\.key) == ["id=1", "id=2", "id=1", "id=3", "id=1", nil])
        #expect(events[0].after == ["id": 1, "status": "new", "amount": "1.50"])
        #expect(events[1].after?["amount"] == AnyHashable("NaN"))
        #expect(events[3].previousKey == "id=2")
        #expect(events[4].after == nil)
        #expect(try program.loggedEvents().map(\.id) == events.map(\.id))
    }

    @Test func aRunningProgramDeliversWhileTheDatabaseWorksAndEndsCleanlyOnSIGTERM() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY, status text, amount numeric)")
        let program = try MillraceProgram(configuration: configuration(database))
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        for id in 1...20 { try database.sql("INSERT INTO orders VALUES (\(id), 'new', 0)") }
        try running.wait(for: "20 events") {
            try program.events(in: "out/orders.jsonl", ignoringTornEnd: true).count == 20
        }
        running.send(SIGTERM)
        let result = try running.finish()
        #expect(result.exitCode == 143)
        // Everything was confirmed: the next start gets nothing again and adds nothing.
        try program.catchUp()
        #expect(try program.events(in: "out/orders.jsonl").count == 20)
    }

    @Test func aRestartedServerAndATerminatedWalsenderAreSurvived() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY, status text, amount numeric)")
        let program = try MillraceProgram(configuration: configuration(database))
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        for id in 1...5 {
            try database.sql("INSERT INTO orders VALUES (\(id), 'new', 0)")
            try database.sql(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
                    + "WHERE database = '\(database.name)' AND active")
            try running.wait(for: "event \(id)") {
                try program.events(in: "out/orders.jsonl", ignoringTornEnd: true).count >= id
            }
        }
        #expect(running.errorText.contains("source failed, will open it again code=postgres.server_stopping"))
        running.send(SIGTERM)
        _ = try running.finish()
        #expect(try program.events(in: "out/orders.jsonl").count == 5)
    }

    @Test func anIdleSlotAdvancesWhileOthersWrite() throws {
        let database = try PostgresDatabase()
        try database.sql(
            "CREATE TABLE orders (id bigint PRIMARY KEY, status text, amount numeric); CREATE TABLE noise (n int)")
        let program = try MillraceProgram(configuration: configuration(database))
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        func confirmed() throws -> String {
            try database.sql(
                "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE database = '\(database.name)'"
            ).first ?? ""
        }
        let before = try confirmed()
        try database.sql("INSERT INTO noise SELECT generate_series(1, 10000)")
        try running.wait(for: "an advance of the slot") { try confirmed() != before }
        running.send(SIGTERM)
        _ = try running.finish()
    }

    @Test func statusTailAndDoctorTellWhatIsThere() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY, status text, amount numeric)")
        let program = try MillraceProgram(configuration: configuration(database))
        #expect(try program.run("doctor").exitCode == 0)
        try program.catchUp()
        try database.sql("INSERT INTO orders VALUES (1, 'new', 0), (2, 'new', 0)")
        try program.catchUp()
        let status = try program.run("status", "--json")
        #expect(status.exitCode == 0)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(status.output.utf8)) as? [String: Any])
        let log = try #require(object["log"] as? [String: Any])
        #expect(log["next_offset"] as? Int == 2)
        let sinks = try #require(object["sinks"] as? [[String: Any]])
        #expect(sinks.first?["lag_events"] as? Int == 0)
        #expect(try program.run("tail", "nothing").output.isEmpty)
        #expect(try Event.parse(lines: try program.run("tail", "--from", "1").output).map(\.key) == ["id=2"])
        let doctor = try program.run("doctor", "--json")
        #expect(doctor.exitCode == 0)
        #expect(try JSONSerialization.jsonObject(with: Data(doctor.output.utf8)) is [Any])
    }
}

/// A configuration with one table and one file.
func configuration(_ database: PostgresDatabase, tables: String = "public.orders") -> String {
    """
    name: \(database.name)
    source:
      postgres:
        url: \(database.url)
        tables: [\(tables)]
    sinks:
      archive:
        file: {path: "out/{table}.jsonl"}
    """
}
