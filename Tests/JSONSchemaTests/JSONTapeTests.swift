import JSONText
import Testing

@testable import JSONSchema

struct JSONTapeTests {
    private func tape(_ text: String) throws -> JSONTape { try JSONTape(parsing: Array(text.utf8)) }

    /// Short texts of all kinds, also broken in all places, at all distances from a word's edge.
    static let texts: [String] = {
        let values = [
            #""""#, #""a""#, #""abcdefg""#, #""abcdefgh""#, #""abcdefghi\"j""#, #""é日😀é日😀""#,
            #""\u00e9\uD83D\uDE00\n""#, "-0", "10.5e-3",
            "1E+05", "[]", "[1,[2,[]]]", "{}", #"{"a":{"b":[null,true,false]},"a":1}"#, "\"\u{7F}\"", #""\ud800""#,
            "01", "1.",
            "tru", #""\x""#, "\"\n\"", "[1,]", #"{"a"}"#, #"{"a":1,}"#, "nullx",
        ]
        return values.flatMap { value in
            (0..<9).map { String(repeating: " ", count: $0) + value } + [
                "[\(value)]", #"{"name":\#(value)}"#, value + "  ",
            ]
        }
    }()

    @Test(arguments: texts)
    func sameTextIsReadAsByTheParserOfValues(_ text: String) throws {
        let value = try? JSONValue(parsing: text)
        let tape = try? tape(text)
        #expect((value == nil) == (tape == nil))
        if let value, let tape { #expect(TapeComparison(tape, try JSONTape(value)).isEqual(0, 0)) }
    }

    @Test func everyBrokenByteIsRefusedAsByTheParserOfValues() {
        let text = Array(#"{"näme":["é\u00e9😀",-1.5e+3,true,null],"x":"12345678"}"#.utf8)
        for place in text.indices {
            for byte in [0, 0x0A, 0x22, 0x5C, 0x7B, 0x30, 0x80, 0xC3, 0xED, 0xFF] as [UInt8] {
                var broken = text
                broken[place] = byte
                let isValue = (try? JSONValue(parsing: broken)) != nil
                #expect(isValue == ((try? JSONTape(parsing: broken)) != nil), "\(byte) at \(place)")
            }
            let isPrefix = (try? JSONTape(parsing: Array(text[..<place]))) != nil
            #expect(!isPrefix)
        }
    }

    @Test(arguments: [
        (#""""#, 0), (#""abc""#, 3), (#""é日😀""#, 3), (#""\n\"\\\/""#, 4), (#""\u00e9""#, 1), (#""\uD83D\uDE00""#, 1),
        (#""\ud83d\ude00x""#, 2), ("\"e\u{301}\"", 2),
    ])
    func charactersAreCountedByCodePoint(_ text: String, _ count: Int) throws {
        let tape = try tape(text)
        #expect(tape.codePointCount(tape.nodes[0]) == count)
    }

    @Test(arguments: [
        ("1", "1.0", true), ("1e2", "100", true), ("-0", "0", true), ("0.1", "0.10", true), ("1", "true", false),
        ("0", "false", false), ("\"1\"", "1", false), (#""\u0061""#, #""a""#, true), ("[1,2]", "[2,1]", false),
        (#"{"a":1,"b":2}"#, #"{"b":2,"a":1}"#, true), (#"{"a":1}"#, #"{"a":1,"b":2}"#, false),
        ("[[],[]]", "[[[]]]", false),
        (#"{"a":1,"a":2}"#, #"{"a":2}"#, true), ("9007199254740993", "9007199254740992", false), ("null", "null", true),
    ])
    func valuesAreComparedByWhatTheyMean(_ a: String, _ b: String, _ isEqual: Bool) throws {
        let (first, second) = (try tape(a), try tape(b))
        #expect(TapeComparison(first, second).isEqual(0, 0) == isEqual)
        #expect(TapeComparison(second, first).isEqual(0, 0) == isEqual)
        let both = try tape("[\(a),\(b)]")
        #expect(TapeComparison(both, both).areElementsUnique(0) == !isEqual)
    }

    @Test(arguments: [
        ("null", "null"), (#"{"a":2,"a":1}"#, #"{"a":1}"#), (#"{"a":1}"#, #"{"a":2,"a":1e0}"#),
        ("[1.50,10]", "[1.5,1e1]"),
        (#"["\u00e9\n"]"#, "[\"é\\n\"]"), ("[0.0]", "[-0]"), ("1000000000000000000000", "1e21"),
        ("1e21", "1000000000000000000000"),
    ])
    func literalIsEqualToEveryWayToWriteIt(_ document: String, _ literal: String) throws {
        let value = try JSONValue(parsing: literal)
        let comparison = TapeComparison(try tape(document), literal: try JSONTape(literal: value))
        #expect(comparison.isEqual(0, 0))
    }
}
