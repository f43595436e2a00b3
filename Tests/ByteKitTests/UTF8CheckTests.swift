import ByteKit
import ConnectorTesting
import Testing

@Suite struct UTF8CheckTests {
    private func isValid(_ bytes: [UInt8]) -> Bool { UTF8Check.isValid(bytes.rawBytes) }

    /// True when the check and the standard library's decoder say the same.
    private func agrees(_ bytes: [UInt8]) -> Bool {
        isValid(bytes) == (String(validating: bytes, as: UTF8.self) != nil)
    }

    @Test func emptyIsValid() { #expect(isValid([])) }

    @Test func allSequencesOfOneAndTwoBytes() {
        for first in UInt8(0)...255 {
            if !agrees([first]) { Issue.record("\([first])") }
            for second in UInt8(0)...255 where !agrees([first, second]) { Issue.record("\([first, second])") }
        }
    }

    @Test func allSequencesOfTwoBytesBehindAscii() {
        for first in UInt8(0)...255 {
            for second in UInt8(0)...255 {
                let bytes = Array("aaaaaaa".utf8) + [first, second]
                if !agrees(bytes) || !agrees(Array(bytes.dropFirst())) { Issue.record("\([first, second])") }
            }
        }
    }

    /// Every lead byte with the tails next to each border of Unicode's table 3-7.
    @Test func bordersOfThreeAndFourBytes() {
        let tails: [UInt8] = [0x00, 0x7F, 0x80, 0x81, 0x8F, 0x90, 0x9F, 0xA0, 0xBE, 0xBF, 0xC0, 0xC1, 0xC2, 0xFF]
        for lead in UInt8(0xC0)...255 {
            for b in tails {
                for c in tails {
                    if !agrees([lead, b, c]) { Issue.record("\([lead, b, c])") }
                    for d in tails where !agrees([lead, b, c, d]) { Issue.record("\([lead, b, c, d])") }
                }
            }
        }
    }

    @Test func everyScalarIsValidAndNoPrefixOfItIs() {
        for value in stride(from: UInt32(0x80), through: 0x10FFFF, by: 7) {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let bytes = Array(Character(scalar).utf8)
            if !isValid(bytes) { Issue.record("U+\(String(value, radix: 16))") }
            for length in 1..<bytes.count where isValid(Array(bytes.prefix(length))) {
                Issue.record("\(length) bytes of U+\(String(value, radix: 16))")
            }
        }
    }

    @Test func randomDamageIsJudgedAsByTheStandardLibrary() {
        var random = SeededGenerator(seed: 3629)
        let sample = Array(
            "Ein Text über Pferde 🐎🏇, 日本語 und \u{7FF}\u{800}\u{FFFF}\u{10000}\u{10FFFF}, dann ASCII.".utf8)
        var refused = 0
        for _ in 0..<60_000 {
            var bytes = sample
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            bytes.removeFirst(Int.random(in: 0...12, using: &random))
            bytes.removeLast(Int.random(in: 0...12, using: &random))
            if !agrees(bytes) { Issue.record("\(bytes)") }
            if !isValid(bytes) { refused += 1 }
        }
        #expect(refused > 10_000 && refused < 60_000)
    }
}
