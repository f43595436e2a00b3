import Foundation
import ProgramTesting
import Testing

/// Messages, boundaries of transactions and what an application says about its transactions, by the whole program.
@Suite(.serialized)
struct MessageRunTests {
    private let database: PostgresDatabase
    private let program: MillraceProgram

    private static let traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    init() throws {
        database = try PostgresDatabase()
        try database.sql(
            """
            CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (0, 'before');
            CREATE TABLE outbox (id text PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload jsonb,
                correlation text)
            """)
        program = try MillraceProgram(configuration: Self.configuration(database))
    }

    private static func configuration(_ database: PostgresDatabase, more: String = "") -> String {
        """
        name: shop
        source:
          postgres:
            url: \(database.url)
            tables: [public.*]
            slot: \(database.name)
            publication: \(database.name)
            messages: [app]
            transactions: true
        outbox:
          - tables: ["*.outbox", "pg_logical.*"]
            attributes: {correlationid: correlation}
        sinks:
          all:
            file: {path: "out/all.jsonl"}
          parts:
            file: {path: "parts/{schema}.{table}.jsonl"}
          rows:
            file: {path: "rows/{table}.jsonl"}
            format: row
            tables: [pg_logical.message]
        \(more)
        """
    }

    private func lines(of file: String) throws -> [[String: Any]] {
        guard let text = try? String(contentsOfFile: program.folder.path(file), encoding: .utf8) else { return [] }
        return try text.split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
    }

    /// Type, subject, correlation and position of each event, `-` for what is absent.
    private func summary(_ events: [[String: Any]]) -> [String] {
        events.map { event in
            let data = event["data"] as? [String: Any]
            let transaction = data?["transaction"] as? [String: Any]
            let texts = ["type", "subject", "correlationid"].map { event[$0] as? String ?? "-" }
            return (texts + [(transaction?["position"] as? Int).map(String.init) ?? "-"]).joined(separator: " ")
        }
    }

    @Test func messagesBoundariesAndContextsAreDelivered() throws {
        try program.catchUp()
        let xid = try database.sql(
            """
            SELECT pg_logical_emit_message(false, 'app', 'alone');
            BEGIN; SELECT pg_logical_emit_message(true, 'millrace.context',
                '{"correlationid": "c1", "traceparent": "\(Self.traceParent)", "tenant": "t"}');
            SELECT 'xid ' || txid_current();
            INSERT INTO orders VALUES (1, 'a'), (2, 'b'); SELECT pg_logical_emit_message(true, 'app', '{"a":1}');
            INSERT INTO outbox VALUES ('e1', 'Order', '1', 'Made', '{}', NULL),
                ('e2', 'Order', '1', 'Made', '{}', 'own');
            DELETE FROM orders WHERE id = 1; COMMIT;
            BEGIN; TRUNCATE orders; COMMIT;
            SELECT pg_logical_emit_message(true, 'other', 'not wanted')
            """
        ).compactMap { $0.hasPrefix("xid ") ? String($0.dropFirst(4)) : nil }[0]
        try program.catchUp()
        let events = try lines(of: "out/all.jsonl")
        let later =
            events.compactMap { ($0["data"] as? [String: Any])?["transaction"] as? [String: Any] }
            .compactMap { $0["id"] as? String }.last ?? ""
        #expect(
            summary(events) == [
                "public.orders.snapshot 0 - -", "pg_logical.message app - -",
                "pg_logical.transaction.begin \(xid) c1 -", "public.orders.insert 1 c1 1",
                "public.orders.insert 2 c1 2", "pg_logical.message app c1 3", "Made 1 c1 -", "Made 1 own -",
                "public.orders.delete 1 c1 6", "pg_logical.transaction.commit \(xid) c1 -",
                "pg_logical.transaction.begin \(later) - -", "public.orders.truncate - - 0",
                "pg_logical.transaction.commit \(later) - -",
            ])
        #expect(events[2...9].allSatisfy { $0["traceparent"] as? String == Self.traceParent && $0["tenant"] != nil })
        #expect(events.filter { $0["traceparent"] != nil }.count == 8)
        let end = try #require((events[9]["data"] as? [String: Any])?["after"] as? [String: Any])
        #expect(end["changes"] as? Int == 7 && end["events"] as? Int == 6)
        let tables = try #require(end["tables"] as? [[String: Any]])
        #expect(
            tables.map { "\($0["schema"] ?? "").\($0["table"] ?? "") \($0["events"] ?? "")" } == [
                "public.orders 3", "public.outbox 2", "pg_logical.message 1",
            ])
        let content = try #require((events[5]["data"] as? [String: Any])?["after"] as? [String: Any])
        #expect(content["content"] as? String == "{\"a\":1}")
        #expect(try summary(lines(of: "parts/pg_logical.transaction.jsonl")).count == 4)
        let rows = try lines(of: "rows/message.jsonl")
        #expect(rows.map { $0["_op"] as? String } == ["message", "message"])
        #expect(rows.allSatisfy { $0["prefix"] as? String == "app" && $0["correlationid"] == nil })
        try expectCommandsToKnowThem()
    }

    private func expectCommandsToKnowThem() throws {
        let tail = try program.run("tail", "pg_logical.*")
        #expect(tail.output.split(separator: "\n").count == 6, "\(tail.errors)")
        let verify = try program.run("verify", "--strict")
        #expect(verify.exitCode == 0 && !verify.output.contains("pg_logical"), "\(verify.output) \(verify.errors)")
        #expect(try program.run("status").exitCode == 0)
        let check = try program.run("schema", "list")
        #expect(check.output.contains("shop.pg_logical.transaction"), "\(check.output) \(check.errors)")
        #expect(try !program.run("deadletters", "list").output.contains("pg_logical"))
    }

    @Test func aTransactionThatIsCutByAKillKeepsItsIdsAndItsContext() throws {
        try program.catchUp()
        try database.sql(
            """
            BEGIN; SELECT pg_logical_emit_message(true, 'millrace.context', '{"correlationid": "c1"}');
            INSERT INTO orders SELECT i, repeat('x', 200) FROM generate_series(1, 30000) i; COMMIT;
            INSERT INTO orders VALUES (-1, 'later')
            """)
        let victim = try program.start("run", haltAt: "log.appended:4")
        try victim.waitForError(containing: "halted at log.appended")
        victim.kill()
        let before = try program.run("tail").output.split(separator: "\n").map(String.init)
        #expect(before.count > 2 && before.count < 30001, "the kill must cut the transaction, not \(before.count)")
        try program.catchUp()
        let after = try program.run("tail").output.split(separator: "\n").map(String.init)
        #expect(Array(after.prefix(before.count)) == before, "what was logged before is what it was")
        let delivered = try lines(of: "out/all.jsonl")
        let ids = delivered.compactMap { $0["id"] as? String }
        #expect(ids.count == 30006 && Set(ids).count == ids.count)
        #expect(delivered.map { $0["correlationid"] != nil } == (0..<30006).map { (1...30002).contains($0) })
        #expect(ids[2].hasSuffix("-00000001") && ids[30001].hasSuffix("-00007530"), "the context has ordinal 0")
        let end = (delivered[30002]["data"] as? [String: Any])?["after"] as? [String: Any]
        #expect(end?["events"] as? Int == 30000 && end?["changes"] as? Int == 30001)
    }

    @Test func aPolicyForTablesDoesNotHoldUpMessages() throws {
        let policy = "schemas: {on_change: quarantine, on_new_table: require}"
        try program.folder.write("millrace.yaml", Self.configuration(database, more: policy))
        try program.catchUp()
        try database.sql(
            """
            BEGIN; SELECT pg_logical_emit_message(true, 'app', 'm'); INSERT INTO orders VALUES (1, 'a'); COMMIT
            """)
        try program.catchUp()
        #expect(
            try lines(of: "out/all.jsonl").compactMap { $0["type"] as? String } == [
                "pg_logical.transaction.begin", "pg_logical.message", "pg_logical.transaction.commit",
            ])
        let list = try program.run("deadletters", "list").output
        #expect(list.contains("shop.public.orders") && !list.contains("pg_logical"), "\(list)")
    }

    @Test func whatIsWrongWithAContextIsToldOnceAndNothingOfIt() throws {
        try program.catchUp()
        for number in 1...3 {
            try database.sql(
                """
                BEGIN;
                SELECT pg_logical_emit_message(true, 'millrace.context', '{"Secret": "s", "correlationid": "c"}');
                INSERT INTO orders VALUES (\(number), 'a'); COMMIT
                """)
        }
        let run = try program.run("run", "--until-caught-up")
        let told = run.errors.split(separator: "\n").filter { $0.contains("said about a transaction") }
        // Each of the two sinks whose events have attributes.
        #expect(told.count == 2 && !run.errors.contains("Secret"), "\(run.errors)")
        #expect(told.allSatisfy { $0.contains("small letters and digits") })
        let inserts = try lines(of: "out/all.jsonl").filter { $0["type"] as? String == "public.orders.insert" }
        #expect(inserts.map { $0["correlationid"] as? String } == ["c", "c", "c"])
    }
}
