import Foundation
import ProgramTesting
import Testing

/// A table gets another key while rows change, and the program is killed at each step of what follows. Whoever keeps
/// rows by the `key` of the events must end with the table and nothing else.
@Suite(.serialized)
struct KeyChangeKillTests {
    private let database: PostgresDatabase
    private let program: MillraceProgram

    init() throws { (database, program) = try Self.make("evolve") }

    private static func make(_ policy: String) throws -> (PostgresDatabase, MillraceProgram) {
        let database = try PostgresDatabase()
        try database.sql(
            """
            CREATE TABLE goods (id int PRIMARY KEY, code text NOT NULL UNIQUE, n int NOT NULL DEFAULT 0, note text);
            INSERT INTO goods SELECT i, 'c' || i, 0, repeat('n', 300) FROM generate_series(1, 3000) i
            """)
        let program = try MillraceProgram(shop: database, tables: "goods", schemas: "on_change: \(policy)")
        try program.catchUp()
        return (database, program)
    }

    private func work(_ database: PostgresDatabase) throws {
        try database.sql(
            """
            UPDATE goods SET n = n + 1 WHERE id % 97 = (random() * 96)::int;
            UPDATE goods SET code = code || 'x' WHERE id % 499 = (random() * 498)::int;
            DELETE FROM goods WHERE id % 997 = (random() * 996)::int;
            INSERT INTO goods SELECT i, 'r' || i FROM (SELECT (4000 + random() * 90000)::int AS i) s
                ON CONFLICT DO NOTHING
            """)
    }

    private func changeKey(_ database: PostgresDatabase) throws {
        try database.sql("ALTER TABLE goods DROP CONSTRAINT goods_pkey, ADD PRIMARY KEY (code)")
    }

    private func expectTableIsTold(
        _ database: PostgresDatabase, _ program: MillraceProgram, clears: Int = 1, _ comment: Comment? = nil
    ) throws {
        let events = try program.events(in: "out/all.jsonl")
        #expect(Set(events.map(\.sequence)).count == events.count, comment)
        let told = FoldedTables(events).table("public.goods")
        let table = try database.rows("SELECT * FROM goods", key: "code")
        let wrong = Set(table.keys).union(told.keys).filter { table[$0] != told[$0] }.sorted()
        #expect(Array(wrong.prefix(3)) == [], comment)
        #expect(events.filter { $0.operation == "truncate" }.count == clears, comment)
        let verified = try program.verify()
        #expect(verified.code == 0, "\(verified.text)")
    }

    @Test(arguments: [
        "log.appended:2", "snapshot.before_low:1", "snapshot.chunk_emitted:1",
    ])
    func aKeyThatChangesUnderTrafficIsFollowedThroughAKill(at point: String) throws {
        let victim = try program.start("run", haltAt: point)
        try victim.waitForError(containing: "capturing")
        try work(database)
        try changeKey(database)
        try victim.wait(for: "halt at \(point)") {
            try work(database)
            return victim.errorText.contains("halted at")
        }
        let before = try program.loggedEvents().filter { $0.operation == "truncate" }.map(\.sequence)
        victim.kill()
        try work(database)
        try program.catchUp()
        try expectTableIsTold(database, program)
        let after = try program.loggedEvents().filter { $0.operation == "truncate" }.map(\.sequence)
        #expect(before.isEmpty || before == after, "an event that is in the log keeps its id")
    }

    @Test func captureThatHaltsBeforeANewKeyReadsTheTableOnceTheKeyIsAccepted() throws {
        let (database, program) = try Self.make("halt")
        try changeKey(database)
        try work(database)
        for _ in 0..<2 { #expect(try program.run("run", "--until-caught-up").errors.contains("schema.changed")) }
        #expect(try !program.events(in: "out/all.jsonl").contains { $0.operation == "truncate" })
        #expect(try program.run("schema", "accept", "shop.public.goods").exitCode == 0)
        try program.catchUp()
        try expectTableIsTold(database, program)
    }

    @Test(arguments: ["accept", "discard"])
    func aTableWhoseNewKeyNobodyAcceptedIsReadOnceItsChangesAreReleasedOrDiscarded(by decision: String) throws {
        let (database, program) = try Self.make("quarantine")
        try changeKey(database)
        try work(database)
        for _ in 0..<2 {
            try program.catchUp()
            try work(database)
        }
        #expect(try !program.events(in: "out/all.jsonl").contains { $0.operation == "truncate" })
        let waiting = try program.run("deadletters", "list").output
        #expect(waiting.contains("shop.public.goods"), "\(waiting)")
        let accepted = try program.run("schema", "accept", "shop.public.goods")
        #expect(accepted.exitCode == 0, "\(accepted.errors)")
        if decision == "discard" {
            let discarded = try program.run("deadletters", "discard", "shop.public.goods", "--yes")
            #expect(discarded.exitCode == 0, "\(discarded.errors) \(discarded.output)")
        }
        try program.catchUp()
        try expectTableIsTold(database, program)
    }
}
