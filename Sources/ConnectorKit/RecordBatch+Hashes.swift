internal import ByteKit
package import ChangeModel

/// What tells tables and keys apart wherever the order of keys is kept: hashes of 64 bits, the same in every process.
extension RecordBatch {
    /// The hash of a record's table.
    package func tableHash(of record: Record) -> UInt64 {
        let topic = topics[Int(record.topic)]
        var hash = FNVHash()
        for byte in topic.schema.utf8 { hash.add(byte) }
        hash.add(0)
        for byte in topic.table.utf8 { hash.add(byte) }
        return hash.value
    }

    /// The hash of a key that stands at a place in the batch, for a table with a hash.
    package func keyHash(_ key: ByteRange, table: UInt64) -> UInt64 {
        var hash = FNVHash(table)
        let bytes = bytes(key)
        for place in 0..<bytes.byteCount { hash.add(bytes.byte(place)) }
        return hash.value
    }
}

/// The hash FNV-1a of 64 bits (Fowler, Noll and Vo): short keys, the same in every process.
private struct FNVHash {
    private(set) var value: UInt64

    init(_ start: UInt64 = 0xCBF2_9CE4_8422_2325) { value = start }

    mutating func add(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
}
