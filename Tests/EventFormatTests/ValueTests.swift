import ByteKit
import ChangeModel
import ConnectorKit
import EventFormat
import Testing

/// The `after` of an event of one column, and what follows up to `transaction`.
private func spelled(_ type: ValueType, _ value: SampleValue) throws -> String {
    let relation = Relation(sourceID: 1, schema: "public", name: "t", columns: [column("c", type)])
    let line = try #require(try encode([.insert([value])], of: relation).lines.first)
    let start = try #require(line.firstRange(of: #""after":{"c":"#)).upperBound
    let unchanged = try #require(line.firstRange(of: #"},"unchanged":[]"#))
    let end = try #require(line.firstRange(of: #","transaction""#)).lowerBound
    return String(line[start..<unchanged.lowerBound] + line[unchanged.upperBound..<end])
}

@Suite struct ValueTests {
    @Test(arguments: [
        (ValueType.boolean, "t", "true"), (.boolean, "f", "false"),
        (.int16, "-32768", "-32768"), (.int32, "0", "0"), (.int64, "9223372036854775807", "9223372036854775807"),
        (.float64, "1.5", "1.5"), (.float64, "-1e+300", "-1e+300"), (.float32, "1e-05", "1e-05"),
        (.float64, "-0", "-0"),
        (.float64, "NaN", #""NaN""#), (.float64, "Infinity", #""Infinity""#), (.float32, "-Infinity", #""-Infinity""#),
        (.numeric, "123456789012345678901234567890.10", #""123456789012345678901234567890.10""#),
        (.numeric, "NaN", #""NaN""#), (.bytes, "\\x616263", #""YWJj""#), (.bytes, "\\x61", #""YQ==""#),
        (.bytes, "\\x6162", #""YWI=""#), (.bytes, "\\x", #""""#), (.bytes, "\\xFBff", #""+/8=""#),
        (.json, #"{"a": 1}"#, #""{\"a\": 1}""#), (.uuid, "b5f3…", #""b5f3…""#),
        (.timestampTZ, "2026-11-21 10:00:00+00", #""2026-11-21T10:00:00Z""#),
        (.timestamp, "2026-11-21 10:00:00.5", #""2026-11-21T10:00:00.5""#),
        (.timestampTZ, "2026-11-21 10:00:00+01", #""2026-11-21 10:00:00+01""#),
        (.timestamp, "2026-11-21 10:00:00+00", #""2026-11-21 10:00:00+00""#),
        (.timestampTZ, "2026-11-21 10:00:00", #""2026-11-21 10:00:00""#), (.timestampTZ, "", #""""#),
        (.timestamp, "2026-11-21 10:00:00.", #""2026-11-21 10:00:00.""#), (.timestamp, "2026-11-21", #""2026-11-21""#),
        (.timeTZ, "10:00:00-03", #""10:00:00-03:00""#), (.timeTZ, "10:00:00", #""10:00:00""#),
        (.timeTZ, "+03", #""+03""#),
        (.number, "1.50", "1.50"), (.number, "NaN", #""NaN""#), (.date, "infinity", #""infinity""#),
        (
            .text, "a\"b\\c/d\u{8}\u{9}\u{A}\u{C}\u{D}\u{1F}\u{7F}é日😀\u{2028}",
            #""a\"b\\c/d\b\t\n\f\r\u001f"# + "\u{7F}é日😀\u{2028}\""
        ),
        (.text, "12345678\"2345678\\", #""12345678\"2345678\\""#), (.other, "(1,2)", #""(1,2)""#),
    ])
    func textIsSpelledByItsType(_ type: ValueType, _ text: String, _ expected: String) throws {
        #expect(try spelled(type, .text(text)) == expected)
    }

    @Test func aTimeWithAWrongByteAnywhereIsSpelledAsTheDatabaseWroteIt() throws {
        let time = Array("2026-11-21 10:00:00".utf8)
        for place in time.indices {
            for byte in UInt8(ascii: "#")...UInt8(ascii: "[") {
                var other = time
                other[place] = byte
                let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
                let isTime = digits.contains(time[place]) ? digits.contains(byte) : byte == time[place]
                let text = String(decoding: other, as: UTF8.self)
                let expected = isTime ? String(decoding: other[..<10] + [84] + other[11...], as: UTF8.self) : text
                #expect(try spelled(.timestamp, .text(text)) == "\"\(expected)\"")
            }
        }
    }

    @Test(arguments: [
        (ValueType.boolean, "true", #""true""#), (.boolean, "", #""""#), (.int64, "007", #""007""#),
        (.int64, "-", #""-""#), (.int64, "1.0", #""1.0""#), (.int64, "", #""""#), (.float64, ".5", #"".5""#),
        (.float64, "1.", #""1.""#), (.float64, "1e", #""1e""#), (.float64, "01", #""01""#),
        (.float64, "nan", #""nan""#),
        (.number, "+1", #""+1""#), (.bytes, "\\x616", #""\\x616""#), (.bytes, "\\x61zz", #""\\x61zz""#),
        (.bytes, "abc\\000", #""abc\\000""#),
    ])
    func textThatIsNotOfItsTypeStaysTextAndIsListed(_ type: ValueType, _ text: String, _ expected: String) throws {
        #expect(try spelled(type, .text(text)) == expected + #","as_text":["c"]"#)
    }

    @Test(arguments: ValueType.allCases)
    func nullIsNull(_ type: ValueType) throws {
        #expect(try spelled(type, .null) == "null")
    }

    @Test func dynamicValueIsSpelledByItsKind() throws {
        #expect(try spelled(.dynamic, .integer("-42")) == "-42")
        #expect(try spelled(.dynamic, .real("1.0e+20")) == "1.0e+20")
        #expect(try spelled(.dynamic, .real("-Infinity")) == #""-Infinity""#)
        #expect(try spelled(.dynamic, "42") == #""42""#)
        #expect(try spelled(.dynamic, .blob([97, 98, 99])) == #""YWJj","base64":["c"]"#)
        #expect(try spelled(.dynamic, .malformed([0xFF])) == #""/w==","base64":["c"]"#)
    }

    @Test func base64IsNotAnnouncedWhereTheTypeSaysIt() throws {
        #expect(try spelled(.bytes, .blob([97, 98, 99])) == #""YWJj""#)
    }

    @Test(
        arguments: [
            [0x61, 0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xC0, 0x80],
            Array("twelve bytes and ".utf8) + [0xE2, 0x82],
        ] as [[UInt8]])
    func textThatIsNoUTF8BecomesBase64(_ bytes: [UInt8]) throws {
        let spelling = try spelled(.text, .bytes(kind: ValueKind.text, bytes))
        #expect(spelling.hasSuffix(#"","base64":["c"]"#))
    }

    @Test func base64OfOldAndNewRowAreListedApart() throws {
        let relation = Relation(
            sourceID: 1, schema: "main", name: "t", columns: [column("k", .dynamic, key: 0), column("v", .dynamic)])
        let update = SampleChange.update(.full, from: [.blob([1]), "YWJj"], to: ["k", .blob([97])])
        let line = try encode([update], of: relation).lines[0]
        #expect(
            line.contains(
                #""key":{"k":"k"},"previous_key":{"k":"AQ=="},"before":{"k":"AQ==","v":"YWJj"},"#
                    + #""after":{"k":"k","v":"YQ=="},"#
                    + #""unchanged":[],"base64":["v"],"before_base64":["k"],"transaction""#))
        let delete = try encode([.delete(.key, [.blob([1]), nil])], of: relation).lines[0]
        #expect(delete.contains(#""key":{"k":"AQ=="},"#) && delete.contains(#""base64":["k"],"transaction""#))
    }

    @Test func longTextIsWhole() throws {
        for length in [4095, 4096, 4097, 70_000] {
            let text = String(repeating: "é\"", count: length)
            let spelling = try spelled(.text, .text(text))
            #expect(spelling == "\"" + String(repeating: "é\\\"", count: length) + "\"")
        }
    }
}
