internal import ByteKit

extension OutputBuffer {
    /// Appends what PostgreSQL wrote for a point in time in the form of RFC 3339: `2026-11-21 10:00:00.5+00` as
    /// `2026-11-21T10:00:00.5Z`, without the `Z` for a type without a time zone, and `10:00:00+02` as `10:00:00+02:00`.
    ///
    /// False, and nothing appended, for other text and for what RFC 3339 cannot say: infinity, years before 1 and
    /// after 9999.
    mutating func append(rfc3339 text: RawSpan, as form: TextForm) -> Bool {
        if form == .timeTZ { return append(zonedTime: text) }
        let length = localTimeLength(text)
        guard length > 0 else { return false }
        if form == .timestampTZ {
            guard text.byteCount == length &+ 3, text.extracting(length..<text.byteCount).begins(with: "+00") else {
                return false
            }
        } else if text.byteCount != length {
            return false
        }
        append(text.extracting(0..<10))
        append(UInt8(ascii: "T"))
        append(text.extracting(11..<length))
        if form == .timestampTZ { append(UInt8(ascii: "Z")) }
        return true
    }

    /// An offset of whole hours has no minutes in PostgreSQL's text.
    private mutating func append(zonedTime text: RawSpan) -> Bool {
        let sign = text.byte(text.byteCount &- 3)
        guard text.byteCount >= 11, text.byte(2) == UInt8(ascii: ":"),
            sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"), isDigit(text.byte(text.byteCount &- 2)),
            isDigit(text.byte(text.byteCount &- 1))
        else { return false }
        append(text)
        append(":00")
        return true
    }
}

/// The length of `YYYY-MM-DD hh:mm:ss` with up to six decimals at the front of a text; 0 without it.
private func localTimeLength(_ text: RawSpan) -> Int {
    // `0000-00-`, `00 00:00` and, once more from the hour on, `00:00:00`: each 0 stands for a digit.
    guard text.byteCount >= 19, fits(text.word(0), 0x2D30_302D_3030_3030, 0x7F76_767F_7676_7676),
        fits(text.word(8), 0x3030_3A30_3020_3030, 0x7676_7F76_767F_7676),
        fits(text.word(11), 0x3030_3A30_303A_3030, 0x7676_7F76_767F_7676)
    else { return 0 }
    guard text.byte(19) == UInt8(ascii: ".") else { return 19 }
    var end = 20
    while isDigit(text.byte(end)) { end &+= 1 }
    return end > 20 && end <= 26 ? end : 0
}

/// True when each byte is as many steps from that of `pattern` as it may be: none for a mark (7F in `rests`: what is
/// left to the high bit), up to nine for a digit (76).
@inline(__always)
private func fits(_ word: UInt64, _ pattern: UInt64, _ rests: UInt64) -> Bool {
    let steps = word ^ pattern
    return ((steps & 0x7F7F_7F7F_7F7F_7F7F) &+ rests | steps) & 0x8080_8080_8080_8080 == 0
}

private func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }
