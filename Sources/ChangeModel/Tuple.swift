public import ByteKit

/// The kind byte before each value of a tuple. `n`, `u`, `t` are pgoutput's; the others are for SQLite's own types.
///
/// A tuple is a 16-bit column count, then for each column its kind byte and, unless the kind is null or unchanged, a
/// 32-bit length and the bytes; numbers have their most significant byte first ("TupleData" in PostgreSQL's Logical
/// Replication Message Formats).
public enum ValueKind {
    /// NULL.
    @inlinable public static var null: UInt8 { UInt8(ascii: "n") }
    /// An unchanged TOASTed value, not sent.
    @inlinable public static var unchanged: UInt8 { UInt8(ascii: "u") }
    /// Text, which is valid UTF-8: whoever writes the tuple vouches for it.
    @inlinable public static var text: UInt8 { UInt8(ascii: "t") }
    /// Raw bytes (SQLite BLOB).
    @inlinable public static var binary: UInt8 { UInt8(ascii: "b") }
    /// Decimal text of a 64-bit integer (SQLite INTEGER).
    @inlinable public static var integer: UInt8 { UInt8(ascii: "i") }
    /// Decimal text of a double that reads back to the same double; `Infinity` and `-Infinity` too (SQLite REAL).
    @inlinable public static var real: UInt8 { UInt8(ascii: "r") }
    /// Text that is not valid UTF-8, as raw bytes.
    @inlinable public static var malformedText: UInt8 { UInt8(ascii: "x") }

    /// True for the kinds that are followed by a length and bytes.
    @inlinable
    public static func hasBytes(_ kind: UInt8) -> Bool {
        kind == text || kind == binary || kind == integer || kind == real || kind == malformedText
    }
}

/// One value of a tuple.
public struct TupleValue: ~Escapable {
    /// One of ``ValueKind``.
    public let kind: UInt8
    /// The value's bytes; empty for null and unchanged.
    public let bytes: RawSpan

    /// A value of its parts.
    @inlinable
    @_lifetime(copy bytes)
    public init(kind: UInt8, bytes: RawSpan) {
        self.kind = kind
        self.bytes = bytes
    }
}

/// Walks over the values of a tuple, front to back, every read checked.
public struct TupleReader: ~Escapable {
    @usableFromInline var reader: ByteReader
    /// How many columns the tuple says it has.
    public let columnCount: Int

    /// A reader before the first value; nil when not even the column count is there.
    @inlinable
    @_lifetime(copy tuple)
    public init?(_ tuple: RawSpan) {
        var reader = ByteReader(tuple)
        guard let count = reader.bigEndian(UInt16.self) else { return nil }
        self.reader = reader
        columnCount = Int(count)
    }

    /// The next value; nil when the bytes end too early or the kind is unknown.
    @inlinable
    @_lifetime(self: copy self)
    @_lifetime(copy self)
    public mutating func next() -> TupleValue? {
        guard let kind = reader.byte() else { return nil }
        if kind == ValueKind.null || kind == ValueKind.unchanged { return TupleValue(kind: kind, bytes: RawSpan()) }
        guard ValueKind.hasBytes(kind), let length = reader.bigEndian(Int32.self), let bytes = reader.take(Int(length))
        else { return nil }
        return TupleValue(kind: kind, bytes: bytes)
    }

    /// How many bytes were read, the column count included.
    @inlinable public var offset: Int { reader.offset }

    /// The length of the whole tuple at the front of `span`, when all of it is there and well formed; nil otherwise.
    public static func length(ofTupleIn span: RawSpan) -> Int? {
        guard var tuple = TupleReader(span) else { return nil }
        for _ in 0..<tuple.columnCount {
            guard tuple.next() != nil else { return nil }
        }
        return tuple.offset
    }
}
