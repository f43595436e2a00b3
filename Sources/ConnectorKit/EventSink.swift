/// Whether a sink may keep records in its own buffers for now.
public enum Durability: Sendable {
    /// The sink may answer before the records would survive a crash.
    case whenConvenient
    /// The answer must cover all records up to this batch.
    case required
}

/// What a sink says after a write.
public struct DeliveryReceipt: Sendable, Equatable {
    /// Log offset before which every record that was written since `open` is durable in the sink; nil when nothing new
    /// is.
    public var durableBefore: UInt64?
    /// What the sink wants back at its next `open`, stored together with its cursor; nil keeps what was stored before.
    public var state: [UInt8]?

    /// The records are taken but not yet durable.
    public static let accepted = DeliveryReceipt(durableBefore: nil, state: nil)

    /// Every record before the log offset `offset` is durable.
    public static func durable(before offset: UInt64, state: [UInt8]? = nil) -> DeliveryReceipt {
        DeliveryReceipt(durableBefore: offset, state: state)
    }

    init(durableBefore: UInt64?, state: [UInt8]?) {
        self.durableBefore = durableBefore
        self.state = state
    }
}

/// What the pipeline gives a sink when it opens.
public struct SinkContext: Sendable {
    /// The sink's name in the configuration.
    public var name: String
    /// The state of the last receipt, or what `saveState` stored later; nil at the first start.
    public var state: [UInt8]?
    /// Log offset of the first record that will be written.
    public var nextOffset: UInt64
    /// Stores a state at once, on disk, beside the unchanged cursor. For what must be known before a write, such as a
    /// file that is about to be made. Rarely called: it waits for the disk.
    public var saveState: @Sendable ([UInt8]) async throws(ConnectorFailure) -> Void

    /// A context of its parts.
    public init(
        name: String, state: [UInt8]?, nextOffset: UInt64,
        saveState: @escaping @Sendable ([UInt8]) async throws(ConnectorFailure) -> Void
    ) {
        self.name = name
        self.state = state
        self.nextOffset = nextOffset
        self.saveState = saveState
    }
}

/// Stores records. Must tolerate seeing a record again: its identity is the same each time.
///
/// One task calls all functions, one call at a time. After a failure the pipeline calls `close`, and when the remedy is
/// retry, `open` again with the last durable state; then it writes again from the last durable offset.
public protocol EventSink: Sendable {
    /// Connects, and undoes what an interrupted write left beyond the state that is given.
    func open(_ context: SinkContext) async throws(ConnectorFailure)

    /// Stores records in order. `.durable` covers this batch and every earlier one since `open`. An empty batch with
    /// `.required` makes what was accepted before durable.
    func write(_ batch: RecordBatch, _ durability: Durability) async throws(ConnectorFailure) -> DeliveryReceipt

    /// Lets go of everything; what was not made durable may be lost, and will be written again. Callable in any state.
    func close() async
}
