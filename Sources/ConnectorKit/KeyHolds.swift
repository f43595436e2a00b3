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
        let table = batch.tableHash(of: record)
        if wholeTables.contains(table) { return true }
        guard tables.contains(table) else { return false }
        if record.key.isEmpty && record.previousKey.isEmpty { return true }
        return keys.contains(batch.keyHash(record.key, table: table))
            || !record.previousKey.isEmpty && keys.contains(batch.keyHash(record.previousKey, table: table))
    }

    /// Notes that a record waits. One without a key holds back nothing, unless keys of its table wait already or it
    /// empties its table: then everything of the table waits.
    public mutating func insert(_ record: Record, of batch: RecordBatch) {
        let table = batch.tableHash(of: record)
        if record.key.isEmpty && record.previousKey.isEmpty {
            if record.emptiesTable || tables.contains(table) { wholeTables.insert(table) }
            return
        }
        tables.insert(table)
        if !record.key.isEmpty { keys.insert(batch.keyHash(record.key, table: table)) }
        if !record.previousKey.isEmpty { keys.insert(batch.keyHash(record.previousKey, table: table)) }
    }

    /// Forgets everything.
    public mutating func removeAll() { (keys, tables, wholeTables) = ([], [], []) }
}
