import ByteKit

/// A message of the stream, as the server tells it when it is asked for one.
struct StoredMessage: Equatable {
    var sequence: UInt64
    /// The value of its `Nats-Msg-Id` header; nil when it has none.
    var id: [UInt8]?

    /// Reads the server's answer; nil when it holds no message.
    init?(_ json: RawSpan) {
        let fields = JSONFields(json)
        guard let sequence = fields.number("\"seq\"") else { return nil }
        self.sequence = sequence
        if let headers = fields.plainString("\"hdrs\"") { id = Self.id(in: Self.bytes(ofBase64: headers)) }
    }

    /// The value behind the header's name, which has to stand at the begin of a line.
    private static func id(in headers: [UInt8]) -> [UInt8]? {
        let name = Array("\r\nNats-Msg-Id:".utf8)
        guard let place = headers.firstRange(of: name)?.upperBound else { return nil }
        return Array(headers[place...].drop { $0 == 0x20 }.prefix { $0 != 13 && $0 != 10 })
    }

    private static func bytes(ofBase64 text: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for digit in text {
            guard let value = value(ofDigit: digit) else { continue }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return bytes
    }

    private static func value(ofDigit digit: UInt8) -> UInt32? {
        switch digit {
        case 0x41...0x5A: UInt32(digit) - 0x41
        case 0x61...0x7A: UInt32(digit) - 0x61 + 26
        case 0x30...0x39: UInt32(digit) - 0x30 + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
