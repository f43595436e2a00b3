import ConnectorKit
import JSONText
import Testing

@testable import SchemaRegistry

/// What the versions of a contract say about how sensitive columns are.
struct TableClassesTests {
    private func schema(_ text: String) throws -> JSONValue { try JSONValue(parsing: text, depthMax: 64) }

    private func classes(_ texts: String...) throws -> TableClasses {
        TableClasses(try zip(1..., texts).map { ($0, try schema($1)) })
    }

    /// A derived schema with these columns.
    private func derived(_ columns: [String], _ properties: String = "{}") -> String {
        let names = columns.map { "\"\($0)\": \"text\"" }.joined(separator: ", ")
        return "{\"properties\": \(properties), \"x-millrace\": {\"columns\": {\(names)}, \"key\": [\"id\"]}}"
    }

    private func words(
        _ classes: TableClasses, _ columns: [String], under version: Int = 0,
        unclassified: SensitivityClass = .internal
    ) -> [String]? {
        classes.classes(of: columns, under: version, unclassified: unclassified)?.map(\.rawValue)
    }

    @Test func aClassInsideOfAColumnIsTheClassOfTheColumn() throws {
        let found = ClassStatements(
            try schema(
                """
                {"$defs": {"street": {"x-sensitivity": "restricted"}, "loop": {"items": {"$ref": "#/$defs/loop"}}},
                 "properties": {
                   "plain": {"type": "string"}, "own": {"x-sensitivity": "public"},
                   "deep": {"x-sensitivity": "internal",
                     "properties": {"a": {"items": {"x-sensitivity": "confidential"}}}},
                   "refers": {"$ref": "#/$defs/street"}, "again": {"anyOf": [{"$ref": "#/$defs/street"}]},
                   "loops": {"$ref": "#/$defs/loop"}, "unsure": {"$ref": "#somewhere"},
                   "named": {"properties": {"x-sensitivity": {"type": "string"}}}
                 },
                 "allOf": [{"properties": {"own": {"x-sensitivity": "confidential"}}}, {"$ref": "#"}]}
                """))
        #expect(
            found.stated == [
                "own": .confidential, "deep": .confidential, "refers": .restricted, "again": .restricted,
                "unsure": .restricted,
            ])
        #expect(found.table == nil && found.unknownWords == [])
    }

    @Test func aReferenceToAnotherSubjectIsAllThatItSays() throws {
        let money = try schema(#"{"$defs": {"a": {"x-sensitivity": "confidential"}}}"#)
        let found = ClassStatements(
            try schema(
                """
                {"properties": {"a": {"$ref": "money.json#/$defs/b"}, "b": {"items": {"$ref": "money.json"}},
                  "c": {"$ref": "other.json"}}}
                """), documents: ["money.json": [money]])
        #expect(found.stated == ["a": .confidential, "b": .confidential])
    }

    @Test func aWordThatIsNoClassCountsAsTheStrictest() throws {
        let found = ClassStatements(
            try schema(#"{"properties": {"a": {"x-sensitivity": "secret"}, "b": {"x-sensitivity": 3}}}"#))
        #expect(found.stated == ["a": .restricted, "b": .restricted])
        #expect(found.unknownWords == ["secret", "3"])
    }

    @Test func theClassOfATableIsForColumnsWithoutTheirOwn() throws {
        let top = try classes(
            #"{"x-sensitivity": "confidential", "properties": {"a": {"x-sensitivity": "public"}, "b": {}}}"#)
        #expect(words(top, ["a", "b", "c"]) == ["public", "confidential", "confidential"])
        let pattern = try classes(
            #"{"patternProperties": {"^b": {"x-sensitivity": "restricted"}}, "properties": {"a": {}}}"#)
        #expect(words(pattern, ["a"]) == ["restricted"], "which columns a pattern is for is not looked into")
        #expect(words(try classes("true"), ["a"]) == ["internal"])
        #expect(words(TableClasses([]), ["a"], unclassified: .restricted) == ["restricted"])
    }

    @Test func aClassHoldsUntilAnotherIsStated() throws {
        let found = try classes(
            derived(["id", "a"]), derived(["id", "a"], #"{"a": {"x-sensitivity": "restricted"}}"#),
            derived(["id", "a"]), derived(["id"]), derived(["id", "a"]))
        for version in 0...5 { #expect(words(found, ["id", "a"], under: version) == ["internal", "restricted"]) }
    }

    @Test func aClassThatIsLoweredIsLoweredForEventsOfThatVersionOnly() throws {
        let found = try classes(
            derived(["id", "a"], #"{"a": {"x-sensitivity": "restricted"}}"#),
            derived(["id", "a"], #"{"a": {"x-sensitivity": "public"}}"#))
        #expect(words(found, ["a"], under: 1) == ["restricted"])
        #expect(words(found, ["a"], under: 2) == ["public"])
        #expect(words(found, ["a"], under: 0) == ["public"])
    }

    @Test func anEventOfAVersionThatIsNotThereHasNoKnownClasses() throws {
        let found = try classes(derived(["id"]))
        #expect(words(found, ["id"], under: 2) == nil)
        #expect(words(TableClasses([]), ["id"], under: 1) == nil)
        // Those around it do not know what it said.
        let rest = TableClasses([(1, try schema(derived(["id"]))), (3, try schema(derived(["id"])))])
        #expect(words(rest, ["id"], under: 2) == nil)
    }

    @Test func aColumnThatComesWhenAClassifiedOneGoesHasItsClass() throws {
        let first = derived(["id", "a", "b"], #"{"a": {"x-sensitivity": "confidential"}}"#)
        let found = try classes(first, derived(["id", "b", "c"]))
        #expect(words(found, ["id", "b", "c"], under: 2) == ["internal", "internal", "confidential"])
        #expect(found.suspected == ["c"])
        // Also where no version has the column yet.
        #expect(words(try classes(first), ["id", "b", "c"]) == ["internal", "internal", "confidential"])
        #expect(words(try classes(first), ["id", "a", "c"]) == ["internal", "confidential", "internal"])
        let stated = try classes(first, derived(["id", "b", "c"], #"{"c": {"x-sensitivity": "public"}}"#))
        #expect(words(stated, ["c"], under: 2) == ["public"] && stated.suspected == [])
        // Twice renamed.
        let twice = try classes(first, derived(["id", "c"]), derived(["id", "d"]), derived(["id", "d", "e"]))
        #expect(words(twice, ["d", "e"], under: 4) == ["confidential", "internal"])
    }

    @Test func aSchemaByHandDoesNotSayThatOtherColumnsWent() throws {
        let found = try classes(
            derived(["id", "a"], #"{"a": {"x-sensitivity": "restricted"}}"#),
            #"{"properties": {"id": {}, "note": {}}}"#, derived(["id", "b", "note"]))
        #expect(words(found, ["id", "note"], under: 2) == ["internal", "internal"])
        #expect(words(found, ["b"], under: 3) == ["restricted"])
    }

    @Test func derivedSchemasCarryTheClassesOfEarlierVersions() throws {
        let found = try classes(
            #"{"x-sensitivity": "internal", "properties": {"a": {"x-sensitivity": "confidential"}, "b": {}}}"#,
            derived(["id", "a", "b", "card"], #"{"card": {"x-sensitivity": "restricted"}}"#))
        let next = found.carried(
            into: try schema(
                derived(["id", "a", "b", "number"], #"{"id": {}, "a": {"type": "string"}, "b": {}, "number": {}}"#)))
        #expect(
            next["properties"] == [
                "id": [:], "a": ["type": "string", "x-sensitivity": "confidential"], "b": [:],
                "number": ["x-sensitivity": "restricted"],
            ])
        #expect(next["x-sensitivity"] == "internal")
        #expect(next.withoutClasses["properties"]?["a"] == ["type": "string"])
    }

    @Test func aFormWithClassesIsStillTheSameForm() throws {
        let place = try Workplace()
        let table = relation(width: 2)
        #expect(try place.folder.register(derivedFrom: table, subject: "s") == 1)
        let plain = try place.text("s/v1.schema.json")
        func write(_ word: String, _ file: String) throws {
            try place.write(plain.replacing("\"c0\": {", with: "\"c0\": {\"x-sensitivity\": \"\(word)\","), file)
        }
        try write("confidential", "s/v2.schema.json")
        #expect(try place.folder.register(derivedFrom: table, subject: "s") == 2)
        #expect(try place.folder.register(derivedFrom: relation(width: 3), subject: "s") == 3)
        func word(_ schema: JSONValue?) -> JSONValue? { schema?["properties"]?["c0"]?["x-sensitivity"] }
        #expect(word(try place.folder.schema(of: "s", version: 3)) == "confidential")
        let proposal = try #require(try place.folder.propose(derivedFrom: relation(width: 4), subject: "s"))
        #expect(word(proposal.schema) == "confidential")
        #expect(try place.folder.propose(derivedFrom: relation(width: 4), subject: "s")?.number == proposal.number)
        // What was raised since the proposal was written stays so.
        try write("restricted", "s/v4.schema.json")
        #expect(try place.folder.accept(proposal, of: "s") == 5)
        #expect(word(try place.folder.schema(of: "s", version: 5)) == "restricted")
    }

    @Test func theBookNoticesVersionsAtOnceAndEditsWithinASecond() throws {
        let place = try Workplace()
        var book = ClassBook(place.folder)
        func classes() throws -> [SensitivityClass]? {
            try book.classes(of: "s").classes.classes(of: ["c0"], under: 0, unclassified: .internal)
        }
        #expect(try classes() == [.internal])
        _ = try place.folder.register(derivedFrom: relation(width: 1), subject: "s")
        #expect(try classes() == [.internal])
        for (version, word) in [(2, "restricted"), (3, "public"), (4, "confidential")] {
            try place.write("{\"properties\": {\"c0\": {\"x-sensitivity\": \"\(word)\"}}}", "s/v\(version).schema.json")
            #expect(try classes() == [try #require(SensitivityClass(rawValue: word))])
        }
        let edition = try book.classes(of: "s").edition
        #expect(try book.classes(of: "s").edition == edition)
        try place.write("{\"properties\": {\"c0\": {\"x-sensitivity\": \"restricted\"}}}", "s/v4.schema.json")
        let limit = ContinuousClock.now + .seconds(120)
        while try classes() != [.restricted] { try #require(ContinuousClock.now < limit) }
        #expect(try book.classes(of: "s").edition != edition)
        try place.write("{\"properties\": ", "s/v4.schema.json")
        #expect(throws: ConnectorFailure.self) {
            while ContinuousClock.now < limit { _ = try classes() }
        }
    }
}
