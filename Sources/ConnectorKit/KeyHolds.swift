internal import ByteKit
internal import ChangeModel

/// Keys of which a record waits, so that later records of the same key must wait behind it.
///
/// Keys of different tables are different keys. They are told apart by a hash of 64 bits: at worst, a record waits that
/// need not. A record without a key that comes while keys of its table wait is one that empties the table: it waits,
/// and then everything of the table.
public struct KeyHolds: Sendable {
    private var keys: Set<UInt64> = []
    /// Tables of which a key waits.
    private var tables: Set<UInt64> = []
    /// Tables of which everything waits.
    private var wholeTables: Set<UInt64> = []

    /// Nothing waits.
    public init() {}

    /// True when nothing waits.
    public var isEmpty: Bool { tables.isEmpty && wholeTables.isEmpty }

    /// True when a record must wait.
    public func holds(_ record: Record, of batch: RecordBatch) -> Bool {
        if isEmpty { return false }
        let table = Self.table(of: record, batch)
        if wholeTables.contains(table) { return true }
        guard tables.contains(table) else { return false }
        if record.key.isEmpty && record.previousKey.isEmpty { return true }
        return keys.contains(Self.hash(record.key, batch, table))
            || !record.previousKey.isEmpty && keys.contains(Self.hash(record.previousKey, batch, table))
    }

    /// Notes that a record waits. One without a key holds back nothing, unless keys of its table wait already or it
    /// empties its table: then everything of the table waits.
    public mutating func insert(_ record: Record, of batch: RecordBatch) {
        let table = Self.table(of: record, batch)
        if record.key.isEmpty && record.previousKey.isEmpty {
            if record.emptiesTable || tables.contains(table) { wholeTables.insert(table) }
            return
        }
        tables.insert(table)
        if !record.key.isEmpty { keys.insert(Self.hash(record.key, batch, table)) }
        if !record.previousKey.isEmpty { keys.insert(Self.hash(record.previousKey, batch, table)) }
    }

    /// Forgets everything.
    public mutating func removeAll() { (keys, tables, wholeTables) = ([], [], []) }

    private static func table(of record: Record, _ batch: RecordBatch) -> UInt64 {
        let topic = batch.topics[Int(record.topic)]
        var hash = FNVHash()
        for byte in topic.schema.utf8 { hash.add(byte) }
        hash.add(0)
        for byte in topic.table.utf8 { hash.add(byte) }
        return hash.value
    }

    private static func hash(_ key: ByteRange, _ batch: RecordBatch, _ table: UInt64) -> UInt64 {
        var hash = FNVHash(table)
        let bytes = batch.bytes(key)
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
