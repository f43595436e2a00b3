import JSONText
import Testing

@Suite struct JSONParserTests {
    @Test(arguments: [
        "null", "true", "false", "0", "-0", "-1", "1.50", "1e5", "1E+05", "-0.0e-0", "123456789012345678901234567890",
        "1e99999999999999999999", #""""#, #""é日😀""#, "[]", "{}", "[1,[2,[3]]]", #"{"a":1,"b":{"c":[]}}"#,
        #"{"a":1,"a":2}"#,
        #"{"":0}"#, "\"\u{7F}\u{2028}\"", "\"\\u0000\"",
    ])
    func compactTextIsKeptAsItIs(_ text: String) throws {
        #expect(try JSONValue(parsing: text).compactText == text)
    }

    @Test(arguments: [
        (#""A\/\"\\\b\f\n\r\t""#, "A/\"\\\u{8}\u{C}\n\r\t"), (#""\u00e9\u65E5\uD83D\uDE00""#, "é日😀"),
        (#""\u0000""#, "\u{0}"), (#""\uDBFF\uDFFF""#, "\u{10FFFF}"),
    ])
    func escapesAreRead(_ text: String, _ expected: String) throws {
        #expect(try JSONValue(parsing: text).string == expected)
    }

    @Test func whiteSpaceAndAByteOrderMarkArePassedOver() throws {
        #expect(try JSONValue(parsing: [0xEF, 0xBB, 0xBF] + Array(" \t\r\n[ 1 , 2 ]\n".utf8)) == [1, 2])
    }

    @Test(arguments: [
        "", " ", "nul", "nulll", "True", "+1", "01", "-01", "-", "1.", ".5", "1.e5", "1e", "1e+", "0x1", "NaN",
        "Infinity",
        "1 2", "[1,]", "[,1]", "[1 2]", "[", "]", "[1", "{", "}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",
        "{'a':1}",
        "{\"a\":1 \"b\":2}", "{\"a\" 1}", "{1:1}", "\"", "\"a", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12G4\"",
        "\"\n\"",
        "\"\t\"", "\"\u{0}\"", "'a'", "[1]]", "// a\n1", "/* a */ 1", "\u{A0}1", "\u{2028}1", "1\u{0}", "\"\\",
        #""\uD83D""#, #""\uD83Dx""#, #""\uD83D\n""#, #""\uD83D\u0041""#, #""\uDE00""#, #""\uDE00\uD83D""#,
    ])
    func whatTheStandardDoesNotAllowIsAnError(_ text: String) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    }

    @Test(
        arguments: [
            [0x22, 0xFF, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
            [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], [0xFF], [0xEF, 0xBB], [0xFE, 0xFF, 0x00, 0x31], [0x31, 0xC3, 0xA9],
        ] as [[UInt8]])
    func bytesThatAreNoUTF8AreAnError(_ bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: bytes) }
    }

    @Test(arguments: [
        ("{\n  \"é日\": 1,\n  \"b\": tru\n}", 3, 11, "expected \"true\""), ("[1, 2", 1, 6, "expected \",\" or \"]\""),
        ("[\"é\", x]", 1, 7, "expected a value"), ("1\n\n2", 3, 1, "the document has ended, but more text follows"),
        ("", 1, 1, "a value is missing at the end"), ("{\n\"a\" 1}", 2, 5, "expected \":\" after a member's name"),
        ("[\n 01]", 2, 3, "malformed number"), ("\"ab\\q\"", 1, 4, "unknown escape"),
        ("\"ab", 1, 4, "a string has no closing quote"), ("{\"a\":1,}", 1, 8, "expected a member's name in quotes"),
    ])
    func errorNamesLineAndColumn(_ text: String, _ line: Int, _ column: Int, _ message: String) {
        let error = #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
        #expect(error == JSONError(message: message, line: line, column: column))
        #expect(error?.description == "line \(line), column \(column): \(message)")
    }

    @Test func depthIsLimited() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(try JSONValue(parsing: nested(256)).array != nil)
        let error = #expect(throws: JSONError.self) { try JSONValue(parsing: nested(257)) }
        #expect(error == JSONError(message: "nested deeper than 256", line: 1, column: 257))
        #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: "[{\"a\":", count: 1_000_000)) }
        #expect(try JSONValue(parsing: nested(3), depthMax: 3) == [[[]]])
        #expect(throws: JSONError.self) { try JSONValue(parsing: nested(3), depthMax: 2) }
    }

    /// Every prefix and every change of one byte is a value or an error with a place inside of the text.
    @Test func mutatedTextIsAnErrorOrAValue() throws {
        let text = Array(
            #"{"a": [1, -2.5e+10, "x\u00e9\uD83D\uDE00\n"], "é": {"b": [true, false, null, {}, []]}, "a": "日\\\""}"#
                .utf8)
        _ = try JSONValue(parsing: text)
        var (values, errors) = (0, 0)
        func parse(_ bytes: [UInt8]) throws {
            let value: JSONValue
            do {
                value = try JSONValue(parsing: bytes)
            } catch {
                #expect(error.line >= 1 && error.column >= 1 && error.column <= bytes.count + 1)
                errors += 1
                return
            }
            #expect(try JSONValue(parsing: value.compactText) == value)
            values += 1
        }
        for length in 0..<text.count { try parse(Array(text.prefix(length))) }
        #expect(values == 0 && errors == text.count)
        for place in text.indices {
            for byte in UInt8.min...UInt8.max {
                var bytes = text
                bytes[place] = byte
                try parse(bytes)
            }
        }
        #expect(values > 1000 && errors > 1000)
    }
}
