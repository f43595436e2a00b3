/// Reads numbers and runs of bytes from the front of a span; every read is checked.
///
/// A read past the end returns nil and moves nothing: the caller turns nil into its own typed error.
public struct ByteReader: ~Escapable {
    @usableFromInline let span: RawSpan
    @usableFromInline var position: Int
    /// How many bytes were read.
    @inlinable public var offset: Int { position }

    /// A reader at the start of `span`.
    @inlinable
    @_lifetime(copy span)
    public init(_ span: RawSpan) {
        self.span = span
        position = 0
    }

    /// How many bytes are left.
    @inlinable
    public var remaining: Int { span.byteCount &- position }

    /// One byte.
    @inlinable
    @_lifetime(self: copy self)
    public mutating func byte() -> UInt8? {
        guard remaining >= 1 else { return nil }
        let value = unsafe span.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
        position &+= 1
        return value
    }

    /// An integer, most significant byte first.
    @inlinable
    @_lifetime(self: copy self)
    public mutating func bigEndian<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) -> T? {
        guard remaining >= MemoryLayout<T>.size else { return nil }
        let value = unsafe span.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: T.self)
        position &+= MemoryLayout<T>.size
        return T(bigEndian: value)
    }

    /// The next `count` bytes.
    @inlinable
    @_lifetime(self: copy self)
    @_lifetime(copy self)
    public mutating func take(_ count: Int) -> RawSpan? {
        guard count >= 0, remaining >= count else { return nil }
        let part = span.extracting(position..<(position &+ count))
        position &+= count
        return part
    }

    /// Moves past `count` bytes; false (and no move) when there are fewer.
    @inlinable
    @_lifetime(self: copy self)
    public mutating func skip(_ count: Int) -> Bool {
        guard count >= 0, remaining >= count else { return false }
        position &+= count
        return true
    }

    /// Text up to the next zero byte, which is consumed too. Nil without such a byte or when it is not UTF-8.
    @_lifetime(self: copy self)
    public mutating func cString() -> String? {
        var end = position
        while end < span.byteCount, unsafe span.unsafeLoad(fromUncheckedByteOffset: end, as: UInt8.self) != 0 {
            end &+= 1
        }
        guard end < span.byteCount else { return nil }
        let text = String(validatingUTF8: span.extracting(position..<end))
        guard let text else { return nil }
        position = end &+ 1
        return text
    }
}

extension String {
    /// The text of a span, or nil when it is not UTF-8.
    public init?(validatingUTF8 span: RawSpan) {
        guard let text = unsafe span.withUnsafeBytes({ unsafe String(validating: $0, as: UTF8.self) }) else {
            return nil
        }
        self = text
    }
}

extension [UInt8] {
    /// The bytes of this list, readable while it lives.
    @inlinable
    public var rawBytes: RawSpan {
        @_lifetime(borrow self)
        get { unsafe span.bytes }
    }
}

extension RawSpan {
    /// The byte at `offset`, 0 outside of the span.
    @inlinable
    public func byte(_ offset: Int) -> UInt8 {
        offset >= 0 && offset < byteCount ? unsafe unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self) : 0
    }

    /// The eight bytes at `offset`, the first one lowest; 0 when they are not all in the span.
    @inlinable @inline(__always)
    public func word(_ offset: Int) -> UInt64 {
        guard offset >= 0, offset <= byteCount &- 8 else { return 0 }
        return UInt64(littleEndian: unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
    }

    /// True when both spans hold the same bytes.
    @inlinable
    public func hasSameBytes(as other: RawSpan) -> Bool {
        guard byteCount == other.byteCount else { return false }
        var position = 0
        while position &+ 8 <= byteCount {
            let (mine, theirs) = unsafe (
                unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self),
                other.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self)
            )
            if mine != theirs { return false }
            position &+= 8
        }
        while position < byteCount {
            let (mine, theirs) = unsafe (
                unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self),
                other.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
            )
            if mine != theirs { return false }
            position &+= 1
        }
        return true
    }
}
