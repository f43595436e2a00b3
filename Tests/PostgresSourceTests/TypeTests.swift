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

/// The types of PostgreSQL from the server to the event and its contract.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct TypeTests {
    @Test func everyTypeIsSpelledAsTheManualSays() async throws {
        let table = SampleTable(TypeSample.all)
        let rows = try await table.captured()
        for (row, after) in rows.events.map(\.after).enumerated() {
            for (index, sample) in table.samples.enumerated() where row < sample.values.count {
                #expect(try after["c\(index)"] == sample.json(row), "\(sample.type) \(sample.values[row].literal)")
            }
        }
        #expect(rows.events.allSatisfy { $0.asText.isEmpty })
        try rows.checkAgainstContract()
    }

    @Test func everyTypeIsTheSameInsideOfArraysAndComposites() async throws {
        // Arrays of arrays are arrays with more dimensions.
        let inner = TypeSample.all.filter { !$0.type.hasSuffix("[]") && $0.type != "nobody" && $0.type != "int_list" }
        var preparation = ""
        var samples: [TypeSample] = []
        for (index, sample) in inner.enumerated() {
            preparation += "CREATE TYPE pair_\(index) AS (a \(sample.type), \"b,\"\"\" text);"
            var array = TypeSample("\(sample.type)[]")
            var pair = TypeSample("pair_\(index)[]")
            for (literal, json) in sample.values {
                let value = SQLText.literal(literal) + "::" + sample.type
                array.values.append(("ARRAY[\(value), NULL, \(value)]", "[\(json),null,\(json)]"))
                pair.values.append(
                    (
                        "ARRAY[ROW(\(value), 'x y')::pair_\(index), ROW(NULL, NULL)::pair_\(index)]",
                        #"[{"a":\#(json),"b,\"":"x y"},{"a":null,"b,\"":null}]"#
                    ))
            }
            samples += [array, pair]
        }
        let table = SampleTable(samples, preparation: preparation, areExpressions: true)
        let rows = try await table.captured()
        for (row, after) in rows.events.map(\.after).enumerated() {
            for (index, sample) in samples.enumerated() where row < sample.values.count {
                #expect(try after["c\(index)"] == sample.json(row), "\(sample.values[row].literal)")
            }
        }
        #expect(rows.events.allSatisfy { $0.asText.isEmpty })
        try rows.checkAgainstContract()
    }

    @Test func whatFitsNoStructureIsItsTextAndIsListed() async throws {
        let table = SampleTable(TypeSample.misfits)
        let rows = try await table.captured()
        for (row, event) in rows.events.enumerated() {
            let present = table.samples.indices.filter { row < table.samples[$0].values.count }
            #expect(event.asText == present.map { "c\($0)" })
            for index in present { #expect(try event.after["c\(index)"] == table.samples[index].json(row)) }
        }
        try rows.checkAgainstContract()
    }

    /// The server's own list: whatever type can be a column, an own sample of it is above.
    @Test func everyCoreTypeHasASample() throws {
        let database = try TestDatabase()
        try database.run(TypeSample.preparation)
        let sampled = try TypeSample.all.map { try database.value("SELECT '\($0.type)'::regtype::oid") ?? "" }
        let missing = try database.run(
            """
            SELECT t.typname FROM pg_type t
            WHERE t.oid < 16384 AND t.typtype NOT IN ('p', 'c') AND t.typisdefined
            AND NOT EXISTS (SELECT FROM pg_type u WHERE u.typarray = t.oid)
            AND t.typname NOT IN ('gtsvector', 'pg_node_tree', 'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list',
                'pg_brin_bloom_summary', 'pg_brin_minmax_multi_summary')
            AND t.typnamespace = 'pg_catalog'::regnamespace AND t.oid NOT IN (\(sampled.joined(separator: ",")))
            """)
        #expect(missing.rows.map { $0[0] ?? "" } == [])
    }

    @Test func numericIsANumberWhereTheConfigurationSaysSo() async throws {
        let numbers = TypeSample(
            "numeric", ("1.50", "1.50"), ("-123456789012345678901234567890.000", "-123456789012345678901234567890.000"),
            ("NaN", #""NaN""#), ("-Infinity", #""-Infinity""#))
        let samples = [
            numbers, TypeSample("numeric[]", ("{1.0,NULL,NaN}", #"[1.0,null,"NaN"]"#)),
            TypeSample(
                "numrange",
                (
                    "[1.0,)",
                    #"{"lower":1.0,"upper":null,"lower_inclusive":true,"upper_inclusive":false,"empty":false}"#
                )),
        ]
        let table = SampleTable(samples, numeric: .number)
        let rows = try await table.captured()
        for (row, event) in rows.events.enumerated() {
            for (index, sample) in samples.enumerated() where row < sample.values.count {
                #expect(try event.after["c\(index)"] == sample.json(row))
            }
        }
        try rows.checkAgainstContract()
    }

    /// A row that another connection reads as text is the same event as the row in the stream.
    @Test func aRowReadByAQueryIsTheSameEventAsTheRowInTheStream() async throws {
        let table = SampleTable(TypeSample.all + TypeSample.misfits)
        let rows = try await table.captured()
        let columns = table.samples.indices.map { "c\($0)" }
        let read = try rows.database.session().execute(
            "SELECT id, \(columns.joined(separator: ", ")) FROM public.t ORDER BY id")
        for (values, event) in zip(read.rows, rows.events) {
            let again = try SampleTable.events(of: [values], relation: rows.relation)
            #expect(again.first?.after == event.after)
            #expect(again.first?.asText == event.asText)
        }
        #expect(read.rows.count == rows.events.count)
    }
}
