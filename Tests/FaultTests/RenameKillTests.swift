import Foundation
import ProgramTesting
import Testing

/// Roots of partitions change names, which the server does not announce on a stream that is open, and the program is
/// killed at each step of what follows. Whoever keeps rows by table and key must end with the tables and nothing else.
@Suite(.serialized)
struct RenameKillTests {
    private let database: PostgresDatabase
    private let program: MillraceProgram

    /// Where others work beside, what they do makes a server forget names by itself.
    private let server: OwnServer

    init() throws {
        server = try OwnServer(settings: [])
        database = try PostgresDatabase(on: server)
        for name in ["goods", "wares"] {
            try database.sql(
                """
                CREATE TABLE \(name) (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, note text) PARTITION BY RANGE (id);
                CREATE TABLE \(name)_1 PARTITION OF \(name) FOR VALUES FROM (0) TO (100000);
                INSERT INTO \(name) SELECT i, 0, '\(name)' || repeat('n', 300) FROM generate_series(1, 3000) i
                """)
        }
        program = try MillraceProgram(shop: database, tables: "*")
        try program.catchUp()
    }

    private func work() throws {
        for name in ["goods", "wares"] {
            try database.sql(
                """
                UPDATE \(name) SET n = n + 1 WHERE id % 97 = (random() * 96)::int;
                DELETE FROM \(name) WHERE id % 997 = (random() * 996)::int;
                INSERT INTO \(name) SELECT i, 0, '\(name)' FROM (SELECT (4000 + random() * 90000)::int AS i) s
                    ON CONFLICT DO NOTHING
                """)
        }
    }

    private func swap() throws {
        try database.sql(
            "BEGIN; ALTER TABLE goods RENAME TO z; ALTER TABLE wares RENAME TO goods; ALTER TABLE z RENAME TO wares; "
                + "COMMIT")
    }

    private func expectTablesAreTold() throws {
        let events = try program.events(in: "out/all.jsonl")
        #expect(Set(events.map(\.sequence)).count == events.count)
        let told = FoldedTables(events)
        for name in ["goods", "wares"] {
            let (told, table) = (told.table("public.\(name)"), try database.rows("SELECT * FROM \(name)", key: "id"))
            let wrong = Set(table.keys).union(told.keys).filter { table[$0] != told[$0] }.sorted()
            #expect(Array(wrong.prefix(3)) == [], "\(name)")
        }
        let verified = try program.verify()
        #expect(verified.code == 0, "\(verified.text)")
    }

    @Test(arguments: [
        "postgres.before_stale_end:1", "log.appended:1", "log.appended:3", "snapshot.before_low:1",
        "snapshot.chunk_emitted:1",
    ])
    func rootsThatAreSwappedKeepTheirChangesThroughAKill(at point: String) throws {
        try work()
        try swap()
        try work()
        let victim = try program.start("run", haltAt: point)
        try victim.wait(for: "halt at \(point)") {
            try work()
            return victim.errorText.contains("halted at")
        }
        victim.kill()
        try work()
        try program.catchUp()
        try expectTablesAreTold()
        // The next run has nothing to do again.
        let count = try program.events(in: "out/all.jsonl").count
        try program.catchUp()
        #expect(try program.events(in: "out/all.jsonl").count == count)
    }

    @Test func aRunThatGoesOnFollowsASwapOfRoots() throws {
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        try work()
        try swap()
        try running.wait(for: "the stream to be opened again") {
            try work()
            return running.errorText.contains("postgres.stale_names")
        }
        try running.wait(for: "both roots to be read") {
            try work()
            return ["goods", "wares"].allSatisfy { running.errorText.contains("all rows of public.\($0) were read") }
        }
        try work()
        running.kill()
        try program.catchUp()
        try expectTablesAreTold()
    }
}
