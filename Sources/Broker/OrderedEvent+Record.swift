internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

extension OrderedEvent {
    /// What the order of a record depends on.
    init(_ record: Record, of batch: RecordBatch) {
        let topic = batch.topics[Int(record.topic)]
        var hash = FNVHash()
        for byte in topic.schema.utf8 { hash.add(byte) }
        hash.add(0)
        for byte in topic.table.utf8 { hash.add(byte) }
        let table = hash.value
        func key(_ range: ByteRange) -> UInt64? {
            if range.isEmpty { return nil }
            var hash = FNVHash(table)
            let bytes = batch.bytes(range)
            for place in 0..<bytes.byteCount { hash.add(bytes.byte(place)) }
            return hash.value
        }
        let (now, former) = (key(record.key), key(record.previousKey))
        // A row whose key was taken away has one still, as far as order goes.
        self.init(offset: record.offset, table: table, key: now ?? former, previousKey: now == nil ? nil : former)
    }

    /// One for each event: a form may make several records of one.
    static func of(_ records: RecordBatch) -> [OrderedEvent] {
        var events: [OrderedEvent] = []
        events.reserveCapacity(records.records.count)
        for record in records.records where events.last?.offset != record.offset {
            events.append(OrderedEvent(record, of: records))
        }
        return events
    }
}

/// The hash FNV-1a of 64 bits (Fowler, Noll and Vo).
private struct FNVHash {
    private(set) var value: UInt64

    init(_ start: UInt64 = 0xCBF2_9CE4_8422_2325) { value = start }

    mutating func add(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
}
