extension OutputBuffer {
    /// Appends a decimal number.
    @inlinable
    public mutating func append(decimal value: some BinaryInteger) {
        if value < 0 { append(45) }
        if let small = UInt64(exactly: value.magnitude) {
            append(digitsOf: small)
        } else {
            append(utf8: String(value.magnitude))
        }
    }

    @usableFromInline
    mutating func append(digitsOf value: UInt64) {
        if value < 10 {
            append(48 &+ UInt8(truncatingIfNeeded: value))
            return
        }
        var rest = value
        var digits: InlineArray<20, UInt8> = .init(repeating: 0)
        var start = 20
        while rest != 0 {
            let tens = rest / 10
            start &-= 1
            digits[start] = 48 &+ UInt8(truncatingIfNeeded: rest &- tens &* 10)
            rest = tens
        }
        unsafe append(digits.span.bytes.extracting(start..<20))
    }

    /// Appends a number as hexadecimal digits, upper-case, padded with zeros to `width` (1 to 16); higher digits are
    /// cut off.
    @inlinable
    public mutating func append(hex value: UInt64, width: Int) {
        let width = min(max(width, 1), 16)
        let digits = SIMD2(
            hexDigits(of: UInt32(truncatingIfNeeded: value >> 32)), hexDigits(of: UInt32(truncatingIfNeeded: value)))
        if width == 16 {
            store(digits)
        } else if width == 8 {
            store(digits[1])
        } else {
            append(hexTail: digits, width: width)
        }
    }

    @usableFromInline
    mutating func append(hexTail digits: SIMD2<UInt64>, width: Int) {
        for place in (16 - width)..<16 {
            append(UInt8(truncatingIfNeeded: digits[place / 8] >> UInt64(place % 8 * 8)))
        }
    }

    /// Appends bytes as base64 (RFC 4648, section 4) with padding.
    public mutating func append(base64 span: RawSpan) {
        reserve((span.byteCount + 2) / 3 * 4)
        var place = 0
        while place &+ 8 <= span.byteCount {
            let word = unsafe span.unsafeLoadUnaligned(fromUncheckedByteOffset: place, as: UInt64.self)
            store(base64Digits(of: UInt64(bigEndian: word) &>> 16).bigEndian)
            place &+= 6
        }
        var reader = ByteReader(span.extracting(place..<span.byteCount))
        while reader.remaining >= 3 {
            guard let a = reader.byte(), let b = reader.byte(), let c = reader.byte() else { return }
            append(base64Group: UInt32(a) << 16 | UInt32(b) << 8 | UInt32(c))
        }
        guard let a = reader.byte() else { return }
        let b = reader.byte()
        append(base64Group: UInt32(a) << 16 | UInt32(b ?? 0) << 8)
        truncate(to: count - (b == nil ? 2 : 1))
        append(b == nil ? "==" : "=")
    }

    /// Appends the bytes that hexadecimal text of either case stands for, as base64. False, and nothing appended, when
    /// the text has an odd length or holds anything but digits.
    public mutating func append(base64OfHex text: RawSpan) -> Bool {
        guard text.byteCount % 2 == 0 else { return false }
        let start = written
        reserve((text.byteCount / 2 + 2) / 3 * 4)
        var reader = ByteReader(text)
        while reader.remaining >= 2 {
            var group: UInt32 = 0
            var length = 0
            while length < 3, let high = reader.byte(), let low = reader.byte() {
                let (upper, lower) = (hexValue(high), hexValue(low))
                guard upper | lower < 16 else {
                    written = start
                    return false
                }
                group |= UInt32(upper << 4 | lower) << UInt32(16 - 8 * length)
                length += 1
            }
            append(base64Group: group)
            if length < 3 {
                truncate(to: count - (3 - length))
                append(length == 1 ? "==" : "=")
            }
        }
        return true
    }

    /// Appends the bytes that hexadecimal text of either case stands for. False, and nothing appended, when the text
    /// has an odd length or holds anything but digits.
    public mutating func append(bytesOfHex text: RawSpan) -> Bool {
        guard text.byteCount % 2 == 0 else { return false }
        let start = written
        reserve(text.byteCount / 2)
        var reader = ByteReader(text)
        while let high = reader.byte(), let low = reader.byte() {
            let (upper, lower) = (hexValue(high), hexValue(low))
            guard upper | lower < 16 else {
                written = start
                return false
            }
            append(upper << 4 | lower)
        }
        return true
    }

    @inline(__always)
    private mutating func append(base64Group group: UInt32) {
        store(UInt32(truncatingIfNeeded: base64Digits(of: UInt64(group))).bigEndian)
    }
}

/// The eight hexadecimal digits of `value` as the bytes of a word in memory order: nibbles are spread to bytes, and
/// bytes above nine get the distance from `:` to `A`.
@inlinable @inline(__always)
func hexDigits(of value: UInt32) -> UInt64 {
    var word = UInt64(value)
    word = (word &<< 16 | word) & 0x0000_FFFF_0000_FFFF
    word = (word &<< 8 | word) & 0x00FF_00FF_00FF_00FF
    word = (word &<< 4 | word) & 0x0F0F_0F0F_0F0F_0F0F
    let aboveNine = ((word &+ 0x0606_0606_0606_0606) &>> 4) & 0x0101_0101_0101_0101
    return (word &+ 0x3030_3030_3030_3030 &+ aboveNine &* 7).bigEndian
}

@inline(__always)
func hexValue(_ digit: UInt8) -> UInt8 {
    switch digit {
    case 48...57: digit &- 48
    case 65...70: digit &- 55
    case 97...102: digit &- 87
    default: 0xFF
    }
}

/// The eight digits of base64 of the lower 48 bits, the first in the upper byte: groups of six bits are spread to
/// bytes, and each gets the distance to its digit, which changes at 26 (`a`), 52 (`0`), 62 (`+`) and 63 (`/`).
@inline(__always)
private func base64Digits(of bits: UInt64) -> UInt64 {
    var word = (bits &>> 24) &<< 32 | bits & 0xFF_FFFF
    word = (word & 0x00FF_F000_00FF_F000) &<< 4 | word & 0x0000_0FFF_0000_0FFF
    word = (word & 0x0FC0_0FC0_0FC0_0FC0) &<< 2 | word & 0x003F_003F_003F_003F
    let one: UInt64 = 0x0101_0101_0101_0101
    // The upper bit of a byte is set where its value is not less than the limit.
    let from26 = ((word &+ one &* (128 - 26)) &>> 7) & one
    let from52 = ((word &+ one &* (128 - 52)) &>> 7) & one
    let from62 = ((word &+ one &* (128 - 62)) &>> 7) & one
    let from63 = ((word &+ one &* (128 - 63)) &>> 7) & one
    return word &+ one &* 65 &+ from26 &* 6 &- from52 &* 75 &- from62 &* 15 &+ from63 &* 3
}
