@testable import ByteKit
import ConnectorTesting
import Testing

@Suite struct JSONEscapingTests {
    /// RFC 8259, section 7, byte by byte, for ASCII; other text is compared in WordScanTests.
    private func reference(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        for byte in bytes {
            switch byte {
            case 0x22: out += Array(#"\""#.utf8)
            case 0x5C: out += Array(#"\\"#.utf8)
            case 0x08: out += Array(#"\b"#.utf8)
            case 0x09: out += Array(#"\t"#.utf8)
            case 0x0A: out += Array(#"\n"#.utf8)
            case 0x0C: out += Array(#"\f"#.utf8)
            case 0x0D: out += Array(#"\r"#.utf8)
            case 0x00..<0x20:
                let digits = String(byte, radix: 16)
                out += Array(("\\u00" + (digits.count < 2 ? "0" : "") + digits).utf8)
            default: out.append(byte)
            }
        }
        return out
    }

    private func escaped(_ bytes: [UInt8], after prefix: Int = 0) -> [UInt8] {
        var buffer = OutputBuffer(capacity: 16)
        buffer.append([UInt8](repeating: 0x2D, count: prefix))
        buffer.append(jsonEscaping: bytes.rawBytes)
        return Array(buffer.content.dropFirst(prefix))
    }

    @Test func everyByteInEveryPlaceOfTheWordIsAsTheReference() {
        for filler in [UInt8(ascii: "a"), 0x1F, 0x20, 0x21, 0x23, 0x5B, 0x5D, 0x7F] {
            for length in 1...17 {
                for place in 0..<length {
                    for byte in UInt8(0)...127 {
                        var bytes = [UInt8](repeating: filler, count: length)
                        bytes[place] = byte
                        if escaped(bytes) != reference(bytes) {
                            Issue.record("byte \(byte) at \(place) of \(length) between \(filler)")
                        }
                    }
                }
            }
        }
    }

    @Test func everyPairOfNeighboursIsAsTheReference() {
        for first in UInt8(0)...127 {
            for second in UInt8(0)...127 {
                for place in [0, 3, 6, 7] {
                    var bytes = [UInt8](repeating: 0x61, count: 9)
                    bytes[place] = first
                    bytes[place + 1] = second
                    if escaped(bytes) != reference(bytes) { Issue.record("\(first), \(second) at \(place)") }
                }
            }
        }
    }

    @Test func randomTextFromAnyAddressIsAsTheReference() {
        var random = SeededGenerator(seed: 8259)
        for round in 0..<4000 {
            let length = Int.random(in: 0..<80, using: &random)
            let rarity = [2, 8, 40][round % 3]
            let bytes = (0..<length).map { _ -> UInt8 in
                Int.random(in: 0..<rarity, using: &random) == 0
                    ? UInt8.random(in: 0...127, using: &random) : UInt8.random(in: 0x23...0x5B, using: &random)
            }
            let cut = Int.random(in: 0...length, using: &random)
            var buffer = OutputBuffer(capacity: 16)
            buffer.append(jsonEscaping: bytes.rawBytes.extracting(cut..<length))
            #expect(buffer.content == reference(Array(bytes[cut...])))
            #expect(escaped(bytes, after: round % 23) == reference(bytes))
        }
    }

    @Test func outputOfOnlyEscapesFits() {
        let bytes = [UInt8](repeating: 0, count: 5000)
        #expect(escaped(bytes) == reference(bytes))
        #expect(escaped(bytes).count == 30_000)
    }

    @Test func aLongTextDoesNotAskForSixTimesItsLength() {
        for text in [[UInt8](repeating: 0x61, count: 8 << 20), Array(String(repeating: "ä", count: 4 << 20).utf8)] {
            var buffer = OutputBuffer(capacity: 16)
            buffer.append(jsonEscaping: text.rawBytes)
            #expect(buffer.count == 8 << 20)
            #expect(buffer.capacity <= 17 << 20)
        }
    }

    @Test func stringsGetQuotes() {
        var buffer = OutputBuffer(capacity: 16)
        buffer.append(jsonString: "a\"\u{1}ü🐎")
        #expect(String(decoding: buffer.content, as: UTF8.self) == #""a\"\u0001ü🐎""#)
    }
}
