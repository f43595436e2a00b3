internal import ByteKit
private import CSQLite
private import ChangeModel

extension SQLiteStatement {
    /// Appends the values of a run of columns in a tuple's form (``TupleReader``): each as SQLite stores it.
    func appendValues(of columns: Range<Int32>, to buffer: inout OutputBuffer) {
        for column in columns { appendValue(column, to: &buffer) }
    }

    private func appendValue(_ column: Int32, to buffer: inout OutputBuffer) {
        switch unsafe sqlite3_column_type(handle, column) {
        case SQLITE_INTEGER:
            let start = begin(ValueKind.integer, &buffer)
            buffer.append(decimal: int64(column))
            end(start, &buffer)
        case SQLITE_FLOAT:
            let start = begin(ValueKind.real, &buffer)
            buffer.append(real: double(column))
            end(start, &buffer)
        case SQLITE_TEXT:
            let span = unsafe RawSpan(_unsafeBytes: textBuffer(column))
            append(span, kind: UTF8Check.isValid(span) ? ValueKind.text : ValueKind.malformedText, to: &buffer)
        case SQLITE_BLOB:
            unsafe append(RawSpan(_unsafeBytes: blobBuffer(column)), kind: ValueKind.binary, to: &buffer)
        default:
            buffer.append(ValueKind.null)
        }
    }

    private func append(_ span: RawSpan, kind: UInt8, to buffer: inout OutputBuffer) {
        buffer.reserve(span.byteCount &+ 5)
        buffer.append(kind)
        buffer.append(bigEndian: UInt32(truncatingIfNeeded: span.byteCount))
        buffer.append(span)
    }

    /// Appends the kind and room for the length; returns where the length belongs.
    private func begin(_ kind: UInt8, _ buffer: inout OutputBuffer) -> Int {
        buffer.append(kind)
        buffer.append(bigEndian: UInt32(0))
        return buffer.count &- 4
    }

    private func end(_ lengthPlace: Int, _ buffer: inout OutputBuffer) {
        let length = buffer.count &- lengthPlace &- 4
        buffer.overwrite(bigEndian: UInt32(truncatingIfNeeded: length), at: lengthPlace)
    }
}

extension OutputBuffer {
    /// Appends the shortest decimal text that reads back to the same double: `1.5`, `1e+300`, `-0.0`, `Infinity`.
    ///
    /// Numbers with few decimals, as amounts and measurements are, are written without a String.
    mutating func append(real value: Double) {
        if value.isInfinite { return append(value < 0 ? "-Infinity" : "Infinity") }
        if appendShortDecimal(value) { return }
        append(utf8: value.description)
    }

    /// Writes a number that is a whole number of at most 2^53 divided by 10^0 … 10^6. Both are exact as doubles, so
    /// their quotient is the double nearest to the text that is written, and the first power that fits gives the fewest
    /// digits.
    private mutating func appendShortDecimal(_ value: Double) -> Bool {
        let magnitude = value.magnitude
        guard magnitude >= 0.0001 && magnitude < 9_007_199_254_740_992 else { return false }
        var power: Double = 1
        for decimals in 0...6 {
            let scaled = (magnitude * power).rounded()
            guard scaled < 9_007_199_254_740_992 else { return false }
            if scaled / power == magnitude {
                if value < 0 { append(UInt8(ascii: "-")) }
                appendDecimals(UInt64(scaled), decimals: decimals)
                return true
            }
            power *= 10
        }
        return false
    }

    private mutating func appendDecimals(_ scaled: UInt64, decimals: Int) {
        var divisor: UInt64 = 1
        for _ in 0..<decimals { divisor &*= 10 }
        append(decimal: scaled / divisor)
        append(UInt8(ascii: "."))
        if decimals == 0 { append(UInt8(ascii: "0")) }
        var rest = scaled % divisor
        while divisor > 1 {
            divisor /= 10
            append(48 &+ UInt8(truncatingIfNeeded: rest / divisor))
            rest %= divisor
        }
    }
}
