import ChangeModel
import JSONSchema
import JSONText
import SchemaRegistry
import Testing

@Suite struct SchemaDifferenceTests {
    private let id = Column(name: "id", type: .int64, typeName: "bigint", keyPosition: 0, isNullable: false)
    private let price = Column(name: "price", type: .numeric, typeName: "numeric(10,2)")
    private let note = Column(name: "note", type: .text, typeName: "text")

    /// The difference of two tables, read from the files that they make.
    private func difference(_ old: [Column], _ new: [Column]) throws -> SchemaDifference {
        let place = try Workplace()
        let first = try place.folder.register(derivedFrom: relation(old), subject: "s")
        let second = try place.folder.register(derivedFrom: relation(new), subject: "s")
        return SchemaDifference(
            from: try #require(try place.folder.schema(of: "s", version: first)),
            to: try #require(try place.folder.schema(of: "s", version: second)))
    }

    @Test func addedColumnBreaksNothing() throws {
        let found = try difference([id], [id, note])
        #expect(found.lines == ["column note: added (text)"])
        #expect(found.breakage == [])
    }

    @Test func columnThatWasDeclaredWithoutATypeIsSaidToHaveNone() throws {
        let bare = Column(name: "c", type: .text, typeName: "")
        #expect(try difference([id], [id, bare]).lines == ["column c: added (no type)"])
        #expect(try difference([id, bare], [id]).lines == ["column c: dropped (no type)"])
    }

    /// A default for rows that are there, or USING: no event tells of their values.
    @Test func whatMayGiveRowsOtherValuesIsKnown() throws {
        let whole = Column(name: "price", type: .int64, typeName: "bigint")
        let other = Column(name: "cost", type: .numeric, typeName: "numeric(10,2)")
        #expect(try difference([id], [id, note]).mayChangeValues)
        #expect(try difference([id, price], [id, whole]).mayChangeValues)
        #expect(try !difference([id, price], [id]).mayChangeValues)
        #expect(try !difference([id, price], [id, other]).mayChangeValues)
        #expect(try !difference([id, price, note], [id, note, price]).mayChangeValues)
    }

    @Test func droppedColumnBreaksOldConsumers() throws {
        let found = try difference([id, note], [id])
        #expect(found.lines == ["column note: dropped (text)"])
        #expect(found.breakage == .oldConsumers)
    }

    @Test func retypedColumnBreaksOnlyWhereItsJSONChanges() throws {
        let whole = Column(name: "price", type: .int64, typeName: "bigint")
        let found = try difference([id, price], [id, whole])
        #expect(found.lines == ["column price: numeric(10,2) → bigint"])
        #expect(found.breakage == [.oldEvents, .oldConsumers])
        let wider = try difference(
            [id, Column(name: "n", type: .int32, typeName: "integer")],
            [id, Column(name: "n", type: .int64, typeName: "bigint")])
        #expect(wider.lines == ["column n: integer → bigint"])
        #expect(wider.breakage == [])
    }

    @Test func retypedStringBreaksWhereItsMeaningNarrows() throws {
        let text = Column(name: "price", type: .text, typeName: "character varying(20)")
        #expect(try difference([id, price], [id, text]).breakage == .oldConsumers)
        #expect(try difference([id, text], [id, price]).breakage == .oldEvents)
        let longer = Column(name: "price", type: .text, typeName: "text")
        #expect(try difference([id, text], [id, longer]).breakage == [])
        let wider = Column(name: "price", type: .numeric, typeName: "numeric(12,2)")
        #expect(try difference([id, price], [id, wider]).breakage == [])
        let day = Column(name: "price", type: .date, typeName: "date")
        #expect(try difference([id, price], [id, day]).breakage == [.oldEvents, .oldConsumers])
    }

    private func text(_ length: Int?) -> Column {
        let name = length.map { "character varying(\($0))" } ?? "text"
        var column = Column(name: "t", type: .text, typeName: name)
        column.lengthMax = length
        return column
    }

    /// The rules that a change breaks, by direction.
    private func rules(_ old: [Column], _ new: [Column]) throws -> [String] {
        try difference(old, new).breaks.map { "\($0.direction.rawValue) \($0.reason.rule.rawValue)" }
    }

    @Test func everydayChangesHaveTheVerdictsOfTheManual() throws {
        let small = Column(name: "n", type: .int32, typeName: "integer")
        var filled = small
        filled.isNullable = false
        let large = Column(name: "n", type: .int64, typeName: "bigint")
        let real = Column(name: "n", type: .float64, typeName: "double precision")
        #expect(try rules([id], [id, small]) == [])
        #expect(try rules([id, small], [id]) == ["FORWARD column-dropped"])
        #expect(try rules([id, text(10)], [id, text(20)]) == ["FORWARD max-length-lowered"])
        #expect(try rules([id, text(20)], [id, text(10)]) == ["BACKWARD max-length-lowered"])
        #expect(try rules([id, text(20)], [id, text(nil)]) == ["FORWARD max-length-lowered"])
        #expect(try rules([id, small], [id, large]) == [] && rules([id, large], [id, small]) == [])
        #expect(try rules([id, small], [id, real]) == ["FORWARD type-narrowed"])
        #expect(try rules([id, filled], [id, small]) == ["FORWARD type-narrowed"])
        #expect(try rules([id, small], [id, filled]) == ["BACKWARD type-narrowed"])
        #expect(
            try rules([id, price], [id, Column(name: "price", type: .text, typeName: "text")])
                == ["FORWARD column-retyped"])
    }

    @Test func levelOfATableCountsWhatJSONCannotSay() throws {
        let place = try Workplace()
        func schema(_ columns: [Column]) throws -> VersionedSchema {
            let version = try place.folder.register(derivedFrom: relation(columns), subject: "s")
            return VersionedSchema(
                version: version, try #require(try place.folder.schema(of: "s", version: version)))
        }
        let (old, new) = (try schema([id, price]), try schema([id]))
        #expect(CompatibilityLevel.backward.verdict(onTable: new, against: [old]).isCompatible)
        let found = CompatibilityLevel.full.verdict(onTable: new, against: [old]).breaks
        #expect(
            found.map(\.description) == [
                "FORWARD, version 1: /x-millrace: column price: dropped (numeric(10,2)) (column-dropped)"
            ])
        #expect(CompatibilityLevel.full.verdict(on: new, against: [old]).isCompatible)
        #expect(CompatibilityLevel.none.verdict(onTable: old, against: [new]).isCompatible)
    }

    @Test func insideOfATypeIsCompared() throws {
        func schema(_ property: String) throws -> JSONValue {
            try JSONValue(
                parsing: Array(
                    """
                    {"properties": {"a": \(property)}, "x-millrace": {"key": [], "columns": {"a": "t"}}}
                    """.utf8))
        }
        func lines(_ old: String, _ new: String) throws -> [String] {
            SchemaDifference(from: try schema(old), to: try schema(new)).lines
        }
        let mood = #"{"type": "string", "x-millrace": {"labels": ["ok", "sad"]}}"#
        let glad = #"{"type": "string", "x-millrace": {"labels": ["ok", "glad"]}}"#
        #expect(try lines(mood, glad) == ["column a: labels 'sad' are gone", "column a: labels 'glad' are new"])
        #expect(
            try lines("{\"type\": \"array\", \"items\": \(mood)}", "{\"type\": \"array\", \"items\": \(glad)}").first
                == "column a[]: labels 'sad' are gone")
        let pair = #"{"type": "object", "properties": {"x": {"type": "integer"}, "y": true}}"#
        let other = #"{"type": "object", "properties": {"x": {"type": "string"}, "z": true}}"#
        #expect(
            try lines(pair, other) == ["column a.x: another type", "column a.y: dropped", "column a.z: added"])
        #expect(try lines(pair, pair) == [])
    }

    @Test func renamedColumnIsShownAsDropAndAddTogether() throws {
        let remark = Column(name: "remark", type: .text, typeName: "text")
        let found = try difference([id, note, price], [id, remark, price])
        #expect(found.lines == ["column note: dropped (text), and remark added in its place: renamed?"])
        #expect(found.breakage == .oldConsumers)
    }

    @Test func changedKeyBreaksBothWays() throws {
        var keyed = note
        keyed.keyPosition = 1
        keyed.isNullable = false
        let found = try difference([id, note], [id, keyed])
        #expect(found.lines == ["column note: no longer null", "key: (id) → (id, note)"])
        #expect(found.verdict == "breaks both ways")
        #expect(
            try difference([id, keyed], [id, note]).lines == ["column note: may be null", "key: (id, note) → (id)"])
    }

    @Test func everyKindOfChangeHasItsLine() throws {
        let found = try difference(
            [id, note, price], [price, id, Column(name: "n", type: .int32, typeName: "integer")])
        #expect(
            found.lines == [
                "column note: dropped (text)", "column n: added (integer)",
                "order of columns: (id, price) → (price, id)",
            ])
        #expect(found.summary == found.lines.joined(separator: "; "))
    }

    @Test func longDifferenceIsCutInItsSummary() throws {
        let columns = (0..<300).map { Column(name: "c\($0)", type: .text, typeName: "text") }
        let found = try difference([id], [id] + columns)
        #expect(found.lines.count == 300)
        #expect(found.summary.hasSuffix("; and 280 more"))
    }

    @Test func schemaThatAPersonWroteIsComparedAsFarAsItGoes() throws {
        let old = try JSONValue(
            parsing: Array(#"{"type":"object","properties":{"a":{"type":"string"},"b":true},"required":["a"]}"#.utf8))
        let new = try JSONValue(
            parsing: Array(#"{"type":"object","properties":{"a":{"type":["string","null"]}}}"#.utf8))
        let lines = SchemaDifference(from: old, to: new).lines
        #expect(lines.contains("column b: dropped (any value)"))
        #expect(lines.contains("column a: may be null"))
        #expect(lines.contains("key: (a) → none"))
        #expect(SchemaDifference(from: true, to: true).isEmpty)
    }
}
