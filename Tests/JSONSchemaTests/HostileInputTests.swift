import ByteKit
import Foundation
import JSONText
import Testing

@testable import JSONSchema

/// Schemas and documents that nobody sends in good faith end in an error or a verdict, soon, on a small stack.
@Suite(.timeLimit(.minutes(2)))
struct HostileInputTests {
    private func schema(_ text: String) throws -> JSONSchema { try JSONSchema(compiling: Array(text.utf8)) }

    private func tape(_ text: String) throws -> JSONTape { try JSONTape(parsing: Array(text.utf8)) }

    // MARK: Recursion

    @Test func documentNestedTooDeepIsAnErrorWithItsPlace() throws {
        let text = String(repeating: "[", count: 100_000)
        #expect(throws: JSONError(message: "nested deeper than 256", line: 1, column: 257)) { try tape(text) }
        #expect(throws: JSONError.self) { try tape(String(repeating: #"{"a":"#, count: 100_000)) }
    }

    @Test func schemaNestedTooDeepIsAnError() throws {
        let text = String(repeating: #"{"not":"#, count: 100_000) + "{}" + String(repeating: "}", count: 100_000)
        #expect(throws: SchemaProblem("#", "line 1, column 1793: nested deeper than 256")) { try schema(text) }
        let deepest = String(repeating: #"{"not":"#, count: 255) + "{}" + String(repeating: "}", count: 255)
        #expect(try !schema(deepest).accepts(tape("1")))
    }

    @Test func deepestDocumentUnderARecursiveSchemaFitsASmallStack() async throws {
        let schema = try schema(
            ##"{"type":["array","integer"],"items":{"$ref":"#"},"unevaluatedItems":false,"allOf":[{"anyOf":[true]}]}"##)
        let document = try tape(String(repeating: "[", count: 250) + "1" + String(repeating: "]", count: 250))
        #expect(try await onSmallStack { try schema.accepts(document) })
        let wrong = try tape(String(repeating: "[", count: 250) + "true" + String(repeating: "]", count: 250))
        let failures = try await onSmallStack { try schema.failures(of: wrong) }
        #expect(failures.first?.instancePath == String(repeating: "/0", count: 250))
        #expect(failures.first?.schemaPath == "/type")
    }

    @Test func recursionThatTakesManySchemasForEachLevelEndsInAnErrorOnASmallStack() async throws {
        let chain = (0..<20).map { ##""d\##($0)":{"allOf":[{"$ref":"#/$defs/d\##($0 + 1)"}]}"## }.joined(separator: ",")
        let schema = try schema(##"{"$ref":"#/$defs/d0","$defs":{\##(chain),"d20":{"items":{"$ref":"#"}}}}"##)
        let document = try tape(String(repeating: "[", count: 200) + String(repeating: "]", count: 200))
        await #expect(throws: ValidationLimit.depth) { try await onSmallStack { try schema.accepts(document) } }
        await #expect(throws: ValidationLimit.depth) { try await onSmallStack { try schema.failures(of: document) } }
    }

    @Test(arguments: [
        ##"{"$ref":"#"}"##, ##"{"anyOf":[{"type":"string"},{"not":{"$ref":"#"}}]}"##,
        ##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"if":true,"then":{"$ref":"#/$defs/a"}}}}"##,
        ##"{"dependentSchemas":{"a":{"allOf":[true,{"$ref":"#"}]}}}"##,
        ##"{"$dynamicAnchor":"a","$dynamicRef":"#a"}"##,
    ])
    func schemaThatAppliesItselfToOneValueWithoutEndIsRefused(_ text: String) throws {
        let problem = #expect(throws: SchemaProblem.self) { try schema(text) }
        #expect(problem?.message == "the schema refers to itself for the same value, without end")
    }

    @Test func loopThroughADynamicReferenceEndsInAnError() async throws {
        // Only in a run does the reference of "inner" lead to the outer schema.
        let schema = try schema(
            ##"""
            {"$id":"http://x.test/outer","$dynamicAnchor":"a","$ref":"inner",
             "$defs":{"i":{"$id":"inner","$dynamicRef":"#a","$defs":{"s":{"$dynamicAnchor":"a"}}}}}
            """##)
        let document = try tape("1")
        await #expect(throws: ValidationLimit.depth) { try await onSmallStack { try schema.accepts(document) } }
    }

    @Test func metaSchemasThatDescribeEachOtherEnd() throws {
        var library = SchemaLibrary()
        library.add(["$schema": "http://x.test/b"], under: "http://x.test/a")
        library.add(["$schema": "http://x.test/a"], under: "http://x.test/b")
        let schema = try JSONSchema(["$schema": "http://x.test/a", "type": "string"], library: library)
        #expect(try !schema.accepts(tape("1")))
    }

    // MARK: Work that multiplies

    @Test func workThatMultipliesEndsInAnError() throws {
        let branches = (0..<30).map { ##"{"$ref":"#/$defs/d\##($0)"}"## }
        let levels = (0..<30).map { level in
            let deeper = branches.dropFirst(level + 1).joined(separator: ",")
            return #""d\#(level)":{"allOf":[\#(deeper)\#(level < 29 ? "" : "true")]}"#
        }
        let text = ##"{"$ref":"#/$defs/d0","$defs":{\##(levels.joined(separator: ","))}}"##
        #expect(throws: ValidationLimit.steps) { try schema(text).accepts(tape("1")) }
        #expect(throws: ValidationLimit.steps) { try schema(text).failures(of: tape("1")) }
    }

    @Test func longTextReadByManyKeywordsEndsInAnError() throws {
        let text = #"{"allOf":[\#((0..<2_000).map { #"{"minLength":\#($0)}"# }.joined(separator: ","))]}"#
        let document = try tape("\"" + String(repeating: "a", count: 1 << 20) + "\"")
        #expect(throws: ValidationLimit.steps) { try schema(text).accepts(document) }
    }

    @Test func sizeAloneIsNoReasonToGiveUp() throws {
        let schema = try schema(#"{"items":{"type":"integer","minimum":0,"maximum":9},"uniqueItems":false}"#)
        let document = try tape("[" + String(repeating: "1,", count: 2_000_000) + "2]")
        #expect(try schema.accepts(document))
    }

    @Test func uniquenessOfManyElementsIsFoundByHash() throws {
        let schema = try schema(#"{"uniqueItems":true}"#)
        let numbers = (0..<200_000).map(String.init)
        #expect(try schema.accepts(tape("[\(numbers.joined(separator: ","))]")))
        #expect(try !schema.accepts(tape("[\(numbers.joined(separator: ",")),1e5]")))
        // Trees of all shapes, which differ in nothing but their shape.
        var shapes: [[String]] = [[""]]
        for count in 1...10 {
            shapes.append(
                (0..<count).flatMap { inner in
                    shapes[inner].flatMap { first in shapes[count - 1 - inner].map { "[\(first)],\($0)" } }
                })
        }
        let trees = shapes[10].map { "[\($0)]".replacing(",]", with: "]") }
        #expect(trees.count == 16_796)
        #expect(try schema.accepts(tape("[\(trees.joined(separator: ","))]")))
    }

    @Test func manyNamesAreCompiledAndFoundByHash() throws {
        let names = (0..<50_000).map { "column_\($0)_of_the_table" }
        let properties = names.map { #""\#($0)":{"type":"integer"}"# }.joined(separator: ",")
        let schema = try schema(#"{"properties":{\#(properties)},"additionalProperties":false}"#)
        let members = names.map { #""\#($0)":1"# }.joined(separator: ",")
        #expect(try schema.accepts(tape("{\(members)}")))
        #expect(try schema.failures(of: tape(#"{\#(members),"x":1}"#)).map(\.instancePath) == ["/x"])
    }

    @Test func manyPassesOverManyMembersEndInAnError() throws {
        let branches = (0..<20_000).map { #"{"required":["m\#($0 % 2_000)"]}"# }.joined(separator: ",")
        let members = (0..<2_000).map { #""m\#($0)":1"# }.joined(separator: ",")
        let schema = try schema(#"{"allOf":[\#(branches)]}"#)
        #expect(throws: ValidationLimit.steps) { try schema.accepts(tape("{\(members)}")) }
    }

    @Test(arguments: ["object", "number", "string"])
    func largeLiteralCostsASmallValueNothing(_ kind: String) throws {
        let (literal, small) =
            switch kind {
            case "object": ("{" + (0..<20_000).map { #""member \#($0)":1"# }.joined(separator: ",") + "}", "{}")
            case "number": ("[" + String(repeating: "9", count: 200_000) + "]", "[9]")
            default: ("[\"" + String(repeating: "x", count: 200_000) + "\"]", #"["x"]"#)
            }
        let schema = try schema(#"{"items":{"enum":[0,\#(literal)]}}"#)
        #expect(try schema.accepts(tape("[0,\(literal),0]")))
        let others = try self.schema(#"{"items":{"not":{"enum":[0,\#(literal)]}}}"#)
        #expect(try others.accepts(tape("[" + Array(repeating: small, count: 50_000).joined(separator: ",") + "]")))
    }

    @Test func longChainOfReferencesIsCompiled() throws {
        let chain = (0..<20_000).map { ##""d\##($0)":{"$ref":"#/$defs/d\##($0 + 1)"}"## }.joined(separator: ",")
        let text = ##"{"$defs":{\##(chain),"d20000":{"properties":{"a":true}}}}"##
        #expect(try schema(text).accepts(tape("1")))
    }

    @Test func namesThatMultiplyInPathsAreRefused() throws {
        let name = String(repeating: "n", count: 4 << 20)
        let inner = (0..<20).map { #""p\#($0)":{}"# }.joined(separator: ",")
        let problem = #expect(throws: SchemaProblem.self) {
            try schema(#"{"properties":{"\#(name)":{"properties":{\#(inner)}}}}"#)
        }
        #expect(problem?.message == "the schema is too large: its parts are nested in too long paths")
    }

    @Test func moreThanTheAllowedSubschemasAreRefused() throws {
        let text = "{\"allOf\":[" + String(repeating: "{},", count: SchemaCompiler.nodesMax) + "{}]}"
        let problem = #expect(throws: SchemaProblem.self) { try schema(text) }
        #expect(problem?.message == "the schema has more than 200000 parts")
        let long = [UInt8](repeating: 0x20, count: JSONSchema.byteCountMax) + Array("true".utf8)
        #expect(throws: SchemaProblem("#", "the schema is longer than 16 MiB")) { try JSONSchema(compiling: long) }
    }

    @Test func failuresAreBoundedInNumberAndLength() throws {
        let schema = try schema(#"{"additionalProperties":{"items":{"type":"string"}}}"#)
        let name = String(repeating: "é", count: 100_000)
        let document = try tape(#"{"\#(name)":[\#(String(repeating: "1,", count: 5_000))1]}"#)
        #expect(try schema.failures(of: document).count == 100)
        #expect(try schema.failures(of: document, most: 7).count == 7)
        let first = try #require(try schema.failures(of: document, most: 1).first)
        #expect(first.instancePath.utf8.count < 300 && first.instancePath.hasSuffix("é…/0"))
    }

    // MARK: Regular expressions

    @Test(arguments: [
        ("(?!c)(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"),
        ("^(?!c)(?:a|a)*b?$", String(repeating: "a", count: 200) + "c"),
        ("(?!c)(?:x+x+)+[yz]", String(repeating: "x", count: 60)),
        ("^(?=(a+)+[bc])", String(repeating: "a", count: 60)),
    ])
    func exponentialExpressionEndsInAnError(_ pattern: String, _ text: String) throws {
        let schema = try JSONSchema(["pattern": .string(pattern)])
        #expect(throws: ValidationLimit.pattern) { try schema.accepts(tape("\"\(text)\"")) }
        #expect(throws: ValidationLimit.pattern) { try schema.failures(of: tape("\"\(text)\"")) }
        let negated = try JSONSchema(["not": ["pattern": .string(pattern)]])
        #expect(throws: ValidationLimit.pattern) { try negated.accepts(tape("\"\(text)\"")) }
    }

    @Test(arguments: ["(?!q)[ \\t]+$", "^(?!q).*x.*y.*z"])
    func expressionThatIsSlowOnLongTextEnds(_ pattern: String) throws {
        let schema = try JSONSchema(["pattern": .string(pattern)])
        let document = try tape("\"" + String(repeating: " ", count: 1 << 20) + "x\"")
        // Whether there is a verdict depends on the machine.
        do throws(ValidationLimit) { #expect(try !schema.accepts(document)) } catch { #expect(error == .pattern) }
    }

    @Test func manySlowSearchesEndInAnErrorTogether() throws {
        let schema = try JSONSchema(["items": ["pattern": "(?!q)(?:a|aa)+[bc]|x"]])
        let text = "\"" + String(repeating: "a", count: 24) + "x\""
        let document = try tape("[" + Array(repeating: text, count: 100_000).joined(separator: ",") + "]")
        #expect(throws: ValidationLimit.pattern) { try schema.accepts(document) }
    }

    @Test(arguments: [
        "^([A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==)?$", "^(?:[A-Za-z0-9]+ ?)+$", "^[a-z]+$", "(x|y)z$",
        "[0-9]{3}-[0-9]|xz", "^(.)+$", "(?!q)(x|y)z$", "^(?!q)(?:[A-Za-z0-9]+ ?)+$",
    ])
    func everydayExpressionsSearchLongText(_ pattern: String) throws {
        let schema = try JSONSchema(["pattern": .string(pattern)])
        for count in [100, 300, 8 << 10, 1 << 20] {
            #expect(try schema.accepts(tape("\"" + String(repeating: "abcd", count: count / 4) + "abxz\"")))
        }
    }

    @Test func searchInPartsFindsWhatStandsAtTheirSeams() throws {
        let pattern = try TextPattern("(?<=é)z|^y")
        let scratch = TextPattern.Scratch()
        scratch.begin(byteCount: 480_000_000)
        for count in 120..<400 {
            let text = String(repeating: "é", count: count)
            for (tail, isFound) in [("z", true), ("y", false), ("éz", true), ("az", false)] {
                let found = pattern.search(Array((text + tail).utf8).rawBytes, scratch)
                #expect(found == (isFound ? .found : .notFound), "\(count) \(tail)")
            }
        }
    }

    @Test(arguments: [
        String(repeating: "(", count: 5_000), String(repeating: "a", count: 20_000),
        String(repeating: "(?:", count: 300) + "a" + String(repeating: ")", count: 300), "a{65536}", "(?<=a+)b",
    ])
    func expressionThatIsTooLargeIsAProblemOfTheSchema(_ pattern: String) {
        let problem = #expect(throws: SchemaProblem.self) { try JSONSchema(["pattern": .string(pattern)]) }
        #expect(problem?.location == "#/pattern")
    }

    @Test func manyLargeExpressionsAreRefused() throws {
        let members = (0..<10_000).map { #""p\#($0)":{"pattern":"(?:x\#($0)[^a]{90}){2000}"}"# }
        let problem = #expect(throws: SchemaProblem.self) {
            try schema(#"{"properties":{\#(members.joined(separator: ","))}}"#)
        }
        #expect(problem?.message == "all patterns together take more than 64 MiB")
    }

    @Test func manyBracesThatRepeatNothingAreReadSoon() throws {
        let braces = String(repeating: "{", count: 15_000)
        let members = (0..<20).map { #""p\#($0)":{"pattern":"\#($0)\#(braces)"}"# }
        #expect(try schema(#"{"properties":{\#(members.joined(separator: ","))}}"#).accepts(tape("{}")))
    }

    // MARK: Numbers and text

    @Test func hugeNumbersAreComparedAndDividedExactly() throws {
        let digits = String(repeating: "9", count: 100_000)
        #expect(try schema(#"{"maximum":\#(digits)}"#).accepts(tape(digits)))
        #expect(try !schema(#"{"exclusiveMaximum":\#(digits)}"#).accepts(tape(digits)))
        #expect(try schema(#"{"multipleOf":999999999}"#).accepts(tape(String(repeating: "9", count: 99_999))))
        #expect(try !schema(#"{"multipleOf":999999999}"#).accepts(tape(digits)))
        #expect(try schema(#"{"type":"integer","multipleOf":3}"#).accepts(tape("3e999999999999999999999")))
        #expect(try !schema(#"{"type":"integer"}"#).accepts(tape("1e-999999999999999999999")))
        #expect(try schema(#"{"exclusiveMinimum":0}"#).accepts(tape("1e-999999999999999999999")))
        #expect(try schema(#"{"maxItems":1e400,"minItems":0.0}"#).accepts(tape("[1]")))
    }

    @Test(arguments: [
        "not UTF-8", "\"\\ud800\"", "[1,]", "{\"a\":1,}", "01", "\u{0}", "", "\"a\u{1}\"", "1 2", "nul",
    ])
    func textThatIsNoJSONIsAnError(_ text: String) throws {
        let bytes = text == "not UTF-8" ? [0x22, 0xC3, 0x28, 0x22] : Array(text.utf8)
        #expect(throws: JSONError.self) { try JSONTape(parsing: bytes) }
        #expect(throws: JSONError.self) { try JSONSchema(true).validate(bytes) }
        #expect(throws: SchemaProblem.self) { try JSONSchema(compiling: bytes) }
    }

    @Test func everyMemberOfARepeatedNameIsChecked() throws {
        let schema = try schema(#"{"properties":{"a":{"type":"string"}},"required":["a"],"maxProperties":2}"#)
        #expect(try !schema.accepts(tape(#"{"a":1,"a":"x"}"#)))
        #expect(try !schema.accepts(tape(#"{"a":"x","a":1}"#)))
        #expect(try schema.accepts(tape(#"{"a":"x","a":"y"}"#)))
        #expect(try !self.schema(#"{"const":{"a":1,"b":1}}"#).accepts(tape(#"{"a":1,"a":1}"#)))
        #expect(try self.schema(#"{"const":{"a":1}}"#).accepts(tape(#"{"a":2,"a":1}"#)))
    }

    @Test func namesThatSwiftCallsEqualAreDifferentMembers() throws {
        let (composed, decomposed) = ("\u{E9}", "e\u{301}")
        let schema = try schema(
            #"{"properties":{"\#(composed)":{"type":"string"},"\#(decomposed)":{"type":"integer"}}}"#)
        #expect(try schema.accepts(tape(#"{"\#(composed)":"x","\#(decomposed)":1}"#)))
        #expect(try !schema.accepts(tape(#"{"\#(decomposed)":"x"}"#)))
        #expect(try !schema.accepts(tape(#"{"\#(composed)":1}"#)))
        let mark = "\u{301}"
        let marked = try self.schema(##"{"$defs":{"\##(mark)/x":{"type":"null"}},"$ref":"#/$defs/\##(mark)~1x"}"##)
        #expect(try marked.accepts(tape("null")) && !marked.accepts(tape("1")))
    }
}
