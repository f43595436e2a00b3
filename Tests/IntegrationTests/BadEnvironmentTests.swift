import Foundation
import ProgramTesting
import Testing

/// Environments that are not as they must be: each ends with its code, the exact way out, and exit code 3.
@Suite(.serialized)
struct BadEnvironmentTests {
    @Test func aTableWithoutPrimaryKeyIsRefusedBeforeItsUpdatesBreak() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint, status text)")
        let result = try MillraceProgram(configuration: configuration(database)).run("run", "--until-caught-up")
        expect(result, "postgres.no_replica_identity", hint: "REPLICA IDENTITY FULL")
        try database.sql("INSERT INTO orders VALUES (1, 'a'); UPDATE orders SET status = 'b'")
        #expect(
            try database.sql("SELECT count(*) FROM pg_replication_slots WHERE database = '\(database.name)'") == ["0"])
    }

    @Test func aTableThatDoesNotExistIsNamed() throws {
        let database = try PostgresDatabase()
        let result = try MillraceProgram(configuration: configuration(database)).run("run", "--until-caught-up")
        expect(result, "postgres.table_missing", hint: "public.orders", exitCode: 2)
    }

    @Test func aRoleWithoutReplicationGetsTheStatement() throws {
        let database = try PostgresDatabase()
        let role = "role_\(database.name)"
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY); CREATE ROLE \(role) LOGIN")
        defer { _ = try? database.sql("DROP OWNED BY \(role); DROP ROLE \(role)") }
        let url = database.url.replacingOccurrences(of: "//postgres@", with: "//\(role)@")
        let text = configuration(database).replacingOccurrences(of: database.url, with: url)
        let program = try MillraceProgram(configuration: text)
        expect(try program.run("run", "--until-caught-up"), "postgres.no_replication_privilege", hint: "REPLICATION")
        let doctor = try program.run("doctor")
        #expect(doctor.exitCode == 3)
        #expect(doctor.output.contains("ALTER ROLE"))
    }

    @Test func aServerWithWalLevelReplicaGetsTheSetting() throws {
        let server = try OwnServer(settings: ["wal_level = replica"])
        try server.sql("CREATE TABLE orders (id bigint PRIMARY KEY)")
        let program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  postgres: {url: "\(server.url)", tables: [public.orders]}
                sinks:
                  archive:
                    file: {path: out/orders.jsonl}
                """)
        expect(try program.run("run", "--until-caught-up"), "postgres.wal_level", hint: "wal_level")
        let doctor = try program.run("doctor")
        #expect(doctor.exitCode == 3)
        #expect(doctor.output.contains("ALTER SYSTEM SET wal_level"))
    }

    /// What a script meets that runs beside a sink which is not there: an end, with the reason.
    @Test(arguments: [
        ("nats: {servers: [\"nats://127.0.0.1:1\"]}", "nats.unreachable"),
        (
            "webhook: {url: \"http://127.0.0.1:1/\", allow_private_addresses: true, retry: {initial: 50ms, max: 100ms}}",
            "webhook.connection_failed"
        ),
    ])
    func aRunThatIsToEndEndsWithTheCodeOfASinkThatIsNotThere(sink: String, code: String) throws {
        let program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db}
                sinks:
                  away:
                    \(sink)
                  archive:
                    file: {path: out/orders.jsonl}
                """)
        try program.sqlite(
            "shop.db", "CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (1), (2);")
        let result = try program.run("run", "--until-caught-up", "--patience", "1")
        #expect(result.exitCode == 3)
        #expect(result.errors.contains("error[\(code)]") && result.errors.contains("tried for 1 s"))
        #expect(try program.events(in: "out/orders.jsonl").count == 2)
        let status = try program.run("status")
        #expect(status.output.contains(code))
    }

    @Test func aRunThatIsToEndDoesNotWaitForEverForATransactionThatStaysOpen() throws {
        let server = try OwnServer(settings: ["max_prepared_transactions = 5"])
        defer { withExtendedLifetime(server) {} }
        let database = try PostgresDatabase(on: server)
        try database.sql("CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)")
        func leaveOpen() throws {
            try database.sql("BEGIN; CREATE TABLE audit (); PREPARE TRANSACTION 'forgotten'")
        }
        let program = try MillraceProgram(configuration: configuration(database))
        try leaveOpen()
        // First the slot waits for it, and is gone afterwards.
        let first = try program.run("run", "--until-caught-up", "--patience", "1")
        expect(first, "postgres.transaction_open", hint: "ROLLBACK PREPARED 'forgotten';")
        #expect(first.errors.contains("tried for 1 s"))
        #expect(try database.sql("SELECT count(*) FROM pg_replication_slots") == ["0"])
        try database.sql("ROLLBACK PREPARED 'forgotten'")
        try program.catchUp()
        #expect(try program.events(in: "out/orders.jsonl").map(\.operation) == ["snapshot"])
        // Then the snapshot of another table.
        try leaveOpen()
        try database.sql("CREATE TABLE orders_2 (id int PRIMARY KEY); INSERT INTO orders_2 VALUES (7)")
        try program.folder.write(
            "millrace.yaml", configuration(database, tables: "public.orders, public.orders_2"))
        let second = try program.run("run", "--until-caught-up", "--patience", "1")
        expect(second, "postgres.transaction_open", hint: "ROLLBACK PREPARED 'forgotten';")
        #expect(second.errors.contains("snapshot of public.orders_2 waits"))
        try database.sql("ROLLBACK PREPARED 'forgotten'")
        try program.catchUp()
        #expect(try program.loggedEvents().map(\.key).contains("id=7"))
    }

    @Test func aSlotInUseIsWaitedForAndTheHolderNamed() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY, status text, amount numeric)")
        let first = try MillraceProgram(configuration: configuration(database))
        let holder = try first.start("run")
        try holder.waitForError(containing: "capturing")
        let second = try MillraceProgram(configuration: configuration(database))
        let waiting = try second.start("run")
        try waiting.waitForError(containing: "postgres.slot_active")
        holder.send(SIGTERM)
        _ = try holder.finish()
        try waiting.waitForError(containing: "capturing")
        waiting.send(SIGTERM)
        #expect(try waiting.finish().exitCode == 143)
    }

    @Test func aStateFolderOfAnotherDatabaseIsRefusedBeforeAnythingIsMadeThere() throws {
        let one = try PostgresDatabase()
        let other = try PostgresDatabase()
        for database in [one, other] { try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY)") }
        let program = try MillraceProgram(configuration: configuration(one))
        try program.catchUp()
        try program.folder.write("millrace.yaml", configuration(other))
        expect(try program.run("run", "--until-caught-up"), "postgres.other_database", hint: "state folder")
        #expect(try other.sql("SELECT count(*) FROM pg_publication") == ["0"])
    }

    @Test func aDroppedSlotIsRefusedInsteadOfASilentGap() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY)")
        let program = try MillraceProgram(configuration: configuration(database))
        try program.catchUp()
        let slot = "(SELECT slot_name FROM pg_replication_slots WHERE database = '\(database.name)')"
        let name = try database.sql("SELECT * FROM \(slot) s")[0]
        try database.sql("SELECT pg_drop_replication_slot('\(name)')")
        try database.sql("INSERT INTO orders VALUES (1)")
        expect(try program.run("run", "--until-caught-up"), "postgres.slot_missing", hint: "run --recover snapshot")
        try database.sql("SELECT pg_create_logical_replication_slot('\(name)', 'pgoutput')")
        expect(try program.run("run", "--until-caught-up"), "postgres.slot_ahead", hint: "run --recover snapshot")
    }

    @Test func aSinkFolderThatCannotBeWrittenEndsTheRunWithThePath() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY)")
        let program = try MillraceProgram(configuration: configuration(database))
        try program.catchUp()
        // A file where the folder should be: the tests may run as root, whom no permission stops.
        try? FileManager.default.removeItem(atPath: program.folder.path("out"))
        try program.folder.write("out", "")
        try database.sql("INSERT INTO orders VALUES (1)")
        expect(try program.run("run", "--until-caught-up"), "file.not_a_directory", hint: "out")
        #expect(try program.run("doctor").exitCode == 3)
        try FileManager.default.removeItem(atPath: program.folder.path("out"))
        try program.catchUp()
        #expect(try program.events(in: "out/orders.jsonl").count == 1)
    }

    @Test func aFullDiskUnderTheLogIsWaitedOutAndNothingIsLost() throws {
        let disk = try SmallDisk(bytes: 6 << 20)
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY, note text)")
        let program = try MillraceProgram(
            configuration: configuration(database) + "\nlog: {directory: \(disk.path)/state}\n")
        try program.catchUp()
        let ledger = try PostgresLedger(
            database, publication: try database.sql("SELECT pubname FROM pg_publication")[0])
        let filler = disk.path + "/filler"
        try Data(count: 4 << 20).write(to: URL(fileURLWithPath: filler))
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        try database.sql("INSERT INTO orders SELECT i, repeat('x', 1000) FROM generate_series(1, 2500) i")
        try running.waitForError(containing: "log.disk_full")
        try FileManager.default.removeItem(atPath: filler)
        try running.wait(for: "all events") {
            try program.events(in: "out/orders.jsonl", ignoringTornEnd: true).count >= 2500
        }
        running.send(SIGTERM)
        #expect(try running.finish().exitCode == 143)
        #expect(try program.events(in: "out/orders.jsonl").map(\.sequence) == (try ledger.changes()))
    }

    /// With the log back in its place, what happened meanwhile is still there to be read.
    @Test func aLogThatIsMovedAwayUnderARunningProgramStopsItAndLosesNothing() throws {
        let database = try PostgresDatabase()
        try database.sql("CREATE TABLE orders (id bigint PRIMARY KEY, status text)")
        let program = try MillraceProgram(configuration: configuration(database))
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        try database.sql("INSERT INTO orders VALUES (1, 'a')")
        try running.wait(for: "the first") { try program.loggedEvents().count == 1 }
        let log = program.folder.path(".millrace")
        try FileManager.default.moveItem(atPath: log, toPath: log + ".aside")
        try database.sql("INSERT INTO orders VALUES (2, 'b')")
        let result = try running.finish()
        #expect(result.exitCode == 3)
        #expect(result.errors.contains("error[log.replaced]"))
        try FileManager.default.moveItem(atPath: log + ".aside", toPath: log)
        try program.catchUp()
        #expect(try program.loggedEvents().map(\.key) == ["id=1", "id=2"])
    }

    private func expect(
        _ result: ChildResult, _ code: String, hint: String, exitCode: Int32 = 3,
        at location: SourceLocation = #_sourceLocation
    ) {
        #expect(result.exitCode == exitCode, "\(result.errors)", sourceLocation: location)
        #expect(result.errors.contains("error[\(code)"), "\(result.errors)", sourceLocation: location)
        #expect(result.errors.contains(hint), "\(result.errors)", sourceLocation: location)
        #expect(result.errors.contains("  try  "), "\(result.errors)", sourceLocation: location)
    }
}
