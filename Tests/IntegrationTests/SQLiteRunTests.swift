import Foundation
import ProgramTesting
import Testing

/// The main job over a SQLite file, as a user runs it.
@Suite(.serialized)
struct SQLiteRunTests {
    @Test func theDoctorWarnsOfASinkWhoseTablesMatchNothing() throws {
        let program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db}
                sinks:
                  all:
                    file: {path: out/all.jsonl}
                  nothing:
                    file: {path: out/nothing.jsonl}
                    tables: [public.orders, order]
                  some:
                    file: {path: out/some.jsonl}
                    tables: [orders, "cust*"]
                """)
        try program.sqlite("shop.db", "PRAGMA journal_mode = WAL; CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        let result = try program.run("doctor")
        #expect(result.exitCode == 0)
        let warnings = result.output.split(separator: "\n").filter { $0.hasPrefix("warning") }
        #expect(warnings.count == 2, "\(result.output)")
        #expect(warnings.first?.contains("[config.sink_gets_nothing] sink nothing gets nothing") == true)
        #expect(warnings.last?.contains("[config.unmatched_table] \"cust*\" in the tables of sink some") == true)
        #expect(result.output.contains("fix: mend sinks.nothing.tables"))
    }

    @Test func rowsFromBeforeComeAsSnapshotAndChangesFollow() throws {
        let program = try shop("CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT, data BLOB)")
        try program.sqlite("shop.db", "INSERT INTO orders VALUES (1, 'new', x'00ff'), (2, 'new', NULL)")
        try program.catchUp()
        try program.sqlite(
            "shop.db",
            "INSERT OR REPLACE INTO orders VALUES (2, 'replaced', NULL); UPDATE orders SET id = 5 WHERE id = 1"
        )
        try program.sqlite("shop.db", "DELETE FROM orders WHERE id = 5")
        try program.catchUp()
        let events = try program.events(in: "out/orders.jsonl")
        #expect(events.map(\.operation) == ["snapshot", "snapshot", "update", "update", "delete"])
        #expect(events.map(\.key) == ["id=1", "id=2", "id=2", "id=5", "id=5"])
        #expect(events[0].after?["data"] == AnyHashable("AP8="))
        #expect(events[3].previousKey == "id=1")
        #expect(events[4].before?["status"] == AnyHashable("new"))
    }

    @Test func theApplicationsWritesNeverFailBecauseOfCapture() throws {
        let program = try shop("CREATE TABLE orders (id INTEGER PRIMARY KEY, a, b UNIQUE)")
        try program.catchUp()
        try program.sqlite(
            "shop.db",
            """
            INSERT INTO orders VALUES (1, x'00', 'a\u{FF}'), (2, 9e999, -9223372036854775808), (3, NULL, char(0, 65));
            INSERT OR IGNORE INTO orders VALUES (9, 1, char(0, 65));
            INSERT OR REPLACE INTO orders VALUES (1, zeroblob(100000), char(0, 65));
            UPDATE OR IGNORE orders SET id = 1;
            """)
        try program.catchUp()
        let folded = FoldedTables(try program.events(in: "out/orders.jsonl"))
        #expect(folded.contradictions == [])
        #expect(folded.table("main.orders").keys.sorted() == ["id=1", "id=2"])
    }

    @Test func aTableWithoutPrimaryKeyThatIsNamedIsRefused() throws {
        let program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db, tables: [notes]}
                sinks:
                  archive:
                    file: {path: "out/{table}.jsonl"}
                """)
        try program.sqlite("shop.db", "CREATE TABLE notes (text)")
        let result = try program.run("run", "--until-caught-up")
        #expect(result.exitCode == 3 || result.exitCode == 2)
        #expect(result.errors.contains("error[sqlite.no_primary_key]"))
        #expect(try program.run("doctor").exitCode == 3)
    }

    @Test func aMissingDatabaseFileIsNamedAndNotMade() throws {
        let program = try MillraceProgram(
            configuration:
                "name: shop\nsource:\n  sqlite: {path: nowhere.db}\nsinks:\n  a:\n    file: {path: a.jsonl}\n")
        let result = try program.run("run", "--until-caught-up")
        #expect(result.exitCode == 3)
        #expect(result.errors.contains("nowhere.db"))
        #expect(!FileManager.default.fileExists(atPath: program.folder.path("nowhere.db")))
    }

    @Test func aSecondRunOnTheSameStateFolderIsRefused() throws {
        let program = try shop("PRAGMA journal_mode = WAL; CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        let first = try program.start("run")
        try first.waitForError(containing: "capturing")
        let second = try program.run("run", "--until-caught-up")
        #expect(second.exitCode == 3)
        #expect(second.errors.contains("error[log.in_use]"))
        first.send(SIGINT)
        #expect(try first.finish().exitCode == 130)
    }

    @Test func aTextInAnIntegerColumnIsFoundByAContractThatSaysInteger() throws {
        let program = try shop("CREATE TABLE orders (id INTEGER PRIMARY KEY, n INTEGER, data BLOB)")
        try FileManager.default.createDirectory(
            atPath: program.folder.path("Schemas/shop.main.orders"), withIntermediateDirectories: true)
        try program.folder.write(
            "Schemas/shop.main.orders/v1.schema.json",
            "{\"properties\": {\"n\": {\"type\": [\"integer\", \"null\"]}, \"data\": {\"maxLength\": 4}}}")
        try program.sqlite(
            "shop.db",
            "INSERT INTO orders VALUES (1, 7, x'00ff'), (2, 'seven', NULL), (3, NULL, x'00ff00ff'), (4, 7.5, NULL)")
        try program.catchUp()
        try program.sqlite("shop.db", "UPDATE orders SET n = 8 WHERE id = 2; UPDATE orders SET n = 8 WHERE id = 1")
        try program.catchUp()
        #expect(try program.events(in: "out/orders.jsonl").map(\.key) == ["id=1", "id=1"])
        let list = try program.run("deadletters", "list").output
        #expect(list.contains("shop.main.orders#rows: 4 changes wait") && list.contains("/n must be null or integer"))
        let shown = try program.run("deadletters", "show", "orders").output
        #expect(shown.contains("/n must be null or integer (/properties/n/type)"))
        #expect(shown.contains("/data must have 4 characters at most") && !shown.contains("seven"))
        #expect(shown.contains("update main.orders version 1, valid under version 1"))
    }

    private func shop(_ schema: String) throws -> MillraceProgram {
        let program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db}
                sinks:
                  archive:
                    file: {path: "out/{table}.jsonl"}
                """)
        try program.sqlite("shop.db", schema)
        return program
    }
}
