import JSONText
import Testing

@testable import JSONSchema

/// What is said about a document that is not valid.
struct ValidationFailureTests {
    private func reasons(_ schema: String, _ document: String, most: Int = 100) throws -> [String] {
        let schema = try JSONSchema(compiling: Array(schema.utf8))
        return try schema.validate(Array(document.utf8), most: most).map(\.description)
    }

    @Test(arguments: [
        (#"{"type":"integer"}"#, "1.5", "the document must be integer (/type)"),
        (#"{"type":["null","string"]}"#, "1", "the document must be null or string (/type)"),
        (#"{"const":{"a":1}}"#, "1", #"the document must be {"a":1} (/const)"#),
        (#"{"enum":["new","paid"]}"#, #""x""#, #"the document must be one of "new", "paid" (/enum)"#),
        (#"{"enum":[1,2,3,4,5,6,7,8,9]}"#, "0", "the document must be one of the 9 listed values (/enum)"),
        (#"{"enum":[]}"#, "0", "the document must be one of the 0 listed values (/enum)"),
        (#"{"minimum":5}"#, "4", "the document must be 5 or more (/minimum)"),
        (#"{"maximum":1e2}"#, "101", "the document must be 1e2 or less (/maximum)"),
        (#"{"exclusiveMinimum":5}"#, "5.0", "the document must be more than 5 (/exclusiveMinimum)"),
        (#"{"exclusiveMaximum":5}"#, "5", "the document must be less than 5 (/exclusiveMaximum)"),
        (#"{"multipleOf":0.01}"#, "0.015", "the document must be a multiple of 0.01 (/multipleOf)"),
        (#"{"minLength":2}"#, #""é""#, "the document must have 2 characters at least (/minLength)"),
        (#"{"maxLength":1}"#, #""éé""#, "the document must have 1 characters at most (/maxLength)"),
        (#"{"pattern":"^a+$"}"#, #""b""#, "the document must match the pattern ^a+$ (/pattern)"),
        (#"{"format":"date"}"#, #""2026-02-29""#, "the document must have the format date (/format)"),
        (#"{"minItems":1}"#, "[]", "the document must have 1 elements at least (/minItems)"),
        (#"{"maxItems":1}"#, "[1,1]", "the document must have 1 elements at most (/maxItems)"),
        (#"{"uniqueItems":true}"#, "[1,1.0]", "the document must not have an element twice (/uniqueItems)"),
        (#"{"items":{"type":"null"}}"#, "[null,1]", "/1 must be null (/items/type)"),
        (#"{"prefixItems":[true],"items":false}"#, "[1,2]", "/1 must not be there (/items)"),
        (
            #"{"contains":{"const":1},"minContains":2}"#, "[1]",
            "the document must contain 2 fitting elements at least (/contains)"
        ),
        (
            #"{"contains":{"const":1},"maxContains":1}"#, "[1,1]",
            "the document must contain 1 fitting elements at most (/contains)"
        ),
        (
            #"{"properties":{"a~b/c":{"type":"null"}}}"#, #"{"a~b/c":1}"#,
            "/a~0b~1c must be null (/properties/a~0b~1c/type)"
        ),
        (#"{"properties":{"a":false}}"#, #"{"\u0061":1}"#, "/a must not be there (/properties/a)"),
        (
            #"{"patternProperties":{"^a":{"type":"null"}}}"#, #"{"ab":1}"#,
            "/ab must be null (/patternProperties/^a/type)"
        ),
        (
            #"{"properties":{"a":true},"additionalProperties":false}"#, #"{"b":1}"#,
            "/b must not be there: the schema knows no such member (/additionalProperties)"
        ),
        (
            #"{"propertyNames":{"maxLength":1}}"#, #"{"ab":1}"#,
            "/ab must have 1 characters at most (/propertyNames/maxLength)"
        ),
        (#"{"required":["a"]}"#, "{}", #"the document must have the member "a" (/required)"#),
        (#"{"minProperties":1}"#, "{}", "the document must have 1 members at least (/minProperties)"),
        (#"{"maxProperties":0}"#, #"{"a":1}"#, "the document must have 0 members at most (/maxProperties)"),
        (
            #"{"dependentRequired":{"a":["b"]}}"#, #"{"a":1}"#,
            #"the document must have the member "b" beside "a" (/dependentRequired)"#
        ),
        (
            #"{"dependencies":{"a":["b"]}}"#, #"{"a":1}"#,
            #"the document must have the member "b" beside "a" (/dependencies)"#
        ),
        (
            #"{"dependentSchemas":{"a":{"maxProperties":0}}}"#, #"{"a":1}"#,
            "the document must have 0 members at most (/dependentSchemas/a/maxProperties)"
        ),
        (#"{"not":{"type":"null"}}"#, "null", "the document must not fit the schema (/not)"),
        (
            #"{"anyOf":[{"type":"null"},false]}"#, "1",
            "the document must fit one of 2 schemas at least, and fits none (/anyOf)"
        ),
        (#"{"oneOf":[true,true,false]}"#, "1", "the document must fit exactly one of 3 schemas, and fits 2 (/oneOf)"),
        (#"{"allOf":[true,{"type":"null"}]}"#, "1", "the document must be null (/allOf/1/type)"),
        (#"{"if":{"type":"integer"},"then":{"minimum":2}}"#, "1", "the document must be 2 or more (/then/minimum)"),
        (
            #"{"unevaluatedProperties":false}"#, #"{"a":1}"#,
            "/a must not be there: no other keyword knows it (/unevaluatedProperties)"
        ),
        (
            #"{"prefixItems":[true],"unevaluatedItems":{"type":"null"}}"#, "[1,2]",
            "/1 must be null (/unevaluatedItems/type)"
        ),
        (##"{"$ref":"#/$defs/a","$defs":{"a":{"type":"null"}}}"##, "1", "the document must be null (/$defs/a/type)"),
        ("false", "1", "the document must not be there ()"),
    ])
    func failureNamesPlaceKeywordAndReason(_ schema: String, _ document: String, _ expected: String) throws {
        #expect(try reasons(schema, document) == [expected])
    }

    @Test func everyFailureIsListedInTheOrderOfTheDocument() throws {
        let schema = #"{"required":["c"],"properties":{"a":{"type":"null"},"b":{"minimum":3,"multipleOf":2}}}"#
        #expect(
            try reasons(schema, #"{"b":1,"a":1}"#) == [
                "/b must be 3 or more (/properties/b/minimum)", "/b must be a multiple of 2 (/properties/b/multipleOf)",
                "/a must be null (/properties/a/type)", #"the document must have the member "c" (/required)"#,
            ])
        #expect(try reasons(schema, #"{"b":1,"a":1}"#, most: 2).count == 2)
        #expect(try reasons(schema, #"{"c":1}"#).isEmpty)
    }

    @Test func failureInAnotherDocumentNamesItsURI() throws {
        var library = SchemaLibrary()
        library.add(["$defs": ["id": ["type": "integer"]]], under: "https://x.test/common.json")
        let schema = try JSONSchema(
            ["properties": ["id": ["$ref": "common.json#/$defs/id"]]], at: "https://x.test/order.json", library: library
        )
        let failure = try #require(try schema.validate(Array(#"{"id":"a"}"#.utf8)).first)
        #expect(failure.instancePath == "/id")
        #expect(failure.schemaPath == "https://x.test/common.json#/$defs/id/type")
    }

    @Test func valuesOfTheDocumentAreNeverQuoted() throws {
        let schema = #"{"items":{"type":"null","enum":["x"],"pattern":"^x$","maxLength":1,"format":"date","not":true}}"#
        let failures = try reasons(schema, #"["secret"]"#)
        #expect(failures.count == 6)
        #expect(!failures.contains { $0.contains("secret") })
    }
}
