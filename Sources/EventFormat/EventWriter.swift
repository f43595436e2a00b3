internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

/// Writes the events of one record batch, one behind the other. Nothing is allocated per row once its buffers have
/// grown.
struct EventWriter: ~Copyable {
    let format: EventFormat
    /// True when a commit is a position in PostgreSQL's log.
    let hasLSN: Bool
    /// The events, a line feed behind each.
    var output: OutputBuffer
    /// Keys that do not stand in their event as they are; they go behind the last event.
    var looseKeys = OutputBuffer(capacity: 256)
    var keyText = OutputBuffer(capacity: 64)
    var sequence = OutputBuffer(capacity: 32)
    var transaction = TransactionText()
    var structures = StructureWriter()
    /// The topics of outbox events.
    var routes = RoutedTopics()
    /// Odd columns of the key and the row after the change.
    var after = OddColumns()
    /// Odd columns of the key and the row before the change.
    var before = OddColumns()

    private var records: [Record] = []
    /// Records whose key is a range of ``looseKeys``.
    private var looseRecords: [Int] = []
    /// Records whose topic is an index of ``routes``.
    private var routedRecords: [Int] = []

    /// A writer for about `changeCount` changes whose tuples have `tupleBytes`, and about `bytesMax` of events: with
    /// fitting numbers, its buffers need not grow.
    init(format: EventFormat, hasLSN: Bool, changeCount: Int, tupleBytes: Int, bytesMax: Int) {
        self.format = format
        self.hasLSN = hasLSN
        let wanted = changeCount &* 768 &+ tupleBytes &* 2
        let limit = min(max(bytesMax, 4096), 4 << 20)
        output = OutputBuffer(capacity: min(wanted, limit) + 8192)
        records.reserveCapacity(min(changeCount, limit / 256))
    }

    /// Bytes of events so far.
    var byteCount: Int { output.count }
    var isEmpty: Bool { records.isEmpty }

    /// Appends the event of a change.
    mutating func append(
        _ change: RowChange, of info: TransactionInfo, topic: Int, _ plan: ColumnPlan, _ images: RowImages,
        _ body: RawSpan
    ) throws(EncodingFailure.Reason) {
        let start = output.count
        let looseStart = looseKeys.count
        prepare(change, info)
        var topic = topic
        let key: ByteRange
        if let outbox = plan.outbox {
            (key, topic) = try appendOutboxEvent(plan, outbox, images, body)
        } else {
            key =
                switch format {
                case .cloudEvents: appendCloudEvent(change, info, plan, images, body)
                case .row: appendRowEvent(change, plan, images, body)
                }
        }
        guard output.count &+ looseKeys.count < Int(UInt32.max) else {
            output.truncate(to: start)
            looseKeys.truncate(to: looseStart)
            throw .tooLarge
        }
        if looseKeys.count > looseStart { looseRecords.append(records.count) }
        if plan.outbox != nil { routedRecords.append(records.count) }
        records.append(
            Record(
                payload: ByteRange(start..<output.count), key: key, topic: UInt32(truncatingIfNeeded: topic),
                identity: ChangeIdentity(commit: info.commit, ordinal: change.ordinal), committedAt: info.committedAt))
        output.append(UInt8(ascii: "\n"))
    }

    /// The batch of what was written. `topics` are those of the relations.
    consuming func finish(topics: [Topic], nextOffset: UInt64) -> RecordBatch {
        let shift = UInt32(truncatingIfNeeded: output.count)
        output.append(contentsOf: looseKeys)
        for index in looseRecords { records[index].key.offset &+= shift }
        for index in routedRecords { records[index].topic &+= UInt32(truncatingIfNeeded: topics.count) }
        let (records, allTopics) = (records, topics + routes.topics)
        return RecordBatch(body: output.freeze(), records: records, topics: allTopics, nextOffset: nextOffset)
    }

    private mutating func prepare(_ change: RowChange, _ info: TransactionInfo) {
        transaction.prepare(info)
        sequence.removeAll()
        transaction.appendCommit(to: &sequence)
        if change.ordinal == ChangeIdentity.beginOrdinal {
            // The commit alone sorts before everything that begins with it.
            sequence.truncate(to: sequence.count - 1)
        } else {
            sequence.append(hex: UInt64(change.ordinal), width: 8)
        }
        if !after.isEmpty { after.removeAll() }
        if !before.isEmpty { before.removeAll() }
    }
}

extension ByteRange {
    /// The range with these bounds, which fit in 32 bits.
    @inline(__always)
    init(_ range: Range<Int>) {
        self.init(
            offset: UInt32(truncatingIfNeeded: range.lowerBound), length: UInt32(truncatingIfNeeded: range.count))
    }
}
