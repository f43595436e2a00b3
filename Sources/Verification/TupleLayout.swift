import ChangeModel

/// Where the values of a tuple lie; used again for the next tuple, so that a row allocates nothing.
struct TupleLayout {
    /// The kind byte of each value.
    private(set) var kinds: [UInt8] = []
    /// The whole of each value: kind, length and bytes.
    private(set) var ranges: [Range<Int>] = []

    /// Reads a tuple; false when it is not well formed.
    mutating func read(_ tuple: RawSpan) -> Bool {
        kinds.removeAll(keepingCapacity: true)
        ranges.removeAll(keepingCapacity: true)
        guard var reader = TupleReader(tuple) else { return false }
        var start = reader.offset
        for _ in 0..<reader.columnCount {
            guard let value = reader.next() else { return false }
            kinds.append(value.kind)
            ranges.append(start..<reader.offset)
            start = reader.offset
        }
        return true
    }

    /// How many values there are.
    var count: Int { kinds.count }

    /// True when the value is there: NULL or bytes, not merely "unchanged".
    func isKnown(_ index: Int) -> Bool { index < kinds.count && kinds[index] != ValueKind.unchanged }

    /// True when the value is NULL.
    func isNull(_ index: Int) -> Bool { index < kinds.count && kinds[index] == ValueKind.null }
}

/// Bytes of tuples in an array, for what is put together here.
enum TupleBytes {
    /// Appends a run of `source`.
    static func append(_ range: Range<Int>, of source: RawSpan, to target: inout [UInt8]) {
        source.extracting(range).withUnsafeBytes { target.append(contentsOf: $0) }
    }

    /// The head of a tuple of this many values.
    static func appendCount(_ count: Int, to target: inout [UInt8]) {
        target.append(UInt8(truncatingIfNeeded: count >> 8))
        target.append(UInt8(truncatingIfNeeded: count))
    }

    /// True when two values are the same bytes of the same kind.
    static func areEqual(_ a: RawSpan, _ left: Range<Int>, _ b: RawSpan, _ right: Range<Int>) -> Bool {
        guard left.count == right.count else { return false }
        return a.extracting(left).withUnsafeBytes { first in
            b.extracting(right).withUnsafeBytes { second in first.elementsEqual(second) }
        }
    }
}
