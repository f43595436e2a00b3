import ByteKit
import Testing

/// What becomes of JSON text inside of other JSON; nil when it is refused.
private func embedded(_ text: [UInt8], depthMax: Int = 100) -> String? {
    var output = OutputBuffer(capacity: 16)
    output.append("kept")
    guard output.append(embeddedJSON: text.rawBytes, depthMax: depthMax) else {
        #expect(String(validatingUTF8: output.bytes) == "kept")
        return nil
    }
    return String(validatingUTF8: output.bytes).map { String($0.dropFirst(4)) }
}

private func embedded(_ text: String, depthMax: Int = 100) -> String? {
    embedded(Array(text.utf8), depthMax: depthMax)
}

@Suite struct EmbeddedJSONTests {
    @Test(arguments: [
        ("{}", "{}"), (" [ ] ", "[]"),
        ("{\n\t\"a\" :\r\n1 , \"a\":[ true,false , null ] }", #"{"a":1,"a":[true,false,null]}"#),
        ("-0.0", "-0.0"), ("1E+400", "1E+400"), (#"" a  b ""#, #"" a  b ""#),
        (#""\u0000\ud83d\ude00\/\"\\""#, #""\u0000\ud83d\ude00\/\"\\""#),
        ("\"é日😀\u{7F}\u{2028} and more than eight\"", "\"é日😀\u{7F}\u{2028} and more than eight\""),
        (#"[[],{"":{}}]"#, #"[[],{"":{}}]"#),
        ("12345678901234567890.12345678901234567890e-10", "12345678901234567890.12345678901234567890e-10"),
    ])
    func tokensStayAsTheyAreAndWhiteSpaceGoes(_ text: String, _ expected: String) {
        #expect(embedded(text) == expected)
    }

    @Test(arguments: [
        "", " ", "{", "}", "[", "]", "[1", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{1:2}", "{\"a\" 1}",
        "1 2",
        "[1 2]", "[1]]", "{}{}", "[}", "{]", "{\"a\":1]", "tru", "true1", "nul", "NaN", "Infinity", "01", "+1", "1.",
        ".5", "1e",
        "--1", "1-1", "\"", "\"a", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\n\"", "\"\u{1F}\"", "'a'", "[1]x",
        "\u{FEFF}1",
        "\u{B}1", "//\n1", #""\ud800""#, #""\udc00""#, #""\ud800\ud800""#, #""\ud800\u0041""#, #""\ud800x""#,
        #""\ud83d\ude0""#,
    ])
    func whatIsNoJSONOrNoTextIsRefused(_ text: String) {
        #expect(embedded(text) == nil)
    }

    @Test func bytesThatAreNoUTF8AreRefused() {
        #expect(embedded([0x22, 0xC3, 0x22]) == nil)
        #expect(embedded([0x22, 0xED, 0xA0, 0x80, 0x22]) == nil)
        #expect(embedded(Array("\"more than eight bytes".utf8) + [0xFF, 0x22]) == nil)
    }

    @Test func nestingHasALimit() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[{\"a\":", count: depth / 2) + "1" + String(repeating: "}]", count: depth / 2)
        }
        #expect(embedded(nested(100)) == nested(100))
        #expect(embedded(nested(102)) == nil)
        #expect(embedded(nested(128), depthMax: 1000) == nested(128))
        #expect(embedded(nested(130), depthMax: 1000) == nil)
    }
}
