/// Whether a sink may keep records in its own buffers for now.
public enum Durability: Sendable {
    /// The sink may answer before the records would survive a crash.
    case whenConvenient
    /// The answer must cover all records up to this batch.
    case required
}

/// A record that the receiver will never take.
public struct RejectedRecord: Sendable, Equatable {
    /// Its place in the log.
    public var offset: UInt64
    /// Why: a stable code, `connector.what`, such as `webhook.refused`.
    public var code: String
    /// Why, in words; without values of rows and without what the receiver said about them.
    public var message: String

    /// A rejection of its parts.
    public init(offset: UInt64, code: String, message: String) {
        self.offset = offset
        self.code = code
        self.message = message
    }

    /// The code of ``behind(_:)``.
    public static let behindCode = "delivery.behind"

    /// The rejection of a record because an earlier one of its key was rejected.
    public static func behind(_ record: Record) -> RejectedRecord {
        RejectedRecord(
            offset: record.offset, code: behindCode, message: "an earlier event of the same key was refused")
    }
}

/// What a sink says after a write.
public struct DeliveryReceipt: Sendable, Equatable {
    /// Log offset before which every record that was written since `open` is durable in the sink; nil when nothing new
    /// is.
    public var durableBefore: UInt64?
    /// What the sink wants back at its next `open`, stored together with its cursor; nil keeps what was stored before.
    public var state: [UInt8]?
    /// The records before `durableBefore` that the receiver refused for good, none of them named by an earlier receipt:
    /// the pipeline keeps them as dead letters of the sink before it counts them as delivered.
    ///
    /// So that the order of a key is kept, a sink that rejects a record also rejects all records of its key that it
    /// took behind it and takes before it has named it (``RejectedRecord/behind(_:)``, ``KeyHolds``). From then on the
    /// pipeline holds them back by itself.
    public var rejected: [RejectedRecord]

    /// True when the sink has no room for more: it is to be asked with empty batches until it has. A sink that does not
    /// say so takes the next batch.
    public var isFull = false

    /// The records are taken but not yet durable.
    public static let accepted = DeliveryReceipt(durableBefore: nil, state: nil, rejected: [])

    /// Every record before the log offset `offset` is durable, or was rejected.
    public static func durable(
        before offset: UInt64, state: [UInt8]? = nil, rejected: [RejectedRecord] = []
    ) -> DeliveryReceipt {
        DeliveryReceipt(durableBefore: offset, state: state, rejected: rejected)
    }

    init(durableBefore: UInt64?, state: [UInt8]?, rejected: [RejectedRecord]) {
        self.durableBefore = durableBefore
        self.state = state
        self.rejected = rejected
    }
}

/// What the pipeline gives a sink when it opens.
public struct SinkContext: Sendable {
    /// The sink's name in the configuration.
    public var name: String
    /// What tells the log that the records come from apart from all others; empty where nobody knows.
    public var log: String
    /// The state of the last receipt, or what `saveState` stored later; nil at the first start.
    public var state: [UInt8]?
    /// Log offset of the first record that will be written.
    public var nextOffset: UInt64
    /// Stores a state at once, on disk, beside the unchanged cursor. For what must be known before a write, such as a
    /// file that is about to be made. Rarely called: it waits for the disk.
    public var saveState: @Sendable ([UInt8]) async throws(ConnectorFailure) -> Void
    /// Tells that the sink does not get on and why, and when it tries again, for a sink that goes on trying by itself;
    /// nil when it gets on. To be called when that changes, from any thread.
    public var report: @Sendable (ConnectorFailure?, Duration?) -> Void

    /// A context of its parts.
    public init(
        name: String, log: String = "", state: [UInt8]?, nextOffset: UInt64,
        report: @escaping @Sendable (ConnectorFailure?, Duration?) -> Void = { _, _ in },
        saveState: @escaping @Sendable ([UInt8]) async throws(ConnectorFailure) -> Void
    ) {
        self.name = name
        self.log = log
        self.state = state
        self.nextOffset = nextOffset
        self.saveState = saveState
        self.report = report
    }
}

/// Stores records. Must tolerate seeing a record again: its identity is the same each time.
///
/// One task calls all functions, one call at a time. After a failure the pipeline calls `close`, and when the remedy is
/// retry, `open` again with the last durable state; then it writes again from the last durable offset.
public protocol EventSink: Sendable {
    /// How much of an event the sink wants in a payload; ``RecordForm/line`` unless it says otherwise.
    var form: RecordForm { get }

    /// True for a sink that needs no asking to make records durable, and of whose records some may wait for the
    /// receiver for long while others go on. The pipeline then leaves it to the sink when it answers how far it
    /// is: it asks with `.required` only when nothing else is to be written meanwhile, and cancels the task of a call
    /// that waits when delivery ends. False unless the sink says otherwise.
    var deliversByItself: Bool { get }

    /// How often the sink wants an empty write with `.required` while nothing is to be written, for what becomes due by
    /// the clock; nil, which is usual, for never.
    var attention: Duration? { get }

    /// True for a sink whose state means nothing once somebody moved the cursor: a replay then takes it away, also one
    /// from the very place of the cursor. False unless the sink says otherwise.
    static var forgetsAtReplay: Bool { get }

    /// Connects, and undoes what an interrupted write left beyond the state that is given.
    func open(_ context: SinkContext) async throws(ConnectorFailure)

    /// Stores records in order. `.durable` covers every record since `open` that lies before its offset. With
    /// `.required` that is all of this batch and of every earlier one; an empty batch with it makes what was accepted
    /// before durable. Otherwise the offset may lie anywhere behind the last receipt's: a sink may have records on
    /// their way, a bounded number of them, while it takes the next ones.
    ///
    /// At each call the cursor and the state of the last receipt are stored, though a power cut may undo that until
    /// `saveState` or a later sync of the log.
    func write(_ batch: RecordBatch, _ durability: Durability) async throws(ConnectorFailure) -> DeliveryReceipt

    /// Delivery ends in order: everything that was written is durable, and the last receipt's cursor and state are
    /// stored. `close` follows.
    func finish() async throws(ConnectorFailure)

    /// Lets go of everything; what was not made durable may be lost, and will be written again. Callable in any state.
    func close() async
}

extension EventSink {
    /// False.
    public var deliversByItself: Bool { false }
    /// False.
    public static var forgetsAtReplay: Bool { false }
    /// The whole event in a payload.
    public var form: RecordForm { .line }

    /// Nothing becomes due.
    public var attention: Duration? { nil }

    /// Nothing is left to be done.
    public func finish() async throws(ConnectorFailure) {}
}
