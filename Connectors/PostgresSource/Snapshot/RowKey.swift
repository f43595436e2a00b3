internal import ByteKit
internal import ChangeModel

/// The key of a row as bytes: for each column of the key its length and its text, in the order of the table. Equal
/// bytes are equal keys and nothing else is.
enum RowKey {
    /// Appends the key of `tuple`. A value that was not sent because it did not change is taken from `previous`. False,
    /// with nothing appended, when a value is missing.
    static func append(
        of tuple: RawSpan, else previous: RawSpan, columns: [Int], to out: inout OutputBuffer
    ) -> Bool {
        let start = out.count
        guard var reader = TupleReader(tuple) else { return false }
        var next = 0
        var column = 0
        while next < columns.count {
            guard column < reader.columnCount, let value = reader.next() else {
                out.truncate(to: start)
                return false
            }
            defer { column += 1 }
            guard column == columns[next] else { continue }
            next += 1
            if ValueKind.hasBytes(value.kind) {
                append(value.bytes, to: &out)
            } else if value.kind == ValueKind.unchanged, let old = Self.value(column, of: previous) {
                append(old, to: &out)
            } else {
                out.truncate(to: start)
                return false
            }
        }
        return true
    }

    private static func append(_ value: RawSpan, to out: inout OutputBuffer) {
        out.append(bigEndian: UInt32(clamping: value.byteCount))
        out.append(value)
    }

    @_lifetime(copy tuple)
    private static func value(_ index: Int, of tuple: RawSpan) -> RawSpan? {
        guard var reader = TupleReader(tuple) else { return nil }
        for column in 0..<reader.columnCount {
            guard let value = reader.next() else { return nil }
            if column == index { return ValueKind.hasBytes(value.kind) ? value.bytes : nil }
        }
        return nil
    }

    /// The texts of a key; nil when the bytes are no key of so many columns.
    static func values(_ key: [UInt8], columnCount: Int) -> [[UInt8]]? {
        var reader = NoteReader(key.rawBytes)
        var values: [[UInt8]] = []
        for _ in 0..<columnCount {
            guard let value = reader.list() else { return nil }
            values.append(value)
        }
        return reader.isAtEnd ? values : nil
    }

    /// True when a value of the tuple was not sent because it did not change.
    static func hasUnchanged(_ tuple: RawSpan) -> Bool {
        guard var reader = TupleReader(tuple) else { return false }
        for _ in 0..<reader.columnCount {
            guard let value = reader.next() else { return false }
            if value.kind == ValueKind.unchanged { return true }
        }
        return false
    }

    /// Appends `tuple` with the values that it lacks taken from `base`.
    static func append(_ tuple: RawSpan, filledFrom base: RawSpan, to out: inout OutputBuffer) {
        guard var new = TupleReader(tuple), var old = TupleReader(base) else { return }
        out.append(bigEndian: UInt16(clamping: new.columnCount))
        for _ in 0..<new.columnCount {
            guard let value = new.next() else { return }
            let before = old.next()
            if value.kind == ValueKind.unchanged, let before {
                append(before, to: &out)
            } else {
                append(value, to: &out)
            }
        }
    }

    private static func append(_ value: borrowing TupleValue, to out: inout OutputBuffer) {
        out.append(value.kind)
        guard ValueKind.hasBytes(value.kind) else { return }
        out.append(bigEndian: Int32(clamping: value.bytes.byteCount))
        out.append(value.bytes)
    }
}

extension [UInt8] {
    /// A copy of bytes.
    init(copying span: RawSpan) {
        self = []
        reserveCapacity(span.byteCount)
        for place in 0..<span.byteCount { append(span.byte(place)) }
    }
}
