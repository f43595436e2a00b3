import Foundation
import ProgramTesting
import Testing

/// The program is killed while it sets changes aside and while it releases them. Nothing may be lost, nothing may be in
/// the log twice, and the changes of each table stay in order.
@Suite(.serialized)
struct QuarantineKillTests {
    private let database: PostgresDatabase
    private let program: MillraceProgram
    private let ledger: PostgresLedger

    init() throws {
        database = try PostgresDatabase()
        try database.sql("CREATE TABLE a (id int PRIMARY KEY, n int); CREATE TABLE b (id int PRIMARY KEY, n int)")
        program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  postgres:
                    url: \(database.url)
                    tables: [public.a, public.b]
                    slot: \(database.name)
                    publication: \(database.name)
                schemas: {on_change: quarantine}
                sinks:
                  all:
                    file: {path: out/all.jsonl}
                """)
        try program.catchUp()
        ledger = try PostgresLedger(database, publication: database.name)
        try work(0..<5)
        try program.catchUp()
    }

    /// Transactions on both tables, one statement of `psql` each.
    private func work(_ rows: Range<Int>) throws {
        for row in rows {
            try database.sql(
                """
                INSERT INTO a VALUES (\(row), 0); INSERT INTO b VALUES (\(row), 0);
                UPDATE a SET n = n + 1 WHERE id <= \(row); DELETE FROM b WHERE id = \(row) - 2
                """)
        }
    }

    private func accept() throws {
        #expect(try program.run("schema", "accept", "shop.public.a").exitCode == 0)
    }

    /// Everything the server committed, once, with the changes of each table in order.
    private func expectWholeAndOrdered() throws {
        let expected = try ledger.changes()
        for events in [try program.loggedEvents(), try program.events(in: "out/all.jsonl")] {
            #expect(events.map(\.sequence).sorted() == expected)
            for table in ["public.a", "public.b"] {
                let own = events.filter { $0.table == table }.map(\.sequence)
                #expect(own == own.sorted())
            }
            let folded = FoldedTables(events)
            #expect(folded.contradictions == [])
            for table in ["a", "b"] {
                #expect(try folded.table("public.\(table)") == database.rows("SELECT * FROM \(table)", key: "id"))
            }
        }
    }

    @Test(arguments: [
        "schema.before_proposal:1", "log.inside_set_aside:1", "log.inside_set_aside:3", "log.set_aside:1",
        "log.set_aside:2",
    ])
    func nothingIsLostNorDoubledByAKillWhileChangesAreSetAside(at point: String) throws {
        let victim = try program.start("run", haltAt: point)
        try victim.waitForError(containing: "capturing")
        try database.sql("ALTER TABLE a ADD COLUMN extra text DEFAULT 'e'")
        var row = 10
        try victim.wait(for: "halt at \(point)") {
            if victim.errorText.contains("halted at") { return true }
            try work(row..<row + 2)
            row += 2
            return false
        }
        victim.kill()
        try work(500..<503)
        try program.catchUp()
        let logged = try program.loggedEvents()
        #expect(logged.allSatisfy { $0.table == "public.b" || $0.version == 1 })
        #expect(logged.filter { $0.table == "public.b" }.count > 10)
        try accept()
        try program.catchUp()
        try expectWholeAndOrdered()
    }

    @Test(arguments: [
        "log.inside_release:1", "log.inside_release:3", "log.released:1", "log.released:2", "schema.before_rename:1",
        "sink.durable:1",
    ])
    func nothingIsLostNorDoubledByAKillWhileChangesAreReleased(at point: String) throws {
        try database.sql("ALTER TABLE a ADD COLUMN extra text DEFAULT 'e'")
        for round in 0..<4 {
            try work(20 + round * 2..<22 + round * 2)
            try program.catchUp()
        }
        let list = try program.run("deadletters", "list").output
        #expect(list.contains("changes waiting"))
        if point.hasPrefix("schema") {
            let victim = try program.start("schema", "accept", "shop.public.a", haltAt: point)
            try victim.waitForError(containing: "halted at")
            victim.kill()
        } else {
            try accept()
            let victim = try program.start("run", haltAt: point)
            try victim.waitForError(containing: "halted at")
            victim.kill()
        }
        try work(600..<603)
        if point.hasPrefix("schema") { try accept() }
        try program.catchUp()
        try expectWholeAndOrdered()
        #expect(!(try program.run("deadletters", "list").output.contains("wait (")))
    }

    @Test func discardKilledBeforeItsAnswerTakesNothingThatCameLater() throws {
        try database.sql("ALTER TABLE a ADD COLUMN extra text DEFAULT 'e'; INSERT INTO a VALUES (100, 0, 'x')")
        try program.catchUp()
        let victim = try program.start("run", haltAt: "log.discarded:1")
        try victim.waitForError(containing: "capturing")
        let command = try program.start("deadletters", "discard", "public.a", "--yes", "--wait", "1")
        try victim.waitForError(containing: "halted at log.discarded")
        victim.kill()
        _ = try command.finish()
        try database.sql("INSERT INTO a VALUES (101, 0, 'y')")
        // The request is still there: it is carried out once more, before the later change is set aside or after.
        #expect(try waitingRequests() == 1)
        try program.catchUp()
        let next = try program.start("run")
        try next.wait(for: "the answer") { try waitingRequests() == 0 }
        next.send(SIGTERM)
        _ = try next.finish()
        let list = try program.run("deadletters", "list").output
        #expect(list.contains("1 change waiting"))
        #expect(list.contains("1 discarded"))
    }

    private func waitingRequests() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: program.folder.path(".millrace/requests"))
            .count { $0.hasSuffix(".request") }
    }
}
