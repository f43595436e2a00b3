import Foundation
import ProgramTesting
import Testing

/// What somebody is not cleared for reaches no output: values that are found again, in every place of a row, through
/// everything that the program writes.
@Suite(.serialized)
struct ClearanceTests {
    private let database: PostgresDatabase
    private let program: MillraceProgram

    init() throws {
        database = try PostgresDatabase()
        program = try MillraceProgram(
            configuration: """
                name: shop
                mask_salt: salt-of-the-test-0123
                source:
                  postgres:
                    url: \(database.url)
                    tables: [public.*]
                    slot: \(database.name)
                    publication: \(database.name)
                    messages: [app]
                    transactions: true
                schemas: {on_change: quarantine}
                sensitivity:
                  masks: {confidential: hash}
                outbox:
                  - tables: [public.outbox]
                    attributes: {correlationid: trace}
                \(Self.sinks)
                """)
    }

    private static let sinks = """
        sinks:
          all:
            file: {path: out/all.jsonl}
            clearance: [public, internal, confidential, restricted]
          usual:
            file: {path: "usual/{schema}.{table}.{topic}.jsonl"}
          trusted:
            file: {path: out/trusted.jsonl}
            clearance: [public, internal, confidential]
          strangers:
            file: {path: "strangers/{topic}.jsonl"}
            clearance: [public]
          rows:
            file: {path: out/rows.jsonl}
            format: row
          public_rows:
            file: {path: "public/{topic}.jsonl"}
            format: row
            clearance: [public]
        """

    private static let tables = """
        CREATE TABLE customers (id int PRIMARY KEY, email text, card text, big text, nick text, doc jsonb, bin bytea);
        ALTER TABLE customers ALTER COLUMN big SET STORAGE EXTERNAL;
        CREATE TABLE accounts (iban text, part int, owner text, PRIMARY KEY (iban, part));
        CREATE TABLE whole (iban text PRIMARY KEY, owner text);
        ALTER TABLE whole REPLICA IDENTITY FULL;
        CREATE TABLE loose (a text, b text);
        ALTER TABLE loose REPLICA IDENTITY FULL;
        CREATE TABLE outbox (id text PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload jsonb,
            trace text, extra text)
        """

    /// The contracts as they come by themselves, and then with classes.
    private func classify() throws {
        try database.sql(Self.tables)
        try database.sql("CREATE TABLE calm (id int PRIMARY KEY)")
        try program.catchUp()
        try database.sql(
            """
            SELECT pg_logical_emit_message(true, 'app', 'first');
            INSERT INTO customers (id) VALUES (0); INSERT INTO accounts VALUES ('x', 0, 'y');
            INSERT INTO whole VALUES ('x', 'y'); INSERT INTO loose VALUES ('x', 'y')
            """)
        try program.catchUp()
        try program.classify(
            "shop.public.customers",
            [
                "id": "public", "email": "confidential", "card": "restricted", "big": "restricted",
                "doc": "restricted", "bin": "confidential",
            ])
        try program.classify("shop.public.accounts", ["iban": "restricted", "owner": "confidential"])
        try program.classify("shop.public.whole", ["iban": "restricted", "owner": "restricted"])
        try program.classify("shop.public.loose", ["a": "restricted"])
        try program.classify("shop.pg_logical.message", ["content": "restricted"])
        try FileManager.default.createDirectory(
            atPath: program.folder.path("Schemas/shop.public.outbox"), withIntermediateDirectories: true)
        try program.folder.write(
            "Schemas/shop.public.outbox/v1.schema.json",
            #"""
            {"properties": {"id": {"x-sensitivity": "restricted"}, "aggregatetype": {"x-sensitivity": "restricted"},
              "aggregateid": {"x-sensitivity": "confidential"}, "type": {"x-sensitivity": "confidential"},
              "payload": {"properties": {"inner": {"x-sensitivity": "restricted"}}},
              "trace": {"x-sensitivity": "restricted"}, "extra": {"x-sensitivity": "restricted"}}}
            """#)
    }

    private static let (r, c, i) = (Marker.restricted, Marker.confidential, Marker.internal)

    /// Statements that put a marker into every classified column, in every way in which a row can change.
    private static var statements: [String] {
        [
            """
            INSERT INTO customers VALUES (1, '\(c.value("1"))', '\(r.value("1"))', repeat('\(r.rawValue)', 900),
                '\(i.value("1"))', '{"deep": ["\(r.value("2"))"]}', convert_to('\(c.value("2"))', 'UTF8'));
            UPDATE customers SET nick = '\(i.value("2"))' WHERE id = 1;
            UPDATE customers SET card = '\(r.value("3"))', email = NULL WHERE id = 1;
            UPDATE customers SET id = 2 WHERE id = 1; DELETE FROM customers WHERE id = 2
            """,
            """
            INSERT INTO accounts VALUES ('\(r.value("4"))', 1, '\(c.value("3"))');
            UPDATE accounts SET owner = '\(c.value("4"))' WHERE part = 1;
            UPDATE accounts SET iban = '\(r.value("5"))' WHERE part = 1; DELETE FROM accounts WHERE part = 1
            """,
            """
            INSERT INTO whole VALUES ('\(r.value("6"))', '\(r.value("7"))'); UPDATE whole SET owner = '\(r.value("8"))';
            UPDATE whole SET iban = '\(r.value("9"))' WHERE iban LIKE 'z%'; DELETE FROM whole WHERE iban LIKE 'z%';
            INSERT INTO loose VALUES ('\(r.value("10"))', '\(i.value("3"))'); UPDATE loose SET a = '\(r.value("11"))';
            DELETE FROM loose WHERE a LIKE 'z%'; INSERT INTO whole VALUES ('\(r.value("12"))', 'o');
            TRUNCATE whole, loose
            """,
            """
            BEGIN; SELECT pg_logical_emit_message(true, 'millrace.context', '{"tenant": "\(i.value("4"))"}');
            SELECT pg_logical_emit_message(true, 'app', '\(r.value("13"))');
            INSERT INTO outbox VALUES ('\(r.value("14"))', '\(r.value("15"))', '\(c.value("5"))', '\(c.value("6"))',
                '{"inner": "\(r.value("16"))"}', '\(r.value("17"))', '\(r.value("18"))'); COMMIT
            """,
            """
            SELECT pg_logical_emit_message(false, 'app', '\(r.value("19"))');
            INSERT INTO outbox VALUES ('bad', NULL, NULL, NULL, '{"inner": "\(r.value("20"))"}', NULL,
                '\(r.value("21"))');
            INSERT INTO customers (id, email, card, nick)
                VALUES (7, '\(c.value("7"))', '\(r.value("22"))', '\(i.value("5"))');
            INSERT INTO accounts VALUES ('\(r.value("23"))', 9, '\(c.value("8"))')
            """,
        ]
    }

    /// Markers that are in no event: two are set aside for good, one is in no part of an event that shows it.
    private static let neverShown: Set<Int> = [18, 20, 21]

    /// Everything that the program says when it is asked, after something was set aside and something differs.
    private func sayEverything() throws -> [(String, ChildResult)] {
        var said: [(String, ChildResult)] = []
        for line in [
            "tail", "tail --format row", "status", "status --json", "doctor", "deadletters list",
            "deadletters list --json", "deadletters show", "deadletters show --data", "schema list",
            "schema classes --all",
            "verify --show-keys", "verify --show-keys --json",
        ] {
            let arguments = line.split(separator: " ").map(String.init)
            said.append((line, try runProgram(MillraceProgram.executable, arguments, folder: program.folder.url)))
        }
        return said
    }

    @Test func noUnclearedValueOfPostgresReachesAnyOutput() throws {
        try classify()
        var words: [(String, ChildResult)] = []
        for statement in Self.statements { try database.sql(statement) }
        words.append(("run", try program.run("run", "--until-caught-up")))
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        try program.run("snapshot", "public.customers", "public.accounts")
        try running.wait(for: "the snapshot") {
            try program.objects(in: "out/rows.jsonl").count { $0["_op"] as? String == "snapshot" } >= 4
        }
        // A form that nobody accepted: the classified column has another name.
        try database.sql("ALTER TABLE customers RENAME COLUMN card TO number")
        try database.sql("INSERT INTO customers (id, number) VALUES (8, '\(Self.r.value("24"))')")
        try running.waitForError(containing: "changes are set aside")
        running.send(SIGTERM)
        words.append(("run 2", try running.finish()))
        words += try sayEverything()
        // It is accepted, and is delivered.
        words.append(("accept", try program.run("schema", "accept", "shop.public.customers")))
        words.append(("run 3", try program.run("run", "--until-caught-up")))
        try unseen(
            "UPDATE accounts SET owner = 'other' WHERE part = 9",
            "INSERT INTO loose VALUES ('\(Self.r.value("25"))')")
        words += try sayEverything()
        var keys: [String] = []
        for (line, result) in words {
            let expected: Set<Marker> = line.hasPrefix("tail") || line.hasSuffix("--data") ? [.internal] : []
            let shown = Marker.found(in: result.output + result.errors)
            #expect(shown.isSubset(of: expected), "\(line): \(shown)")
            if line.hasPrefix("run") || line == "accept" {
                #expect(result.exitCode == (line == "run 2" ? 143 : 0), "\(line): \(result.errors)")
            }
            if line == "verify --show-keys" { keys.append(result.output) }
        }
        #expect(keys.last?.contains("in owner: iban=[hidden], part=9") ?? false, "\(keys)")
        #expect(keys.last?.contains("only in table: a=[hidden], b=null") ?? false, "\(keys)")
        try check(try program.markers())
        try checkEvents()
    }

    /// Changes rows without an event.
    private func unseen(_ statements: String...) throws {
        try database.sql("ALTER PUBLICATION \(database.name) DROP TABLE accounts, loose")
        for statement in statements { try database.sql(statement) }
        try database.sql("ALTER PUBLICATION \(database.name) ADD TABLE accounts, loose")
    }

    private func check(_ found: [String: Set<Marker>]) throws {
        for (file, markers) in found {
            let allowed: Set<Marker> =
                switch file {
                case "out/all.jsonl": Set(Marker.allCases)
                case "out/trusted.jsonl": [.internal, .confidential]
                case "out/rows.jsonl": [.internal]
                case _ where file.hasPrefix("usual/"): [.internal]
                default: []
                }
            #expect(markers.isSubset(of: allowed), "\(file): \(markers)")
        }
        // The search finds what is there.
        #expect(found["out/all.jsonl"] == Set(Marker.allCases))
        #expect(found["out/trusted.jsonl"] == [.internal, .confidential])
        #expect(found["out/rows.jsonl"] == [.internal])
        #expect(found.keys.contains { $0.hasPrefix("usual/") })
        let all = try String(contentsOfFile: program.folder.path("out/all.jsonl"), encoding: .utf8)
        for number in 1...24 where !Self.neverShown.contains(number) {
            #expect(all.contains(Self.r.value("\(number)")), "restricted \(number) was an event")
        }
    }

    private func checkEvents() throws {
        let all = try program.objects(in: "out/all.jsonl")
        let trusted = try program.objects(in: "out/trusted.jsonl")
        // A sink that may not see values gets every event all the same, in their order and under their ids, apart from
        // that of an outbox, whose id is a value.
        let ids = { (events: [[String: Any]]) in events.compactMap { $0["sequence"] as? String } }
        #expect(ids(all) == ids(trusted) && all.count > 30)
        // The first ones are older than the classes.
        let plain = try events(of: "accounts", in: "out/all.jsonl")
            .filter { $0.key?.contains(Self.r.rawValue) ?? false }
        let usual = try events(of: "accounts", in: "usual/public.accounts.public.accounts.jsonl")
            .filter { event in plain.contains { $0.id == event.id } }
        #expect(usual.map(\.operation) == plain.map(\.operation) && usual.map(\.id) == plain.map(\.id))
        #expect(plain.map(\.operation) == ["insert", "update", "update", "delete", "insert", "snapshot"])
        for (seen, event) in zip(usual, plain) {
            #expect((seen.previousKey == nil) == (event.previousKey == nil))
            let part = event.key?.split(separator: ",").last.map(String.init) ?? "none"
            #expect(seen.key != event.key && seen.key?.hasSuffix(part) ?? false, "\(seen.key ?? "-") \(part)")
        }
        // Equal keys have equal hashes, different ones have not.
        let keys = { (events: [Event]) in events.map { event in events.firstIndex { $0.key == event.key } } }
        #expect(keys(usual) == keys(plain))
        // A column that is left out is not named as unchanged either.
        let customers = try events(of: "customers", in: "usual/public.customers.public.customers.jsonl")
            .filter { ["id=1", "id=2", "id=7", "id=8"].contains($0.key) }
        #expect(try events(of: "customers", in: "out/all.jsonl").contains { $0.unchanged == ["big"] })
        #expect(customers.allSatisfy { $0.unchanged.isEmpty && $0.after?["big"] == nil && $0.after?["card"] == nil })
        #expect(customers.contains { ($0.after?["email"] as? String)?.count == 64 })
        #expect(customers.contains { $0.after?["nick"] == AnyHashable(Marker.internal.value("1")) })
        let strangers = try events(of: "customers", in: "strangers/public.customers.jsonl")
        let seen = strangers.first { $0.key == "id=1" }?.after ?? [:]
        #expect(Set(seen.keys) == ["id", "email", "bin"])
    }

    private func events(of table: String, in file: String) throws -> [Event] {
        let text = try String(contentsOfFile: program.folder.path(file), encoding: .utf8)
        let lines = text.split(separator: "\n").filter { $0.contains("\"table\":\"\(table)\"") }
        return try Event.parse(lines: lines.map { $0 + "\n" }.joined())
    }
}
