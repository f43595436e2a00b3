import Foundation
import ProgramTesting
import Testing

/// What is masked is stored nowhere: the whole program, and every byte that it leaves behind.
@Suite(.serialized)
struct MaskTests {
    /// Values that must not be found; each long enough to be no accident.
    private static let secrets = ["ada@secret.example", "4111-2222-3333", "grüne Geheimnisse", "salt-of-the-test-0123"]

    private static let masks = """
        mask_salt: salt-of-the-test-0123
        transforms:
          - {tables: ["*.customers"], mask: {email: hash, card: redact, note: drop, phone: truncate(3)}}

        """

    /// Every file below a folder that holds a secret, apart from the configuration and the database itself.
    private func leaks(in folder: URL, ignoring names: Set<String>) throws -> [String] {
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        var leaks: [String] = []
        var count = 0
        while let file = files?.nextObject() as? URL {
            guard !names.contains(file.lastPathComponent), let data = try? Data(contentsOf: file) else { continue }
            count += 1
            for secret in Self.secrets where data.range(of: Data(secret.utf8)) != nil {
                leaks.append("\(file.lastPathComponent): \(secret)")
            }
        }
        #expect(count > 3, "log, schemas and output were looked at")
        return leaks
    }

    private func check(_ events: [Event], _ said: [ChildResult], schema: String) throws {
        #expect(events.map(\.operation) == ["insert", "update", "delete"])
        let after = try #require(events[0].after)
        #expect(
            after["card"] == AnyHashable("[redacted]") && after["phone"] == AnyHashable("+49") && after["note"] == nil)
        let hash = try #require(after["email"] as? String)
        #expect(hash.count == 64 && events[1].after?["email"] == after["email"])
        #expect(schema.contains("\"email\"") && !schema.contains("\"note\""))
        for result in said {
            for secret in Self.secrets { #expect(!result.output.contains(secret) && !result.errors.contains(secret)) }
        }
    }

    private static let statements = [
        "INSERT INTO customers VALUES (1, 'ada@secret.example', '4111-2222-3333', 'grüne Geheimnisse', '+49 30 1234')",
        "UPDATE customers SET phone = '+49 30 9876' WHERE id = 1", "DELETE FROM customers WHERE id = 1",
    ]

    @Test func noMaskedValueOfPostgresReachesTheDisk() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE customers (id int PRIMARY KEY, email text, card text, note text, phone text)")
        try database.sql("ALTER TABLE customers REPLICA IDENTITY FULL")
        let program = try MillraceProgram(
            configuration: Self.masks + configuration(database, tables: "public.customers"))
        try program.catchUp()
        for statement in Self.statements { try database.sql(statement) }
        let run = try program.run("run", "--until-caught-up")
        #expect(run.exitCode == 0, "\(run.errors)")
        let said = [run, try program.run("tail"), try program.run("status"), try program.run("doctor")]
        #expect(said[3].exitCode == 0 && said[3].output.contains("every mask has its column"), "\(said[3].output)")
        try check(
            try program.events(in: "out/customers.jsonl"), said,
            schema: try String(contentsOfFile: schemaPath(program), encoding: .utf8))
        #expect(try leaks(in: program.folder.url, ignoring: ["millrace.yaml"]) == [])
        // The search finds what is there.
        #expect(try leaks(in: program.folder.url, ignoring: []) == ["millrace.yaml: salt-of-the-test-0123"])
    }

    @Test func noMaskedValueOfSQLiteReachesLogOrFiles() throws {
        let program = try MillraceProgram(
            configuration: Self.masks + """
                name: shop
                source:
                  sqlite: {path: shop.db}
                sinks:
                  archive:
                    file: {path: "out/{table}.jsonl"}
                """)
        func sql(_ text: String) throws { try program.sqlite("shop.db", text) }
        try sql("CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT, card TEXT, note TEXT, phone TEXT)")
        try program.catchUp()
        for statement in Self.statements { try sql(statement) }
        let run = try program.run("run", "--until-caught-up")
        #expect(run.exitCode == 0, "\(run.errors)")
        try check(
            try program.events(in: "out/customers.jsonl"), [run, try program.run("tail"), try program.run("doctor")],
            schema: try String(contentsOfFile: schemaPath(program), encoding: .utf8))
        #expect(
            try leaks(
                in: program.folder.url, ignoring: ["millrace.yaml", "shop.db", "shop.db-wal", "shop.db-journal"]) == [])
    }

    @Test func aMaskWithoutItsColumnIsAProblemForDoctorAndAWarningInTheRun() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id int PRIMARY KEY, email text)")
        let masks = "transforms: [{tables: [public.orders], mask: {Email: drop}}]\n"
        let program = try MillraceProgram(configuration: masks + configuration(database))
        let doctor = try program.run("doctor")
        #expect(doctor.exitCode == 3 && doctor.output.contains("[pipeline.mask_unused]"), "\(doctor.output)")
        let running = try program.start("run")
        try running.waitForError(containing: "transforms[0] masks nothing in column Email")
        try database.sql("INSERT INTO orders VALUES (1, 'x')")
        try running.waitForError(containing: "public.orders has no column Email to mask")
        running.send(SIGTERM)
        _ = try running.finish()
    }

    @Test func aMaskThatTakesTheKeyAwayStopsCaptureBeforeAnythingIsStored() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id int PRIMARY KEY, email text)")
        let masks = "transforms: [{tables: [public.orders], mask: {id: redact}}]\n"
        let program = try MillraceProgram(configuration: masks + configuration(database))
        try program.catchUp()
        try database.sql("INSERT INTO orders VALUES (1, 'x')")
        let run = try program.run("run", "--until-caught-up")
        #expect(run.exitCode == 2 && run.errors.contains("error[pipeline.mask_on_key]"), "\(run.errors)")
        #expect(run.errors.contains("at   transforms, millrace.yaml:1"), "\(run.errors)")
        #expect(try program.loggedEvents().isEmpty)
    }

    private func schemaPath(_ program: MillraceProgram) throws -> String {
        let files = FileManager.default.enumerator(atPath: program.folder.path("Schemas"))
        let paths = (files?.allObjects as? [String] ?? []).filter { $0.contains("customers") && $0.hasSuffix(".json") }
        return program.folder.path("Schemas/" + (try #require(paths.sorted().first)))
    }
}
