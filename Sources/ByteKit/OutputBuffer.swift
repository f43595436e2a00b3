public import Glibc

/// A byte buffer that only grows at its end; the one owner of its memory.
///
/// Appending never traps and never fails: capacity doubles when needed. `reserve` once per row, then the appends that
/// follow touch no allocator. The memory can be handed over to a ``FrozenBytes`` without a copy.
@safe public struct OutputBuffer: ~Copyable, @unchecked Sendable {
    @usableFromInline var base: UnsafeMutableRawPointer
    /// How many bytes were written.
    @inlinable public var count: Int { written }
    @usableFromInline var written = 0
    /// How many bytes fit before the memory must grow.
    @usableFromInline var capacity: Int

    /// An empty buffer with room for `capacity` bytes (at least 16).
    public init(capacity: Int = 4096) {
        self.capacity = max(capacity, 16)
        unsafe base = Self.allocate(self.capacity)
    }

    deinit { unsafe free(base) }

    /// Makes sure that `extra` more bytes fit.
    @inlinable
    public mutating func reserve(_ extra: Int) {
        if capacity &- written < extra { grow(extra) }
    }

    /// Forgets the content and keeps the memory.
    @inlinable
    public mutating func removeAll() { written = 0 }

    /// Cuts the content down to its first `count` bytes; a larger count changes nothing.
    @inlinable
    public mutating func truncate(to count: Int) { written = max(0, min(count, written)) }

    /// Appends one byte.
    @inlinable
    public mutating func append(_ byte: UInt8) {
        reserve(1)
        unsafe base.storeBytes(of: byte, toByteOffset: written, as: UInt8.self)
        written &+= 1
    }

    /// Appends a run of bytes. Short runs are copied in place: most runs of a row are, and a call costs more than they
    /// do.
    @inlinable
    public mutating func append(_ span: RawSpan) {
        let extra = span.byteCount
        guard extra > 0 else { return }
        reserve(extra)
        unsafe span.withUnsafeBytes { source in
            if let start = source.baseAddress { unsafe copyBytes(from: start, to: base + written, count: extra) }
        }
        written &+= extra
    }

    /// Appends the content of another buffer.
    @inlinable
    public mutating func append(contentsOf other: borrowing OutputBuffer) { append(other.bytes) }

    /// Appends bytes of this buffer once more. A range that reaches outside of the content appends nothing.
    @inlinable
    public mutating func append(copyOf range: Range<Int>) {
        guard range.lowerBound >= 0, range.upperBound <= written, !range.isEmpty else { return }
        reserve(range.count)
        unsafe copyBytes(from: base + range.lowerBound, to: base + written, count: range.count)
        written &+= range.count
    }

    /// Appends the bytes of a literal: a few moves of a fixed size.
    @inlinable @inline(__always)
    public mutating func append(_ literal: StaticString) {
        let extra = literal.utf8CodeUnitCount
        reserve(extra)
        unsafe memcpy(base + written, literal.utf8Start, extra)
        written &+= extra
    }

    /// Appends the UTF-8 form of a string. Not for the row path: strings belong to relations and errors.
    public mutating func append(utf8 text: String) {
        var text = text
        text.withUTF8 { bytes in
            let extra = bytes.count
            reserve(extra)
            if let start = bytes.baseAddress { unsafe memcpy(base + written, start, extra) }
            written &+= extra
        }
    }

    /// Appends a list of bytes.
    public mutating func append(_ list: [UInt8]) { append(list.rawBytes) }

    /// Appends plain values as they lie in memory.
    public mutating func append<T: BitwiseCopyable>(memoryOf values: Span<T>) { unsafe append(values.bytes) }

    /// Appends an integer, most significant byte first.
    @inlinable
    public mutating func append<T: FixedWidthInteger & BitwiseCopyable>(bigEndian value: T) {
        store(value.bigEndian)
    }

    /// Appends an integer, least significant byte first.
    @inlinable
    public mutating func append<T: FixedWidthInteger & BitwiseCopyable>(littleEndian value: T) {
        store(value.littleEndian)
    }

    /// Overwrites four bytes that were appended before, most significant byte first. Outside of the content: nothing.
    public mutating func overwrite(bigEndian value: UInt32, at offset: Int) {
        guard offset >= 0, offset <= written - 4 else { return }
        unsafe base.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    /// The content, readable until the next change.
    @inlinable
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeStart: base, byteCount: written)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// Hands the content over without a copy.
    public consuming func freeze() -> FrozenBytes {
        let (base, count) = unsafe release()
        return unsafe FrozenBytes(adopting: base, count: count)
    }

    /// Gives the memory away; the caller frees it with `free`.
    consuming func release() -> (UnsafeMutableRawPointer, Int) {
        let result = unsafe (base, written)
        discard self
        return unsafe result
    }

    /// Reads straight into the buffer: `body` gets room for `room` bytes and returns how many it wrote.
    ///
    /// A result below zero or above `room` counts as zero. For system calls such as recv(2).
    public mutating func appendUninitialized(room: Int, _ body: (UnsafeMutableRawBufferPointer) -> Int) -> Int {
        reserve(room)
        let got = unsafe body(UnsafeMutableRawBufferPointer(start: base + written, count: room))
        if got > 0 && got <= room { written &+= got }
        return got
    }

    /// Drops the first `length` bytes and moves the rest to the front.
    public mutating func removeFirst(_ length: Int) {
        guard length > 0 else { return }
        let rest = max(0, written - length)
        if rest > 0 { unsafe memmove(base, base + length, rest) }
        written = rest
    }

    @inlinable
    mutating func store<T: BitwiseCopyable>(_ value: T) {
        reserve(MemoryLayout<T>.size)
        unsafe base.storeBytes(of: value, toByteOffset: written, as: T.self)
        written &+= MemoryLayout<T>.size
    }

    @usableFromInline @inline(never)
    mutating func grow(_ extra: Int) {
        let wanted = max(capacity &* 2, written + extra)
        guard let bigger = unsafe realloc(base, wanted) else { fatalError("out of memory: \(wanted) bytes") }
        unsafe base = bigger
        capacity = wanted
    }

    /// Memory from malloc. Running out of it ends the process: there is nothing that could be continued.
    static func allocate(_ size: Int) -> UnsafeMutableRawPointer {
        guard let memory = unsafe malloc(size) else { fatalError("out of memory: \(size) bytes") }
        return unsafe memory
    }
}
