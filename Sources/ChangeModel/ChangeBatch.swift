public import ByteKit

/// Why bytes are no batch.
public enum ChangeBatchError: Error, Equatable {
    /// The bytes are no sealed batch of a version that this program reads.
    case notABatch
    /// A count, index or range in them points outside.
    case damaged(String)
    /// A batch would need more than 4 GiB, or more than 2^32 - 1 entries.
    case tooLarge
}

/// Row changes in commit order, sealed: never changed again, shared by the log and all sinks.
///
/// The body is one run of bytes: tuples, then transactions, then descriptors, then a footer. The log stores it as it
/// is.
public final class ChangeBatch: Sendable {
    /// All bytes, footer included.
    public let body: FrozenBytes
    /// The relations that descriptors point to.
    public let relations: [Relation]
    /// How many row changes there are; zero for a batch that only moves the checkpoint.
    public let changeCount: Int
    /// How many transactions there are.
    public let transactionCount: Int
    /// How far the source was read with this batch; nil for one that was read back from the log.
    public let checkpoint: SourceCheckpoint?
    /// True when reading the source again would not give the same changes under the same identities, so that the
    /// batch must be durable before any sink sees it (snapshot chunks).
    public let mustBeDurableBeforeDelivery: Bool

    let transactionsOffset: Int
    let changesOffset: Int

    init(
        body: FrozenBytes, relations: [Relation], footer: BatchFooter, checkpoint: SourceCheckpoint?,
        mustBeDurable: Bool
    ) {
        self.body = body
        self.relations = relations
        self.checkpoint = checkpoint
        mustBeDurableBeforeDelivery = mustBeDurable
        changeCount = Int(footer.changeCount)
        transactionCount = Int(footer.transactionCount)
        transactionsOffset = Int(footer.arenaLength)
        changesOffset = transactionsOffset + transactionCount * MemoryLayout<TransactionInfo>.size
    }

    /// The same changes of the same tables, seen in another way: each relation takes the place of the one that it is
    /// made of. The columns must stay.
    public func replacingRelations(_ replacement: (Relation) -> Relation) -> ChangeBatch {
        ChangeBatch(self, relations: relations.map(replacement))
    }

    private init(_ batch: ChangeBatch, relations: [Relation]) {
        body = batch.body
        self.relations = relations
        checkpoint = batch.checkpoint
        mustBeDurableBeforeDelivery = batch.mustBeDurableBeforeDelivery
        changeCount = batch.changeCount
        transactionCount = batch.transactionCount
        transactionsOffset = batch.transactionsOffset
        changesOffset = batch.changesOffset
    }

    /// Reads back what ``body`` was, with the relations that the log kept beside it. Every index and range is checked
    /// once, here, so that readers need not.
    public convenience init(decoding stored: FrozenBytes, relations: [Relation]) throws(ChangeBatchError) {
        let body = try FormerBatchFormat.converting(stored)
        let footer = try BatchFooter(endOf: body)
        self.init(body: body, relations: relations, footer: footer, checkpoint: nil, mustBeDurable: false)
        guard footer.relationCount == relations.count else { throw .damaged("relation count") }
        try checkDescriptors()
    }

    /// The descriptor at `index`, which must be below ``changeCount``.
    public func change(at index: Int) -> RowChange {
        body.load(at: changesOffset + index * MemoryLayout<RowChange>.size, as: RowChange.self)
    }

    /// The transaction at `index`, which must be below ``transactionCount``.
    public func transaction(at index: Int) -> TransactionInfo {
        body.load(
            at: transactionsOffset + index * MemoryLayout<TransactionInfo>.size, as: TransactionInfo.self)
    }

    /// The identity of the change at `index`, which must be below ``changeCount``.
    public func identity(at index: Int) -> ChangeIdentity {
        let change = change(at: index)
        return ChangeIdentity(commit: transaction(at: Int(change.transaction)).commit, ordinal: change.ordinal)
    }

    /// The bytes of a tuple of this batch.
    @_lifetime(borrow self)
    public func tuple(_ range: ByteRange) -> RawSpan {
        unsafe _overrideLifetime(RawSpan(_unsafeBytes: body.unsafeBytes(range.indices)), borrowing: self)
    }

    private func checkDescriptors() throws(ChangeBatchError) {
        for index in 0..<changeCount {
            let change = change(at: index)
            guard change.hasKnownCodes else { throw .damaged("operation of change \(index)") }
            guard change.relation < UInt32(relations.count) else { throw .damaged("relation of change \(index)") }
            guard change.transaction < UInt32(transactionCount) else {
                throw .damaged("transaction of change \(index)")
            }
            let end = max(change.before.indices.upperBound, change.after.indices.upperBound)
            guard end <= transactionsOffset else { throw .damaged("tuple of change \(index)") }
        }
        for index in 0..<transactionCount where transaction(at: index).context.indices.upperBound > transactionsOffset {
            throw .damaged("context of transaction \(index)")
        }
    }
}

/// The last 32 bytes of a batch's body.
struct BatchFooter: BitwiseCopyable {
    static let currentMagic: UInt64 = 0x3248_4354_4252_4C4D  // "MLRBTCH2" as little-endian bytes

    var arenaLength: UInt32
    var transactionCount: UInt32
    var changeCount: UInt32
    var relationCount: UInt32
    var reserved: UInt64 = 0
    var magic: UInt64 = currentMagic

    init(arenaLength: UInt32, transactionCount: UInt32, changeCount: UInt32, relationCount: UInt32) {
        self.arenaLength = arenaLength
        self.transactionCount = transactionCount
        self.changeCount = changeCount
        self.relationCount = relationCount
    }

    /// Reads the footer and checks that the parts add up to the whole.
    init(endOf body: FrozenBytes) throws(ChangeBatchError) {
        let size = MemoryLayout<BatchFooter>.size
        guard body.count >= size else { throw .notABatch }
        self = body.load(at: body.count - size, as: BatchFooter.self)
        guard magic == Self.currentMagic else { throw .notABatch }
        let whole =
            Int(arenaLength) + Int(transactionCount) * MemoryLayout<TransactionInfo>.size
            + Int(changeCount) * MemoryLayout<RowChange>.size + size
        guard whole == body.count else { throw .damaged("length") }
    }
}
