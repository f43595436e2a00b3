import Foundation
import ProgramTesting
import Testing

/// Rows under contracts that ask for more than the types of their columns guarantee, over a live PostgreSQL.
@Suite(.serialized)
struct RowContractTests {
    private let database: PostgresDatabase

    init() throws {
        database = try PostgresDatabase()
        try database.sql(
            """
            CREATE TABLE orders (id bigint PRIMARY KEY, status text, email varchar(60), amount int, note text);
            ALTER TABLE orders ALTER COLUMN note SET STORAGE EXTERNAL;
            CREATE TABLE lines (id int PRIMARY KEY, note text);
            """)
    }

    private func program(_ schemas: String = "") throws -> MillraceProgram {
        try MillraceProgram(shop: database, tables: "orders", "lines", source: "snapshot: never", schemas: schemas)
    }

    /// Writes a version of the contract of orders as somebody who registers one does.
    private func write(_ version: Int, _ text: String, _ program: MillraceProgram) throws {
        try program.folder.write("new.json", text)
        let path = program.folder.path("Schemas/shop.public.orders")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try FileManager.default.moveItem(
            atPath: program.folder.path("new.json"), toPath: "\(path)/v\(version).schema.json")
    }

    private let rich = """
        {"type": "object", "required": ["id", "email"],
         "properties": {"status": {"enum": ["new", "paid", null]},
                        "email": {"type": "string", "format": "email", "maxLength": 40},
                        "amount": {"minimum": 0, "maximum": 1000},
                        "note": {"minLength": 2, "pattern": "^[a-z]+$"}},
         "if": {"properties": {"status": {"const": "paid"}}, "required": ["status"]},
         "then": {"properties": {"amount": {"minimum": 1}}}}
        """

    private func keys(_ events: [Event]) -> [String] { events.map { "\($0.operation) \($0.key ?? "")" } }

    @Test func onlyTheRowThatIsNotValidWaitsWithWhatFollowsItAndIsDeliveredUnderACorrectedVersion() throws {
        let program = try program()
        try program.catchUp()
        try database.sql("INSERT INTO orders VALUES (1, 'new', 'a@example.com', 5, 'ok')")
        try program.catchUp()
        try write(2, rich, program)
        try database.sql(
            """
            INSERT INTO orders VALUES (2, 'paid', 'b@example.com', 7, 'ok');
            INSERT INTO orders VALUES (3, 'paid', 'b@example.com', 0, 'ok');
            INSERT INTO orders VALUES (4, 'lost', 'no mail', -1, 'X');
            UPDATE orders SET status = 'new' WHERE id = 3;
            UPDATE orders SET id = 5 WHERE id = 4;
            INSERT INTO orders VALUES (6, 'new', 'c@example.com', 7, NULL);
            DELETE FROM orders WHERE id = 5;
            UPDATE orders SET status = 'paid' WHERE id = 6;
            INSERT INTO lines VALUES (1, 'free');
            """)
        try program.catchUp()
        let first = try program.events(in: "out/all.jsonl")
        #expect(keys(first) == ["insert id=1", "insert id=2", "insert id=6", "update id=6", "insert id=1"])
        #expect(first.map(\.version) == [1, 2, 2, 2, 1])
        let list = try program.run("deadletters", "list").output
        #expect(list.contains("shop.public.orders#rows: 5 changes wait"))
        #expect(list.contains("[schema.invalid_row]"))
        #expect(list.contains("/amount must be 1 or more"))
        #expect(!list.contains("no mail") && !list.contains("lost"))
        // Nothing changed, so nothing is released, by whatever way it is tried.
        #expect(try program.run("verify", "public.orders").output.contains("5 changes of it set aside"))
        let refused = try program.run("deadletters", "retry")
        #expect(refused.exitCode == 1 && refused.errors.contains("schema.invalid_row"))
        try program.catchUp()
        #expect(try program.events(in: "out/all.jsonl").count == 5)
        // Of one row everything is valid under the next version, of the other one the first change is not.
        try write(3, rich.replacing("\"minimum\": 1}", with: "\"minimum\": 0}"), program)
        #expect(try program.run("deadletters", "retry").output.contains("2 changes of shop.public.orders#rows"))
        #expect(try program.run("deadletters", "list").output.contains("#rows: 3 changes wait"))
        try write(4, "{\"type\": \"object\"}", program)
        try database.sql("INSERT INTO orders VALUES (4, NULL, NULL, NULL, NULL)")
        try program.catchUp()
        let all = try program.events(in: "out/all.jsonl").filter { $0.table == "public.orders" }
        #expect(all.count == 10 && Set(all.map(\.id)).count == 10)
        #expect(all.filter { $0.key == "id=3" }.map(\.version) == [3, 3])
        let moved = all.filter { $0.key == "id=4" || $0.key == "id=5" }
        #expect(moved.map(\.operation) == ["insert", "update", "delete", "insert"])
        #expect(moved.map(\.version) == [4, 4, 4, 4])
        #expect(moved.map(\.sequence) == moved.map(\.sequence).sorted())
        #expect(try program.run("deadletters", "list").output.contains("#rows: nothing waits, 5 released"))
    }

    @Test func aVersionThatIsRegisteredWhileItRunsIsTakenUpAndReleasesWhatWaits() throws {
        let program = try program()
        try program.catchUp()
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        try database.sql("INSERT INTO orders VALUES (1, 'odd', 'a@example.com', 5, 'ok')")
        try running.wait(for: "the first event") { try program.loggedEvents().count == 1 }
        try write(2, rich, program)
        var row = 2
        try running.wait(for: "the next version") {
            try database.sql("INSERT INTO orders VALUES (\(row), 'odd', 'a@example.com', 5, 'ok')")
            row += 1
            return try program.run("deadletters", "list").output.contains("changes wait")
        }
        #expect(running.errorText.contains("contract changed"))
        try write(3, rich.replacing("\"paid\", null]", with: "\"paid\", \"odd\", null]"), program)
        try running.wait(for: "the release") { try program.loggedEvents().count == row - 1 }
        running.send(SIGTERM)
        _ = try running.finish()
        let events = try program.loggedEvents()
        #expect(Set(events.map(\.id)).count == row - 1)
        #expect(events.last?.version == 3)
    }

    @Test func haltStopsBeforeTheRowAndGoesOnThereUnderACorrectedVersion() throws {
        let program = try program("on_invalid: halt")
        try program.catchUp()
        try write(1, rich, program)
        try database.sql(
            "INSERT INTO orders VALUES (1, 'new', 'a@example.com', 5, 'ok'); "
                + "INSERT INTO orders VALUES (2, 'secret', 'b@example.com', 5, 'ok')")
        for _ in 0..<2 {
            let halted = try program.run("run", "--until-caught-up")
            #expect(halted.exitCode == 1)
            #expect(halted.errors.contains("error[schema.invalid_row]: change "))
            #expect(halted.errors.contains("version 1 of shop.public.orders: /status must be one of"))
            #expect(halted.errors.contains("(/properties/status/enum)"))
            #expect(halted.errors.contains("millrace schema register shop.public.orders"))
            #expect(!halted.errors.contains("secret"))
            #expect(try !program.loggedEvents().contains { $0.key == "id=2" })
        }
        try write(2, rich.replacing("\"paid\", null]", with: "\"paid\", \"secret\", null]"), program)
        try program.catchUp()
        #expect(try program.loggedEvents().map(\.version) == [2, 2])
        #expect(try program.run("deadletters", "list").output == "")
    }

    @Test func aValueThatWasNotSentIsNotJudged() throws {
        let program = try program()
        try program.catchUp()
        try write(1, rich, program)
        // The row was written before its contract was, and its long note is not valid.
        try database.sql("INSERT INTO lines VALUES (1, 'x')")
        let long = "repeat('X', 9000)"
        try database.sql("ALTER TABLE orders DISABLE TRIGGER ALL")
        try database.sql("INSERT INTO orders VALUES (1, 'new', 'a@example.com', 5, \(long))")
        try database.sql("UPDATE orders SET status = 'paid'")
        try program.catchUp()
        let list = try program.run("deadletters", "list").output
        #expect(list.contains("2 changes wait") && list.contains("/note must match the pattern"))
        #expect(try program.run("deadletters", "discard", "orders", "--yes").exitCode == 0)
        try database.sql("UPDATE orders SET amount = 6")
        try program.catchUp()
        let events = try program.loggedEvents().filter { $0.table == "public.orders" }
        #expect(events.map(\.unchanged) == [["note"]])
        // With the whole old row the value is known, and judged.
        try database.sql("ALTER TABLE orders REPLICA IDENTITY FULL; UPDATE orders SET amount = 7")
        try program.catchUp()
        #expect(try program.run("deadletters", "list").output.contains("1 change waiting"))
    }

    @Test func aTruncateWaitsForRowsThatWaitAndEverythingWaitsForIt() throws {
        let program = try program()
        try program.catchUp()
        try write(1, rich, program)
        try database.sql(
            """
            INSERT INTO orders VALUES (1, 'new', 'bad', 5, 'ok');
            INSERT INTO orders VALUES (2, 'new', 'a@example.com', 5, 'ok');
            TRUNCATE orders;
            INSERT INTO orders VALUES (3, 'new', 'a@example.com', 5, 'ok');
            """)
        try program.catchUp()
        #expect(try keys(program.loggedEvents()) == ["insert id=2"])
        // The next process knows what waits.
        try database.sql("INSERT INTO orders VALUES (4, 'new', 'a@example.com', 5, 'ok')")
        try program.catchUp()
        #expect(try program.run("deadletters", "list").output.contains("4 changes wait"))
        try write(2, "{}", program)
        try program.catchUp()
        #expect(
            try keys(program.loggedEvents()) == [
                "insert id=2", "insert id=1", "truncate ", "insert id=3", "insert id=4",
            ])
    }

    @Test func whatPeopleWroteIntoAVersionStaysWhenTheTableChanges() throws {
        let program = try program()
        try program.catchUp()
        let typed = rich.replacing(
            "\"amount\": {\"minimum\": 0", with: "\"amount\": {\"type\": \"integer\", \"minimum\": 0")
        try write(1, typed, program)
        try database.sql("INSERT INTO orders VALUES (1, 'new', 'a@example.com', 5, 'ok')")
        try program.catchUp()
        // Without the database's words a version speaks for every form in which its columns can keep to it.
        try database.sql(
            "ALTER TABLE orders ADD COLUMN extra text; INSERT INTO orders VALUES (2, 'new', 'bad', 5, 'ok')")
        try program.catchUp()
        #expect(try program.loggedEvents().map(\.version) == [1])
        try database.sql(
            "ALTER TABLE orders ALTER COLUMN amount TYPE text USING amount::text; "
                + "INSERT INTO orders VALUES (3, 'new', 'a@example.com', 'five', 'ok'), "
                + "(4, 'x', 'a@example.com', '', 'ok')"
        )
        try program.catchUp()
        #expect(try program.loggedEvents().map(\.version) == [1, 2])
        #expect(try program.run("deadletters", "list").output.contains("#rows: 2 changes wait"))
        let text = try String(
            contentsOfFile: program.folder.path("Schemas/shop.public.orders/v2.schema.json"), encoding: .utf8)
        #expect(text.contains("\"format\": \"email\"") && text.contains("\"if\"") && text.contains("x-millrace"))
        #expect(!text.contains("1000"))
    }

    @Test func discardingWhatIsNotValidLetsGoOnWhatWasMendedBehindIt() throws {
        let program = try program()
        try program.catchUp()
        try write(1, rich, program)
        try database.sql(
            """
            INSERT INTO orders VALUES (1, 'new', 'bad', 5, 'ok'), (2, 'odd', 'a@example.com', 5, 'ok');
            UPDATE orders SET email = 'b@example.com' WHERE id = 1;
            """)
        try program.catchUp()
        #expect(try program.run("deadletters", "list").output.contains("3 changes wait"))
        let unsure = try program.run("deadletters", "discard", "orders", "--invalid")
        #expect(unsure.exitCode == 2)
        let done = try program.run("deadletters", "discard", "orders", "--invalid", "--yes")
        #expect(done.output == "2 changes of shop.public.orders#rows discarded, 1 released\n")
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        // Row 2 was told of by nothing yet; that it waits was forgotten with its change.
        try database.sql("UPDATE orders SET status = 'x' WHERE id = 2; UPDATE orders SET status = 'paid' WHERE id = 2")
        try running.wait(for: "both") { try program.run("deadletters", "list").output.contains("2 changes wait") }
        let asked = try program.run("deadletters", "discard", "orders", "--invalid", "--yes")
        #expect(asked.output.contains("1 change of shop.public.orders#rows discarded, 1 released"))
        try running.wait(for: "the events") { try program.loggedEvents().count == 2 }
        running.send(SIGTERM)
        _ = try running.finish()
        #expect(try keys(program.loggedEvents()) == ["update id=1", "update id=2"])
        let list = try program.run("deadletters", "list").output
        #expect(list.contains("nothing waits, 2 released, 3 discarded"))
    }

    @Test func maskedColumnsAreJudgedAsTheyAreStored() throws {
        let program = try MillraceProgram(
            shop: database, tables: "orders",
            more: """
                mask_salt: 0123456789abcdef0123456789abcdef
                transforms:
                  - {tables: [public.orders], mask: {email: hash, note: redact, amount: drop}}
                """)
        try write(
            1,
            """
            {"properties": {"email": {"pattern": "^[0-9a-f]{64}$"}, "note": {"const": "[redacted]"}},
             "additionalProperties": true, "not": {"required": ["amount"]}}
            """, program)
        try database.sql("INSERT INTO orders VALUES (1, 'new', 'a@example.com', 5, 'ok')")
        try program.catchUp()
        #expect(try program.loggedEvents().map(\.version) == [1])
        #expect(try program.run("deadletters", "list").output == "")
    }
}
