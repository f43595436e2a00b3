/// Whether bytes are well-formed UTF-8 (Unicode 15, table 3-7).
public enum UTF8Check {
    /// True for well-formed UTF-8, the empty run included. ASCII is passed eight bytes at a time.
    public static func isValid(_ span: RawSpan) -> Bool {
        let count = span.byteCount
        var position = 0
        while position < count {
            if count &- position >= 8 {
                let word = unsafe span.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self)
                if word & 0x8080_8080_8080_8080 == 0 {
                    position &+= 8
                    continue
                }
            }
            let length = sequenceLength(span, at: position)
            if length == 0 { return false }
            position &+= length
        }
        return true
    }

    /// True when well-formed UTF-8 holds a control character: U+0000 to U+001F, U+007F to U+009F.
    public static func hasControlCharacters(_ text: RawSpan) -> Bool {
        var previous: UInt8 = 0
        for position in 0..<text.byteCount {
            let byte = byte(text, position)
            if byte < 0x20 || byte == 0x7F || (previous == 0xC2 && byte < 0xA0) { return true }
            previous = byte
        }
        return false
    }

    /// Length of the well-formed sequence that begins at `position`, 0 when there is none.
    static func sequenceLength(_ span: RawSpan, at position: Int) -> Int {
        let lead = byte(span, position)
        switch lead {
        case 0x00...0x7F: return 1
        case 0xC2...0xDF: return tail(span, position, 1, 0x80...0xBF) ? 2 : 0
        case 0xE0: return tail(span, position, 2, 0xA0...0xBF) ? 3 : 0
        case 0xED: return tail(span, position, 2, 0x80...0x9F) ? 3 : 0
        case 0xE1...0xEF: return tail(span, position, 2, 0x80...0xBF) ? 3 : 0
        case 0xF0: return tail(span, position, 3, 0x90...0xBF) ? 4 : 0
        case 0xF1...0xF3: return tail(span, position, 3, 0x80...0xBF) ? 4 : 0
        case 0xF4: return tail(span, position, 3, 0x80...0x8F) ? 4 : 0
        default: return 0
        }
    }

    private static func tail(_ span: RawSpan, _ position: Int, _ length: Int, _ first: ClosedRange<UInt8>) -> Bool {
        guard position + length < span.byteCount, first.contains(byte(span, position + 1)) else { return false }
        var index = 2
        while index <= length {
            if byte(span, position + index) & 0xC0 != 0x80 { return false }
            index += 1
        }
        return true
    }

    @inline(__always)
    static func byte(_ span: RawSpan, _ position: Int) -> UInt8 {
        unsafe span.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
    }
}
