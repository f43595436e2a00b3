extension OutputBuffer {
    /// Appends bytes as a JSON string with its quotes (RFC 8259, section 7). False, and nothing appended, when they are
    /// not well-formed UTF-8.
    @inlinable
    public mutating func append(jsonString span: RawSpan) -> Bool {
        append(34)
        guard append(jsonText: span) else {
            written &-= 1
            return false
        }
        append(34)
        return true
    }

    /// Appends text inside a JSON string (RFC 8259, section 7): quotes, backslashes and control characters escaped.
    ///
    /// Quotes around it are the caller's. Bytes that are not well-formed UTF-8 become U+FFFD; see
    /// ``append(jsonString:)`` for a caller that wants to know.
    public mutating func append(jsonEscaping span: RawSpan) {
        if append(jsonText: span) { return }
        let text = unsafe span.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
        let repaired = [UInt8](text.utf8)
        _ = append(jsonText: repaired.rawBytes)
    }

    /// Appends a string as a JSON string with its quotes. Not for the row path.
    public mutating func append(jsonString text: String) {
        let bytes = [UInt8](text.utf8)
        _ = append(jsonString: bytes.rawBytes)
    }

    /// Appends text inside a JSON string, escaped; false, and nothing appended, when it is not well-formed UTF-8.
    ///
    /// Copies eight bytes at a time and looks at them while they are in a register: nearly none need more than that.
    /// Room is made for a block at a time, so that a very long text does not ask for six times its length at once.
    public mutating func append(jsonText span: RawSpan) -> Bool {
        let start = written
        let count = span.byteCount
        var position = 0
        while position < count {
            let blockEnd = min(count, position &+ 4096)
            reserve((blockEnd &- position) &* 6 &+ 32)
            guard appendBlock(span, &position, until: blockEnd) else {
                written = start
                return false
            }
        }
        return true
    }

    /// Appends the characters that begin before `blockEnd`. Room for them, and for a word more, is the caller's.
    @inline(__always)
    private mutating func appendBlock(_ span: RawSpan, _ position: inout Int, until blockEnd: Int) -> Bool {
        while true {
            let left = blockEnd &- position
            let plain = unsafe span.withUnsafeBytes { bytes in
                unsafe bytes.baseAddress.map { unsafe copyPlain(from: $0 + position, to: base + written, count: left) }
                    ?? left
            }
            position &+= plain
            written &+= plain
            if plain == left { return true }
            guard appendSpecial(span, &position) else { return false }
            if position >= blockEnd { return true }
        }
    }

    /// Appends one character that is escaped, or a run of characters outside of ASCII.
    private mutating func appendSpecial(_ span: RawSpan, _ position: inout Int) -> Bool {
        let byte = UTF8Check.byte(span, position)
        if byte < 0x80 {
            appendEscape(byte)
            position &+= 1
            return true
        }
        // At most a word's worth: the room was counted in blocks.
        let runEnd = min(span.byteCount, position &+ 8)
        repeat {
            let length = UTF8Check.sequenceLength(span, at: position)
            if length == 0 { return false }
            append(span.extracting(position..<(position &+ length)))
            position &+= length
        } while position < runEnd && UTF8Check.byte(span, position) >= 0x80
        return true
    }

    private mutating func appendEscape(_ byte: UInt8) {
        append(0x5C)
        switch byte {
        case 0x22, 0x5C: append(byte)
        case 0x08: append(UInt8(ascii: "b"))
        case 0x09: append(UInt8(ascii: "t"))
        case 0x0A: append(UInt8(ascii: "n"))
        case 0x0C: append(UInt8(ascii: "f"))
        case 0x0D: append(UInt8(ascii: "r"))
        default:
            append("u00")
            append(byte < 16 ? 48 : 49)
            append(byte & 15 < 10 ? 48 &+ (byte & 15) : 87 &+ (byte & 15))
        }
    }
}

/// Copies up to the first byte that is special; returns how many bytes that are. A word more than `count` may be
/// written.
@inline(__always)
private func copyPlain(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int) -> Int {
    var done = 0
    while done &+ 8 <= count {
        let word = unsafe UInt64(littleEndian: (source + done).loadUnaligned(as: UInt64.self))
        unsafe (target + done).storeBytes(of: word.littleEndian, as: UInt64.self)
        let marks = marksOfSpecial(word)
        if marks != 0 { return done &+ marks.trailingZeroBitCount &>> 3 }
        done &+= 8
    }
    let rest = count &- done
    if rest == 0 { return count }
    let word = unsafe loadShort(source + done, count: rest) | 0x2020_2020_2020_2020 &<< UInt64(rest &* 8)
    unsafe (target + done).storeBytes(of: word.littleEndian, as: UInt64.self)
    let marks = marksOfSpecial(word)
    return marks == 0 ? count : done &+ marks.trailingZeroBitCount &>> 3
}

/// A mark in the high bit of each byte that is a control character, a quote, a backslash or no ASCII. Marks above the
/// lowest one may be false.
@inline(__always)
func marksOfSpecial(_ word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quote = word ^ (ones &* 0x22)
    let backslash = word ^ (ones &* 0x5C)
    let controls = word &- (ones &* 0x20)
    let quotes = (quote &- ones) & ~quote
    let backslashes = (backslash &- ones) & ~backslash
    return (controls | quotes | backslashes | word) & (ones &* 0x80)
}
