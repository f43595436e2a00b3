import Foundation
import ProgramTesting
import Testing

/// Tables that change while they are captured, over a live PostgreSQL, under each policy.
@Suite(.serialized)
struct SchemaChangeTests {
    private let database: PostgresDatabase

    init() throws {
        database = try PostgresDatabase()
        try database.sql(
            """
            CREATE TABLE orders (id bigint PRIMARY KEY, status text, amount numeric(10,2));
            CREATE TABLE lines (id int PRIMARY KEY, note text);
            """)
    }

    private func program(_ schemas: String = "") throws -> MillraceProgram {
        try MillraceProgram(shop: database, tables: "orders", "lines", schemas: schemas)
    }

    private func versions(_ program: MillraceProgram, of table: String = "orders") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: program.folder.path("Schemas/shop.public.\(table)"))
            .sorted()
    }

    private func events(_ program: MillraceProgram) throws -> [Event] { try program.events(in: "out/all.jsonl") }

    @Test func eachEventCarriesTheVersionThatItWasWrittenUnder() throws {
        let program = try program()
        try program.catchUp()
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        try database.sql(
            """
            INSERT INTO orders VALUES (1, 'new', 1);
            BEGIN; INSERT INTO orders VALUES (2, 'new', 2); ALTER TABLE orders ADD COLUMN note text DEFAULT 'n';
                UPDATE orders SET note = 'x' WHERE id = 2; COMMIT;
            ALTER TABLE orders RENAME COLUMN status TO state;
            INSERT INTO orders VALUES (3, 'new', 3, 'y');
            ALTER TABLE orders ALTER COLUMN amount TYPE text USING amount::text;
            INSERT INTO orders VALUES (4, 'new', 'four', 'y');
            ALTER TABLE orders DROP COLUMN note;
            INSERT INTO orders VALUES (5, 'new', 'five');
            INSERT INTO lines VALUES (1, 'same');
            """)
        try running.wait(for: "the events") { try program.loggedEvents().count == 7 }
        running.send(SIGTERM)
        let result = try running.finish()
        let events = try program.loggedEvents().filter { $0.table == "public.orders" }
        #expect(events.map(\.version) == [1, 1, 2, 3, 4, 5])
        #expect(
            events.map { $0.after.map { Set($0.keys) } } == [
                ["id", "status", "amount"], ["id", "status", "amount"], ["id", "status", "amount", "note"],
                ["id", "state", "amount", "note"], ["id", "state", "amount", "note"], ["id", "state", "amount"],
            ])
        #expect(result.errors.contains("table changed"))
        #expect(result.errors.contains("millrace snapshot "), "rows may have got values")
        #expect(result.errors.contains("column amount: numeric(10,2) → text"))
        #expect(result.errors.contains("column status: dropped (text), and state added in its place: renamed?"))
        #expect(result.errors.contains("verdict=\"breaks consumers that know only the old version\""))
        // A table that is announced again unchanged, as after each start, makes no version.
        try database.sql("INSERT INTO orders VALUES (6, 'new', 'six')")
        try program.catchUp()
        #expect(try versions(program) == (1...5).map { "v\($0).schema.json" })
        let diff = try program.run("schema", "diff", "shop.public.orders", "3", "4")
        #expect(diff.output == "column amount: numeric(10,2) → text\nbreaks consumers that know only the old version\n")
    }

    @Test func haltStopsBeforeAnythingOfTheNewFormAndGoesOnThereAfterAcceptance() throws {
        let program = try program("on_change: halt")
        try program.catchUp()
        try database.sql("INSERT INTO orders VALUES (1, 'new', 1); INSERT INTO lines VALUES (1, 'a')")
        try program.catchUp()
        try database.sql(
            "ALTER TABLE orders ADD COLUMN note text; INSERT INTO orders VALUES (2, 'new', 2, 'x'); "
                + "INSERT INTO lines VALUES (2, 'b')")
        for _ in 0..<2 {
            let halted = try program.run("run", "--until-caught-up")
            #expect(halted.exitCode == 1)
            #expect(halted.errors.contains("error[schema.changed]: table public.orders is not as version 1 of"))
            #expect(halted.errors.contains("column note: added (text) (nothing breaks)"))
            #expect(halted.errors.contains("Schemas/shop.public.orders/v1.schema.json"))
            #expect(halted.errors.contains("Schemas/shop.public.orders/proposed-1.schema.json"))
            #expect(halted.errors.contains("millrace schema accept shop.public.orders"))
            #expect(try program.loggedEvents().allSatisfy { $0.after?["note"] == nil || $0.table == "public.lines" })
        }
        #expect(try versions(program) == ["proposed-1.schema.json", "v1.schema.json"])
        let accepted = try program.run("schema", "accept", "shop.public.orders")
        #expect(accepted.exitCode == 0)
        #expect(accepted.output.contains("proposed-1 is version 2: column note: added (text)"))
        try program.catchUp()
        let events = try events(program)
        #expect(events.map(\.key) == ["id=1", "id=1", "id=2", "id=2"])
        #expect(events.filter { $0.table == "public.orders" }.map(\.version) == [1, 2])
        #expect(try versions(program) == ["v1.schema.json", "v2.schema.json"])
    }

    @Test func quarantineHoldsOneTableInOrderAndDeliversItAfterAcceptance() throws {
        let program = try program("on_change: quarantine")
        try program.catchUp()
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        try database.sql(
            """
            INSERT INTO orders VALUES (1, 'new', 1);
            BEGIN; INSERT INTO lines VALUES (1, 'a'); ALTER TABLE orders ADD COLUMN note text;
                UPDATE orders SET note = 'x'; INSERT INTO lines VALUES (2, 'b'); COMMIT;
            ALTER TABLE orders DROP COLUMN note;
            UPDATE orders SET status = 'back';
            INSERT INTO lines VALUES (3, 'c');
            """)
        try running.wait(for: "what goes on") { try program.loggedEvents().count == 4 }
        #expect(
            try program.loggedEvents().map(\.table) == ["public.orders"] + [String](repeating: "public.lines", count: 3)
        )
        // The last update has the accepted form again, and waits behind the one that has not.
        try running.wait(for: "both updates") {
            try program.run("deadletters", "list").output.contains("2 changes waiting")
        }
        let list = try program.run("deadletters", "list").output
        #expect(list.contains("[schema.changed] table public.orders is not as version 1"))
        #expect(try program.run("status").output.contains("2 changes of shop.public.orders waiting"))
        let shown = try program.run("deadletters", "show", "orders").output
        #expect(
            shown.contains(" update public.orders version 0\n") && shown.contains(" update public.orders version 1\n"))
        #expect(!shown.contains("back"))
        #expect(try program.run("deadletters", "show", "--data").output.contains("\"back\""))
        let refused = try program.run("deadletters", "retry", "orders")
        #expect(refused.exitCode == 1 && refused.errors.contains("not as version 1"))
        #expect(try program.run("schema", "accept", "shop.public.orders").exitCode == 0)
        try running.wait(for: "the release") {
            try program.events(in: "out/all.jsonl", ignoringTornEnd: true).count == 6
        }
        try database.sql("DELETE FROM orders")
        try running.wait(for: "the delete behind it") {
            try program.events(in: "out/all.jsonl", ignoringTornEnd: true).count == 7
        }
        running.send(SIGTERM)
        _ = try running.finish()
        let orders = try events(program).filter { $0.table == "public.orders" }
        #expect(orders.map(\.operation) == ["insert", "update", "update", "delete"])
        #expect(orders.map(\.version) == [1, 2, 1, 1])
        #expect(orders.map(\.sequence) == orders.map(\.sequence).sorted())
        #expect(Set(orders.map(\.id)).count == 4)
        #expect(try program.run("deadletters", "list").output.contains("nothing waits, 2 released"))
    }

    @Test func aChangeThatItsLevelDoesNotAllowWaitsUntilItIsAccepted() throws {
        let program = try program()
        try program.catchUp()
        try database.sql("INSERT INTO orders VALUES (1, 'new', 1)")
        try program.catchUp()
        #expect(try program.run("schema", "compatibility", "shop.public.orders", "FULL").exitCode == 0)
        // Nothing that either side reads breaks.
        try database.sql("ALTER TABLE orders ADD COLUMN note text; INSERT INTO orders VALUES (2, 'new', 2, 'x')")
        try program.catchUp()
        #expect(try program.loggedEvents().map(\.version) == [1, 2])
        try database.sql(
            "ALTER TABLE orders ALTER COLUMN note TYPE bool USING true; "
                + "INSERT INTO orders VALUES (3, 'new', 3, false); INSERT INTO lines VALUES (1, 'free')")
        try program.catchUp()
        #expect(try program.loggedEvents().map(\.table).last == "public.lines")
        let list = try program.run("deadletters", "list").output
        #expect(list.contains("[schema.incompatible] table public.orders changed (column note: text → boolean)"))
        #expect(list.contains("level FULL of shop.public.orders does not allow it"))
        #expect(try program.run("schema", "accept", "shop.public.orders").exitCode == 0)
        try program.catchUp()
        #expect(try program.loggedEvents().last?.version == 3)
        #expect(try program.run("deadletters", "list").output.contains("nothing waits, 1 released"))
    }

    @Test func aChangeThatItsLevelDoesNotAllowStopsCaptureWhereThatIsWanted() throws {
        let program = try program("on_incompatible: halt")
        try program.catchUp()
        try database.sql("INSERT INTO orders VALUES (1, 'new', 1)")
        try program.catchUp()
        #expect(try program.run("schema", "compatibility", "-", "BACKWARD").exitCode == 0)
        try database.sql("ALTER TABLE orders ALTER COLUMN status TYPE int USING 7; INSERT INTO orders VALUES (2, 8, 2)")
        let halted = try program.run("run", "--until-caught-up")
        #expect(halted.exitCode == 1 && halted.errors.contains("error[schema.incompatible]"))
        #expect(try program.run("schema", "compatibility", "-", "NONE").exitCode == 0)
        try program.catchUp()
        #expect(try program.loggedEvents().map(\.version) == [1, 2])
    }

    @Test func discardedChangesAreCountedAndNeverDelivered() throws {
        let program = try program("on_change: quarantine")
        try program.catchUp()
        try database.sql("INSERT INTO orders VALUES (1, 'new', 1)")
        try program.catchUp()
        try database.sql("ALTER TABLE orders ADD COLUMN note text; INSERT INTO orders VALUES (2, 'new', 2, 'x')")
        try program.catchUp()
        let unsure = try program.run("deadletters", "discard", "orders")
        #expect(unsure.exitCode == 2 && unsure.errors.contains("deadletters.not_confirmed"))
        let unknown = try program.run("deadletters", "discard", "nothing")
        #expect(unknown.exitCode == 2 && unknown.errors.contains("deadletters.unknown"))
        #expect(try program.run("deadletters", "discard", "orders", "--yes").output.contains("1 change of"))
        // The running process does the same when it is asked.
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        try database.sql("INSERT INTO orders VALUES (3, 'new', 3, 'y')")
        try running.wait(for: "the change") {
            try program.run("deadletters", "list").output.contains("1 change waiting")
        }
        #expect(try program.run("deadletters", "discard", "orders", "--yes").output.contains("1 change of"))
        #expect(try program.run("schema", "accept", "shop.public.orders").exitCode == 0)
        try database.sql("INSERT INTO orders VALUES (4, 'new', 4, 'z')")
        try running.wait(for: "the next change") { try program.loggedEvents().count == 2 }
        running.send(SIGTERM)
        _ = try running.finish()
        #expect(try program.loggedEvents().map(\.key) == ["id=1", "id=4"])
        #expect(try program.run("deadletters", "list").output.contains("nothing waits, 2 discarded"))
    }

    @Test func aStoppedLogReleasesWhatWasAcceptedByTheCommandItself() throws {
        let program = try program("on_change: quarantine, on_new_table: require")
        try program.catchUp()
        try database.sql("INSERT INTO orders VALUES (1, 'new', 1); INSERT INTO lines VALUES (1, 'a')")
        try program.catchUp()
        #expect(try program.loggedEvents().isEmpty)
        let refused = try program.run("deadletters", "retry")
        #expect(refused.exitCode == 1 && refused.errors.contains("error[schema.unregistered]"))
        #expect(try program.run("schema", "accept", "shop.public.orders").exitCode == 0)
        #expect(
            try program.run("deadletters", "retry", "orders").output
                == "1 change of shop.public.orders released\n")
        #expect(try program.loggedEvents().map(\.table) == ["public.orders"])
        // What is accepted between two runs is released by the next one.
        #expect(try program.run("schema", "accept", "shop.public.lines").exitCode == 0)
        try program.catchUp()
        #expect(try events(program).map(\.table) == ["public.orders", "public.lines"])
    }

    @Test func aRequiredTableStopsCaptureUntilItIsAccepted() throws {
        let program = try program("on_new_table: require")
        try program.catchUp()
        try database.sql("INSERT INTO orders VALUES (1, 'new', 1)")
        let halted = try program.run("run", "--until-caught-up")
        #expect(halted.exitCode == 1 && halted.errors.contains("error[schema.unregistered]"))
        #expect(try program.run("schema", "list").output == "shop.public.orders: no version, proposed: proposed-1\n")
        #expect(try program.run("schema", "accept", "shop.public.orders").exitCode == 0)
        // A change of an accepted table is on_change's matter.
        try database.sql("ALTER TABLE orders ADD COLUMN note text; INSERT INTO orders VALUES (2, 'new', 2, 'x')")
        try program.catchUp()
        #expect(try events(program).map(\.version) == [1, 2])
    }

    @Test func aVersionThatIsRegisteredAheadOfTheChangeDisturbsNothing() throws {
        let program = try program("on_change: halt")
        try program.catchUp()
        try database.sql("INSERT INTO orders VALUES (1, 'new', 1)")
        try program.catchUp()
        // The coming form as a person would prepare it: the present one with a column.
        let file = program.folder.path("Schemas/shop.public.orders/v1.schema.json")
        var text = try String(contentsOfFile: file, encoding: .utf8)
        for (place, column) in [
            ("\"properties\": {", "\"note\": {\"type\": [\"string\", \"null\"]},"),
            ("\"columns\": {", "\"note\": \"text\","),
        ] {
            text = text.replacing(place, with: place + column)
        }
        try program.folder.write("Schemas/shop.public.orders/v2.schema.json", text)
        try database.sql("INSERT INTO orders VALUES (2, 'new', 2)")
        try program.catchUp()
        try database.sql("ALTER TABLE orders ADD COLUMN note text; INSERT INTO orders VALUES (3, 'new', 3, 'x')")
        try program.catchUp()
        #expect(try events(program).map(\.version) == [1, 1, 2])
    }

    @Test func fullQuarantineWaitsUntilSomebodyMakesRoomAndTheRunGoesOn() throws {
        let program = try MillraceProgram(
            shop: database, tables: "orders", "lines", schemas: "on_change: quarantine",
            more: "log: {retention: {size: 200KiB}}")
        try program.catchUp()
        try database.sql("INSERT INTO orders VALUES (1, 'new', 1)")
        try program.catchUp()
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        try database.sql("ALTER TABLE orders ADD COLUMN note text")
        for id in 2...5 {
            try database.sql("INSERT INTO orders VALUES (\(id), 'new', 1, repeat(md5('\(id)'), 2500))")
        }
        try database.sql("INSERT INTO lines VALUES (1, 'behind')")
        try running.waitForError(containing: "log.deadletters_full")
        #expect(try program.run("deadletters", "discard", "orders", "--yes").output.contains(" discarded"))
        try running.wait(for: "what is behind") {
            try program.loggedEvents().contains { $0.table == "public.lines" }
        }
        running.send(SIGTERM)
        _ = try running.finish()
    }

    @Test func rowsOfASnapshotAreSetAsideLikeChanges() throws {
        let program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db}
                schemas: {on_change: quarantine, on_new_table: require}
                sinks:
                  all:
                    file: {path: out/all.jsonl}
                """)
        func sqlite(_ statements: String) throws { try program.sqlite("shop.db", statements) }
        try sqlite(
            """
            CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT);
            INSERT INTO t SELECT value, 'row' FROM generate_series(1, 500);
            """)
        try program.catchUp()
        try sqlite("UPDATE t SET a = 'changed' WHERE id <= 10; DELETE FROM t WHERE id = 500")
        try program.catchUp()
        #expect(try program.loggedEvents().isEmpty)
        #expect(try program.run("deadletters", "list").output.contains("511 changes waiting"))
        #expect(try program.run("schema", "accept", "shop.main.t").exitCode == 0)
        try program.catchUp()
        let events = try events(program)
        #expect(events.count == 511 && Set(events.map(\.id)).count == 511)
        #expect(events.map(\.operation).prefix(500).allSatisfy { $0 == "snapshot" })
        let folded = FoldedTables(events)
        #expect(folded.contradictions == [])
        #expect(folded.table("main.t").count == 499)
    }
}
