import JSONText
import Testing

@testable import JSONSchema

struct CompatibilityLevelTests {
    private func version(_ number: Int, _ text: String) throws -> VersionedSchema {
        VersionedSchema(version: number, try JSONValue(parsing: text))
    }

    /// An integer, then a number, then, newest, a string or a number.
    private func history() throws -> [VersionedSchema] {
        [
            try version(3, #"{"type":["number","string"]}"#), try version(2, #"{"type":"number"}"#),
            try version(1, #"{"type":"integer"}"#),
        ]
    }

    private func verdict(_ level: CompatibilityLevel, _ text: String) throws -> [String] {
        let new = VersionedSchema(try JSONValue(parsing: text))
        return level.verdict(on: new, against: try history()).breaks.map {
            "\($0.direction.rawValue) \($0.version ?? 0) \($0.reason.rule.rawValue)"
        }
    }

    @Test func everyLevelComparesWhatItSays() throws {
        let number = #"{"type":"number"}"#
        #expect(try verdict(.none, "false") == [])
        #expect(try verdict(.backward, number) == ["BACKWARD 3 type-narrowed"])
        #expect(try verdict(.backwardTransitive, number) == ["BACKWARD 3 type-narrowed"])
        #expect(try verdict(.forward, number) == [])
        #expect(try verdict(.forwardTransitive, number) == ["FORWARD 1 type-narrowed"])
        #expect(try verdict(.full, number) == ["BACKWARD 3 type-narrowed"])
        #expect(try verdict(.fullTransitive, number) == ["BACKWARD 3 type-narrowed", "FORWARD 1 type-narrowed"])
        #expect(try verdict(.fullTransitive, #"{"type":["string","number"]}"#).count == 2)
    }

    @Test func withoutEarlierVersionsEverythingIsCompatible() {
        for level in CompatibilityLevel.allCases {
            #expect(level.verdict(on: VersionedSchema(false), against: []).isCompatible)
        }
        #expect(CompatibilityLevel.allCases.map(\.rawValue).count == 7)
    }

    @Test func breakSaysDirectionVersionPathAndRule() throws {
        let new = VersionedSchema(["type": "string", "maxLength": 10])
        let old = VersionedSchema(version: 4, ["type": "string", "maxLength": 20])
        let found = try #require(CompatibilityLevel.backward.verdict(on: new, against: [old]).breaks.first)
        #expect(
            found.description
                == "BACKWARD, version 4: /maxLength: the reader asks for at most 10 characters, "
                + "the writer for at most 20 (max-length-lowered)")
        #expect(found.reason.reader == "10" && found.reason.writer == "20")
    }

    @Test func referencesLeadIntoEachSidesOwnLibrary() throws {
        var (small, large) = (SchemaLibrary(), SchemaLibrary())
        small.add(["type": "integer"], under: "http://x.test/number")
        large.add(["type": "number"], under: "http://x.test/number")
        let schema: JSONValue = ["items": ["$ref": "http://x.test/number"]]
        let (old, new) = (VersionedSchema(schema, library: small), VersionedSchema(schema, library: large))
        #expect(CompatibilityDirection.backward.breaks(from: old, to: new) == [])
        let found = try #require(CompatibilityDirection.forward.breaks(from: old, to: new).first)
        #expect(found.rule == .typeNarrowed && found.path == "http://x.test/number#/type" && found.instancePath == "/*")
        #expect(CompatibilityDirection.forward.breaks(from: new, to: new) == [])
    }
}

struct SchemaChangesTests {
    private func changes(_ old: String, _ new: String) throws -> SchemaChanges {
        SchemaChanges(
            from: VersionedSchema(version: 1, try JSONValue(parsing: old)),
            to: VersionedSchema(try JSONValue(parsing: new)))
    }

    private func texts(_ changes: SchemaChanges) -> [String] {
        changes.lines.map { line in
            "\(line)" + (line.isAnnotation ? " (note)" : "")
                + line.breaks.map { " \($0.direction.rawValue):\($0.reason.rule.rawValue)" }.joined()
        }
    }

    @Test func everyDifferenceHasBothValuesAndWhatItBreaks() throws {
        let found = try changes(
            #"""
            {"title":"t","type":"object","properties":{"a":{"type":"string","maxLength":20},"b":{"type":"integer"},
             "c":{"type":"string","description":"x"}},"required":["a"]}
            """#,
            #"""
            {"title":"u","type":"object","properties":{"a":{"maxLength":10,"type":"string"},"b":{"type":"number"},
             "c":{"type":"string"},"d":{"type":"null"}},"required":["a","b"]}
            """#)
        #expect(
            texts(found) == [
                #"/title: "t" → "u" (note)"#, "/properties/a/maxLength: 20 → 10 BACKWARD:max-length-lowered",
                #"/properties/b/type: "integer" → "number" FORWARD:type-narrowed"#,
                #"/properties/c/description: "x" → nothing (note)"#, #"/properties/d: nothing → {"type":"null"}"#,
                #"/required: ["a"] → ["a","b"] BACKWARD:required-added"#,
            ])
    }

    @Test func orderIsNoDifference() throws {
        let found = try changes(
            #"{"type":"number","anyOf":[{"minimum":1},true]}"#, #"{"anyOf":[true,{"minimum":1.0}],"type":"number"}"#)
        #expect(found.lines == [] && found.backward == [] && found.forward == [])
    }

    @Test func branchThatIsGoneNamesItself() throws {
        let found = try changes(
            #"{"oneOf":[{"type":"string"},{"type":"null"}]}"#, #"{"oneOf":[{"type":"null"}]}"#)
        #expect(texts(found) == [#"/oneOf/0: {"type":"string"} → nothing BACKWARD:one-of-narrowed"#])
    }

    @Test func removedMemberOfAClosedModelIsShownWhereItWas() throws {
        let found = try changes(
            #"{"type":"object","properties":{"a":true,"b":true},"additionalProperties":false}"#,
            #"{"type":"object","properties":{"a":true},"additionalProperties":false}"#)
        #expect(texts(found) == ["/properties/b: true → nothing BACKWARD:property-removed-from-closed-model"])
    }
}
