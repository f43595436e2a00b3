internal import ByteKit

/// Puts numbers, texts and lists of bytes one behind the other, for notes in checkpoints.
struct NoteWriter {
    /// What was written.
    private(set) var bytes: [UInt8] = []

    mutating func byte(_ value: UInt8) { bytes.append(value) }

    mutating func flag(_ value: Bool) { byte(value ? 1 : 0) }

    mutating func number32(_ value: UInt32) { append(value) }

    mutating func number(_ value: UInt64) { append(value) }

    mutating func count(_ value: Int) { append(UInt32(clamping: value)) }

    mutating func list(_ value: [UInt8]) {
        count(value.count)
        bytes += value
    }

    mutating func text(_ value: String) { list(Array(value.utf8)) }

    /// A byte that says whether a list follows, and the list.
    mutating func list(_ value: [UInt8]?) {
        flag(value != nil)
        if let value { list(value) }
    }

    /// A number and a list: a part that a reader can recognize.
    mutating func section(_ number: UInt32, _ content: [UInt8]) {
        number32(number)
        list(content)
    }

    private mutating func append<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
        for shift in stride(from: T.bitWidth - 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> T(shift)))
        }
    }
}

/// Reads what ``NoteWriter`` wrote; nil where the bytes end too early or mean nothing.
struct NoteReader: ~Escapable {
    private var reader: ByteReader

    @_lifetime(copy bytes)
    init(_ bytes: RawSpan) { reader = ByteReader(bytes) }

    /// True when everything was read.
    var isAtEnd: Bool { reader.remaining == 0 }

    @_lifetime(self: copy self)
    mutating func byte() -> UInt8? { reader.byte() }

    @_lifetime(self: copy self)
    mutating func flag() -> Bool? {
        guard let byte = reader.byte(), byte <= 1 else { return nil }
        return byte == 1
    }

    @_lifetime(self: copy self)
    mutating func number32() -> UInt32? { reader.bigEndian(UInt32.self) }

    @_lifetime(self: copy self)
    mutating func number() -> UInt64? { reader.bigEndian(UInt64.self) }

    /// A count of things that take at least one byte each; nil for more than there can be.
    @_lifetime(self: copy self)
    mutating func count() -> Int? {
        guard let value = reader.bigEndian(UInt32.self), Int(value) <= reader.remaining else { return nil }
        return Int(value)
    }

    @_lifetime(self: copy self)
    mutating func list() -> [UInt8]? {
        guard let count = count(), let bytes = reader.take(count) else { return nil }
        return (0..<count).map { bytes.byte($0) }
    }

    @_lifetime(self: copy self)
    mutating func text() -> String? {
        guard let count = count(), let bytes = reader.take(count) else { return nil }
        return String(validatingUTF8: bytes)
    }

    /// A list that may be missing: the outer nil is for damage, the inner for none.
    @_lifetime(self: copy self)
    mutating func optionalList() -> [UInt8]?? {
        guard let isThere = flag() else { return .none }
        guard isThere else { return .some(nil) }
        guard let list = list() else { return .none }
        return .some(list)
    }
}
