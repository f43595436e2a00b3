internal import ByteKit
internal import ChangeModel

/// What a writer of Debezium's form keeps from record to record.
struct DebeziumState: ~Copyable {
    let options: DebeziumOptions
    /// Counts the records of transactions, over all batches of an encoder; nil for events out of their order.
    let count: TransactionCount?
    /// The members behind `op`, which say when the event was written, and the end of the value.
    private(set) var stamp = OutputBuffer(capacity: 96)
    /// The milliseconds of ``stamp``.
    let milliseconds: Int64
    /// The headers of the present record: members of an object where they are part of the payload, lines otherwise.
    var headers = OutputBuffer(capacity: 128)
    /// The topic of the records that the present array has; nil while it has none.
    var arrayTopic: Int?

    /// `now` counts nanoseconds since 1970.
    init(options: DebeziumOptions, count: TransactionCount?, now: Int64) {
        (self.options, self.count) = (options, count)
        milliseconds = now / 1_000_000
        stamp.append(",\"ts_ms\":")
        stamp.append(decimal: milliseconds)
        stamp.append(",\"ts_us\":")
        stamp.append(decimal: now / 1000)
        stamp.append(",\"ts_ns\":")
        stamp.append(decimal: now)
        stamp.append("}")
    }
}

/// One change, and where its records go.
struct DebeziumContext {
    var change: RowChange
    var offset: UInt64
    var info: TransactionInfo
    var topic: Int
}

/// What a record of a change is, where one change makes several.
enum DebeziumPart {
    case whole
    /// A key that changed: the row under the old one is gone.
    case deletion
    /// No value, so that the key can be forgotten.
    case tombstone
    /// A key that changed: the row under the new one.
    case creation

    /// What the record's id has behind the event's.
    var suffix: StaticString {
        switch self {
        case .whole, .creation: ""
        case .deletion: "-delete"
        case .tombstone: "-tombstone"
        }
    }
}
