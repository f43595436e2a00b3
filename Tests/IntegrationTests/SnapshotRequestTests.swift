import Foundation
import ProgramTesting
import Testing

/// `millrace snapshot` beside what else there is to do.
@Suite(.serialized)
struct SnapshotRequestTests {
    private let database: PostgresDatabase

    init() throws {
        database = try PostgresDatabase()
        try database.sql(
            """
            CREATE TABLE orders (id bigint PRIMARY KEY, status text);
            INSERT INTO orders SELECT i, 'old' FROM generate_series(1, 50) i;
            """)
    }

    private func program(_ schemas: String = "") throws -> MillraceProgram {
        try MillraceProgram(shop: database, tables: "orders", schemas: schemas)
    }

    private func operations(_ program: MillraceProgram) throws -> [String] {
        try program.events(in: "out/all.jsonl").map(\.operation)
    }

    @Test func aRunThatEndsCarriesARequestOutAlthoughThereAreOtherChanges() throws {
        let program = try program()
        try program.catchUp()
        for round in 1...6 {
            let seen = try operations(program).count
            #expect(try program.run("snapshot", "public.orders", "--wait", "0").exitCode == 0)
            try database.sql("UPDATE orders SET status = 'round \(round)' WHERE id = \(round)")
            try program.catchUp()
            let new = try operations(program).dropFirst(seen)
            #expect(new.count { $0 == "truncate" } == 1 && new.count { $0 == "update" } == 1)
            #expect(new.last == "snapshot")
        }
        #expect(try program.verify(showingKeys: false).isEqual)
    }

    @Test(arguments: ["accept", "discard"])
    func aRequestForATableThatIsSetAsideWaitsUntilItIsNot(_ end: String) throws {
        let program = try program("on_change: quarantine")
        try program.catchUp()
        try database.sql("ALTER TABLE orders ADD note text; UPDATE orders SET note = 'x' WHERE id = 1")
        try program.catchUp()
        #expect(try program.run("snapshot", "public.orders", "--wait", "0").exitCode == 0)
        try database.sql("DELETE FROM orders WHERE id > 40")
        try program.catchUp()
        #expect(!(try operations(program)).contains("truncate"))
        if end == "discard" {
            #expect(try program.run("deadletters", "discard", "shop.public.orders", "--yes").exitCode == 0)
        }
        #expect(try program.run("schema", "accept", "shop.public.orders").exitCode == 0)
        try program.catchUp()
        #expect(try operations(program).count { $0 == "truncate" } == 1)
        let verified = try program.verify(showingKeys: false)
        #expect(verified.isEqual, "\(verified.text)")
    }

    /// It was said to stay, and the next run forgot it with a notice.
    @Test func aRequestForATableThatCannotBeCapturedIsRefusedAtOnce() throws {
        let program = try program()
        for round in 1...2 {
            for name in ["public.typo", "typo", "other.*"] {
                let result = try program.run("snapshot", name, "--wait", "0")
                #expect(result.exitCode == 2, "\(round) \(name) \(result.output)")
                #expect(result.errors.contains("error[postgres.snapshot_unknown_table]"), "\(result.errors)")
                #expect(result.errors.contains("no captured table matches \(name)"), "\(result.errors)")
            }
            for name in ["public.orders", "orders", "public.*"] where round == 2 {
                #expect(try program.run("snapshot", name, "--wait", "0").exitCode == 0)
            }
            try program.catchUp()
        }
        #expect(try operations(program).count { $0 == "truncate" } > 0)
    }

    @Test func aRequestThatANextRunRefusesIsAWarningWithTheReason() throws {
        let program = try MillraceProgram(shop: database, tables: "*")
        try program.catchUp()
        #expect(try program.run("snapshot", "public.typo", "--wait", "0").exitCode == 0)
        let run = try program.run("run", "--until-caught-up")
        let line = run.errors.split(separator: "\n").first { $0.contains("refused and forgotten") } ?? ""
        #expect(line.lowercased().contains("warning"), "\(run.errors)")
        #expect(line.contains("postgres.snapshot_unknown_table") && line.contains("millrace snapshot public.typo"))
        #expect(line.contains("name a table as schema.table"), "\(line)")
    }
}
