internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

/// Writes the events of one record batch, one behind the other. Nothing is allocated per row once its buffers have
/// grown.
struct EventWriter: ~Copyable {
    let format: EventFormat
    /// How much of an event is its payload.
    let form: RecordForm
    /// True when a commit is a position in PostgreSQL's log.
    let hasLSN: Bool
    /// The events, a line feed behind each.
    var output: OutputBuffer
    /// Keys, ids and attributes that do not stand in their event as they are; they go behind the last event.
    var looseTexts = OutputBuffer(capacity: 256)
    /// Where the texts of the present record stand.
    var texts = RecordTexts()
    var keyText = OutputBuffer(capacity: 64)
    var sequence = OutputBuffer(capacity: 32)
    var transaction: TransactionText
    var structures = StructureWriter()
    var debezium: DebeziumState
    /// Attributes of the configuration that the present outbox event has, while its transaction has some too.
    var ownAttributes: [Int] = []
    /// True when the topic of the present record is an index of ``routes``.
    var isRouted = false
    /// The topics of outbox events.
    var routes = RoutedTopics()
    /// Odd columns of the key and the row after the change.
    var after = OddColumns()
    /// Odd columns of the key and the row before the change.
    var before = OddColumns()

    private var records: [Record] = []
    /// Records of which a text is a range of ``looseTexts``.
    private var looseRecords: [(index: Int, texts: RecordTexts)] = []
    /// Records whose topic is an index of ``routes``.
    private var routedRecords: [Int] = []

    /// A writer for about `changeCount` changes whose tuples have `tupleBytes`, and about `bytesMax` of events: with
    /// fitting numbers, its buffers need not grow.
    init(
        format: EventFormat, form: RecordForm, hasLSN: Bool, debezium: consuming DebeziumState, changeCount: Int,
        tupleBytes: Int, bytesMax: Int
    ) {
        self.debezium = debezium
        self.format = format
        self.form = form
        self.hasLSN = hasLSN
        transaction = TransactionText(attributes: .init(format, form))
        let wanted = changeCount &* 768 &+ tupleBytes &* 2
        let limit = min(max(bytesMax, 4096), 4 << 20)
        output = OutputBuffer(capacity: min(wanted, limit) + 8192)
        records.reserveCapacity(min(changeCount, limit / 256))
    }

    /// Bytes of events so far.
    var byteCount: Int { output.count }
    var isEmpty: Bool { records.isEmpty }
    /// What was wrong with what applications said about their transactions.
    var contextProblems: Set<ContextProblem> { transaction.problems }

    /// Appends the event of the change at a log offset.
    mutating func append(
        _ change: RowChange, at offset: UInt64, of info: TransactionInfo, topic: Int, _ plan: ColumnPlan,
        _ images: RowImages, _ body: RawSpan
    ) throws(EncodingFailure.Reason) {
        prepare(change, info, body)
        let (start, looseStart, recordCount) = (output.count, looseTexts.count, records.count)
        do throws(EncodingFailure.Reason) {
            if format == .debezium {
                let context = DebeziumContext(change: change, offset: offset, info: info, topic: topic)
                return try appendDebezium(context, plan, images, body)
            }
            var topic = topic
            if let outbox = plan.outbox {
                topic = try appendOutboxEvent(plan, outbox, images, body)
                isRouted = true
            } else {
                appendEvent(change, info, plan, images, body)
            }
            if output.count &+ looseTexts.count >= Int(UInt32.max) { throw .tooLarge }
            addRecord(from: start, at: offset, change, info, topic: topic)
        } catch {
            output.truncate(to: start)
            looseTexts.truncate(to: looseStart)
            records.removeSubrange(recordCount...)
            looseRecords.removeAll { $0.index >= recordCount }
            routedRecords.removeAll { $0 >= recordCount }
            isRouted = false
            throw error
        }
    }

    private mutating func appendEvent(
        _ change: RowChange, _ info: TransactionInfo, _ plan: ColumnPlan, _ images: RowImages, _ body: RawSpan
    ) {
        switch (format, form) {
        case (.cloudEvents, .line): appendCloudEvent(change, info, plan, images, body)
        case (.cloudEvents, .binary): appendBinaryCloudEvent(change, info, plan, images, body)
        case (.csv, _): appendCSVEvent(change, plan, images, body)
        case (.row, _), (.debezium, _): appendRowEvent(change, plan, images, body)
        }
        if images.isKeyChanged { texts.previousKey = keepLooseKey(images.before, plan, body) }
    }

    /// Adds a record whose payload goes from `start` to the end of what was written.
    mutating func addRecord(
        from start: Int, at offset: UInt64, _ change: RowChange, _ info: TransactionInfo, topic: Int
    ) {
        if texts.hasLooseOnes { looseRecords.append((records.count, texts)) }
        if isRouted { routedRecords.append(records.count) }
        isRouted = false
        records.append(
            Record(
                offset: offset, id: texts.id.range, payload: ByteRange(start..<output.count), key: texts.key.range,
                previousKey: texts.previousKey.range, attributes: texts.attributes.range,
                keyDocument: texts.keyDocument.range, headers: texts.headers.range,
                topic: UInt32(truncatingIfNeeded: topic),
                identity: ChangeIdentity(commit: info.commit, ordinal: change.ordinal), committedAt: info.committedAt,
                emptiesTable: change.operation == .truncate))
        output.append(UInt8(ascii: "\n"))
    }

    /// The batch of what was written. `topics` are those of the relations.
    consuming func finish(topics: [Topic], nextOffset: UInt64) -> RecordBatch {
        let shift = UInt32(truncatingIfNeeded: output.count)
        output.append(contentsOf: looseTexts)
        for (index, texts) in looseRecords { texts.move(&records[index], by: shift) }
        for index in routedRecords { records[index].topic &+= UInt32(truncatingIfNeeded: topics.count) }
        let (records, allTopics) = (records, topics + routes.topics)
        return RecordBatch(body: output.freeze(), records: records, topics: allTopics, nextOffset: nextOffset)
    }

    /// Writes the sequence behind the pipeline's name, which was just written: together they are the event's id.
    mutating func appendSequenceOfID(_ plan: ColumnPlan) {
        let end = output.count &+ sequence.count
        texts.id =
            plan.isNameItself
            ? TextPlace(output.count &- Int(plan.idPrefix.length)..<end) : keepLooseID(plan)
        output.append(contentsOf: sequence)
    }

    /// Keeps the id of a pipeline whose name stands in events with escapes.
    mutating func keepLooseID(_ plan: ColumnPlan) -> TextPlace {
        let start = looseTexts.count
        looseTexts.append(plan.bytes(plan.idPrefix))
        looseTexts.append(contentsOf: sequence)
        return TextPlace(start..<looseTexts.count, isLoose: true)
    }

    private mutating func prepare(_ change: RowChange, _ info: TransactionInfo, _ body: RawSpan) {
        texts = RecordTexts()
        transaction.prepare(info, body)
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
