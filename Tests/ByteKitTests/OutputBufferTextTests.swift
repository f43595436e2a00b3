import ByteKit
import ConnectorTesting
import Testing

@Suite struct OutputBufferTextTests {
    private func text(_ write: (inout OutputBuffer) -> Void) -> String {
        var buffer = OutputBuffer(capacity: 16)
        write(&buffer)
        return String(decoding: buffer.content, as: UTF8.self)
    }

    @Test func decimalIsWhatSwiftPrints() {
        for value: Int64 in [.min, .min + 1, -1_000_000, -10, -9, -1, 0, 1, 9, 10, 99, 100, .max - 1, .max] {
            #expect(text { $0.append(decimal: value) } == String(value))
        }
        for value: UInt64 in [0, 9, 10, 1 << 63, .max - 1, .max] {
            #expect(text { $0.append(decimal: value) } == String(value))
        }
        for value in Int16.min...Int16.max where text({ $0.append(decimal: value) }) != String(value) {
            Issue.record("\(value) is printed otherwise")
        }
        var power: UInt64 = 1
        for _ in 0..<19 {
            for value in [power - 1, power, power + 1] { #expect(text { $0.append(decimal: value) } == String(value)) }
            power *= 10
        }
        #expect(text { $0.append(decimal: UInt8.max) } == "255")
    }

    @Test func hexIsPaddedToItsWidthAndCutToIt() {
        #expect(text { $0.append(hex: 0, width: 1) } == "0")
        #expect(text { $0.append(hex: 0xAB, width: 2) } == "AB")
        #expect(text { $0.append(hex: 0xAB, width: 8) } == "000000AB")
        #expect(text { $0.append(hex: 0x16B_3748, width: 16) } == "00000000016B3748")
        #expect(text { $0.append(hex: .max, width: 16) } == "FFFFFFFFFFFFFFFF")
        #expect(text { $0.append(hex: 0x1234, width: 2) } == "34")
        #expect(text { $0.append(hex: 0x1234, width: 0) } == "4")
        #expect(text { $0.append(hex: 0x1234, width: -5) } == "4")
        #expect(text { $0.append(hex: 0x1234, width: 99) } == "0000000000001234")
        for width in 1...16 {
            let printed = text { $0.append(hex: 0x0123_4567_89AB_CDEF, width: width) }
            #expect(printed == String("0123456789ABCDEF".suffix(width)))
        }
    }

    /// RFC 4648, section 10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func base64FollowsTheRFC(plain: String, encoded: String) {
        let bytes = Array(plain.utf8)
        #expect(text { $0.append(base64: bytes.rawBytes) } == encoded)
    }

    @Test func base64ReadsBackForEveryByteAndLength() {
        var random = SeededGenerator(seed: 4648)
        for length in 0..<260 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            let encoded = text { $0.append(base64: bytes.rawBytes) }
            #expect(encoded.utf8.count == (length + 2) / 3 * 4)
            #expect(decodeBase64(encoded) == bytes)
        }
        let all = (0...255).map { UInt8($0) }
        #expect(decodeBase64(text { $0.append(base64: all.rawBytes) }) == all)
    }

    /// A plain decoder that refuses letters outside of the alphabet.
    private func decodeBase64(_ text: String) -> [UInt8]? {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var bytes: [UInt8] = []
        var (bits, held) = (0, 0)
        for letter in text.utf8 where letter != UInt8(ascii: "=") {
            guard let value = alphabet.firstIndex(of: letter) else { return nil }
            (bits, held) = (bits << 6 | value, held + 6)
            if held >= 8 {
                held -= 8
                bytes.append(UInt8(bits >> held & 255))
            }
        }
        return bytes
    }
}
