import JSONText
import Testing

@testable import JSONSchema

/// What is said about a document that is no schema.
struct SchemaProblemTests {
    private func problem(_ text: String, draft: JSONSchema.Draft = .draft2020) -> String? {
        do throws(SchemaProblem) {
            _ = try JSONSchema(compiling: Array(text.utf8), draft: draft)
            return nil
        } catch { return error.description }
    }

    @Test(arguments: [
        ("{", #"#: line 1, column 2: expected a member's name in quotes"#),
        ("1", "#: a schema is an object, true or false"),
        (#"{"properties":{"id":{"type":"strin"}}}"#, #"#/properties/id/type: "strin" is no type"#),
        (#"{"type":[]}"#, "#/type: it must name a type"),
        (#"{"type":["string",1]}"#, "#/type: it must be a list of names"),
        (#"{"properties":[]}"#, "#/properties: it must be an object"),
        (#"{"properties":{"a~/b":5}}"#, "#/properties/a~0~1b: a schema is an object, true or false"),
        (#"{"$defs":{"unused":{"required":"id"}}}"#, "#/$defs/unused/required: it must be a list of names"),
        (#"{"minLength":-1}"#, "#/minLength: it must be a whole number that is not negative"),
        (#"{"maxItems":1.5}"#, "#/maxItems: it must be a whole number that is not negative"),
        (#"{"minimum":"1"}"#, "#/minimum: it must be a number"),
        (#"{"multipleOf":0.0}"#, "#/multipleOf: it must be above 0"),
        (#"{"multipleOf":1234567890.1234567891}"#, "#/multipleOf: it has more than 18 significant digits"),
        (#"{"allOf":[]}"#, "#/allOf: it must be a list that is not empty"),
        (#"{"enum":1}"#, "#/enum: it must be a list"),
        (#"{"uniqueItems":1}"#, "#/uniqueItems: it must be true or false"),
        (#"{"$id":1}"#, "#/$id: it must be a string"),
        (#"{"$ref":1}"#, "#/$ref: it must be a URI reference"),
        (
            #"{"pattern":"a("}"#,
            "#/pattern: it is no regular expression that is supported: missing closing parenthesis"
        ),
        (#"{"pattern":"\\Z"}"#, #"#/pattern: it is no regular expression of ECMA-262: "\Z" is no escape"#),
        (
            #"{"patternProperties":{"[":{}}}"#,
            "#/patternProperties: it is no regular expression that is supported: missing terminating ] for character "
                + "class"
        ),
        (#"{"properties":{"a":{},"a":{}}}"#, "#/properties/a: the name is there twice"),
        (#"{"type":"null","type":"string"}"#, "#/type: the name is there twice"),
        (
            #"{"$defs":{"a":{"$anchor":"x"},"b":{"$anchor":"x"}}}"#,
            ##"#/$defs/b/$anchor: the anchor "x" is there twice"##
        ),
        (
            #"{"$defs":{"a":{"$id":"http://x.test/"},"b":{"$id":"http://x.test/"}}}"#,
            "#/$defs/b/$id: another schema has the URI http://x.test/ too"
        ),
        (#"{"$schema":"http://x.test/meta"}"#, "#/$schema: no meta-schema is known under http://x.test/meta"),
        (#"{"$schema":5}"#, "#/$schema: it must be a URI"),
    ])
    func problemNamesPlaceAndReason(_ schema: String, _ expected: String) {
        #expect(problem(schema) == expected)
    }

    @Test(arguments: [
        (
            "https://x.test/a.json#/b",
            "https://x.test/a.json, which is not among the schemas at hand; nothing is fetched"
        ),
        ("other.json", "https://here.test/other.json, which is not among the schemas at hand; nothing is fetched"),
        ("#/$defs/none", "nothing"), ("#none", "nothing: https://here.test/schema.json has no anchor \"none\""),
        ("#/title", "what is no schema"),
    ])
    func referenceThatLeadsToNothingNamesPlaceAndURI(_ reference: String, _ expected: String) {
        let document: JSONValue = ["title": "x", "items": ["anyOf": [["$ref": .string(reference)]]]]
        let problem = #expect(throws: SchemaProblem.self) {
            try JSONSchema(document, at: "https://here.test/schema.json")
        }
        #expect(problem?.location == "#/items/anyOf/0/$ref")
        #expect(problem?.message == "\"\(reference)\" leads to \(expected)")
    }

    @Test func problemInAnotherDocumentNamesItsURI() {
        var library = SchemaLibrary()
        library.add(["$defs": ["id": ["type": "int"]]], under: "https://x.test/common.json")
        let problem = #expect(throws: SchemaProblem.self) {
            try JSONSchema(["$ref": "https://x.test/common.json#/$defs/id"], library: library)
        }
        #expect(problem?.location == "https://x.test/common.json#/$defs/id/type")
    }

    @Test func vocabularyThatIsNotKnownIsRefusedWhenItIsNeeded() throws {
        var library = SchemaLibrary()
        for (name, isNeeded) in [("must", true), ("may", false)] {
            library.add(
                [
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "$vocabulary": [
                        "https://json-schema.org/draft/2020-12/vocab/core": true,
                        "https://json-schema.org/draft/2020-12/vocab/validation": true,
                        "https://x.test/vocab/money": .bool(isNeeded),
                    ],
                ], under: "https://x.test/\(name)")
        }
        #expect(throws: SchemaProblem.self) { try JSONSchema(["$schema": "https://x.test/must"], library: library) }
        let schema = try JSONSchema(
            ["$schema": "https://x.test/may", "type": "null", "not": true], library: library)
        #expect(try schema.accepts(JSONTape(.null)))
    }

    @Test func referenceHidesItsSiblingsInDraft7Only() throws {
        let text = ##"{"definitions":{"a":{"type":"integer"}},"$ref":"#/definitions/a","minimum":"x"}"##
        #expect(problem(text, draft: .draft7) == nil)
        #expect(problem(text) == "#/minimum: it must be a number")
    }
}
