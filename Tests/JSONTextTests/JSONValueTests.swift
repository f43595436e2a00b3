import JSONText
import Testing

@Suite struct JSONValueTests {
    @Test func prettyTextIsStable() throws {
        let value: JSONValue = [
            "type": "object", "empty": [:], "none": [], "list": ["a", .null, true], "nested": [["a": 1], []],
            "quote\"": "line\nfeed\u{1}",
        ]
        let text = """
            {
              "type": "object",
              "empty": {},
              "none": [],
              "list": ["a", null, true],
              "nested": [
                {
                  "a": 1
                },
                []
              ],
              "quote\\"": "line\\nfeed\\u0001"
            }

            """
        #expect(value.prettyText == text)
        #expect(try JSONValue(parsing: text) == value)
        #expect(try JSONValue(parsing: text).prettyText == text)
    }

    @Test func longListHasALineForEachElement() {
        let value = JSONValue.array((0..<3).map { .string(String(repeating: "x", count: 40) + String($0)) })
        #expect(value.prettyText.split(separator: "\n").count == 5)
    }

    @Test(arguments: [
        (#"{"a":1,"b":[1,2]}"#, #"{ "b": [1.0, 20e-1], "a": 10e-1 }"#, true), ("[1,2]", "[2,1]", false),
        (#"{"a":1}"#, #"{"a":1,"b":null}"#, false), (#"{"a":1,"a":2}"#, #"{"a":2,"a":1}"#, false),
        (#"{"a":1,"b":0,"a":2}"#, #"{"b":0,"a":1,"a":2}"#, true), ("0", "-0.0", true), ("1e400", "10e399", true),
        ("100", "1e2", true), ("0.1", "0.10000000000000000001", false), ("1e99999999999999999999", "1", false),
        ("1e99999999999999999999", "1e99999999999999999999", true), (#""1""#, "1", false), ("null", "false", false),
        ("1e-9223372036854775807", "10e-9223372036854775808", true), ("-1", "1", false),
        (#""\u00e9""#, #""e\u0301""#, false), (#"{"\u00e9":1}"#, #"{"e\u0301":1}"#, false),
    ])
    func equivalenceIsByMeaning(_ a: String, _ b: String, _ isEquivalent: Bool) throws {
        let (first, second) = (try JSONValue(parsing: a), try JSONValue(parsing: b))
        #expect(first.isEquivalent(to: second) == isEquivalent)
        #expect(second.isEquivalent(to: first) == isEquivalent)
        #expect((first == second) == (a == b))
    }

    @Test func codePointsTellStringsApart() throws {
        let (one, two): (JSONValue, JSONValue) = ("\u{E9}", "e\u{301}")
        #expect(one != two)
        #expect(Set([one, two]).count == 2)
        let object = JSONObject([.init(name: "\u{E9}", value: 1), .init(name: "e\u{301}", value: 2)])
        #expect(object["\u{E9}"] == 1 && object["e\u{301}"] == 2)
        #expect(object.repeatedNames.isEmpty)
    }

    @Test func lastOfEqualNamesCounts() throws {
        var object = try #require(try JSONValue(parsing: #"{"a":1,"b":2,"a":3,"a":4}"#).object)
        #expect(object["a"] == 4 && object["c"] == nil)
        #expect(object.repeatedNames == ["a"] && object.names == ["a", "b", "a", "a"])
        object["a"] = 5
        object["c"] = 6
        #expect(JSONValue.object(object).compactText == #"{"a":1,"b":2,"a":3,"a":5,"c":6}"#)
        object["a"] = nil
        #expect(JSONValue.object(object).compactText == #"{"b":2,"c":6}"#)
    }

    @Test(arguments: [
        ("1", true), ("1.0", true), ("-0", true), ("1.5e1", true), ("1.5", false), ("1e-1", false), ("10e-1", true),
        ("1e-999999999999999999999", false),
    ])
    func wholeNumbersAreWholeHoweverWritten(_ text: String, _ isWhole: Bool) throws {
        #expect(try #require(JSONNumber(text: text)).isWhole == isWhole)
    }

    @Test func numberIsReadFromItsGrammarOnly() {
        #expect(JSONNumber(text: "12")?.integer == 12)
        #expect(JSONNumber(text: "9223372036854775808")?.integer == nil)
        #expect(JSONNumber(text: "0.1")?.double == 0.1)
        for text in ["", "01", "1 ", "+1", "NaN", "1e"] { #expect(JSONNumber(text: text) == nil) }
    }
}
