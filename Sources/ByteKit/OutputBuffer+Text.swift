extension OutputBuffer {
    /// Appends a decimal number.
    public mutating func append(decimal value: some BinaryInteger) {
        var rest = value.magnitude
        var digits: InlineArray<20, UInt8> = .init(repeating: 0)
        var length = 0
        repeat {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            digits[length] = 48 &+ UInt8(truncatingIfNeeded: digit)
            length &+= 1
            rest = quotient
        } while rest != 0 && length < 20
        reserve(21)
        if value < 0 { append(45) }
        while length > 0 {
            length &-= 1
            append(digits[length])
        }
    }

    /// Appends a number as hexadecimal digits, upper-case, padded with zeros to `width` (1 to 16).
    public mutating func append(hex value: UInt64, width: Int) {
        reserve(16)
        var shift = (min(max(width, 1), 16) &- 1) &* 4
        while shift >= 0 {
            append(hexDigit(UInt8(truncatingIfNeeded: value >> UInt64(shift)) & 15))
            shift &-= 4
        }
    }

    /// Appends bytes as base64 (RFC 4648, section 4) with padding.
    public mutating func append(base64 span: RawSpan) {
        reserve((span.byteCount + 2) / 3 * 4)
        var reader = ByteReader(span)
        while reader.remaining >= 3 {
            guard let a = reader.byte(), let b = reader.byte(), let c = reader.byte() else { return }
            appendBase64(a, b, c, digits: 4)
        }
        guard let a = reader.byte() else { return }
        if let b = reader.byte() { appendBase64(a, b, 0, digits: 3) } else { appendBase64(a, 0, 0, digits: 2) }
    }

    private mutating func appendBase64(_ a: UInt8, _ b: UInt8, _ c: UInt8, digits: Int) {
        let group = UInt32(a) << 16 | UInt32(b) << 8 | UInt32(c)
        for index in 0..<4 {
            append(index < digits ? base64Digit(UInt8(truncatingIfNeeded: group >> UInt32(18 - 6 * index)) & 63) : 61)
        }
    }

    /// Appends text inside a JSON string (RFC 8259, section 7): quotes, backslashes and control characters escaped.
    ///
    /// The bytes must be UTF-8; they are copied as they are. Quotes around them are the caller's. Eight bytes are
    /// looked at at a time, because nearly none need an escape.
    public mutating func append(jsonEscaping span: RawSpan) {
        let count = span.byteCount
        reserve(count &* 6)
        var position = 0
        var start = 0
        while position < count {
            if count &- position >= 8 {
                let word = unsafe span.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self)
                if !needsEscape(word) {
                    position &+= 8
                    continue
                }
            }
            let byte = unsafe span.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
            if byte >= 0x20 && byte != 0x22 && byte != 0x5C {
                position &+= 1
                continue
            }
            if start < position { append(span.extracting(start..<position)) }
            appendEscape(byte)
            position &+= 1
            start = position
        }
        if start < count { append(span.extracting(start..<count)) }
    }

    /// Appends a string as a JSON string with its quotes.
    public mutating func append(jsonString text: String) {
        append(34)
        let bytes = [UInt8](text.utf8)
        append(jsonEscaping: bytes.rawBytes)
        append(34)
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
            append(hexDigit(byte >> 4) | 0x20)
            append(hexDigit(byte & 15) | 0x20)
        }
    }
}

/// True when one of the eight bytes is a control character, a quote or a backslash; a rare false alarm only costs the slow path.
@inline(__always)
private func needsEscape(_ word: UInt64) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let highs: UInt64 = 0x8080_8080_8080_8080
    let quote = word ^ (ones &* 0x22)
    let backslash = word ^ (ones &* 0x5C)
    let control = (word &- (ones &* 0x20)) & ~word
    let quotes = (quote &- ones) & ~quote
    let backslashes = (backslash &- ones) & ~backslash
    return (control | quotes | backslashes) & highs != 0
}

@inline(__always)
private func hexDigit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 48 &+ nibble : 55 &+ nibble }

@inline(__always)
private func base64Digit(_ value: UInt8) -> UInt8 {
    switch value {
    case 0..<26: 65 &+ value
    case 26..<52: 71 &+ value
    case 52..<62: value &- 4
    case 62: 43
    default: 47
    }
}
