public import Glibc

/// Copies `count` bytes (at least 1) between places that do not overlap.
///
/// Up to 64 bytes by two or four overlapping moves of a fixed size, without a call and without a loop.
@unsafe @inlinable @inline(__always)
func copyBytes(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int) {
    if count >= 16 {
        if count > 64 {
            unsafe memcpy(target, source, count)
            return
        }
        unsafe move(source, target, 0, SIMD16<UInt8>.self)
        if count > 32 {
            unsafe move(source, target, 16, SIMD16<UInt8>.self)
            unsafe move(source, target, count &- 32, SIMD16<UInt8>.self)
        }
        unsafe move(source, target, count &- 16, SIMD16<UInt8>.self)
    } else if count >= 8 {
        unsafe move(source, target, 0, UInt64.self)
        unsafe move(source, target, count &- 8, UInt64.self)
    } else if count >= 4 {
        unsafe move(source, target, 0, UInt32.self)
        unsafe move(source, target, count &- 4, UInt32.self)
    } else {
        unsafe move(source, target, 0, UInt8.self)
        unsafe move(source, target, count &>> 1, UInt8.self)
        unsafe move(source, target, count &- 1, UInt8.self)
    }
}

@unsafe @inlinable @inline(__always)
func move<T: BitwiseCopyable>(
    _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, _ offset: Int, _ type: T.Type
) {
    unsafe target.storeBytes(
        of: source.loadUnaligned(fromByteOffset: offset, as: T.self), toByteOffset: offset, as: T.self)
}

/// The first `count` (1 to 7) bytes at `source` as the low bytes of a word; the other bytes are zero.
@unsafe @inlinable @inline(__always)
func loadShort(_ source: UnsafeRawPointer, count: Int) -> UInt64 {
    if count >= 4 {
        let low = unsafe UInt64(UInt32(littleEndian: source.loadUnaligned(as: UInt32.self)))
        let high = unsafe UInt64(
            UInt32(littleEndian: source.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)))
        return low | high &<< (UInt64(truncatingIfNeeded: count &- 4) &* 8)
    }
    let first = unsafe UInt64(source.load(as: UInt8.self))
    let middle = unsafe UInt64(source.load(fromByteOffset: count &>> 1, as: UInt8.self))
    let last = unsafe UInt64(source.load(fromByteOffset: count &- 1, as: UInt8.self))
    return first | middle &<< (UInt64(truncatingIfNeeded: count &>> 1) &* 8)
        | last &<< (UInt64(truncatingIfNeeded: count &- 1) &* 8)
}
