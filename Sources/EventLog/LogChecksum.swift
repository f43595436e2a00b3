/// A 64-bit checksum of a batch's bytes, against rot on the disk; no protection against people.
///
/// Four lanes of 64-bit words, multiplied and folded, so that it runs at memory speed. Part of the log's format:
/// changing it needs a new ``LogFormat/version``.
enum LogChecksum {
    static func of(_ bytes: UnsafeRawBufferPointer) -> Int64 {
        var lanes = (seed, seed &+ 1, seed &+ 2, seed &+ 3)
        var offset = 0
        while offset &+ 32 <= bytes.count {
            lanes.0 = mix(lanes.0, bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            lanes.1 = mix(lanes.1, bytes.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self))
            lanes.2 = mix(lanes.2, bytes.loadUnaligned(fromByteOffset: offset &+ 16, as: UInt64.self))
            lanes.3 = mix(lanes.3, bytes.loadUnaligned(fromByteOffset: offset &+ 24, as: UInt64.self))
            offset &+= 32
        }
        var sum = mix(mix(mix(mix(UInt64(bytes.count), lanes.0), lanes.1), lanes.2), lanes.3)
        while offset < bytes.count {
            sum = mix(sum, UInt64(bytes[offset]))
            offset &+= 1
        }
        return Int64(bitPattern: sum)
    }

    private static let seed: UInt64 = 0x6D69_6C6C_7261_6365

    /// One odd multiplication after an exclusive or: each input bit moves about half of the output bits.
    @inline(__always)
    private static func mix(_ sum: UInt64, _ word: UInt64) -> UInt64 {
        let product = (sum ^ word) &* 0x9E37_79B9_7F4A_7C15
        return product ^ (product >> 29)
    }
}
