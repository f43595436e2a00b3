import ByteKit
import ChangeModel
import ConnectorKit
import EventFormat
import Foundation
import JSONText
import ProgramTesting
import SchemaRegistry
import Testing

@testable import PostgresSource

/// A table `public.t` with a column `c0`, `c1` … for each sample, whose rows are inserted while a source reads.
struct SampleTable {
    var samples: [TypeSample]
    var preparation = ""
    /// True when the literals are expressions.
    var areExpressions = false
    var numeric = ValueType.numeric

    init(_ samples: [TypeSample], preparation: String = "", areExpressions: Bool = false, numeric: ValueType = .numeric)
    {
        self.samples = samples
        self.preparation = preparation
        self.areExpressions = areExpressions
        self.numeric = numeric
    }

    /// An event's row, value by value as JSON.
    struct Event {
        var after: [String: String]
        var asText: [String]
        /// The row as a line of JSON.
        var line: String
        var key: String
    }

    /// What came out.
    struct Captured {
        var database: TestDatabase
        var relation: Relation
        var events: [Event]

        /// Judges every row by the schema that is derived from the relation.
        func checkAgainstContract() throws {
            let folder = try TemporaryFolder()
            let schemas = SchemaFolder(directory: folder.path("schemas"))
            let version = try schemas.register(derivedFrom: relation, subject: "s")
            try folder.write("rows.jsonl", events.map { $0.line + "\n" }.joined())
            try folder.write("check.py", Self.check)
            let schema = folder.path("schemas/s/v\(version).schema.json")
            let result = try runProgram(
                "/usr/bin/env", ["python3", folder.path("check.py"), schema, folder.path("rows.jsonl")])
            #expect(result.output == "\(events.count)\n" && result.exitCode == 0, "\(result.errors)")
        }

        private static let check = """
            import json, sys
            import jsonschema
            schema = json.load(open(sys.argv[1], encoding="utf-8"))
            jsonschema.Draft202012Validator.check_schema(schema)
            validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
            count = 0
            for line in open(sys.argv[2], "rb").read().split(b"\\n")[:-1]:
                errors = [e.json_path + ": " + e.message for e in validator.iter_errors(json.loads(line))]
                if errors: sys.exit("; ".join(errors))
                count += 1
            print(count)
            """
    }

    /// Makes the table, inserts the rows and reads them from the stream.
    func captured() async throws -> Captured {
        let database = try TestDatabase()
        try database.run(TypeSample.preparation + preparation)
        let columns = samples.enumerated().map { "c\($0.offset) \($0.element.type)" }
        try database.run("CREATE TABLE t (id int PRIMARY KEY, \(columns.joined(separator: ", ")))")
        let reader = try SourceReader(database, tables: ["public.t"], adjusting: { $0.numeric = numeric })
        try await reader.open()
        for row in 0..<(samples.map(\.values.count).max() ?? 0) {
            let values = samples.map { sample -> String in
                guard row < sample.values.count else { return "NULL" }
                let literal = sample.values[row].literal
                return areExpressions ? literal : SQLText.literal(literal)
            }
            try database.run("INSERT INTO t VALUES (\(row), \(values.joined(separator: ", ")))")
        }
        try await reader.catchUp()
        await reader.source.close()
        let relation = try #require(reader.seen.first?.relation)
        return Captured(
            database: database, relation: relation,
            events: try Self.events(of: reader.seen.map(\.after), relation: relation))
    }

    /// The events of inserted rows.
    static func events(of rows: [[String?]], relation: Relation) throws -> [Event] {
        var builder = ChangeBatchBuilder(capacity: 4096)
        let index = builder.index(of: relation)
        let transaction = builder.begin(TransactionInfo(commit: 1, id: 1, committedAt: 0))
        for (ordinal, row) in rows.enumerated() {
            let after = builder.appendTuple(columnCount: row.count) { (output: inout OutputBuffer) in
                for value in row {
                    output.append(value == nil ? ValueKind.null : ValueKind.text)
                    guard let value else { continue }
                    output.append(bigEndian: Int32(value.utf8.count))
                    output.append(utf8: value)
                }
            }
            builder.append(
                RowChange(
                    operation: .insert, relation: index, transaction: transaction, ordinal: UInt32(ordinal),
                    after: after))
        }
        let batch = try builder.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(1)))
        let encoder = EventEncoder(pipelineName: "shop", sourceKind: "postgres", format: .cloudEvents)
        let version = RelationVersion(id: 1, relation: relation, subject: "s", version: 1)
        let records = try encoder.encode(
            batch, versions: [version], firstOffset: 0, from: 0, bytesMax: .max, including: { _ in true }
        ).records
        return try records.records.map { record in
            let data = try #require(try JSONValue(parsing: text(records.bytes(record.payload)))["data"])
            let after = try #require(data["after"])
            var values: [String: String] = [:]
            for member in after.object?.members ?? [] { values[member.name] = member.value.compactText }
            return Event(
                after: values, asText: data["as_text"]?.array?.compactMap(\.string) ?? [], line: after.compactText,
                key: text(records.bytes(record.key)))
        }
    }

    private static func text(_ bytes: RawSpan) -> String { String(validatingUTF8: bytes) ?? "not UTF-8" }
}
