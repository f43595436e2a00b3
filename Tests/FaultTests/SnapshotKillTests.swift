import ConnectorTesting
import Foundation
import ProgramTesting
import Testing

/// The program is killed at each step of a snapshot while rows change, and started again. The file must then fold to
/// the table, with no row told older than before, and no row of a chunk told twice.
@Suite(.serialized)
struct SnapshotKillTests {
    @Test(arguments: [
        "snapshot.before_low:1", "snapshot.before_low:4", "snapshot.chunk_read:1", "snapshot.chunk_read:5",
        "snapshot.before_high:2", "snapshot.chunk_emitted:1", "snapshot.chunk_emitted:3", "log.appended:2",
        "log.body_stored:1", "log.body_stored:4", "log.synced:3",
    ])
    func aSnapshotGoesOnBehindItsLastChunkAfterAKill(at point: String) throws {
        let stock = try Stock()
        let victim = try stock.program.start("run", haltAt: point)
        try victim.wait(for: "halt at \(point)") {
            try stock.work()
            return victim.errorText.contains("halted at")
        }
        try stock.work()
        let before = try stock.snapshotSequences()
        victim.kill()
        try stock.work()
        try stock.program.catchUp()
        try stock.expectTableIsTold()
        let after = try stock.snapshotSequences()
        #expect(Array(after.prefix(before.count)) == before, "rows that were in the log keep their ids")
        #expect(Set(after).count == after.count)
    }

    @Test func killsAtRandomMomentsCostChunksAndNothingElse() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let stock = try Stock()
        for _ in 0..<5 {
            let victim = try stock.program.start("run")
            for _ in 0..<Int.random(in: 1...6, using: &random) { try stock.work() }
            victim.kill()
        }
        try stock.program.catchUp()
        try stock.expectTableIsTold("seed \(seed)")
    }

    @Test func aTableIsReadAgainOnRequestWhileTheProgramRuns() throws {
        let stock = try Stock()
        try stock.program.catchUp()
        let first = try stock.snapshotSequences().count
        #expect(first == Stock.rowCount)
        let asked = try stock.program.run("snapshot", "public.stock", "--wait", "0")
        #expect(asked.exitCode == 0, "\(asked.errors)")
        let running = try stock.program.start("run")
        try running.wait(for: "the second snapshot") {
            try stock.work()
            return try stock.snapshotSequences().count >= first + Stock.rowCount / 2
        }
        running.kill()
        try stock.program.catchUp()
        try stock.expectTableIsTold()
    }
}

/// A table with rows in it, and a program that captures it in small chunks.
private struct Stock {
    static let rowCount = 30_000
    let database: PostgresDatabase
    let program: MillraceProgram

    init() throws {
        database = try PostgresDatabase()
        try database.sql(
            """
            CREATE SEQUENCE versions;
            CREATE TABLE stock (id int PRIMARY KEY, v bigint NOT NULL DEFAULT nextval('versions'), note text, big text);
            ALTER TABLE stock ALTER COLUMN big SET STORAGE EXTERNAL;
            INSERT INTO stock SELECT i * 2, nextval('versions'), repeat('n', 200),
                CASE WHEN i % 50 = 0 THEN repeat('o', 2700) END
            FROM generate_series(1, \(Self.rowCount)) i
            """)
        program = try MillraceProgram(
            configuration: """
                name: \(database.name)
                source:
                  postgres:
                    url: \(database.url)
                    tables: [public.stock]
                sinks:
                  all:
                    file: {path: out/all.jsonl}
                """)
    }

    /// Changes rows all over the table: values, keys, TOAST values, deletes and inserts.
    func work() throws {
        try database.sql(
            """
            UPDATE stock SET v = nextval('versions'), note = 'w' WHERE id % 211 = (random() * 210)::int;
            UPDATE stock SET v = nextval('versions'), big = repeat('b', 2600) WHERE id % 997 = (random() * 996)::int;
            UPDATE stock s SET v = nextval('versions'), id = s.id + 1
                WHERE s.id % 2 = 0 AND s.id % 499 = (random() * 498)::int
                AND NOT EXISTS (SELECT FROM stock o WHERE o.id = s.id + 1);
            DELETE FROM stock WHERE id % 1009 = (random() * 1008)::int;
            INSERT INTO stock (id, note) SELECT (random() * 60000)::int, 'new' FROM generate_series(1, 20)
                ON CONFLICT DO NOTHING
            """)
    }

    /// Sequences of the snapshot's rows in the log, in order.
    func snapshotSequences() throws -> [String] {
        try program.loggedEvents().filter { $0.operation == "snapshot" }.map(\.sequence)
    }

    func expectTableIsTold(_ comment: Comment? = nil) throws {
        let events = try program.events(in: "out/all.jsonl")
        #expect(Set(events.map(\.sequence)).count == events.count, comment)
        #expect(events.map(\.sequence) == events.map(\.sequence).sorted(), comment)
        var versions: [String: Int] = [:]
        var older: [String] = []
        for event in events {
            guard let key = event.key, let version = event.after?["v"] as? Int else { continue }
            if version < versions[key, default: 0] { older.append(event.id) }
            versions[key] = version
        }
        #expect(older.prefix(3) == [], comment)
        let told = FoldedTables(events).table("public.stock")
        let table = try database.rows("SELECT * FROM stock", key: "id")
        let wrong = Set(table.keys).union(told.keys).filter { table[$0] != told[$0] }.sorted().prefix(3)
        #expect(Array(wrong) == [], comment)
    }
}
