import Foundation
import ProgramTesting
import Testing

/// The program is killed while it sets single rows aside and while it releases them. Nothing may be lost, nothing may
/// be in the log twice, and the changes of each row stay in order.
@Suite(.serialized)
struct InvalidRowKillTests {
    private let database: PostgresDatabase
    private let program: MillraceProgram
    private let ledger: PostgresLedger

    init() throws {
        database = try PostgresDatabase()
        try database.sql("CREATE TABLE a (id int PRIMARY KEY, n int)")
        program = try MillraceProgram(shop: database, tables: "a")
        try program.catchUp()
        ledger = try PostgresLedger(database, publication: database.name)
        try register(1, "{\"properties\": {\"n\": {\"maximum\": 10}}}")
    }

    private func register(_ version: Int, _ text: String) throws {
        try program.folder.write("new.json", text)
        let path = program.folder.path("Schemas/shop.public.a")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try FileManager.default.moveItem(
            atPath: program.folder.path("new.json"), toPath: "\(path)/v\(version).schema.json")
    }

    /// Every third row is not valid at first, and every row is updated, moved or deleted later on.
    private func work(_ rows: Range<Int>) throws {
        for row in rows {
            let last =
                row % 2 == 0
                ? "UPDATE a SET id = id + 5000 WHERE id = \(row)" : "UPDATE a SET n = 7 WHERE id = \(row)"
            try database.sql(
                """
                INSERT INTO a VALUES (\(row), \(row % 3 == 0 ? 50 : 5)), (\(row + 10000), 1);
                UPDATE a SET n = n + 1 WHERE id = \(row);
                \(last);
                DELETE FROM a WHERE id = \(row + 9998)
                """)
        }
    }

    /// Everything the server committed, once, with the changes of each row in order.
    private func expectWholeAndOrdered() throws {
        let expected = try ledger.changes()
        for events in [try program.loggedEvents(), try program.events(in: "out/all.jsonl")] {
            #expect(events.map(\.sequence).sorted() == expected)
            let folded = FoldedTables(events)
            #expect(folded.contradictions == [])
            #expect(try folded.table("public.a") == database.rows("SELECT * FROM a", key: "id"))
        }
    }

    @Test(arguments: ["log.inside_set_aside:1", "log.inside_set_aside:2", "log.set_aside:1", "log.set_aside:3"])
    func nothingIsLostNorDoubledByAKillWhileRowsAreSetAside(at point: String) throws {
        let victim = try program.start("run", haltAt: point)
        try victim.waitForError(containing: "capturing")
        var row = 10
        try victim.wait(for: "halt at \(point)") {
            if victim.errorText.contains("halted at") { return true }
            try work(row..<row + 3)
            row += 3
            return false
        }
        victim.kill()
        try work(500..<506)
        try program.catchUp()
        // Of rows that were never anything but valid, nothing waits.
        let whole = try program.loggedEvents()
        #expect(!whole.isEmpty && whole.allSatisfy { ($0.after?["n"] as? Int ?? 0) <= 10 })
        #expect(whole.contains { $0.key == "id=505" || $0.key == "id=5504" })
        try register(2, "{}")
        try program.catchUp()
        try expectWholeAndOrdered()
    }

    @Test(arguments: [
        "log.inside_release:1", "log.inside_release:2", "log.released:1", "log.released:3", "sink.durable:1",
    ])
    func nothingIsLostNorDoubledByAKillWhileRowsAreReleased(at point: String) throws {
        for round in 0..<5 {
            try work(20 + round * 4..<24 + round * 4)
            try program.catchUp()
        }
        #expect(try program.run("deadletters", "list").output.contains("changes wait"))
        // Some rows of each batch may go on, and others may not.
        try register(
            2,
            """
            {"properties": {"n": {"maximum": 50}},
             "not": {"properties": {"id": {"multipleOf": 2}, "n": {"minimum": 50}}}}
            """
        )
        let victim = try program.start("run", haltAt: point)
        try victim.waitForError(containing: "halted at")
        victim.kill()
        try work(600..<606)
        try program.catchUp()
        #expect(try program.run("deadletters", "list").output.contains("changes wait"))
        try register(3, "{}")
        try program.catchUp()
        try expectWholeAndOrdered()
        #expect(!(try program.run("deadletters", "list").output.contains("waiting (")))
    }
}
