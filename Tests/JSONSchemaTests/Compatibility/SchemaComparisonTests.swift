import ByteKit
import ConnectorTesting
import Foundation
import JSONText
import Testing

@testable import JSONSchema

/// What is said about pairs of schemas, rule by rule.
struct SchemaComparisonTests {
    private func value(_ text: String) throws -> JSONValue { try JSONValue(parsing: text) }

    private func breaks(
        _ writer: String, _ reader: String, _ policy: ComparisonPolicy = .strict
    ) throws -> [SchemaBreak] {
        SchemaComparison(reader: try value(reader), writer: try value(writer), policy: policy).breaks
    }

    /// Rule, path in the schemas and place in documents.
    private func summary(_ found: SchemaBreak) -> String {
        "\(found.rule.rawValue) \(found.path) \(found.instancePath)".trimmingSuffix(" ")
    }

    /// Writer, reader, what breaks.
    static let broken: [(String, String, [String])] = [
        // Any value
        (#"{"type":["string","null"]}"#, #"{"type":"string"}"#, ["type-narrowed /type"]),
        (#"{"type":"number"}"#, #"{"type":"integer"}"#, ["type-narrowed /type"]),
        ("true", "false", ["nothing-allowed"]),
        ("{}", #"{"type":"string"}"#, ["type-narrowed /type"]),
        (#"{"type":"string"}"#, #"{"enum":["a"]}"#, ["enum-added /enum"]),
        (#"{"type":"string"}"#, #"{"const":"a"}"#, ["const-added /const"]),
        (#"{"enum":["a","b"]}"#, #"{"enum":["a"]}"#, ["enum-value-removed /enum"]),
        (#"{"const":"a"}"#, #"{"const":"b"}"#, ["const-changed /const"]),
        (#"{"enum":["a",1]}"#, #"{"type":"string"}"#, ["type-narrowed /type"]),
        // Numbers
        (#"{"type":"integer","minimum":1}"#, #"{"type":"integer","minimum":2}"#, ["minimum-raised /minimum"]),
        (#"{"type":"number"}"#, #"{"exclusiveMaximum":5}"#, ["maximum-lowered /exclusiveMaximum"]),
        (#"{"type":"number","minimum":0}"#, #"{"exclusiveMinimum":0}"#, ["minimum-raised /exclusiveMinimum"]),
        (#"{"multipleOf":2,"type":"number"}"#, #"{"multipleOf":4}"#, ["multiple-of-narrowed /multipleOf"]),
        // Text
        (#"{"type":"string","maxLength":20}"#, #"{"type":"string","maxLength":10}"#, ["max-length-lowered /maxLength"]),
        (#"{"type":"string"}"#, #"{"minLength":1}"#, ["min-length-raised /minLength"]),
        (#"{"type":"string"}"#, #"{"pattern":"^a"}"#, ["pattern-added /pattern"]),
        (#"{"type":"string","pattern":"^ab"}"#, #"{"pattern":"^a"}"#, ["pattern-changed /pattern"]),
        (#"{"type":"string"}"#, #"{"format":"date"}"#, ["format-added /format"]),
        (#"{"type":"string","format":"iri"}"#, #"{"format":"uri"}"#, ["format-changed /format"]),
        // Arrays
        (#"{"type":"array"}"#, #"{"minItems":1}"#, ["min-items-raised /minItems"]),
        (#"{"type":"array","maxItems":3}"#, #"{"maxItems":2}"#, ["max-items-lowered /maxItems"]),
        (#"{"type":"array"}"#, #"{"uniqueItems":true}"#, ["unique-items-added /uniqueItems"]),
        (#"{"type":"array"}"#, #"{"items":{"type":"string"}}"#, ["items-narrowed /items /*"]),
        (
            #"{"type":"array","items":{"type":["string","null"]}}"#, #"{"items":{"type":"string"}}"#,
            ["type-narrowed /items/type /*"]
        ),
        (
            #"{"type":"array","prefixItems":[true,{"type":"number"}]}"#, #"{"prefixItems":[true,{"type":"integer"}]}"#,
            ["type-narrowed /prefixItems/1/type /1"]
        ),
        (#"{"type":"array"}"#, #"{"contains":{"type":"string"}}"#, ["contains-narrowed /contains"]),
        (
            #"{"type":"array","contains":{"const":1},"maxContains":3}"#,
            #"{"contains":{"type":"number"},"maxContains":2}"#, ["contains-narrowed /contains"]
        ),
        // Objects
        (
            #"{"type":"object"}"#, #"{"type":"object","properties":{"a":{"type":"string"}}}"#,
            ["property-added-to-open-model /properties/a /a"]
        ),
        (
            #"{"type":"object","additionalProperties":{"type":"number"}}"#,
            #"{"properties":{"a":{"type":"string"}}}"#, ["property-added-to-partly-open-model /properties/a /a"]
        ),
        (
            #"{"type":"object","properties":{"a":true},"additionalProperties":false}"#,
            #"{"type":"object","additionalProperties":false}"#,
            ["property-removed-from-closed-model /properties/a /a"]
        ),
        (
            #"{"type":"object","properties":{"a":{"type":"number"}},"additionalProperties":false}"#,
            #"{"type":"object","additionalProperties":{"type":"string"}}"#,
            ["property-not-covered-by-partly-open-model /properties/a /a"]
        ),
        (
            #"{"type":"object","properties":{"a":{"type":"number"}}}"#, #"{"properties":{"a":false}}"#,
            ["property-forbidden /properties/a /a"]
        ),
        (#"{"type":"object"}"#, #"{"required":["a"]}"#, ["required-added /required /a"]),
        (#"{"type":"object"}"#, #"{"additionalProperties":false}"#, ["model-closed /additionalProperties /*"]),
        (
            #"{"type":"object"}"#, #"{"additionalProperties":{"type":"string"}}"#,
            ["model-narrowed /additionalProperties /*"]
        ),
        (
            #"{"type":"object"}"#, #"{"patternProperties":{"^x":{"type":"string"}}}"#,
            ["pattern-property-added /patternProperties/^x /*"]
        ),
        (
            #"{"type":"object"}"#, #"{"propertyNames":{"maxLength":3}}"#, ["property-names-narrowed /propertyNames"]
        ),
        (#"{"type":"object"}"#, #"{"minProperties":1}"#, ["min-properties-raised /minProperties"]),
        (#"{"type":"object"}"#, #"{"maxProperties":1}"#, ["max-properties-lowered /maxProperties"]),
        (
            #"{"type":"object"}"#, #"{"dependentRequired":{"a":["b"]}}"#,
            ["dependent-required-added /dependentRequired"]
        ),
        (
            #"{"type":"object"}"#, #"{"dependentSchemas":{"a":{"required":["b"]}}}"#,
            ["dependent-schema-narrowed /dependentSchemas"]
        ),
        (
            #"{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"maxLength":5}}}}}"#,
            #"{"properties":{"a":{"type":"object","properties":{"b":{"maxLength":4}}}}}"#,
            ["max-length-lowered /properties/a/properties/b/maxLength /a/b"]
        ),
        // Logic
        (
            #"{"type":["string","number"]}"#, #"{"anyOf":[{"type":"string"},{"type":"null"}]}"#,
            ["any-of-narrowed /anyOf"]
        ),
        (
            #"{"anyOf":[{"type":"string"},{"type":"null"}]}"#,
            #"{"anyOf":[{"type":"null"},{"type":"string","maxLength":3}]}"#,
            ["max-length-lowered /anyOf/1/maxLength"]
        ),
        (
            #"{"oneOf":[{"type":"string"},{"type":"null"}]}"#, #"{"oneOf":[{"type":"string"},{"type":"number"}]}"#,
            ["one-of-narrowed /oneOf"]
        ),
        (
            #"{"type":"string"}"#, #"{"oneOf":[{"type":"string"},{"minLength":3}]}"#, ["one-of-ambiguous /oneOf"]
        ),
        (#"{"type":"string"}"#, #"{"not":{"minLength":3}}"#, ["not-extended /not"]),
        (
            #"{"type":"number"}"#, #"{"if":{"minimum":10},"then":{"multipleOf":5}}"#, ["condition-narrowed /then"]
        ),
        (
            ##"{"type":"object","$dynamicAnchor":"n","properties":{"a":{"$dynamicRef":"#n"}}}"##,
            ##"{"type":"object","$id":"http://x.test/o","$dynamicAnchor":"n","properties":{"a":{"$dynamicRef":"#n"}},"##
                + ##""$defs":{"x":{"$id":"i","$dynamicAnchor":"n"}}}"##,
            ["not-comparable /properties/a /a"]
        ),
        // Others
        (
            ##"{"$ref":"#/$defs/m","$defs":{"m":{"type":"number"}}}"##,
            ##"{"$ref":"#/$defs/m","$defs":{"m":{"type":"number","maximum":9}}}"##, ["maximum-lowered /$defs/m/maximum"]
        ),
        (
            #"{"type":"object","required":["a"],"properties":{"a":{"type":"string"}}}"#,
            #"{"type":"object","required":["a","b"],"properties":{"a":{"type":"integer"},"b":true}}"#,
            ["type-narrowed /properties/a/type /a", "required-added /required /b"]
        ),
    ]

    @Test(arguments: broken)
    func breakNamesRuleAndPlaces(_ writer: String, _ reader: String, _ expected: [String]) throws {
        #expect(try breaks(writer, reader).map(summary) == expected)
        #expect(try breaks(writer, writer) == [] && breaks(reader, reader) == [])
    }

    @Test func everyRuleOfSchemasHasItsExample() {
        let seen = Set(Self.broken.flatMap { $0.2.map { String($0.prefix { $0 != " " }) } })
        let elsewhere: Set<SchemaRule> = [
            .schemaNotUsable, .tooLarge, .columnDropped, .columnRetyped, .labelUnknown, .keyChanged,
        ]
        let missing = SchemaRule.allCases.filter { !seen.contains($0.rawValue) && !elsewhere.contains($0) }
        #expect(missing == [])
    }

    @Test func everyRuleIsExplainedInTheManual() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let manual = try String(contentsOf: root.appending(path: "docs/reference/compatibility.md"), encoding: .utf8)
        let rows = manual.split(separator: "\n").compactMap { $0.firstMatch(of: /^\| `([a-z-]+)` \|/) }
        #expect(rows.map { String($0.1) }.sorted() == SchemaRule.allCases.map(\.rawValue).sorted())
    }

    /// Writer, reader: nothing breaks.
    static let compatible: [(String, String)] = [
        (#"{"type":"integer"}"#, #"{"type":"number"}"#), (#"{"type":"string"}"#, #"{"type":["null","string"]}"#),
        (#"{"type":"number","multipleOf":5}"#, #"{"type":"integer"}"#), ("false", #"{"type":"string"}"#),
        (#"{"enum":["a","b"]}"#, #"{"enum":["c","b","a"]}"#),
        (#"{"enum":["ab","cd"]}"#, #"{"type":"string","minLength":2}"#),
        (#"{"type":"boolean"}"#, #"{"enum":[true,false]}"#), (#"{"const":3}"#, #"{"type":"integer","minimum":3}"#),
        (#"{"type":"integer","minimum":1}"#, #"{"exclusiveMinimum":0}"#),
        (#"{"type":"integer","exclusiveMinimum":0}"#, #"{"minimum":1}"#),
        (#"{"type":"integer","multipleOf":6}"#, #"{"multipleOf":3}"#), (#"{"type":"integer"}"#, #"{"multipleOf":0.5}"#),
        (#"{"type":"number","maximum":1e2}"#, #"{"maximum":100.0}"#),
        (#"{"type":"string","maxLength":10}"#, #"{"type":"string","maxLength":20}"#),
        (#"{"type":"string","pattern":"^a"}"#, #"{"type":"string"}"#), (#"{"type":"string"}"#, #"{"pattern":".*"}"#),
        (#"{"type":"string","format":"uri"}"#, #"{"format":"iri-reference"}"#),
        (#"{"type":"string"}"#, #"{"format":"money"}"#),
        // A keyword of a type that the writer does not write asks nothing.
        (#"{"type":"string"}"#, #"{"minimum":5,"minItems":3,"required":["a"]}"#),
        (
            #"{"type":"array","prefixItems":[{"type":"string"}],"items":false}"#,
            #"{"items":{"type":"string"},"maxItems":1}"#
        ),
        (
            #"{"type":"array","items":{"type":"integer"},"minItems":2}"#,
            #"{"contains":{"type":"number"},"minContains":2}"#
        ),
        (#"{"type":"array","maxItems":1}"#, #"{"uniqueItems":true}"#),
        (#"{"type":"object","required":["a","b"]}"#, #"{"required":["b"],"minProperties":2}"#),
        (
            #"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"#,
            #"{"properties":{"a":{"type":"string"},"b":{"type":"number"}},"maxProperties":1}"#
        ),
        (
            #"{"type":"object","properties":{"a":true},"additionalProperties":{"type":"integer"}}"#,
            #"{"properties":{"b":{"type":"number"}}}"#
        ),
        (
            #"{"type":"object","patternProperties":{"^x":{"type":"integer"}}}"#,
            #"{"properties":{"xa":{"type":"number"}}}"#
        ),
        (
            #"{"type":"object","propertyNames":{"enum":["a","b"]},"properties":{"b":{"type":"integer"}}}"#,
            #"{"maxProperties":2,"properties":{"c":{"type":"null"}}}"#
        ),
        (#"{"type":"object","dependentRequired":{"a":["b","c"]}}"#, #"{"dependentRequired":{"a":["c"]}}"#),
        (
            #"{"type":"object","dependentRequired":{"a":["b"],"b":["c"]}}"#,
            #"{"dependentSchemas":{"a":{"required":["c"]}}}"#
        ),
        (#"{"type":"string"}"#, #"{"anyOf":[{"type":"null"},{"type":"string"}]}"#),
        (#"{"type":["string","null"]}"#, #"{"anyOf":[{"type":"null"},{"type":"string"}]}"#),
        (#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#, #"{"type":["string","null","number"]}"#),
        (
            #"{"oneOf":[{"type":"string"},{"type":"null"}]}"#,
            #"{"oneOf":[{"type":"array"},{"type":"null"},{"type":"string"}]}"#
        ),
        (
            #"{"oneOf":[{"required":["a"]},{"required":["b"]}]}"#, #"{"oneOf":[{"required":["b"]},{"required":["a"]}]}"#
        ),
        (
            #"""
            {"type":"object","required":["k"],"oneOf":[{"properties":{"k":{"const":1},"v":{"type":"integer"}}},
             {"properties":{"k":{"const":2}}}]}
            """#,
            #"""
            {"oneOf":[{"properties":{"k":{"const":2}},"required":["k"],"type":"object"},
             {"properties":{"k":{"const":1},"v":{"type":"number"}},"required":["k"],"type":"object"}]}
            """#
        ),
        (#"{"allOf":[{"type":"string"},{"minLength":3},{"maxLength":5}]}"#, #"{"type":"string","minLength":2}"#),
        (#"{"type":"string","maxLength":3}"#, #"{"allOf":[{"maxLength":4},{"maxLength":5}]}"#),
        (#"{"type":"string","not":{"minLength":2}}"#, #"{"not":{"minLength":3}}"#),
        (#"{"type":"string"}"#, #"{"not":{"type":"null"}}"#),
        (#"{"not":{"type":"string"}}"#, #"{"not":{"const":"a"}}"#),
        (
            #"{"type":"number","if":{"minimum":10},"then":{"multipleOf":10}}"#,
            #"{"if":{"minimum":20},"then":{"multipleOf":5}}"#
        ),
        (
            #"{"if":{"type":"string"},"then":{"maxLength":3},"else":{"type":"null"}}"#,
            #"{"type":["string","null"],"maxLength":3}"#
        ),
        (
            #"{"type":"object","properties":{"a":{"type":"string"}},"unevaluatedProperties":false}"#,
            #"{"type":"object","allOf":[{"properties":{"a":true,"b":true}}],"unevaluatedProperties":false}"#
        ),
        (
            ##"{"type":"object","properties":{"v":{"type":"integer"},"next":{"$ref":"#"}}}"##,
            ##"{"$ref":"#/$defs/n","$defs":{"n":{"properties":{"v":{"type":"number"},"next":{"$ref":"#/$defs/n"}}}}}"##
        ),
        (
            ##"{"$schema":"http://json-schema.org/draft-07/schema#","type":"array","##
                + ##""items":[{"type":"string"}],"additionalItems":false}"##,
            #"{"type":"array","prefixItems":[{"type":"string"},{"type":"null"}]}"#
        ),
        (
            ##"{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"a":{"type":"string"}},"##
                + ##""$ref":"#/definitions/a","maxLength":1}"##,
            #"{"type":"string"}"#
        ),
        (#"{"title":"a","x-y":1,"default":3,"description":"d"}"#, #"{"title":"b","$comment":"c","examples":[1]}"#),
    ]

    @Test(arguments: compatible)
    func whatHoldsIsProved(_ writer: String, _ reader: String) throws {
        #expect(try breaks(writer, reader) == [])
    }

    @Test func draft7ReferenceHidesWhatStandsBesideIt() throws {
        let old =
            ##"{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"a":{"type":"string"}},"##
            + ##""$ref":"#/definitions/a","maxLength":1}"##
        #expect(try breaks(old, #"{"maxLength":1}"#).map(\.rule) == [.maxLengthLowered])
    }

    @Test func widerFormatsTakeAllTextOfNarrowerOnes() throws {
        var random = SeededGenerator(seed: 7)
        let pieces = [
            "a", "é", "-", ".", "@", ":", "/", "//", "?", "#", "%41", "%", "[::1]", "xn--", " ", "1", "_", "\"x\"",
        ]
        let names = ["uri", "uri-reference", "iri", "iri-reference", "email", "idn-email"]
        let pairs: [(FormatCheck, FormatCheck)] = names.flatMap { narrow in
            names.compactMap { wide -> (FormatCheck, FormatCheck)? in
                let (mine, theirs) = (FormatCheck(name: narrow, .draft2020), FormatCheck(name: wide, .draft2020))
                guard let mine, let theirs, mine != theirs,
                    SchemaComparison(
                        reader: ["format": .string(wide)], writer: ["type": "string", "format": .string(narrow)]
                    ).isCompatible
                else { return nil }
                return (mine, theirs)
            }
        }
        #expect(pairs.count == 6)
        var counts = [Int](repeating: 0, count: pairs.count)
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...7, using: &random)
            let text = Array((0..<count).compactMap { _ in pieces.randomElement(using: &random) }.joined().utf8)
            for (index, pair) in pairs.enumerated() where pair.0.accepts(text.rawBytes) {
                counts[index] += 1
                let isWider = pair.1.accepts(text.rawBytes)
                #expect(isWider, "\(pair) \(String(decoding: text, as: UTF8.self))")
            }
        }
        #expect(counts.allSatisfy { $0 > 20 })
    }

    @Test func listedValueUnderADynamicReferenceIsNotTriedByItself() throws {
        // Only by way of the whole does the reference of "tree" lead to the strict schema.
        let reader = ##"""
            {"$id":"http://x.test/strict","$dynamicAnchor":"n","$ref":"tree","not":{"const":[1]},
             "$defs":{"t":{"$id":"tree","$dynamicAnchor":"n","items":{"$dynamicRef":"#n"}}}}
            """##
        #expect(try breaks(#"{"enum":[[[1]]]}"#, reader) != [])
        #expect(try breaks(#"{"enum":[[[2]]]}"#, reader) == [])
    }

    // MARK: Policies

    @Test func lenientPolicyForgivesTwoThingsOnly() throws {
        let open = #"{"type":"object","properties":{"a":{"type":"string"}}}"#
        let added = #"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}}}"#
        #expect(try breaks(open, added, .lenient) == [])
        #expect(try breaks(open, added, .strict).map(\.rule) == [.propertyAddedToOpenModel])
        let required = #"{"type":"object","properties":{"a":{"type":"string","default":"x"}},"required":["a"]}"#
        #expect(try breaks(open, required, .lenient) == [])
        #expect(try breaks(open, required, .strict).map(\.rule) == [.requiredAdded])
        let wrong = #"{"type":"object","properties":{"a":{"type":"string","default":1}},"required":["a"]}"#
        #expect(try breaks(open, wrong, .lenient).map(\.rule) == [.requiredAdded])
        let closed = #"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"#
        #expect(try breaks(open, closed, .lenient).map(\.rule) == [.modelClosed])
        let partly = #"{"type":"object","additionalProperties":{"type":"string"}}"#
        #expect(try breaks(partly, added, .lenient).map(\.rule) == [.propertyAddedToPartlyOpenModel])
    }

    @Test func memberThatAConditionNamesIsNotForgiven() throws {
        let writer = #"""
            {"type":"object","anyOf":[{"properties":{"a":{"properties":{"b":{"type":"string"}}}}},{"required":["z"]}]}
            """#
        let reader = #"{"type":"object","properties":{"a":{"properties":{"b":{"type":"integer"}}}}}"#
        #expect(try breaks(writer, reader, .lenient) != [])
    }

    // MARK: Limits

    @Test func schemaThatCannotBeUsedIsABreak() throws {
        let found = try breaks(#"{"type":"object"}"#, #"{"properties":{"a":{"type":"strin"}}}"#)
        #expect(found.map(summary) == ["schema-not-usable #/properties/a/type"])
        #expect(found.first?.sentence == #"the reader's schema cannot be used: "strin" is no type"#)
        #expect(try breaks("1", "true").first?.sentence.hasPrefix("the writer's schema cannot be used") == true)
    }

    @Test(.timeLimit(.minutes(1)))
    func entangledSchemasEnd() throws {
        let branches = (0..<40).map { #"{"anyOf":[{"minLength":\#($0)},{"maxLength":\#($0)},{"pattern":"\#($0)"}]}"# }
        let writer = #"{"allOf":[\#(branches.joined(separator: ","))]}"#
        #expect(try breaks(writer, #"{"oneOf":[{"minLength":1},{"maxItems":2},{"const":3}]}"#).count == 1)
        let chain = (0..<60).map { number in
            let branches = [(number * 7 + 1) % 60, (number * 11 + 3) % 60].map { ##"{"$ref":"#/$defs/d\##($0)"}"## }
            return #""d\#(number)":{"items":{"anyOf":[\#(branches.joined(separator: ","))]}}"#
        }
        let maze = ##"{"$ref":"#/$defs/d0","$defs":{\##(chain.joined(separator: ","))}}"##
        let other = maze.replacingAll("\"$ref\":\"#/$defs/d0\",", "\"$ref\":\"#/$defs/d1\",")
        #expect(try breaks(maze, other) == breaks(maze, other))
    }

    @Test func deepSchemasFitASmallStack() async throws {
        let deep = { (end: String) in
            String(repeating: #"{"properties":{"a":"#, count: 120) + end + String(repeating: "}}", count: 120)
        }
        let (writer, reader) = (try value(deep(#"{"type":"integer"}"#)), try value(deep(#"{"type":"number"}"#)))
        let found = try await onSmallStack { SchemaComparison(reader: writer, writer: reader).breaks.count }
        #expect(found == 1)
    }

    @Test func wideTableIsComparedQuickly() throws {
        func table(_ count: Int, _ length: Int) -> JSONValue {
            var properties = JSONObject()
            for number in 0..<count {
                properties["c\(number)"] = ["type": "string", "maxLength": .number(JSONNumber(length))]
            }
            return ["type": "object", "properties": .object(properties), "required": ["c0"]]
        }
        #expect(SchemaComparison(reader: table(1600, 20), writer: table(1500, 10)).isCompatible)
        let breaks = SchemaComparison(reader: table(1500, 10), writer: table(1500, 20)).breaks
        #expect(breaks.count == InclusionProof.breaksMax && breaks.allSatisfy { $0.rule == .maxLengthLowered })
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: Character) -> String {
        var text = self
        while text.last == suffix { text.removeLast() }
        return text
    }

    fileprivate func replacingAll(_ old: String, _ new: String) -> String {
        split(separator: old, omittingEmptySubsequences: false).joined(separator: new)
    }
}
