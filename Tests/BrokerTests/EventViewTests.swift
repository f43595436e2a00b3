import ConnectorKit
import Testing

@testable import Broker

struct EventViewTests {
    @Test func tablesAreAListOfPatterns() throws {
        let view = EventView(tables: try #require(EventView.tables("public.orders,stock.*,items")))
        for (schema, table) in [("public", "orders"), ("stock", "x"), ("a", "items"), ("stock", "items")] {
            #expect(view.includes(schema: schema, table: table), "\(schema).\(table)")
        }
        #expect(!view.includes(schema: "public", table: "other") && !view.includes(schema: "Stock", table: "x"))
        #expect(EventView().includes(schema: "any", table: "thing"))
    }

    @Test func aCommaInsideOfQuotesBelongsToTheName() throws {
        let tables = try #require(EventView.tables(#"public."a,b",c"#))
        #expect(tables.map(\.text) == [#"public."a,b""#, "c"])
        let view = EventView(tables: tables)
        #expect(view.includes(schema: "public", table: "a,b") && !view.includes(schema: "public", table: "a"))
    }

    @Test func emptyAndOpenPatternsAreNone() {
        for text in ["", ",", "a,", ",a", "a,,b", "\"a", "a,\"b"] { #expect(EventView.tables(text) == nil, "\(text)") }
    }
}
