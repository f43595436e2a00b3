internal import ChangeModel
internal import ConnectorKit

extension OrderedEvent {
    /// What the order of a record depends on.
    init(_ record: Record, of batch: RecordBatch) {
        let table = batch.tableHash(of: record)
        func key(_ range: ByteRange) -> UInt64? { range.isEmpty ? nil : batch.keyHash(range, table: table) }
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
