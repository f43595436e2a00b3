import ChangeModel
import Testing

@testable import SQLiteSource

/// What each kind of write gives, event by event, with recursive_triggers off and on.
@Suite struct TriggerGeneratorTests {
    private func history(
        _ table: String..., recursive: Bool = false, before: [String] = [], _ writes: [String]
    ) throws -> [String] {
        let database = try SourceDatabase()
        for sql in table { try database.run(sql) }
        try database.run("PRAGMA recursive_triggers = \(recursive)")
        for sql in before { try database.run(sql) }
        let session = try database.open()
        for sql in writes { try database.run(sql) }
        return try session.drainEvents().map(\.line)
    }

    private let users = "CREATE TABLE u(id INTEGER PRIMARY KEY, mail TEXT UNIQUE, name TEXT UNIQUE)"
    private let three = ["INSERT INTO u VALUES(1, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'z')"]

    @Test func replaceOfTheSameKeyIsAnUpdate() throws {
        #expect(
            try history(users, before: three, ["INSERT OR REPLACE INTO u VALUES(1, 'n', 'm')"])
                == ["update u 1,'a','x' -> 1,'n','m'"])
    }

    @Test func replaceOfTheSameKeyIsADeleteAndAnInsertWhereDeleteTriggersFire() throws {
        #expect(
            try history(users, recursive: true, before: three, ["INSERT OR REPLACE INTO u VALUES(1, 'n', 'm')"])
                == ["delete u 1,'a','x'", "insert u 1,'n','m'"])
    }

    @Test(arguments: [false, true])
    func replaceThroughSeveralUniqueIndexesDeletesEachRow(recursive: Bool) throws {
        let lines = try history(users, recursive: recursive, before: three, ["REPLACE INTO u VALUES(9, 'a', 'y')"])
        #expect(Set(lines.dropLast()) == ["delete u 1,'a','x'", "delete u 2,'b','y'"])
        #expect(lines.count == 3 && lines.last == "insert u 9,'a','y'")
    }

    @Test func updateOrReplaceDeletesTheRowWhoseKeyItTakes() throws {
        #expect(
            try history(users, before: three, ["UPDATE OR REPLACE u SET id = 2 WHERE id = 1"])
                == ["delete u 2,'b','y'", "update u 1,'a','x' -> 2,'a','x'"])
        #expect(
            try history(users, before: three, ["UPDATE OR REPLACE u SET rowid = 2, mail = 'c' WHERE id = 1"])
                == ["delete u 2,'b','y'", "delete u 3,'c','z'", "update u 1,'a','x' -> 2,'c','x'"])
    }

    @Test func ignoredInsertLeavesNothingThatSwallowsOrInventsAChange() throws {
        #expect(
            try history(
                users, before: three,
                [
                    "INSERT OR IGNORE INTO u VALUES(1, 'q', 'q')",
                    "INSERT INTO u VALUES(9, 'b', 'q') ON CONFLICT DO NOTHING",
                    "DELETE FROM u WHERE id = 1", "DELETE FROM u WHERE id = 2", "INSERT INTO u VALUES(1, 'q', 'q')",
                    "INSERT INTO u VALUES(9, 'b', 'p')", "DELETE FROM u WHERE id = 9",
                ])
                == [
                    "delete u 1,'a','x'", "delete u 2,'b','y'", "insert u 1,'q','q'", "insert u 9,'b','p'",
                    "delete u 9,'b','p'",
                ])
    }

    @Test func staleRecordFollowsItsRowToANewKey() throws {
        #expect(
            try history(
                users, before: three,
                [
                    "INSERT OR IGNORE INTO u VALUES(1, 'q', 'q')", "UPDATE u SET id = 7, mail = 'a2' WHERE id = 1",
                    "INSERT OR REPLACE INTO u VALUES(1, 'a2', 'w')",
                ])
                == ["update u 1,'a','x' -> 7,'a2','x'", "delete u 7,'a2','x'", "insert u 1,'a2','w'"])
    }

    @Test func upsertIsAnUpdate() throws {
        #expect(
            try history(
                users, before: three,
                ["INSERT INTO u VALUES(1, 'q', 'q') ON CONFLICT(id) DO UPDATE SET mail = excluded.mail"])
                == ["update u 1,'a','x' -> 1,'q','x'"])
    }

    @Test func defaultThatReplacesNullIsAConflictToo() throws {
        #expect(
            try history(
                "CREATE TABLE d(id INTEGER PRIMARY KEY, code TEXT NOT NULL DEFAULT 5 UNIQUE)",
                before: ["INSERT INTO d VALUES(1, '5')"], ["INSERT OR REPLACE INTO d VALUES(2, NULL)"])
                == ["delete d 1,'5'", "insert d 2,'5'"])
    }

    @Test func rowidOfATableWithAnotherKeyIsUniqueToo() throws {
        #expect(
            try history(
                "CREATE TABLE r(k TEXT PRIMARY KEY, v)", before: ["INSERT INTO r(rowid, k) VALUES(4, 'old')"],
                ["INSERT OR REPLACE INTO r(rowid, k) VALUES(4, 'new')"])
                == ["delete r 'old',NULL", "insert r 'new',NULL"])
    }

    @Test func nullsInKeysAreRowsOfTheirOwn() throws {
        #expect(
            try history(
                "CREATE TABLE n(k TEXT PRIMARY KEY, v UNIQUE)", before: [],
                [
                    "REPLACE INTO n VALUES(NULL, 1)", "REPLACE INTO n VALUES(NULL, 2)",
                    "REPLACE INTO n VALUES('a', NULL)",
                    "REPLACE INTO n VALUES('b', NULL)", "REPLACE INTO n VALUES(NULL, 1)",
                ])
                == [
                    "insert n NULL,1", "insert n NULL,2", "insert n 'a',NULL", "insert n 'b',NULL", "delete n NULL,1",
                    "insert n NULL,1",
                ])
    }

    @Test func parentReplacedWithItsChildrenSetNullLosesNoDelete() throws {
        let lines = try history(
            "CREATE TABLE tree(id INTEGER PRIMARY KEY, parent REFERENCES tree(id) ON DELETE SET NULL, tag UNIQUE)",
            before: ["PRAGMA foreign_keys = ON", "INSERT INTO tree VALUES(1, NULL, 'a'), (2, 1, 'b'), (3, 1, 'c')"],
            ["INSERT OR REPLACE INTO tree VALUES(1, NULL, 'b')"])
        #expect(lines.contains("delete tree 2,NULL,'b'"))
        #expect(lines.contains("update tree 3,1,'c' -> 3,NULL,'c'"))
        #expect(lines.contains("update tree 1,NULL,'a' -> 1,NULL,'b'"))
        #expect(lines.count == 4)
    }

    @Test func cascadeOfAReplacedParentDoesNotPushItsRecordOut() throws {
        let lines = try history(
            "CREATE TABLE p(id INTEGER PRIMARY KEY, v)",
            "CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p(id) ON DELETE CASCADE)",
            "CREATE TABLE counts(p INTEGER PRIMARY KEY, n)",
            "CREATE TRIGGER app AFTER DELETE ON c BEGIN"
                + " INSERT INTO counts VALUES(OLD.p, 1) ON CONFLICT(p) DO UPDATE SET n = n + 1; END",
            before: [
                "PRAGMA foreign_keys = ON", "INSERT INTO p VALUES(1, 'old')",
                "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 500)"
                    + " INSERT INTO c SELECT i, 1 FROM s",
            ], ["REPLACE INTO p VALUES(1, 'new')"])
        #expect(lines.last == "update p 1,'old' -> 1,'new'")
        #expect(lines.count == 1001)
    }

    @Test func outerConflictPolicyNeverDropsOrOverwritesLogRows() throws {
        for policy in ["IGNORE", "REPLACE", "FAIL", "ABORT", "ROLLBACK"] {
            #expect(
                try history(users, before: [], ["INSERT OR \(policy) INTO u VALUES(1, 'a', 'x'), (2, 'b', 'y')"])
                    == ["insert u 1,'a','x'", "insert u 2,'b','y'"])
        }
    }

    @Test func applicationTriggerNewerThanOursStillGivesTheLastStateLast() throws {
        let database = try SourceDatabase(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, v, changed)", "INSERT INTO t VALUES(5, 'five', 0)")
        let session = try database.open()
        try database.run(
            "BEGIN",
            "CREATE TRIGGER app1 AFTER INSERT ON t BEGIN UPDATE t SET changed = 1 WHERE id = NEW.id; END",
            "CREATE TRIGGER app2 AFTER UPDATE OF v ON t BEGIN UPDATE t SET changed = 2 WHERE id = NEW.id; END",
            "CREATE TRIGGER app3 AFTER DELETE ON t BEGIN INSERT INTO t VALUES(OLD.id, 'again', 3); END",
            "INSERT INTO t VALUES(1, 'one', 0)", "UPDATE t SET v = 'fünf' WHERE id = 5", "DELETE FROM t WHERE id = 1",
            "COMMIT")
        var fold = KeyFold()
        for event in try session.drainEvents() { fold.apply(event) }
        #expect(fold.rows("t") == ["1,'again',1", "5,'fünf',2"])
        #expect(try database.rows("t") == ["1,'again',1", "5,'fünf',2"])
    }

    @Test func everyValueComesThroughAsItIsStored() throws {
        let database = try SourceDatabase("CREATE TABLE v(id INTEGER PRIMARY KEY, a, b REAL, c TEXT, d NUMERIC)")
        let session = try database.open()
        let values: [SQLiteValue] = [
            .integer(.max), .integer(.min), .real(.infinity), .real(-.infinity), .real(-0.0), .real(1.0 / 3),
            .real(.leastNonzeroMagnitude), .real(.greatestFiniteMagnitude), .real(123456.789), .text([]), .blob([]),
            .text([0x61, 0, 0x62]), .text([0xFF, 0x41]), .blob([0, 1, 255]), .null, .text(Array("{\"a\":1}".utf8)),
        ]
        let insert = try database.writer.prepare("INSERT INTO v(a, b, c, d) VALUES(?1, ?1, ?1, ?1)")
        for value in values { try insert.run(value) }
        let read = try database.writer.prepare("SELECT * FROM v ORDER BY id")
        let captured = try session.drainEvents()
        #expect(captured.count == values.count)
        for event in captured {
            #expect(try read.step())
            #expect(event.after == (0..<5).map { read.value($0) })
        }
    }

    @Test func triggersCallNothingThatAnOldLibraryLacks() throws {
        let database = try SourceDatabase(users)
        _ = try database.open()
        let known: Set<String> = ["julianday", "ifnull", "max"]
        for trigger in try InstalledTrigger.all(database.writer) {
            let (tokens, bytes) = SQLTokenizer.tokens(trigger.sql)
            for (word, next) in zip(tokens, tokens.dropFirst()) where word.kind == .word && next.kind == .symbol {
                guard bytes[next.range] == [UInt8(ascii: "(")], word.range.upperBound == next.range.lowerBound else {
                    continue
                }
                let name = String(decoding: bytes[word.range], as: UTF8.self)
                let isTable = name.hasPrefix("_millrace_")
                #expect(isTable || name == "EXISTS" || known.contains(name), "\(name)")
            }
        }
    }
}
