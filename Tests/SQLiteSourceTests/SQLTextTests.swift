import ByteKit
import ConnectorTesting
import Testing

@testable import SQLiteSource

@Suite struct SQLTextTests {
    @Test func quotesAreDoubled() {
        #expect(SQLText.identifier("a\"b") == "\"a\"\"b\"")
        #expect(SQLText.literal("a'b") == "'a''b'")
        #expect(SQLText.folded("ÄbC") == "Äbc")
    }

    @Test(
        arguments: [
            ("CREATE UNIQUE INDEX i ON t(a)", ["a"], nil),
            (
                "CREATE UNIQUE INDEX \"i(\" ON \"t)\"(\"a,b\" DESC, lower(c, 'x,)') COLLATE NOCASE asc)",
                ["\"a,b\"", "lower(c, 'x,)') COLLATE NOCASE"], nil
            ),
            (
                "CREATE UNIQUE INDEX i ON t(a /* , */ + 1) -- (\n WHERE a > (1) AND b <> ')' -- end", ["a + 1"],
                "a > (1) AND b <> ')'"
            ),
            ("CREATE UNIQUE INDEX i ON t(a) wHeRe x'00' = b", ["a"], "x'00' = b"),
        ] as [(String, [String], String?)])
    func indexDefinitionsAreRead(sql: String, terms: [String], predicate: String?) throws {
        let definition = try #require(IndexDefinition(sql: sql))
        #expect(definition.terms == terms && definition.predicate == predicate)
    }

    @Test func cutDefinitionsAreNilOrShorterAndNeverATrap() {
        let sql = "CREATE UNIQUE INDEX i ON t(a /* x */, lower('b'), [c]) WHERE \"d\" > 1e-5"
        for count in 0..<sql.count { _ = IndexDefinition(sql: String(sql.prefix(count))) }
        #expect(IndexDefinition(sql: "CREATE INDEX i ON t(a") == nil)
        #expect(IndexDefinition(sql: "CREATE INDEX i ON t()") == nil)
    }

    @Test(arguments: [
        ("abc", "'abc'"), ("\"x\"", "'x'"), ("NULL", "(NULL)"), ("-1", "(-1)"), ("'it''s'", "('it''s')"),
        ("current_time", "(current_time)"),
    ])
    func defaultsMeanTheSameInAnotherPlace(text: String, expected: String) {
        #expect(TableShape.defaultExpression(text) == expected)
    }

    @Test func realsAreTheShortestTextThatReadsBack() {
        var random = SeededGenerator(seed: 5)
        var values: [Double] = [
            0, -0.0, 0.1, 1.5, -2.25, 1e15, 9007199254740991, 9007199254740992, 1e16, 1e-4, 1e-5,
            .leastNonzeroMagnitude, .pi, 0.3,
            100.01, 1e300,
        ]
        for _ in 0..<20_000 {
            values.append(Double(bitPattern: random.next()))
            values.append(Double(Int.random(in: -10_000_000...10_000_000, using: &random)) / 1000)
            values.append(Double(Int.random(in: -10_000_000...10_000_000, using: &random)) * 0.01)
        }
        for value in values where value.isFinite {
            var buffer = OutputBuffer()
            buffer.append(real: value)
            let text = String(validatingUTF8: buffer.bytes) ?? ""
            #expect(text == value.description)
            #expect(Double(text)?.bitPattern == value.bitPattern)
        }
    }
}
