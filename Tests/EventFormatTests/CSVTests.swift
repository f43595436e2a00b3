import ChangeModel
import ConnectorKit
import ConnectorTesting
import EventFormat
import Foundation
import Testing

struct CSVTests {
    private let metadata =
        "_op,_id,_sequence,_schema,_table,_dataschema,_committed_at,_unchanged,_previous_key,_base64"

    private func lines(_ changes: [SampleChange], of relation: Relation) throws -> [String] {
        try encode(changes, of: relation, format: .csv).lines
    }

    /// The line without its metadata up to `_committed_at`, which ends in `Z`.
    private func rest(_ line: String) -> String {
        String(line[(line.range(of: "Z,")?.upperBound ?? line.startIndex)...])
    }

    @Test func aLineHasTheMetadataAndThenTheRow() throws {
        let batch = try encode([.insert(["42", "new", nil])], of: orders, format: .csv)
        #expect(batch.topics.map(\.header) == [metadata + ",id,status,note"])
        let line = try #require(batch.lines.first)
        let front = "insert,shop-00000000016B3748-0000000A,00000000016B3748-0000000A,public,orders,"
        #expect(line.hasPrefix(front + "/subjects/shop.public.orders/versions/"))
        #expect(rest(line) == ",,,42,new,")
        #expect(try encode([.truncate], of: orders, format: .row).topics.map(\.header) == [nil])
    }

    @Test func nullIsNothingAndEmptyTextIsTwoQuotes() throws {
        let batch = try lines([.insert(["1", "", nil])], of: orders)
        #expect(batch.map(rest) == [",,,1,\"\","])
    }

    @Test(arguments: [
        ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("a\nb", "\"a\nb\""), ("a\rb", "\"a\rb\""), (" a ", " a "),
        ("'", "'"),
    ])
    func valuesAreQuotedWhereTheyMustBe(value: String, written: String) throws {
        #expect(try lines([.insert(["1", .text(value), nil])], of: orders).map(rest) == [",,,1,\(written),"])
    }

    @Test func aDeleteHasTheKeyAndATruncateNothing() throws {
        let all = try lines(
            [.delete(.key, ["7", nil, nil]), .delete(.full, ["7", "paid", "x"]), .truncate], of: orders)
        #expect(all.map(rest) == [",,,7,,", ",,,7,paid,x", ",,,,,"])
        #expect(all.map { $0.prefix { $0 != "," } } == ["delete", "delete", "truncate"])
    }

    @Test func whatIsNotKnownAndTheFormerKeyAreSaid() throws {
        let all = try lines(
            [.update(to: ["5", "x", .unchanged]), .update(.key, from: ["4", nil, nil], to: ["5", "x", "y"])],
            of: orders)
        #expect(all.map(rest) == ["\"[\"\"note\"\"]\",,,5,x,", ",\"{\"\"id\"\":4}\",,5,x,y"])
    }

    @Test func namesThatMetadataHaveOrThatNeedQuotesStayApart() throws {
        let odd = Relation(
            sourceID: 1, schema: "public", name: "orders", columns: [column("_op"), column("a,\"b\"")])
        let batch = try encode([.insert(["1", "2"])], of: odd, format: .csv)
        #expect(batch.topics.first?.header == "_" + metadata + ",_op,\"a,\"\"b\"\"\"")
    }

    @Test func anOutboxRowHasItsOwnIDAndTopic() throws {
        let relation = Relation(
            sourceID: 9, schema: "public", name: "outbox",
            columns: [column("id", key: 0), column("kind"), column("order"), column("payload")],
            outbox: OutboxRoute(
                id: 0, type: 1, aggregateType: 1, aggregateID: 2, payload: 3, attributes: [], content: .auto,
                topicSuffix: ""))
        let batch = try encode([.insert(["e-1", "Paid", "42", "{\"a\":1}"])], of: relation, format: .csv)
        let record = try #require(batch.records.first)
        #expect(batch.text(record.id) == "e-1" && batch.text(record.key) == "42")
        #expect(batch.topics[Int(record.topic)].header?.contains("_table,_topic,_committed_at") == true)
        let line = batch.lines[0]
        #expect(line.hasPrefix("insert,e-1,00000000016B3748-0000000A,public,outbox,"))
        #expect(rest(line) == ",,,e-1,Paid,42,\"{\"\"a\"\":1}\"")
    }

    /// Rows of all types say in CSV what they say in the row format, as Python's reader takes them.
    @Test func aRowSaysTheSameAsInTheRowFormat() throws {
        var random = RandomChanges(dice: SeededGenerator(seed: 21))
        let lines = try (0..<200).map { _ in
            let relation = random.relation()
            let changes = (0..<8).map { _ in random.change(of: relation) }
            let csv = try encode(changes, of: relation, format: .csv)
            let text = ([csv.topics[0].header ?? ""] + csv.lines).joined(separator: "\n") + "\n"
            let rows = try encode(changes, of: relation, format: .row).lines
            let object: [String: Any] = ["csv": text, "rows": rows]
            return String(decoding: try JSONSerialization.data(withJSONObject: object), as: UTF8.self)
        }
        #expect(try Python.run(compare, lines: lines) == "1600\n")
    }

    private let compare = """
        import csv, io, json, sys
        csv.field_size_limit(1 << 30)
        texts = dict(parse_int=str, parse_float=str, parse_constant=str)
        count = 0
        for line in open(sys.argv[1], encoding="utf-8"):
            case = json.loads(line)
            table = csv.reader(io.StringIO(case["csv"], newline=""), strict=True)
            names = next(table)
            assert len(set(names)) == len(names)
            for cells, row in zip(table, case["rows"], strict=True):
                assert len(cells) == len(names), (cells, names)
                row = json.loads(row, **texts)
                for number, (name, cell) in enumerate(zip(names, cells)):
                    value = row.get(name)
                    if value is None or value == [] and 7 <= number < 10: assert cell == "", (name, cell)
                    elif value is True or value is False: assert cell == str(value).lower(), (name, cell)
                    elif isinstance(value, str) and cell == value: pass
                    else: assert json.loads(cell, **texts) == value, (name, cell, value)
                count += 1
        print(count)
        """
}
