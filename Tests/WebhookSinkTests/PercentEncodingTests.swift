import ByteKit
import Testing

@testable import WebhookSink

/// Ids and values in headers: every byte, wherever it stands among others.
struct PercentEncodingTests {
    @Test(arguments: [true, false])
    func everyByteIsEncodedAlikeAtEveryPlace(encodesDot: Bool) {
        for place in 0..<20 {
            for byte in UInt8.min...UInt8.max {
                var bytes = [UInt8](repeating: UInt8(ascii: "~"), count: 20)
                bytes[place] = byte
                var output = OutputBuffer(capacity: 64)
                output.append(percentEncoding: bytes.rawBytes, encodesDot: encodesDot)
                #expect(output.list == expected(bytes, encodesDot), "byte \(byte) at \(place)")
            }
        }
    }

    private func expected(_ bytes: [UInt8], _ encodesDot: Bool) -> [UInt8] {
        let others = encodesDot ? "\"%." : "\"%"
        let plain = Set((0x21...0x7E).map { UInt8($0) }).subtracting(others.utf8)
        let digits = Array("0123456789ABCDEF".utf8)
        return bytes.flatMap { byte in
            plain.contains(byte) ? [byte] : [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
}
