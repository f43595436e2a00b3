import Foundation
import ProgramTesting
import Testing

/// `millrace verify` over real databases: equal tables are equal however busy they are, and each planted difference is
/// found and named.
@Suite(.serialized)
struct VerifyTests {
    @Test func equalTablesAreEqualBesideARunAndWithout() throws {
        let shop = try VerifiedShop()
        try shop.sql(
            "INSERT INTO orders SELECT i, 'new', repeat('x', 3000) FROM generate_series(1, 50) i",
            "UPDATE orders SET status = 'paid' WHERE id < 10",
            "UPDATE orders SET id = id + 1000 WHERE id BETWEEN 5 AND 7",
            "DELETE FROM orders WHERE id = 3", "INSERT INTO loose SELECT i % 3, NULL FROM generate_series(1, 20) i",
            "DELETE FROM loose WHERE n = 1")
        try shop.program.catchUp()
        let after = try shop.verify()
        #expect(after.code == 0 && after.isEqual, "\(after.text)")
        #expect(after.table("public.orders")["rows_equal"] as? Int == 49)
        #expect(after.table("public.loose")["rows_equal"] as? Int == 13)
        // Changes that the log does not have come from the slot, which stays where it is.
        try shop.sql("UPDATE orders SET status = 'late' WHERE id < 20", "INSERT INTO loose VALUES (9, 'late')")
        let slot = try shop.slotPosition()
        let behind = try shop.verify()
        #expect(behind.code == 0, "\(behind.text)")
        #expect((behind.object["unlogged_changes"] as? Int ?? 0) > 10)
        #expect(try shop.slotPosition() == slot)
        let running = try shop.program.start("run")
        try running.waitForError(containing: "capturing")
        let beside = try shop.verify()
        #expect(beside.code == 0 && beside.object["unlogged_changes"] as? Int == 0, "\(beside.text)")
        running.send(SIGTERM)
        _ = try running.finish()
    }

    /// The reason was that no event had its value since the column changed.
    @Test func aColumnThatIsLeftOutIsNotComparedAndTheReasonIsSaid() throws {
        let database = try PostgresDatabase()
        try database.sql(
            "CREATE TABLE orders (id int PRIMARY KEY, card text, v text); INSERT INTO orders VALUES (1, '4', 'new')"
        )
        let program = try MillraceProgram(
            configuration: configuration(database).replacingOccurrences(
                of: "tables: [public.orders]",
                with: "tables: [public.orders]\n    choices: [{tables: [public.orders], exclude_columns: [card]}]"))
        try program.catchUp()
        try database.sql("UPDATE orders SET card = '5'; INSERT INTO orders VALUES (2, '6', 'new')")
        try program.catchUp()
        let result = try program.verify()
        #expect(result.code == 0 && result.table("public.orders")["rows_equal"] as? Int == 2, "\(result.text)")
        #expect(result.text.contains("card not compared: left out by source.postgres.choices"))
        #expect(!result.text.contains("no event since"))
    }

    @Test func noDifferenceIsInventedWhileSeveralSessionsWrite() throws {
        let shop = try VerifiedShop(rowsBefore: 500, snapshot: "initial")
        try shop.sql("INSERT INTO orders SELECT i, 'new', repeat('x', 3000) FROM generate_series(1, 200) i")
        let running = try shop.program.start("run")
        try running.waitForError(containing: "capturing")
        let writers = try shop.startWriters(transactions: 500)
        var compared = 0
        while writers.isRunning {
            let result = try shop.verify()
            #expect(result.code == 0, "\(result.text)")
            compared += 1
        }
        #expect(compared > 1)
        #expect(try writers.finish().exitCode == 0)
        running.send(SIGTERM)
        _ = try running.finish()
        // The writers did write, and without a run it is the same.
        let last = try shop.verify()
        #expect(last.code == 0, "\(last.text)")
        #expect((last.table("public.orders")["events"] as? Int ?? 0) > 300)
    }

    @Test func aRowThatChangedBehindTheCaptureIsFoundAndItsKeyIsShownOnlyOnRequest() throws {
        let shop = try VerifiedShop()
        try shop.sql("INSERT INTO orders VALUES (41, 'new', 'a'), (42, 'new', 'secret'), (43, 'new', 'c')")
        try shop.program.catchUp()
        try shop.unseen("UPDATE orders SET note = 'changed' WHERE id = 42")
        let result = try shop.verify()
        #expect(result.code == 1)
        let table = result.table("public.orders")
        #expect(table["rows_different"] as? Int == 1 && table["rows_equal"] as? Int == 2)
        let difference = try #require((table["differences"] as? [[String: Any]])?.first)
        #expect(difference["kind"] as? String == "different")
        #expect(difference["columns"] as? [String] == ["note"])
        #expect(difference["offset"] as? Int == 1)
        #expect(difference["key"] == nil)
        let plain = try shop.program.run("verify")
        #expect(plain.exitCode == 1)
        #expect(!plain.output.contains("42") && !plain.output.contains("secret"))
        #expect(plain.output.contains("last event at offset 1, in note"))
        #expect(try shop.program.run("verify", "--show-keys").output.contains("id=42"))
        // What the log says of other tables is not touched by it.
        #expect(try shop.program.run("verify", "loose").exitCode == 0)
    }

    @Test func aLostDeleteALostInsertAndALostRowWithoutAKeyAreFound() throws {
        let shop = try VerifiedShop()
        try shop.sql(
            "TRUNCATE orders, loose", "INSERT INTO orders VALUES (1, 'a'), (2, 'b')", "INSERT INTO loose VALUES (1)")
        try shop.program.catchUp()
        try shop.unseen(
            "DELETE FROM orders WHERE id = 1; INSERT INTO orders VALUES (3, 'c'); INSERT INTO loose VALUES (1)")
        let result = try shop.verify()
        #expect(result.code == 1)
        #expect(result.table("public.orders")["rows_only_in_log"] as? Int == 1)
        #expect(result.table("public.orders")["rows_only_in_table"] as? Int == 1)
        #expect(result.table("public.loose")["rows_only_in_table"] as? Int == 1)
        #expect(result.table("public.loose")["rows_equal"] as? Int == 1)
    }

    @Test func anEventThatIsMissingFromTheLogIsFound() throws {
        let shop = try VerifiedShop()
        try shop.sql("INSERT INTO orders VALUES (1, 'new'), (2, 'new')")
        try shop.program.catchUp()
        for statement in ["UPDATE orders SET status = 'paid' WHERE id = 1", "DELETE FROM orders WHERE id = 2"] {
            try shop.sql(statement)
            try shop.program.catchUp()
        }
        #expect(try shop.verify().code == 0)
        for (offset, kind) in [(2, "different"), (3, "only_in_log")] {
            let whole = try shop.copyOfLog()
            try shop.removeEvent(at: offset)
            let result = try shop.verify()
            #expect(result.code == 1, "\(result.text)")
            let differences = result.table("public.orders")["differences"] as? [[String: Any]]
            #expect(differences?.map { $0["kind"] as? String } == [kind])
            try shop.restoreLog(whole)
        }
    }

    @Test func rowsFromBeforeTheCaptureAndColumnsThatWereAddedAreSaidNotGuessed() throws {
        let shop = try VerifiedShop(rowsBefore: 5)
        try shop.sql("INSERT INTO orders VALUES (100, 'new', 'x')")
        try shop.program.catchUp()
        try shop.sql("ALTER TABLE orders ADD COLUMN extra int DEFAULT 7", "INSERT INTO orders VALUES (101, 'new', 'x')")
        try shop.program.catchUp()
        let result = try shop.verify()
        #expect(result.code == 0 && result.object["complete"] as? Bool == false, "\(result.text)")
        let table = result.table("public.orders")
        #expect(table["rows_equal_in_part"] as? Int == 1 && table["rows_equal"] as? Int == 1)
        #expect((table["rows_without_event"] as? Int ?? 0) + (table["rows_equal"] as? Int ?? 0) >= 1)
        #expect(result.text.contains("extra"))
        #expect(try shop.program.run("verify", "--strict").exitCode == 1)
    }

    @Test func rowsUnderAKeyThatTheTableDoesNotHaveAnyMoreAreDifferences() throws {
        let shop = try VerifiedShop()
        try shop.sql(
            "CREATE TABLE goods (id int PRIMARY KEY, code varchar(9) NOT NULL UNIQUE, n int NOT NULL)",
            "CREATE TABLE wide (a int, b int, v text, PRIMARY KEY (a, b) INCLUDE (v))")
        try shop.program.catchUp()
        try shop.sql(
            "INSERT INTO goods SELECT i, 'c' || i, i FROM generate_series(1, 5) i", "INSERT INTO wide VALUES (1, 2)")
        try shop.program.catchUp()
        #expect(try shop.verify().code == 0)
        // What spells the same keys as before, or is no change of the key, is no difference.
        try shop.sql(
            "ALTER TABLE goods ALTER id TYPE bigint, DROP CONSTRAINT goods_pkey, ADD PRIMARY KEY (id)",
            "ALTER TABLE goods REPLICA IDENTITY FULL", "UPDATE goods SET n = 7 WHERE id = 1",
            "ALTER TABLE goods REPLICA IDENTITY DEFAULT", "UPDATE goods SET n = 8 WHERE id = 2",
            "ALTER TABLE wide DROP CONSTRAINT wide_pkey, ADD PRIMARY KEY (b, a) INCLUDE (v)",
            "ALTER TABLE wide REPLICA IDENTITY FULL", "UPDATE wide SET v = 'w'")
        try shop.program.catchUp()
        let alike = try shop.verify()
        #expect(alike.code == 0, "\(alike.text)")
        try shop.sql("ALTER TABLE goods DROP CONSTRAINT goods_pkey, ADD PRIMARY KEY (code)")
        #expect(try shop.verify().table("public.goods")["rows_under_old_key"] as? Int == 5)
        try shop.sql("UPDATE goods SET n = 9 WHERE id = 3", "DELETE FROM goods WHERE id = 4")
        try shop.program.catchUp()
        let result = try shop.verify()
        #expect(result.code == 1 && result.table("public.goods")["rows_equal"] as? Int == 4, "\(result.text)")
        #expect(result.table("public.goods")["rows_under_old_key"] as? Int == 5)
        let plain = try shop.program.run("verify", "goods").output
        #expect(plain.contains("5 rows under an old key") && plain.contains("`millrace snapshot public.goods`"))
        try shop.sql("TRUNCATE goods", "INSERT INTO goods VALUES (1, 'c', 1)")
        #expect(try shop.verify().code == 0)
    }

    @Test func afterASnapshotARowWithoutAnEventIsADifference() throws {
        let shop = try VerifiedShop(rowsBefore: 5, snapshot: "initial")
        let whole = try shop.verify()
        #expect(whole.code == 0 && whole.object["complete"] as? Bool == true, "\(whole.text)")
        #expect(whole.table("public.orders")["rows_equal"] as? Int == 5)
        try shop.unseen("INSERT INTO orders VALUES (7, 'unseen')")
        let result = try shop.verify()
        #expect(result.code == 1)
        #expect(result.table("public.orders")["rows_only_in_table"] as? Int == 1)
    }

    @Test func maskedColumnsAreComparedAsMasked() throws {
        let shop = try VerifiedShop(
            transforms: "transforms: [{tables: [public.orders], mask: {note: drop, status: redact}}]")
        try shop.sql("INSERT INTO orders VALUES (1, 'new', 'x'), (2, NULL, 'y')")
        try shop.program.catchUp()
        try shop.sql("UPDATE orders SET note = 'z' WHERE id = 1")
        let result = try shop.verify()
        #expect(result.code == 0, "\(result.text)")
        #expect(result.table("public.orders")["rows_equal"] as? Int == 2)
        #expect(result.text.contains("compared as the present rules mask it: status, note"))
        try shop.unseen("DELETE FROM orders WHERE id = 2")
        #expect(try shop.verify().code == 1)
    }

    @Test func bytesThatAreCutAreCompared() throws {
        let shop = try VerifiedShop(
            transforms: "transforms: [{tables: [public.scans], mask: {data: truncate(3)}}]")
        try shop.sql("CREATE TABLE scans (id int PRIMARY KEY, data bytea)")
        try shop.program.catchUp()
        try shop.sql("INSERT INTO scans VALUES (1, '\\x01020304'), (2, '\\xff'), (3, ''), (4, NULL)")
        try shop.program.catchUp()
        try shop.sql("UPDATE scans SET data = '\\x010203ff05' WHERE id = 1")
        let equal = try shop.verify()
        #expect(equal.code == 0 && equal.table("public.scans")["rows_equal"] as? Int == 4, "\(equal.text)")
        #expect(equal.text.contains("compared as the present rules mask it: data"))
        // What is cut off is in no event, so nothing can be said of it.
        try shop.unseen("UPDATE scans SET data = '\\x01020399' WHERE id = 1", of: "scans")
        #expect(try shop.verify().code == 0)
        try shop.unseen("UPDATE scans SET data = '\\x01990304' WHERE id = 1", of: "scans")
        let result = try shop.verify()
        #expect(result.code == 1 && result.table("public.scans")["rows_different"] as? Int == 1, "\(result.text)")
        #expect(result.table("public.scans")["rows_equal"] as? Int == 3)
    }

    @Test func whatCannotBeComparedEndsWithItsReason() throws {
        let shop = try VerifiedShop()
        let none = try shop.program.run("verify", "nosuchtable")
        #expect(none.exitCode == 2 && none.errors.contains("verify.no_tables"))
        let scratch = try shop.program.run("verify", "--scratch", "/proc/none")
        #expect(scratch.exitCode == 3 && scratch.errors.contains("verify.scratch"))
        try shop.program.folder.write("bad.yaml", try shop.configuration(url: "postgresql://127.0.0.1:1/nothing"))
        let gone = try shop.program.run("verify", "--config", "bad.yaml")
        #expect(gone.exitCode == 3 && gone.errors.contains("postgres.connection_failed"))
        let other = try PostgresDatabase()
        try shop.program.folder.write("other.yaml", try shop.configuration(url: other.url))
        let elsewhere = try shop.program.run("verify", "--config", "other.yaml")
        #expect(elsewhere.exitCode == 3 && elsewhere.errors.contains("postgres.other_database"))
    }

    /// There was a line for each, which said of a table that is compared that it is not there.
    @Test func formerTablesOfANameAreNotListedBesideTheOneThatIsThere() throws {
        let shop = try VerifiedShop(rowsBefore: 3, snapshot: "initial")
        for _ in 0..<3 {
            try shop.sql(
                "DROP TABLE orders", "CREATE TABLE orders (id int PRIMARY KEY)", "INSERT INTO orders VALUES (1)")
            try shop.program.catchUp()
        }
        let result = try shop.program.verify()
        let orders = result.tables.filter { $0["table"] as? String == "public.orders" }
        #expect(orders.count == 1 && orders.first?["rows_equal"] as? Int == 1, "\(result.text)")
    }

    @Test func aSQLiteFileIsVerifiedWithItsSnapshotAndItsUnloggedChanges() throws {
        let till = try VerifiedTill()
        try till.program.catchUp()
        try till.sql(
            "UPDATE items SET name = 'b' WHERE id = 1; INSERT OR REPLACE INTO items VALUES (2, 'r', x'00ff', 1.5)")
        let behind = try till.verify()
        #expect(behind.code == 0 && behind.object["complete"] as? Bool == true, "\(behind.text)")
        #expect(behind.object["unlogged_changes"] as? Int ?? 0 > 0)
        #expect(behind.table("main.items")["rows_equal"] as? Int == 3)
        #expect(behind.table("main.odd")["rows_equal"] as? Int == 4)
        try till.program.catchUp()
        #expect(try till.verify().code == 0)
        try till.unseen("UPDATE items SET amount = 2.5 WHERE id = 2", "DELETE FROM odd WHERE v = 'x'")
        let result = try till.verify()
        #expect(result.code == 1)
        #expect(result.table("main.items")["rows_different"] as? Int == 1)
        #expect(result.table("main.odd")["rows_only_in_log"] as? Int == 1)
    }
}
