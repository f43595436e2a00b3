extension OutputBuffer {
    /// Appends JSON in ASCII alone, for places that hold nothing else, such as headers: other characters become
    /// `\uXXXX` (RFC 8259, section 7). They can only stand in strings. Bytes that are no UTF-8 become U+FFFD.
    public mutating func append(asciiJSON text: RawSpan) {
        var position = 0
        while position < text.byteCount {
            let byte = UTF8Check.byte(text, position)
            if byte < 0x7F {
                append(byte)
                position &+= 1
                continue
            }
            let (scalar, length) = text.scalar(at: position)
            position &+= length
            if scalar > 0xFFFF {
                append(escaped: 0xD800 &+ (scalar &- 0x1_0000) >> 10)
                append(escaped: 0xDC00 &+ (scalar & 0x3FF))
            } else {
                append(escaped: scalar)
            }
        }
    }

    private mutating func append(escaped unit: UInt32) {
        append("\\u")
        append(hex: UInt64(unit), width: 4)
    }
}

extension RawSpan {
    /// How many bytes ``OutputBuffer/append(asciiJSON:)`` makes of it.
    public var asciiJSONCount: Int {
        var (count, position) = (0, 0)
        while position < byteCount {
            let byte = UTF8Check.byte(self, position)
            if byte < 0x7F {
                count &+= 1
                position &+= 1
                continue
            }
            let (scalar, length) = scalar(at: position)
            position &+= length
            count &+= scalar > 0xFFFF ? 12 : 6
        }
        return count
    }

    /// The character that begins at a place, and its length; U+FFFD of one byte where there is none.
    fileprivate func scalar(at position: Int) -> (UInt32, Int) {
        let length = UTF8Check.sequenceLength(self, at: position)
        guard length > 0 else { return (0xFFFD, 1) }
        let lead = UInt32(UTF8Check.byte(self, position))
        if length == 1 { return (lead, 1) }
        var scalar = lead & (0x7F >> UInt32(length))
        for place in 1..<length { scalar = scalar << 6 | UInt32(UTF8Check.byte(self, position &+ place) & 0x3F) }
        return (scalar, length)
    }
}
