import ConnectorTesting
import Foundation
import ProgramTesting
import Testing

/// The program is killed at named points of its way over a SQLite file, rows change while it is dead, and it is started
/// again on the same disk. The file must then hold each event once and fold to the table.
@Suite(.serialized)
struct SQLiteKillTests {
    @Test(arguments: [
        "sqlite.snapshot_chunk:1", "sqlite.snapshot_chunk:2", "log.appended:1", "log.appended:2", "log.synced:1",
        "log.synced:2", "sqlite.before_prune:1", "file.torn_write:1", "file.before_sync:1", "file.after_sync:1",
        "sink.durable:1",
    ])
    func nothingIsLostNorDoubledByAKill(at point: String) throws {
        let till = try Till()
        try till.work(statements: 200, seed: 1)
        let victim = try till.program.start("run", haltAt: point)
        var burst: UInt64 = 10
        try victim.wait(for: "halt at \(point)") {
            if victim.errorText.contains("halted at") { return true }
            burst += 1
            try till.work(statements: 5, seed: burst)
            return false
        }
        victim.kill()
        try till.work(statements: 200, seed: 2)
        try till.program.catchUp()
        // A kill before the capture was installed leaves everything to the snapshot: there must be changes too.
        try till.work(statements: 200, seed: 3)
        try till.program.catchUp()
        try till.expectExactDelivery()
    }

    @Test func nothingIsLostNorDoubledByKillsAtRandomMoments() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let till = try Till()
        try till.work(statements: 300, seed: seed)
        for round in 0..<6 {
            let victim = try till.program.start("run")
            let lines = Int.random(in: 0...300, using: &random) + round * 60
            var burst = seed &+ UInt64(round) &* 1000
            try victim.wait(for: "progress (seed \(seed))") {
                burst &+= 1
                try till.work(statements: 10, seed: burst)
                return try till.program.events(in: "out/items.jsonl", ignoringTornEnd: true).count >= lines
            }
            victim.kill()
        }
        try till.program.catchUp()
        try till.expectExactDelivery("seed \(seed)")
    }
}

/// A SQLite file with a workload, and a program that captures it.
struct Till {
    let program: MillraceProgram

    init(file: String = "path: \"out/{table}.jsonl\"") throws { try self.init(sinks: "items: {file: {\(file)}}") }

    init(sinks: String) throws {
        program = try MillraceProgram(
            configuration: """
                name: till
                source:
                  sqlite: {path: till.db}
                sinks:
                  \(sinks)
                """)
        try sql(
            """
            PRAGMA journal_mode = WAL;
            CREATE TABLE items (id INTEGER PRIMARY KEY, code TEXT UNIQUE, n, data BLOB);
            CREATE TABLE notes (id INTEGER PRIMARY KEY, text);
            -- A second table, of a size that makes its snapshot more than one chunk.
            WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                INSERT INTO notes SELECT i, printf('%0600d', i) FROM n;
            """)
    }

    /// Random statements, the same for the same seed, some inside of transactions that roll back.
    func work(statements: Int, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var script = "PRAGMA recursive_triggers = \(seed % 2);\n"
        for index in 0..<statements {
            if index % 20 == 0 { script += "BEGIN IMMEDIATE;\n" }
            script += Self.statement(&random) + ";\n"
            if index % 20 == 19 || index == statements - 1 { script += index % 60 == 59 ? "ROLLBACK;\n" : "COMMIT;\n" }
        }
        try sql(script)
    }

    private static func statement(_ random: inout SeededGenerator) -> String {
        let id = Int.random(in: 1...80, using: &random)
        let code = Int.random(in: 1...80, using: &random)
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<3: return "INSERT OR IGNORE INTO items VALUES (\(id), 'c\(code)', \(code), x'00ff')"
        case 3..<5: return "INSERT OR REPLACE INTO items VALUES (\(id), 'c\(code)', \(code) / 3.0, NULL)"
        case 5: return "UPDATE OR REPLACE items SET code = 'c\(code)' WHERE id = \(id)"
        case 6: return "INSERT INTO items VALUES (\(id), 'c\(code)', 1, NULL) ON CONFLICT DO UPDATE SET n = 'upserted'"
        case 7: return "UPDATE OR IGNORE items SET id = \(code) WHERE id = \(id)"
        case 8: return "UPDATE items SET n = 9223372036854775807 WHERE id = \(id)"
        default: return "DELETE FROM items WHERE id = \(id)"
        }
    }

    @discardableResult
    func sql(_ script: String) throws -> String {
        let file = try program.folder.write("work.sql", script)
        return try program.sqlite("till.db", ".read '\(file)'")
    }

    /// The file holds each event once, in order, as the log does, and folds to the table.
    func expectExactDelivery(_ comment: Comment? = nil) throws {
        let events = try program.events(in: "out/items.jsonl")
        let sequences = events.map(\.sequence)
        #expect(Set(sequences).count == sequences.count, comment)
        #expect(sequences == sequences.sorted(), comment)
        let notes = try program.events(in: "out/notes.jsonl").map(\.sequence)
        #expect(Set(notes).count == 2000, comment)
        #expect(try program.loggedEvents().map(\.sequence) == (sequences + notes).sorted(), comment)
        #expect(events.contains { $0.operation != "snapshot" }, "a run without changes proves nothing")
        let folded = FoldedTables(events)
        #expect(folded.contradictions == [], comment)
        let table = try sql("SELECT id, code, typeof(n), n, hex(data) FROM items ORDER BY id;")
        let rows = folded.table("main.items").values.sorted { Self.integer($0["id"]) < Self.integer($1["id"]) }
        #expect(rows.count == table.split(separator: "\n").count, comment)
        for (row, line) in zip(rows, table.split(separator: "\n")) {
            let columns = line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            #expect(Self.integer(row["id"]) == Int(columns[0]), comment)
            #expect(row["code"] as? String == columns[1], comment)
            if columns[2] == "text" { #expect(row["n"] as? String == columns[3], comment) }
            if columns[2] == "integer" { #expect(Self.integer(row["n"]) == Int(columns[3]), comment) }
            #expect(row["data"] as? String == (columns[4] == "00FF" ? "AP8=" : nil), comment)
        }
    }

    private static func integer(_ value: AnyHashable?) -> Int {
        (value as? NSNumber)?.intValue ?? (value as? Int) ?? .min
    }
}
