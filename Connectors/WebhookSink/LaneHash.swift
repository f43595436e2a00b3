internal import ByteKit

/// Spreads keys over lanes: FNV-1a of 64 bits, with its upper half mixed into the lower, which the lane is made of.
enum LaneHash {
    static func of(_ key: RawSpan) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for place in 0..<key.byteCount { hash = (hash ^ UInt64(key.byte(place))) &* 0x100_0000_01B3 }
        return hash ^ hash >> 32
    }

    /// For records without a key, by the number of their topic.
    static func of(_ topic: Int) -> UInt64 { UInt64(truncatingIfNeeded: topic) &* 0x9E37_79B9_7F4A_7C15 >> 32 }
}
