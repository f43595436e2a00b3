import ByteKit
import Testing

@Suite struct ASCIIJSONTests {
    private func ascii(_ bytes: [UInt8]) -> String {
        var output = OutputBuffer(capacity: 4)
        output.append(asciiJSON: bytes.rawBytes)
        #expect(output.count == bytes.rawBytes.asciiJSONCount)
        return String(validatingUTF8: output.bytes) ?? "?"
    }

    @Test(arguments: [
        (#"{"id":1,"a b":"c\"d"}"#, #"{"id":1,"a b":"c\"d"}"#), ("", ""), ("\"é\"", #""\u00E9""#),
        ("\"日\u{7F}\"", #""\u65E5\u007F""#), ("\"😀\"", #""\uD83D\uDE00""#), ("\"\u{10FFFF}\"", #""\uDBFF\uDFFF""#),
        ("\"\u{FFFF}\"", #""\uFFFF""#), ("\"\u{10000}\"", #""\uD800\uDC00""#),
    ])
    func charactersOutsideOfASCIIAreEscaped(_ text: String, _ expected: String) {
        #expect(ascii(Array(text.utf8)) == expected)
    }

    @Test func bytesThatAreNoTextAreReplaced() {
        #expect(ascii([0x22, 0xFF, 0xC3]) == #""\uFFFD\uFFFD"#)
        #expect(ascii([0xE6, 0x97]) == #"\uFFFD\uFFFD"#)
    }
}
