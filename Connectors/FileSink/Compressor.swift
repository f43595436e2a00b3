import ByteKit
import CZlib
import CZstd
import Glibc

/// Writes gzip members or zstd frames, one after the other.
///
/// After ``flush(to:)`` everything that was given is in the output, and with ``ending`` behind it the output is whole:
/// any reader takes it. Whoever goes on instead leaves the ending out, and keeps the memory of what repeats.
@safe final class Compressor {
    let compression: Compression
    /// True when the output lacks something that was given.
    private(set) var hasUnflushed = false
    /// True when there was no memory to go on, so that the output is not what was given.
    private(set) var hasFailed = false
    /// True between the first byte of a member or frame and its end.
    private(set) var isInside = false
    private let deflater: UnsafeMutablePointer<z_stream>?
    private let zstd: OpaquePointer?
    /// gzip: the checksum and the count, modulo 2^32, of what was given.
    private var checksum: UInt32 = 0
    private var givenCount: UInt32 = 0

    /// So much output is made room for at a time.
    private static let room = 64 << 10

    /// Nil when there is no memory for it.
    init?(_ compression: Compression) {
        self.compression = compression
        switch compression {
        case .none: return nil
        case .gzip:
            unsafe zstd = nil
            let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
            unsafe stream.initialize(to: z_stream())
            // Raw deflate: member headers and trailers are written here.
            let result = unsafe deflateInit2_(
                stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
                Int32(MemoryLayout<z_stream>.size))
            unsafe deflater = stream
            guard result == Z_OK else { return nil }
        case .zstd:
            unsafe deflater = nil
            guard let context = unsafe ZSTD_createCCtx() else { return nil }
            unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 3)
            // 512 KiB: many files are open at a time.
            unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 19)
            unsafe zstd = context
        }
    }

    deinit {
        if let deflater = unsafe deflater {
            unsafe deflateEnd(deflater)
            unsafe deflater.deallocate()
        }
        if let zstd = unsafe zstd { unsafe ZSTD_freeCCtx(zstd) }
    }

    /// What makes the member or frame whole, after a flush; empty outside of one.
    ///
    /// gzip: an empty last block, checksum and count (RFC 1952). zstd: an empty last block (RFC 8878, 3.1.1.2).
    var ending: [UInt8] {
        guard isInside else { return [] }
        guard compression == .gzip else { return [1, 0, 0] }
        return [3, 0] + Self.littleEndian(checksum) + Self.littleEndian(givenCount)
    }

    /// Forgets everything: the next bytes begin a new member or frame.
    func reset() {
        if let deflater = unsafe deflater { unsafe deflateReset(deflater) }
        if let zstd = unsafe zstd { unsafe ZSTD_CCtx_reset(zstd, ZSTD_reset_session_only) }
        (hasUnflushed, isInside, hasFailed) = (false, false, false)
        (checksum, givenCount) = (0, 0)
    }

    /// Compresses bytes; some of the output may come later.
    func append(_ bytes: UnsafeRawBufferPointer, to output: inout OutputBuffer) {
        guard bytes.count > 0 else { return }
        if !isInside {
            isInside = true
            // No name and no time: the same events give the same bytes.
            if compression == .gzip { output.append([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]) }
        }
        hasUnflushed = true
        if unsafe deflater != nil {
            checksum = unsafe Checksum.crc32(bytes, after: checksum)
            givenCount &+= UInt32(truncatingIfNeeded: bytes.count)
            unsafe deflate(bytes, Z_NO_FLUSH, to: &output)
        } else {
            unsafe compress(bytes, ZSTD_e_continue, to: &output)
        }
    }

    /// Puts out everything that was given, up to a whole byte.
    func flush(to output: inout OutputBuffer) {
        guard hasUnflushed else { return }
        let nothing = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        if unsafe deflater != nil {
            unsafe deflate(nothing, Z_SYNC_FLUSH, to: &output)
        } else {
            unsafe compress(nothing, ZSTD_e_flush, to: &output)
        }
        hasUnflushed = false
    }

    private func deflate(_ bytes: UnsafeRawBufferPointer, _ mode: Int32, to output: inout OutputBuffer) {
        guard let stream = unsafe deflater else { return }
        var rest = unsafe bytes
        repeat {
            // The count of zlib has 32 bits.
            let part = unsafe UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part.count))
            unsafe stream.pointee.next_in = UnsafeMutablePointer(
                mutating: part.baseAddress?.assumingMemoryBound(to: UInt8.self))
            unsafe stream.pointee.avail_in = UInt32(part.count)
            repeat {
                _ = unsafe output.appendUninitialized(room: Self.room) { room in
                    unsafe stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    unsafe stream.pointee.avail_out = UInt32(room.count)
                    _ = unsafe CZlib.deflate(stream, mode)
                    return unsafe room.count - Int(stream.pointee.avail_out)
                }
            } while unsafe stream.pointee.avail_out == 0
        } while rest.count > 0
    }

    private func compress(
        _ bytes: UnsafeRawBufferPointer, _ mode: ZSTD_EndDirective, to output: inout OutputBuffer
    ) {
        guard let context = unsafe zstd else { return }
        var input = unsafe ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
        var isDone = false
        while !isDone {
            _ = unsafe output.appendUninitialized(room: Self.room) { room in
                var piece = unsafe ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
                let left = unsafe ZSTD_compressStream2(context, &piece, &input, mode)
                // The only error is that there is no memory for the context, which is made at the first call.
                hasFailed = ZSTD_isError(left) != 0
                isDone = hasFailed || (mode == ZSTD_e_continue ? unsafe input.pos == input.size : left == 0)
                return unsafe piece.pos
            }
        }
    }

    private static func littleEndian(_ value: UInt32) -> [UInt8] {
        [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}

/// CRC-32 as gzip, zip and PNG have it.
enum Checksum {
    /// The checksum of what had `checksum` with `bytes` behind it.
    static func crc32(_ bytes: UnsafeRawBufferPointer, after checksum: UInt32) -> UInt32 {
        let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        guard let start = unsafe start else { return checksum }
        return UInt32(truncatingIfNeeded: unsafe crc32_z(UInt(checksum), start, z_size_t(bytes.count)))
    }

    /// The same for a list.
    static func crc32(_ bytes: [UInt8], after checksum: UInt32 = 0) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe crc32($0, after: checksum) }
    }

    /// Eight hexadecimal digits.
    static func text(_ checksum: UInt32) -> String {
        let digits = String(checksum, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
