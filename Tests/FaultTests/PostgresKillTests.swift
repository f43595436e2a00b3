import ConnectorTesting
import Foundation
import ProgramTesting
import Testing

/// The program is killed at named points of its way over a live PostgreSQL, rows change while it is dead, and it is
/// started again on the same disk. What is in the file must then be the server's own ledger, exactly, and fold to the
/// tables.
@Suite(.serialized)
struct PostgresKillTests {
    @Test(arguments: [
        "schema.before_rename:1", "schema.before_rename:2", "log.appended:1", "log.appended:3", "log.synced:1",
        "log.synced:2", "postgres.before_feedback:1", "file.torn_write:1", "file.torn_write:3", "file.before_sync:1",
        "file.after_sync:1", "file.after_sync:2", "sink.durable:1", "sink.durable:2",
    ])
    func nothingIsLostNorDoubledByAKill(at point: String) throws {
        let shop = try Shop()
        try shop.work(transactions: 40, seed: 1)
        let victim = try shop.program.start("run", haltAt: point)
        try victim.wait(for: "halt at \(point)") {
            if victim.errorText.contains("halted at") { return true }
            // Points that come per pause of the source need more than one burst of work.
            try shop.work(transactions: 2, seed: 2)
            return false
        }
        victim.kill()
        try shop.work(transactions: 40, seed: 3)
        try shop.program.catchUp()
        try shop.expectExactDelivery()
    }

    @Test func nothingIsLostNorDoubledByKillsAtRandomMoments() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let shop = try Shop()
        for round in 0..<6 {
            let victim = try shop.program.start("run")
            let transactions = Int.random(in: 1...40, using: &random)
            try shop.work(transactions: transactions, seed: UInt64(round))
            let lines = Int.random(in: 0...400, using: &random)
            try victim.wait(for: "progress (seed \(seed))") {
                try shop.work(transactions: 1, seed: 99)
                return try shop.deliveredLineCount() >= lines
            }
            victim.kill()
        }
        try shop.program.catchUp()
        try shop.expectExactDelivery("seed \(seed)")
    }

    @Test func aTransactionThatIsCutByAKillArrivesWholeAndOnce() throws {
        let shop = try Shop()
        try shop.database.sql(
            "INSERT INTO orders SELECT i, 'bulk', i, repeat('x', 200), now() FROM generate_series(100000, 130000) i")
        let victim = try shop.program.start("run", haltAt: "log.appended:4")
        try victim.waitForError(containing: "halted at log.appended")
        victim.kill()
        let after = try shop.program.loggedEvents().count
        #expect(after > 0 && after < 30001, "the kill must cut the transaction, but \(after) events were in the log")
        try shop.program.catchUp()
        try shop.expectExactDelivery()
    }
}

/// A database with a workload, and a program that captures it.
struct Shop {
    let database: PostgresDatabase
    let program: MillraceProgram
    let ledger: PostgresLedger

    /// On the shared server, or on one of the test's own; the program may reach it by another URL.
    init(on server: OwnServer? = nil, url: (PostgresDatabase) -> String = { $0.url }) throws {
        database = try server.map { try PostgresDatabase(on: $0) } ?? PostgresDatabase()
        try database.sql(
            """
            CREATE TABLE orders (id bigint PRIMARY KEY, status text, amount numeric(12,2), note text, at timestamptz);
            CREATE TABLE lines (id int PRIMARY KEY, "Odd ""name" text, big text);
            ALTER TABLE lines REPLICA IDENTITY FULL;
            ALTER TABLE orders ALTER COLUMN note SET STORAGE EXTERNAL;
            """)
        program = try MillraceProgram(
            configuration: """
                name: \(database.name)
                source:
                  postgres:
                    url: \(url(database))
                    tables: [public.orders, public.lines]
                sinks:
                  all:
                    file: {path: out/all.jsonl}
                """)
        // The first run makes publication and slot; everything after it is captured, by the ledger too.
        try program.catchUp()
        let publication = try database.sql("SELECT pubname FROM pg_publication").first ?? ""
        ledger = try PostgresLedger(database, publication: publication)
    }

    /// Random transactions, the same for the same seed: inserts, updates, key updates, deletes, large values,
    /// rollbacks, a truncate now and then.
    func work(transactions: Int, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var script = ""
        for _ in 0..<transactions {
            script += "BEGIN;\n"
            for _ in 0..<Int.random(in: 1...8, using: &random) { script += Self.statement(&random) + "\n" }
            script += Int.random(in: 0..<10, using: &random) == 0 ? "ROLLBACK;\n" : "COMMIT;\n"
        }
        let file = try program.folder.write("work.sql", script)
        let result = try runProgram(
            "/usr/bin/psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database.name, "-f", file],
            environment: database.environment)
        guard result.exitCode == 0 else { throw ChildFailure(description: "workload: \(result.errors)") }
    }

    private static func statement(_ random: inout SeededGenerator) -> String {
        let id = Int.random(in: 1...60, using: &random)
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<6:
            return
                "INSERT INTO orders VALUES (\(id), 'new', \(id).5, repeat('n', \(id * 80)), now()) "
                + "ON CONFLICT DO NOTHING;"
        case 6..<10: return "UPDATE orders SET status = 'paid', amount = amount + 1 WHERE id = \(id);"
        case 10:
            return "UPDATE orders SET id = id + 1000 WHERE id = \(id) AND NOT EXISTS "
                + "(SELECT FROM orders WHERE id = \(id) + 1000);"
        case 11..<13: return "DELETE FROM orders WHERE id = \(id);"
        case 13..<17:
            return
                "INSERT INTO lines VALUES (\(id), E'q\"\\\\\\n\\t\u{1F600}', NULL) "
                + "ON CONFLICT (id) DO UPDATE SET big = repeat('b', 3000);"
        case 17..<19: return "DELETE FROM lines WHERE id = \(id);"
        default: return id < 6 ? "TRUNCATE lines;" : "UPDATE lines SET \"Odd \"\"name\" = 'x' WHERE id < \(id);"
        }
    }

    func deliveredLineCount() throws -> Int {
        let text = (try? String(contentsOfFile: program.folder.path("out/all.jsonl"), encoding: .utf8)) ?? ""
        return text.utf8.reduce(0) { $1 == 10 ? $0 + 1 : $0 }
    }

    /// The file holds the ledger's changes, each once and in order; so does the log; and they fold to the tables.
    func expectExactDelivery(_ comment: Comment? = nil) throws {
        let expected = try ledger.changes()
        #expect(!expected.isEmpty, "a workload without changes proves nothing")
        let events = try program.events(in: "out/all.jsonl")
        #expect(events.map(\.sequence) == expected, comment)
        #expect(try program.loggedEvents().map(\.sequence) == expected, comment)
        let folded = FoldedTables(events)
        #expect(folded.contradictions == [], comment)
        let orders = try database.rows(
            "SELECT id, status, amount::text, note, at::text FROM orders", key: "id")
        let lines = try database.rows("SELECT * FROM lines", key: "id")
        #expect(Self.withoutTimes(folded.table("public.orders")) == Self.withoutTimes(orders), comment)
        #expect(folded.table("public.lines") == lines, comment)
    }

    /// Timestamps are compared by other tests: the session here may write another zone.
    private static func withoutTimes(_ rows: [String: [String: AnyHashable]]) -> [String: [String: AnyHashable]] {
        rows.mapValues { $0.filter { $0.key != "at" } }
    }
}
