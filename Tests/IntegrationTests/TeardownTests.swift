import Foundation
import ProgramTesting
import Testing

/// `millrace teardown`, as whoever retires a pipeline runs it.
@Suite(.serialized)
struct TeardownTests {
    private func postgresObjects(_ database: PostgresDatabase) throws -> [String] {
        try database.sql(
            "SELECT slot_name FROM pg_replication_slots WHERE database = '\(database.name)' "
                + "UNION ALL SELECT pubname FROM pg_publication ORDER BY 1")
    }

    @Test func slotAndPublicationAreShownAndDroppedOnlyOnRequest() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY)")
        let program = try MillraceProgram(configuration: configuration(database))
        try program.catchUp()
        #expect(try postgresObjects(database).count == 2)
        let asked = try program.run("teardown")
        #expect(asked.exitCode == 2)
        #expect(asked.output.contains("DROP PUBLICATION") && asked.output.contains("pg_drop_replication_slot"))
        #expect(asked.errors.contains("teardown.not_confirmed"))
        #expect(try postgresObjects(database).count == 2)
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        #expect(try program.run("teardown", "--yes").errors.contains("log.in_use"))
        running.send(SIGTERM)
        _ = try running.finish()
        let result = try program.run("teardown", "--yes")
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(try postgresObjects(database) == [])
        let again = try program.run("teardown")
        #expect(again.exitCode == 0 && again.output.contains("nothing of Millrace is in the database"))
    }

    @Test func aPublicationOfSomebodyElseStays() throws {
        let database = try PostgresDatabase()
        let name = "millrace_\(database.name)"
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY); CREATE PUBLICATION \(name) FOR TABLE orders")
        let program = try MillraceProgram(configuration: configuration(database))
        try program.catchUp()
        let result = try program.run("teardown", "--yes")
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.output.contains("stays   publication \"\(name)\""))
        #expect(try postgresObjects(database) == [name])
    }

    @Test func triggersAndTablesLeaveSQLite() throws {
        let program = try MillraceProgram(
            configuration: "name: shop\nsource: {sqlite: {path: app.db}}\nsinks: {a: {file: {path: out.jsonl}}}\n")
        func sqlite(_ sql: String) throws -> String { try program.sqlite("app.db", sql) }
        _ = try sqlite("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a')")
        try program.catchUp()
        #expect(
            try sqlite("SELECT count(*) > 4 FROM sqlite_schema WHERE name LIKE '\\_millrace%' ESCAPE '\\'") == "1\n")
        #expect(try program.run("doctor").exitCode == 0)
        #expect(try program.run("teardown", "--yes").exitCode == 0)
        #expect(try sqlite("SELECT type, name FROM sqlite_schema") == "table|t\n")
        #expect(try sqlite("INSERT INTO t VALUES (2, 'b'); UPDATE t SET v = 'c'; SELECT count(*) FROM t") == "2\n")
        // The log still knows that it was captured.
        let doctor = try program.run("doctor")
        #expect(doctor.exitCode == 3 && doctor.output.contains("sqlite.capture_missing"))
    }
}
