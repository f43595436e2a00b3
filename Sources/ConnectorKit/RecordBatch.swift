public import ByteKit
public import ChangeModel

/// What records of one table, or of one topic of an outbox, have in common: what a sink routes by.
public struct Topic: Sendable, Hashable {
    /// The schema (`public`), or the SQLite database (`main`).
    public var schema: String
    /// The table's name.
    public var table: String
    /// The topic that the application's own events go to: of an outbox table, with a part that comes from its rows.
    /// Nil for changes of rows.
    public var routed: String?
    /// The line that a file of these records begins with, without its line feed; nil in formats that have none. A table
    /// whose columns changed has another one.
    public var header: String?

    /// A topic of its parts.
    public init(schema: String, table: String, routed: String? = nil, header: String? = nil) {
        self.schema = schema
        self.table = table
        self.routed = routed
        self.header = header
    }

    /// The topic's name: `schema.table` unless the application chose another.
    public var name: String { routed ?? schema + "." + table }
}

/// How much of an event stands in the payload of its record: what a sink asks for.
public enum RecordForm: Sendable, Hashable {
    /// The whole event, in the format that the configuration chose for the sink.
    case line
    /// The data alone; the context attributes, or the key and the headers of a record, stand beside it. For protocols
    /// that have headers.
    case binary
}

/// One encoded event in a batch.
public struct Record: Sendable, BitwiseCopyable {
    /// The event's place in the log. A change may be several records (Debezium): those have one offset, and different
    /// ids, and the event is delivered with the last of them.
    public var offset: UInt64
    /// The event's id as text, the same at every delivery.
    public var id: ByteRange
    /// The payload in the batch's bytes; empty for an event without data, and for a key that is to be forgotten. The
    /// byte after it is a line feed, outside of the range.
    public var payload: ByteRange
    /// The row's key as text (the event's `partitionkey`), for an outbox the id of the aggregate; empty without one.
    public var key: ByteRange
    /// The key's text before an update that changed it; empty otherwise. Order by key is kept for both.
    public var previousKey: ByteRange
    /// The context attributes of an event whose payload is its data alone (``RecordForm/binary``): a line `name:value`
    /// for each, in plain UTF-8 without control characters. Empty in the other form.
    public var attributes: ByteRange
    /// The key as JSON, in formats whose keys are documents of their own (Debezium) and the form
    /// ``RecordForm/binary``; empty otherwise.
    public var keyDocument: ByteRange
    /// The headers of formats that have some of their own (Debezium), in the form ``RecordForm/binary``: a line
    /// `name:value` for each. They keep their names, and each value is JSON on one line. Empty otherwise.
    public var headers: ByteRange
    /// Index into the batch's topics.
    public var topic: UInt32
    /// Which change it is; with the source's name, the event's id unless the application chose it (outbox).
    public var identity: ChangeIdentity
    /// When it was committed, in microseconds since 1970-01-01 00:00 UTC.
    public var committedAt: Int64
    /// True when the event empties its table (`TRUNCATE`): the order of everything in the table hangs on it.
    public var emptiesTable: Bool

    /// A record of its parts.
    @inlinable
    public init(
        offset: UInt64, id: ByteRange, payload: ByteRange, key: ByteRange, previousKey: ByteRange = .empty,
        attributes: ByteRange = .empty, keyDocument: ByteRange = .empty, headers: ByteRange = .empty, topic: UInt32,
        identity: ChangeIdentity, committedAt: Int64, emptiesTable: Bool = false
    ) {
        self.offset = offset
        self.id = id
        self.payload = payload
        self.key = key
        self.previousKey = previousKey
        self.attributes = attributes
        self.keyDocument = keyDocument
        self.headers = headers
        self.topic = topic
        self.identity = identity
        self.committedAt = committedAt
        self.emptiesTable = emptiesTable
    }
}

/// Encoded events in log order, frozen.
///
/// When all keys lie before all payloads is not promised; but the payloads of consecutive records lie one behind the
/// other with a line feed between them, so that a run of records can be written as lines by one call.
public final class RecordBatch: Sendable {
    /// All bytes.
    public let body: FrozenBytes
    /// The records in log order.
    public let records: [Record]
    /// The topics that records point to.
    public let topics: [Topic]
    /// The log offset behind the last event that this batch covers. Events that the sink does not want are covered too,
    /// so it may be far behind the last record, and a batch may have no record at all.
    public let nextOffset: UInt64
    /// True when it lacks events that wait behind refused ones, or has nothing but such events: then a sink that finds
    /// an event with its receiver knows nothing about the events before it.
    public let isExcerpt: Bool

    /// A batch of its parts. The ranges must lie in the body.
    public init(
        body: FrozenBytes, records: [Record], topics: [Topic], nextOffset: UInt64, isExcerpt: Bool = false
    ) {
        self.body = body
        self.records = records
        self.topics = topics
        self.nextOffset = nextOffset
        self.isExcerpt = isExcerpt
    }

    /// A batch without records.
    public static func empty(nextOffset: UInt64) -> RecordBatch {
        RecordBatch(body: OutputBuffer(capacity: 16).freeze(), records: [], topics: [], nextOffset: nextOffset)
    }

    /// A batch of some records of this one, with copies of their bytes, that covers the same part of the log. `indices`
    /// are in ascending order.
    public func selecting(_ indices: [Int]) -> RecordBatch {
        var copying = RecordCopying(capacity: body.count)
        for index in indices { copying.addPayload(of: records[index], in: self) }
        var place = 0
        for index in indices {
            copying.addTexts(of: records[index], in: self, at: place)
            place += 1
        }
        return copying.finishExcerpt(topics: topics, nextOffset: nextOffset)
    }

    /// The records of batches of one event each, one behind the other, as if the events stood in the log right before
    /// `nextOffset`: for what was set aside and is delivered later.
    ///
    /// The events get places of their own, in their order, so that a receipt can name one: the last one stands at
    /// `nextOffset - 1`. There must not be more of them than places.
    public static func joining(_ parts: [RecordBatch], before nextOffset: UInt64) -> RecordBatch {
        var copying = RecordCopying(capacity: parts.reduce(0) { $0 + $1.body.count })
        var topics: [Topic] = []
        var numbers: [Topic: UInt32] = [:]
        for (index, part) in parts.enumerated() {
            let offset = nextOffset &- UInt64(parts.count - index)
            for var record in part.records {
                let topic = part.topics[Int(record.topic)]
                if numbers[topic] == nil {
                    numbers[topic] = UInt32(topics.count)
                    topics.append(topic)
                }
                record.topic = numbers[topic] ?? 0
                record.offset = offset
                copying.addPayload(of: record, in: part)
            }
        }
        var place = 0
        for part in parts {
            for record in part.records {
                copying.addTexts(of: record, in: part, at: place)
                place += 1
            }
        }
        return copying.finishExcerpt(topics: topics, nextOffset: nextOffset)
    }

    /// The payload of a record of this batch.
    @_lifetime(borrow self)
    public func payload(of record: Record) -> RawSpan { bytes(record.payload) }

    /// The key text of a record of this batch.
    @_lifetime(borrow self)
    public func key(of record: Record) -> RawSpan { bytes(record.key) }

    /// The id of a record of this batch.
    @_lifetime(borrow self)
    public func id(of record: Record) -> RawSpan { bytes(record.id) }

    /// A run of the body's bytes.
    @_lifetime(borrow self)
    public func bytes(_ range: ByteRange) -> RawSpan {
        unsafe _overrideLifetime(RawSpan(_unsafeBytes: body.unsafeBytes(range.indices)), borrowing: self)
    }
}

/// Copies records and their bytes into a body of their own: first all payloads, one behind the other, then the rest.
private struct RecordCopying: ~Copyable {
    private var output: OutputBuffer
    private var records: [Record] = []

    init(capacity: Int) { output = OutputBuffer(capacity: max(capacity, 16)) }

    mutating func addPayload(of record: Record, in batch: RecordBatch) {
        var copy = record
        copy.payload = add(record.payload, of: batch)
        output.append(UInt8(ascii: "\n"))
        records.append(copy)
    }

    /// What the record at a place has beside its payload.
    mutating func addTexts(of record: Record, in batch: RecordBatch, at place: Int) {
        records[place].id = add(record.id, of: batch)
        records[place].key = add(record.key, of: batch)
        records[place].previousKey = add(record.previousKey, of: batch)
        records[place].attributes = add(record.attributes, of: batch)
        records[place].keyDocument = add(record.keyDocument, of: batch)
        records[place].headers = add(record.headers, of: batch)
    }

    private mutating func add(_ range: ByteRange, of batch: RecordBatch) -> ByteRange {
        let start = output.count
        output.append(batch.bytes(range))
        return ByteRange(offset: UInt32(start), length: range.length)
    }

    consuming func finishExcerpt(topics: [Topic], nextOffset: UInt64) -> RecordBatch {
        RecordBatch(
            body: output.freeze(), records: records, topics: topics, nextOffset: nextOffset, isExcerpt: true)
    }
}
