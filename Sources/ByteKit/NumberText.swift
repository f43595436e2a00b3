/// Whether text is a number that may stand in JSON as it is (RFC 8259, section 6).
public enum NumberText {
    /// True for a whole number without exponent, such as `-17`: no plus sign, no leading zeros.
    @inlinable
    public static func isInteger(_ text: RawSpan) -> Bool {
        let count = text.byteCount
        guard count > 0 else { return false }
        let first = unsafe text.unsafeLoad(fromUncheckedByteOffset: 0, as: UInt8.self)
        let start = first == 45 ? 1 : 0
        guard start < count else { return false }
        let lead = unsafe text.unsafeLoad(fromUncheckedByteOffset: start, as: UInt8.self)
        if lead == 48 { return count == start &+ 1 }
        return endOfDigits(text, from: start) == count
    }

    /// True for any number of JSON's grammar. `NaN` and `Infinity` are none.
    public static func isNumber(_ text: RawSpan) -> Bool {
        let count = text.byteCount
        var position = byte(text, 0) == 45 ? 1 : 0
        let whole = endOfDigits(text, from: position)
        guard whole > position, byte(text, position) != 48 || whole == position &+ 1 else { return false }
        position = whole
        if byte(text, position) == 46 {
            let end = endOfDigits(text, from: position &+ 1)
            guard end > position &+ 1 else { return false }
            position = end
        }
        if byte(text, position) | 0x20 == 101 {
            let sign = byte(text, position &+ 1)
            let start = sign == 43 || sign == 45 ? position &+ 2 : position &+ 1
            let end = endOfDigits(text, from: start)
            guard end > start else { return false }
            position = end
        }
        return position == count
    }

    /// The place of the first byte from `start` on that is no digit.
    @inlinable @inline(__always)
    static func endOfDigits(_ text: RawSpan, from start: Int) -> Int {
        var position = start
        while position < text.byteCount,
            unsafe text.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self) &- 48 < 10
        {
            position &+= 1
        }
        return position
    }

    /// The byte at `position`, 0 behind the end.
    @inline(__always)
    private static func byte(_ text: RawSpan, _ position: Int) -> UInt8 {
        position < text.byteCount ? unsafe text.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self) : 0
    }
}
