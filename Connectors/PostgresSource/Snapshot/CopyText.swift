internal import ByteKit
internal import ChangeModel

/// Rows of `COPY … TO STDOUT` as tuples: what COPY escapes is written plain again, so that a value has the bytes that
/// the stream would send.
///
/// See "File Formats, Text Format" of COPY in the PostgreSQL manual.
enum CopyText {
    /// Appends one row, given with or without its newline. False, with nothing appended, when it has another number of
    /// columns. `checksText`: values may be no UTF-8, and are marked then.
    static func append(_ row: RawSpan, columnCount: Int, checksText: Bool, to out: inout OutputBuffer) -> Bool {
        let start = out.count
        var end = row.byteCount
        if end > 0, row.byte(end - 1) == UInt8(ascii: "\n") { end -= 1 }
        // Unescaping makes a value shorter, never longer.
        out.reserve(end + columnCount * 5 + 7)
        out.append(bigEndian: UInt16(clamping: columnCount))
        if columnCount == 0 { return end == 0 }
        var position = 0
        var column = 0
        while true {
            column += 1
            let (fieldEnd, isEscaped) = Self.fieldEnd(row, from: position, to: end)
            append(
                field: row.extracting(position..<fieldEnd), isEscaped: isEscaped, checksText: checksText, to: &out)
            if fieldEnd == end { break }
            position = fieldEnd + 1
        }
        if column == columnCount { return true }
        out.truncate(to: start)
        return false
    }

    /// Where the field ends, and whether there is a backslash in it; eight bytes a step.
    @inline(__always)
    private static func fieldEnd(_ row: RawSpan, from start: Int, to end: Int) -> (end: Int, isEscaped: Bool) {
        var position = start
        var isEscaped = false
        while position < end {
            if position &+ 8 <= end {
                let word = row.word(position)
                let marks = zeroBytes(word ^ 0x0909_0909_0909_0909) | zeroBytes(word ^ 0x5C5C_5C5C_5C5C_5C5C)
                if marks == 0 {
                    position &+= 8
                    continue
                }
                position &+= marks.trailingZeroBitCount &>> 3
            }
            let byte = unsafe row.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
            if byte == UInt8(ascii: "\t") { break }
            if byte == UInt8(ascii: "\\") { isEscaped = true }
            position &+= 1
        }
        return (position, isEscaped)
    }

    /// A mark in the high bit of each byte that is zero. Marks above the lowest one may be false.
    @inline(__always)
    private static func zeroBytes(_ word: UInt64) -> UInt64 {
        (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
    }

    @inline(__always)
    private static func append(field: RawSpan, isEscaped: Bool, checksText: Bool, to out: inout OutputBuffer) {
        if isEscaped, field.byteCount == 2, field.byte(1) == UInt8(ascii: "N") {
            out.append(ValueKind.null)
            return
        }
        let start = out.count
        out.append(ValueKind.text)
        if isEscaped {
            out.append(bigEndian: UInt32(0))
            unescape(field, to: &out)
            out.overwrite(bigEndian: UInt32(clamping: out.count - start - 5), at: start + 1)
        } else {
            out.append(bigEndian: UInt32(clamping: field.byteCount))
            out.append(field)
        }
        if checksText { markIfMalformed(from: start, in: &out) }
    }

    private static func unescape(_ field: RawSpan, to out: inout OutputBuffer) {
        var position = 0
        while position < field.byteCount {
            let byte = field.byte(position)
            position += 1
            guard byte == UInt8(ascii: "\\"), position < field.byteCount else {
                out.append(byte)
                continue
            }
            let escaped = field.byte(position)
            position += 1
            switch escaped {
            case UInt8(ascii: "b"): out.append(8)
            case UInt8(ascii: "t"): out.append(9)
            case UInt8(ascii: "n"): out.append(10)
            case UInt8(ascii: "v"): out.append(11)
            case UInt8(ascii: "f"): out.append(12)
            case UInt8(ascii: "r"): out.append(13)
            default: out.append(escaped)
            }
        }
    }

    /// Text that is no UTF-8 has a kind of its own.
    private static func markIfMalformed(from start: Int, in out: inout OutputBuffer) {
        guard !UTF8Check.isValid(out.bytes.extracting(start + 5..<out.count)) else { return }
        var copy = OutputBuffer(capacity: out.count - start)
        copy.append(ValueKind.malformedText)
        copy.append(out.bytes.extracting(start + 1..<out.count))
        out.truncate(to: start)
        out.append(contentsOf: copy)
    }
}
