import Foundation
import ProgramTesting
import Testing

/// An application's outbox, by the whole program.
@Suite(.serialized)
struct OutboxTests {
    private let database: PostgresDatabase
    private let program: MillraceProgram

    private static let table = """
        CREATE TABLE outbox (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype text, aggregateid text,
            type text, payload jsonb, trace text);
        CREATE TABLE orders (id int PRIMARY KEY, total numeric)
        """

    init() throws {
        database = try PostgresDatabase()
        try database.sql(Self.table)
        program = try MillraceProgram(configuration: Self.configuration(database))
    }

    private static func configuration(_ database: PostgresDatabase, columns: String = "{}") -> String {
        """
        name: shop
        source:
          postgres:
            url: \(database.url)
            tables: [public.*]
            slot: \(database.name)
            publication: \(database.name)
        outbox:
          - tables: [public.outbox]
            columns: \(columns)
            attributes: {traceparent: trace}
        sinks:
          topics:
            file: {path: "out/{topic}.jsonl"}
          rows:
            file: {path: "rows/{table}.jsonl"}
            format: row
            tables: [public.outbox]
        """
    }

    private func lines(of file: String) throws -> [[String: Any]] {
        guard let text = try? String(contentsOfFile: program.folder.path(file), encoding: .utf8) else { return [] }
        return try text.split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
    }

    private func ids(of file: String) throws -> [String] { try lines(of: file).compactMap { $0["id"] as? String } }

    @Test func insertAndDeleteInOneTransactionIsOneEventWithThePayloadAsItIs() throws {
        try program.catchUp()
        try database.sql(
            """
            BEGIN; INSERT INTO orders VALUES (1, 9.50);
            INSERT INTO outbox VALUES ('00000000-0000-0000-0000-000000000001', 'Order', '1', 'OrderCreated',
                '{"total": 9.50, "big": 12345678901234567890123, "list": [1e20]}', '00-x');
            DELETE FROM outbox; COMMIT;
            INSERT INTO outbox VALUES ('00000000-0000-0000-0000-000000000002', '../../escape', NULL, 'Moved', NULL);
            UPDATE outbox SET type = 'Other'; TRUNCATE outbox
            """)
        let run = try program.run("run", "--until-caught-up")
        #expect(run.exitCode == 0 && run.errors.contains("rows of outbox table public.outbox are updated"))
        let line = try String(contentsOfFile: program.folder.path("out/outbox.event.Order.jsonl"), encoding: .utf8)
        #expect(line.contains(#""id":"00000000-0000-0000-0000-000000000001","source":"/millrace/shop/public.outbox""#))
        #expect(line.contains(#""type":"OrderCreated","subject":"1","#), "\(line)")
        #expect(line.contains(#""aggregatetype":"Order","traceparent":"00-x","datacontenttype":"application/json""#))
        #expect(line.contains(#""big":12345678901234567890123"#) && line.contains(#""total":9.50"#), "\(line)")
        #expect(line.split(separator: "\n").count == 1)
        let moved = try lines(of: "out/outbox.event...%2F..%2Fescape.jsonl")
        #expect(
            moved.map { $0["type"] as? String } == ["Moved"] && moved[0]["data"] == nil && moved[0]["subject"] == nil)
        #expect(try lines(of: "out/public.orders.jsonl").count == 1)
        let rows = try lines(of: "rows/outbox.jsonl")
        #expect(rows.map { $0["_topic"] as? String } == ["outbox.event.Order", "outbox.event.../../escape"])
        let tail = try program.run("tail", "public.outbox")
        #expect(tail.exitCode == 0 && tail.output.split(separator: "\n").count == 2)
        #expect(!FileManager.default.fileExists(atPath: program.folder.path("Schemas/shop.public.outbox")))
        let verify = try program.run("verify", "--strict")
        #expect(verify.exitCode == 0, "\(verify.output) \(verify.errors)")
        #expect(verify.output.contains("skipped   public.outbox: an outbox"), "\(verify.output)")
        #expect(try program.run("doctor").output.contains("every outbox table has its columns"))
    }

    @Test func rowsThatAreThereBeforeTheFirstStartBecomeEvents() throws {
        try database.sql(
            "INSERT INTO outbox SELECT gen_random_uuid(), 'Order', n, 'T', '{}' FROM generate_series(1, 50) n")
        let expected = try database.sql("SELECT id FROM outbox")
        try program.catchUp()
        #expect(try ids(of: "out/outbox.event.Order.jsonl").sorted() == expected.sorted())
        #expect(try lines(of: "rows/outbox.jsonl").allSatisfy { $0["_op"] as? String == "insert" })
    }

    @Test func aBadRowIsSetAsideWhileTheOthersGoOnAndIsReleasedOnceItIsNoneAnyMore() throws {
        try database.sql("ALTER TABLE outbox ADD COLUMN kind text DEFAULT 'K'")
        try program.catchUp()
        try database.sql(
            """
            INSERT INTO outbox VALUES (gen_random_uuid(), 'Order', '1', 'A', '{}');
            INSERT INTO outbox VALUES ('00000000-0000-0000-0000-00000000000b', 'Order', '1', NULL, '{"secret": 1}');
            INSERT INTO outbox VALUES (gen_random_uuid(), 'Order', '1', 'C', '{}')
            """)
        try program.catchUp()
        try program.catchUp()
        #expect(try lines(of: "out/outbox.event.Order.jsonl").compactMap { $0["type"] as? String } == ["A", "C"])
        let list = try program.run("deadletters", "list").output
        #expect(list.contains("shop.public.outbox#rows: 1 change waiting"), "\(list)")
        #expect(list.contains("[outbox.bad_row] a row of outbox table public.outbox makes no event: type is NULL"))
        #expect(!list.contains("secret"))
        #expect(try program.run("deadletters", "show", "public.outbox", "--data").output.contains("\"secret\":1"))
        let retry = try program.run("deadletters", "retry", "public.outbox")
        #expect(retry.exitCode == 1 && retry.errors.contains("outbox.bad_row"), "\(retry.errors)")
        try program.folder.write("millrace.yaml", Self.configuration(database, columns: "{type: kind}"))
        try program.catchUp()
        #expect(try lines(of: "out/outbox.event.Order.jsonl").compactMap { $0["type"] as? String } == ["A", "C", "K"])
        #expect(try ids(of: "out/outbox.event.Order.jsonl").last == "00000000-0000-0000-0000-00000000000b")
        #expect(try program.run("deadletters", "list").output.contains("nothing waits, 1 released"))
    }

    @Test func aMissingColumnStopsNothingAndLosesNothing() throws {
        try program.catchUp()
        try database.sql("ALTER TABLE outbox RENAME payload TO body; INSERT INTO orders VALUES (7, 1)")
        try database.sql("INSERT INTO outbox VALUES (gen_random_uuid(), 'Order', '1', 'A', '{}')")
        try program.catchUp()
        #expect(try lines(of: "out/public.orders.jsonl").count == 1)
        #expect(try program.run("deadletters", "list").output.contains("has no column payload"))
        #expect(try program.run("doctor").output.contains("[outbox.missing_column]"))
        try program.folder.write("millrace.yaml", Self.configuration(database, columns: "{payload: body}"))
        try program.catchUp()
        #expect(try lines(of: "out/outbox.event.Order.jsonl").count == 1)
    }

    @Test(arguments: ["file.torn_write:2", "file.before_sync:2", "sink.durable:2", "log.set_aside:1"])
    func everyEventIsDeliveredUnderItsIdHoweverOftenTheProgramIsKilled(at point: String) throws {
        try program.catchUp()
        var expected: [String] = []
        for round in 0..<3 {
            let victim = try program.start("run", haltAt: point)
            try victim.waitForError(containing: "capturing")
            try victim.wait(for: "halt at \(point)") {
                if victim.errorText.contains("halted at") { return true }
                expected += try database.sql(
                    """
                    WITH new AS (INSERT INTO outbox SELECT gen_random_uuid(), 'Order' || n % 3, n, 'T',
                        jsonb_build_object('n', n) FROM generate_series(1, 20) n RETURNING id) SELECT id FROM new;
                    INSERT INTO outbox VALUES (gen_random_uuid(), NULL, '\(round)', 'T', '{}'); DELETE FROM outbox
                    """)
                return false
            }
            victim.kill()
        }
        try program.catchUp()
        let delivered = try (0..<3).flatMap { try ids(of: "out/outbox.event.Order\($0).jsonl") }
        #expect(delivered.sorted() == expected.sorted(), "every event, none of them twice")
        let rows = try lines(of: "rows/outbox.jsonl").compactMap { $0["_id"] as? String }
        #expect(rows.sorted() == expected.sorted())
    }

    @Test func textAndBytesAreDataToo() throws {
        try database.sql(
            """
            ALTER TABLE outbox ALTER payload TYPE text; CREATE TABLE outbox_b (LIKE outbox INCLUDING ALL);
            ALTER TABLE outbox_b ALTER payload TYPE bytea USING NULL
            """)
        try program.folder.write(
            "millrace.yaml",
            Self.configuration(database).replacing("[public.outbox]\n    columns", with: "[\"*.outbox*\"]\n    columns")
        )
        try program.catchUp()
        try database.sql(
            """
            INSERT INTO outbox VALUES (gen_random_uuid(), 'Text', '1', 'A', 'plain "text"'), (gen_random_uuid(), 'Text',
                '1', 'A', '{"n": 1.00}');
            INSERT INTO outbox_b VALUES (gen_random_uuid(), 'Bytes', '1', 'A', '\\xdeadbeef')
            """)
        try program.catchUp()
        let text = try String(contentsOfFile: program.folder.path("out/outbox.event.Text.jsonl"), encoding: .utf8)
        #expect(text.contains(#""datacontenttype":"text/plain","data":"plain \"text\"""#), "\(text)")
        #expect(text.contains(#""datacontenttype":"application/json","data":{"n":1.00}"#), "\(text)")
        let bytes = try String(contentsOfFile: program.folder.path("out/outbox.event.Bytes.jsonl"), encoding: .utf8)
        #expect(bytes.contains(#""data_base64":"3q2+7w==""#) && bytes.contains("/millrace/shop/public.outbox_b"))
    }

    @Test func anOutboxOfSQLiteWorksLikewise() throws {
        let program = try MillraceProgram(
            configuration: """
                name: till
                source:
                  sqlite: {path: shop.db}
                outbox: [{tables: [outbox]}]
                sinks:
                  topics:
                    file: {path: "out/{topic}.jsonl"}
                """)
        func sql(_ text: String) throws { try program.sqlite("shop.db", text) }
        try sql("CREATE TABLE outbox (id INTEGER PRIMARY KEY, aggregatetype TEXT, aggregateid, type TEXT, payload)")
        try program.catchUp()
        try sql(
            "INSERT INTO outbox VALUES (7, 'Sale', 42, 'Sold', '{\"cents\": 250}'), (8, 'Sale', 42, 'Sold', x'ff');"
                + "DELETE FROM outbox")
        try program.catchUp()
        let text = try String(
            contentsOfFile: program.folder.path("out/outbox.event.Sale.jsonl"), encoding: .utf8)
        let lines = text.split(separator: "\n")
        #expect(lines.count == 2, "\(text)")
        #expect(lines.first?.contains(#""id":"7","source":"/millrace/till/main.outbox""#) == true, "\(text)")
        #expect(lines.first?.hasSuffix(#""data":{"cents":250}}"#) == true && lines.last?.contains("\"/w==\"") == true)
    }
}
