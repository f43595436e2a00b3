import ChangeModel
import ConnectorKit
import JSONText
import SchemaRegistry
import Testing

@Suite struct ContractChoiceTests {
    private let place: Workplace
    private let table = relation([
        Column(name: "id", type: .int64, typeName: "bigint", keyPosition: 0, isNullable: false),
        Column(name: "email", type: .text, typeName: "text"),
        Column(name: "amount", type: .numeric, typeName: "numeric(10,2)"),
        Column(name: "rate", type: .float64, typeName: "double precision"),
    ])

    init() throws {
        place = try Workplace()
        try place.makeFolder("s")
    }

    /// The version that the table is under; 0 when there is none.
    private func version(_ table: Relation? = nil) throws -> Int {
        guard case .registered(let contract) = try place.folder.look(for: table ?? self.table, subject: "s") else {
            return 0
        }
        return contract.version
    }

    private func passedOver() throws -> String? {
        switch try place.folder.look(for: table, subject: "s") {
        case .registered(let contract): contract.passedOver
        case .changed(let change): change.obstacle
        }
    }

    private func edited(_ version: Int, _ edit: (inout JSONObject) -> Void) throws -> String {
        var object = try #require(try place.folder.schema(of: "s", version: version)?.object)
        edit(&object)
        return JSONValue.object(object).prettyText
    }

    @Test func theHighestVersionThatDescribesTheTableCounts() throws {
        #expect(try place.folder.register(derivedFrom: table, subject: "s") == 1)
        try place.write("{\"properties\": {\"email\": {\"format\": \"email\"}}}", "s/v2.schema.json")
        #expect(try version() == 2)
        try place.write(try edited(1) { $0["minProperties"] = 1 }, "s/v3.schema.json")
        #expect(try version() == 3)
        // Other forms of the table: one with words is for its own only, one without for any that can keep to it.
        let wider = relation(table.columns + [Column(name: "more", type: .text, typeName: "text")])
        #expect(try version(wider) == 2)
        #expect(try place.folder.register(derivedFrom: wider, subject: "s") == 2)
    }

    @Test(arguments: [
        ("{\"required\": [\"id\", \"gone\"]}", "it requires \"gone\""),
        ("{\"properties\": {\"amount\": {\"type\": \"number\"}}}", "column amount is string, and it wants number"),
        ("{\"properties\": {\"email\": false}}", "it has no place for column email"),
        ("{\"properties\": {\"id\": {}}, \"additionalProperties\": false}", "it has no place for column email"),
        ("{\"type\": \"array\"}", "a row is an object"), ("false", "it lets nothing pass"),
    ])
    func aVersionThatNoRowCouldKeepToIsPassedOverWithItsReason(_ text: String, _ reason: String) throws {
        #expect(try place.folder.register(derivedFrom: table, subject: "s") == 1)
        try place.write(text, "s/v2.schema.json")
        #expect(try version() == 1)
        #expect(try passedOver()?.hasPrefix("version 2 does not describe the table: \(reason)") ?? false)
    }

    @Test func aNarrowerTypeIsNoObstacle() throws {
        for text in [
            "{\"properties\": {\"rate\": {\"type\": \"integer\"}, \"email\": {\"type\": \"string\"}}}",
            "{\"properties\": {\"id\": {\"type\": \"number\"}, \"rate\": {\"type\": [\"number\", \"null\"]}}}",
            "true", "{}",
        ] {
            try place.write(text, "s/v1.schema.json")
            #expect(try version() == 1)
        }
    }

    @Test func aVersionForAnotherFormIsPassedOverWithoutAWord() throws {
        #expect(try place.folder.register(derivedFrom: table, subject: "s") == 1)
        let wider = relation(table.columns + [Column(name: "more", type: .text, typeName: "text")])
        #expect(try place.folder.register(derivedFrom: wider, subject: "s") == 2)
        #expect(try version() == 1)
        #expect(try passedOver() == nil)
    }

    @Test func commentsAreDescriptionsAndMakeNoVersion() throws {
        #expect(try place.folder.register(derivedFrom: table, subject: "s") == 1)
        var columns = table.columns
        columns[1].comment = "Where the invoice goes."
        let commented = Relation(
            sourceID: 1, schema: "public", name: "orders", columns: columns, comment: "What people bought.")
        #expect(try version(commented) == 1)
        let other = try Workplace()
        #expect(try other.folder.register(derivedFrom: commented, subject: "s") == 1)
        let schema = try #require(try other.folder.schema(of: "s", version: 1))
        #expect(schema["description"] == "What people bought.")
        #expect(schema["properties"]?["email"]?["description"] == "Where the invoice goes.")
    }

    @Test func theNextVersionKeepsWhatPeopleWroteAboutColumnsThatAreAsTheyWere() throws {
        #expect(try place.folder.register(derivedFrom: table, subject: "s") == 1)
        let rich = try edited(1) { object in
            var properties = object["properties"]?.object ?? JSONObject()
            properties["email"] = ["type": "string", "format": "email", "x-sensitivity": "restricted"]
            properties["amount"] = ["type": "string", "pattern": "^[0-9.]+$", "description": "Without tax."]
            properties["rate"] = ["type": ["number", "null"], "maximum": 1]
            object["properties"] = .object(properties)
            object["required"] = ["id", "email", "amount"]
            object["if"] = ["properties": ["email": ["const": "x@example.com"]]]
            object["then"] = false
        }
        try place.write(rich, "s/v2.schema.json")
        #expect(try version() == 2)
        // The amount gets another type and another form, the rate is gone, something is new.
        let changed = relation([
            table.columns[0], table.columns[1], Column(name: "amount", type: .int32, typeName: "integer"),
            Column(name: "more", type: .text, typeName: "text"),
        ])
        guard case .changed(let change) = try place.folder.look(for: changed, subject: "s") else {
            Issue.record("another form was found registered")
            return
        }
        #expect(change.lostColumns == ["amount"])
        #expect(try place.folder.register(derivedFrom: changed, subject: "s") == 3)
        let next = try #require(try place.folder.schema(of: "s", version: 3))
        let properties = try #require(next["properties"]?.object)
        #expect(properties.names == ["id", "email", "amount", "more"])
        #expect(properties["email"] == ["type": "string", "format": "email", "x-sensitivity": "restricted"])
        #expect(properties["amount"] == ["type": ["integer", "null"], "description": "Without tax."])
        #expect(next["then"] == false && next["required"] == ["id", "email", "amount"])
        #expect(next["x-millrace"]?["columns"]?["amount"] == "integer")
        #expect(try version(changed) == 3 && version() == 2)
    }

    @Test func aTypeOfTheSameFormKeepsItsConstraints() throws {
        func orders(_ length: Int) -> Relation {
            var column = Column(name: "email", type: .text, typeName: "character varying(\(length))")
            column.lengthMax = length
            return relation([table.columns[0], column])
        }
        #expect(try place.folder.register(derivedFrom: orders(20), subject: "s") == 1)
        let rich = try edited(1) { object in
            var properties = object["properties"]?.object ?? JSONObject()
            properties["email"] = [
                "type": ["string", "null"], "maxLength": 20, "minLength": 3, "format": "email",
            ]
            object["properties"] = .object(properties)
        }
        try place.write(rich, "s/v2.schema.json")
        #expect(try place.folder.register(derivedFrom: orders(40), subject: "s") == 3)
        let next = try place.folder.schema(of: "s", version: 3)?["properties"]?["email"]
        #expect(next?["maxLength"] == 40 && next?["minLength"] == 3 && next?["format"] == "email")
    }

    @Test func aColumnThatMayBeNullNowMayBeNullInTheNextVersion() throws {
        func table(_ isNullable: Bool) -> Relation {
            relation([
                self.table.columns[0], Column(name: "n", type: .dynamic, typeName: "INT", isNullable: isNullable),
            ])
        }
        #expect(try place.folder.register(derivedFrom: table(false), subject: "s") == 1)
        #expect(try place.folder.schema(of: "s", version: 1)?["x-millrace"]?["not_null"] == ["n"])
        #expect(try place.folder.register(derivedFrom: table(true), subject: "s") == 2)
        let types = try place.folder.schema(of: "s", version: 2)?["properties"]?["n"]?["type"]?.array
        #expect(types?.contains("null") ?? false)
        #expect(try version(table(false)) == 1 && version(table(true)) == 2)
    }

    @Test func aStampDiffersOnceAFileWasWritten() throws {
        let before = try place.folder.stamp(of: "s")
        #expect(try place.folder.stamp(of: "s") == before)
        _ = try place.folder.register(derivedFrom: table, subject: "s")
        let after = try place.folder.stamp(of: "s")
        #expect(after != before)
        try place.write("{}", "s/v1.schema.json")
        #expect(try place.folder.stamp(of: "s") != after)
        #expect(try place.folder.stamp(of: "nobody") == place.folder.stamp(of: "nothing"))
    }
}
