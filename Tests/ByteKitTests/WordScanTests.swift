import ByteKit
import Testing

private func written(_ body: (inout OutputBuffer) -> Void) -> [UInt8] {
    var buffer = OutputBuffer(capacity: 16)
    body(&buffer)
    let frozen = buffer.freeze()
    return (0..<frozen.count).map { frozen.load(at: $0, as: UInt8.self) }
}

private func text(_ body: (inout OutputBuffer) -> Void) -> String { String(decoding: written(body), as: UTF8.self) }

/// The escape of one character by the rules of RFC 8259, the slow way.
private func escaped(_ text: String) -> String {
    text.unicodeScalars.map { scalar in
        switch scalar {
        case "\"": "\\\""
        case "\\": "\\\\"
        case "\u{8}": "\\b"
        case "\t": "\\t"
        case "\n": "\\n"
        case "\u{C}": "\\f"
        case "\r": "\\r"
        case "\u{0}"..<"\u{20}": "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
        default: String(scalar)
        }
    }.joined()
}

@Suite struct WordScanTests {
    /// Every length around the sizes at which copies change their way, with the bytes before and behind untouched.
    @Test func copyOfEveryLengthIsWhole() {
        for length in 0..<200 {
            let bytes = (0..<length).map { UInt8($0 % 251) }
            let result = written {
                $0.append(1)
                $0.append(bytes)
                $0.append(copyOf: 1..<(1 + length))
                $0.append(2)
            }
            #expect(result == [1] + bytes + bytes + [2])
        }
    }

    @Test func copyFromOutsideOfTheContentIsNothing() {
        for range in [-1..<2, 0..<4, 3..<9, 5..<6] {
            #expect(
                written {
                    $0.append([1, 2, 3])
                    $0.append(copyOf: range)
                } == [1, 2, 3])
        }
    }

    @Test(arguments: [0, 1, 9, 10, 99, 100, 12_345, 4_294_967_295, UInt64.max])
    func decimalIsAsSwiftWritesIt(_ value: UInt64) {
        #expect(text { $0.append(decimal: value) } == String(value))
        let signed = Int64(truncatingIfNeeded: value)
        #expect(text { $0.append(decimal: -signed / 2) } == String(-signed / 2))
        #expect(text { $0.append(decimal: Int64.min) } == "-9223372036854775808")
        #expect(text { $0.append(decimal: Int128(value) * -1_000_000_007) } == String(Int128(value) * -1_000_000_007))
    }

    @Test func hexIsPaddedAndCut() {
        for value in [0, 1, 0x9, 0xA, 0xF, 0x10, 0x1234_5678_9ABC_DEF0, UInt64.max] {
            let whole = String(value, radix: 16, uppercase: true)
            let padded = String(repeating: "0", count: 16 - whole.count) + whole
            for width in 1...16 {
                #expect(text { $0.append(hex: value, width: width) } == String(padded.suffix(width)))
            }
        }
        for digit in UInt64(0)..<256 {
            #expect(text { $0.append(hex: digit, width: 1) } == String(digit % 16, radix: 16, uppercase: true))
        }
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"), ("\u{0}", "AA=="), ("~~~???", "fn5+Pz8/"),
    ])
    func base64IsThatOfTheStandard(_ plain: String, _ expected: String) {
        let bytes = Array(plain.utf8)
        #expect(text { $0.append(base64: bytes.rawBytes) } == expected)
        for uppercase in [false, true] {
            let hex = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: uppercase) }.joined()
            let digits = Array(hex.utf8)
            var isDone = false
            #expect(text { isDone = $0.append(base64OfHex: digits.rawBytes) } == expected)
            #expect(isDone)
        }
    }

    @Test(arguments: ["0", "000", "0g", "g0", "00g0", "000000 0", "00000x", "@0", "`0", "/0", ":0"])
    func otherTextIsNoHex(_ wrong: String) {
        let bytes = Array(wrong.utf8)
        var isDone = true
        #expect(
            text {
                $0.append(UInt8(ascii: "x"))
                isDone = $0.append(base64OfHex: bytes.rawBytes)
            } == "x")
        #expect(!isDone)
    }

    /// Every character that is special, at every place of a word, with every rest behind it.
    @Test func characterIsEscapedAtEveryPlace() {
        let characters =
            (0..<0x30).compactMap(Unicode.Scalar.init).map(String.init) + ["\\", "\u{7F}", "é", "日", "😀", "\u{FFFF}"]
        for character in characters {
            for before in 0..<18 {
                for behind in [0, 1, 7, 8, 9] {
                    let plain =
                        String(repeating: "x", count: before) + character + String(repeating: "y", count: behind)
                    let bytes = Array(plain.utf8)
                    var isDone = false
                    let result = text { isDone = $0.append(jsonText: bytes.rawBytes) }
                    #expect(isDone && result == escaped(plain))
                }
            }
        }
    }

    @Test func malformedTextAppendsNothingOrReplacements() {
        for (wrong, repaired) in [
            ([0x61, 0xFF, 0x62], "a\u{FFFD}b"), ([0xC3], "\u{FFFD}"), ([0xE2, 0x82], "\u{FFFD}"), ([0x80], "\u{FFFD}"),
            (Array(repeating: 0x61, count: 5000) + [0xFE], String(repeating: "a", count: 5000) + "\u{FFFD}"),
        ] as [([UInt8], String)] {
            var isDone = true
            #expect(
                text {
                    $0.append(UInt8(ascii: "x"))
                    isDone = $0.append(jsonString: wrong.rawBytes)
                } == "x")
            #expect(!isDone)
            #expect(text { $0.append(jsonEscaping: wrong.rawBytes) } == repaired)
        }
    }

    @Test func textLongerThanABlockIsWhole() {
        for length in [4088, 4095, 4096, 4097, 9000] {
            for piece in ["a", "\u{1}", "😀", "aé\""] {
                let plain = String(repeating: piece, count: length)
                #expect(text { $0.append(jsonString: plain) } == "\"" + escaped(plain) + "\"")
            }
        }
    }

    @Test(arguments: [
        ("0", true, true), ("-0", true, true), ("12", true, true), ("-9223372036854775808", true, true),
        ("01", false, false), ("-", false, false), ("", false, false), ("+1", false, false), ("1.5", false, true),
        ("1e5", false, true), ("1E-05", false, true), ("1.", false, false), (".5", false, false), ("1e", false, false),
        ("1e+", false, false), ("NaN", false, false), ("1 ", false, false), ("00", false, false), ("-01", false, false),
        ("1.5e+300", false, true), ("1,5", false, false), ("٣", false, false),
    ])
    func numberIsJudgedByTheGrammar(_ number: String, _ isInteger: Bool, _ isNumber: Bool) {
        let bytes = Array(number.utf8)
        let (integer, any) = (NumberText.isInteger(bytes.rawBytes), NumberText.isNumber(bytes.rawBytes))
        #expect(integer == isInteger && any == isNumber)
    }

    @Test func sameBytesAreTheSame() {
        for length in 0..<40 {
            let bytes = (0..<length).map { UInt8($0) }
            func isSame(_ other: [UInt8]) -> Bool { bytes.rawBytes.hasSameBytes(as: other.rawBytes) }
            #expect(isSame(bytes.map { $0 }) && !isSame(bytes + [0]))
            for place in bytes.indices {
                var other = bytes
                other[place] ^= 0x80
                #expect(!isSame(other))
            }
        }
    }
}
