import Glibc

/// Bytes that nobody changes any more, with one owner of their memory and any number of readers.
@safe public final class FrozenBytes: @unchecked Sendable {
    @usableFromInline let base: UnsafeMutableRawPointer
    /// How many bytes there are.
    public let count: Int

    /// Takes over `count` bytes of memory that `UnsafeMutableRawPointer.allocate` or `malloc` gave.
    init(adopting base: UnsafeMutableRawPointer, count: Int) {
        unsafe self.base = base
        self.count = count
    }

    /// A copy of `bytes`.
    public convenience init(copying bytes: RawSpan) {
        var buffer = OutputBuffer(capacity: bytes.byteCount)
        buffer.append(bytes)
        let (base, count) = unsafe buffer.release()
        unsafe self.init(adopting: base, count: count)
    }

    deinit { unsafe free(base) }

    /// The bytes, readable while this object lives.
    @inlinable
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeStart: base, byteCount: count)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// A plain value that lies at `offset`. Outside of the bytes the program stops: check counts first.
    @inlinable
    public func load<T: BitwiseCopyable>(at offset: Int, as type: T.Type) -> T {
        precondition(offset >= 0 && offset <= count - MemoryLayout<T>.size, "load outside of the bytes")
        return unsafe (base + offset).loadUnaligned(as: T.self)
    }

    /// A run of the bytes whose life the caller ties to the owner of this object. Outside of the bytes the program
    /// stops.
    @unsafe @inlinable
    public func unsafeBytes(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "range outside of the bytes")
        return unsafe UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
    }
}
