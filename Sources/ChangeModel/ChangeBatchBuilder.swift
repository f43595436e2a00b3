public import ByteKit

/// A batch in filling: the one owner of its bytes until it is sealed.
///
/// Tuples are appended as bytes in the form of ``ValueKind``; descriptors and transactions beside them. Nothing is
/// allocated per row once the buffers have grown to their working size.
public struct ChangeBatchBuilder: ~Copyable, Sendable {
    private var arena: OutputBuffer
    private var changes: [RowChange] = []
    private var transactions: [TransactionInfo] = []
    private var relations: [Relation] = []

    /// An empty batch with room for `capacity` bytes of tuples.
    public init(capacity: Int) {
        arena = OutputBuffer(capacity: capacity)
        changes.reserveCapacity(capacity / 128)
    }

    /// A batch that goes on behind tuples which were checked and written elsewhere, one behind the other, without a copy
    /// of them. About `changeCount` changes will be appended.
    public init(tuples: consuming OutputBuffer, changeCount: Int) {
        arena = tuples
        changes.reserveCapacity(changeCount)
    }

    /// Bytes of tuples and descriptors so far: what a limit on batches compares with.
    public var byteCount: Int {
        arena.count + changes.count * MemoryLayout<RowChange>.size
            + transactions.count * MemoryLayout<TransactionInfo>.size
    }
    /// How many changes were appended.
    public var changeCount: Int { changes.count }

    /// The index of `relation` in this batch; adds it when it is new. Work per relation and batch, not per row: keep
    /// the index for the rows that follow.
    public mutating func index(of relation: Relation) -> UInt32 {
        if let known = relations.lastIndex(where: { $0 === relation }) { return UInt32(known) }
        relations.append(relation)
        return UInt32(relations.count - 1)
    }

    /// Adds a transaction; the changes that follow name it by the index that is returned.
    public mutating func begin(_ transaction: TransactionInfo) -> UInt32 {
        transactions.append(transaction)
        return UInt32(transactions.count - 1)
    }

    /// Copies a whole tuple, which the caller has checked (see ``TupleReader/length(ofTupleIn:)``).
    public mutating func append(tuple: RawSpan) -> ByteRange {
        let start = arena.count
        arena.append(tuple)
        return range(from: start)
    }

    /// Copies what an application said about a transaction, for ``TransactionInfo/context``.
    public mutating func append(context: RawSpan) -> ByteRange { append(tuple: context) }

    /// Writes a tuple value by value: `body` appends exactly `columnCount` values to the buffer, each as its kind byte
    /// and, where the kind has bytes, length and bytes.
    public mutating func appendTuple<E: Error>(
        columnCount: Int, _ body: (inout OutputBuffer) throws(E) -> Void
    ) throws(E) -> ByteRange {
        let start = arena.count
        arena.append(bigEndian: UInt16(clamping: columnCount))
        try body(&arena)
        return range(from: start)
    }

    /// The bytes of a tuple that was appended; none for a range that reaches outside.
    @_lifetime(borrow self)
    public func tuple(_ range: ByteRange) -> RawSpan {
        let bytes = arena.bytes
        guard range.indices.upperBound <= bytes.byteCount else { return bytes.extracting(0..<0) }
        return bytes.extracting(range.indices)
    }

    /// Appends a change whose tuples were appended before.
    public mutating func append(_ change: RowChange) { changes.append(change) }

    /// Seals the batch. Throws ``ChangeBatchError/tooLarge`` when 32-bit places do not suffice.
    public consuming func seal(
        checkpoint: SourceCheckpoint, mustBeDurableBeforeDelivery: Bool = false
    ) throws(ChangeBatchError) -> ChangeBatch {
        guard arena.count < Int(UInt32.max), changes.count < Int(UInt32.max) else { throw .tooLarge }
        let footer = BatchFooter(
            arenaLength: UInt32(arena.count), transactionCount: UInt32(transactions.count),
            changeCount: UInt32(changes.count), relationCount: UInt32(relations.count))
        let (transactions, changes) = (transactions, changes)
        arena.append(memoryOf: transactions.span)
        arena.append(memoryOf: changes.span)
        arena.append(memoryOf: [footer].span)
        return ChangeBatch(
            body: arena.freeze(), relations: relations, footer: footer, checkpoint: checkpoint,
            mustBeDurable: mustBeDurableBeforeDelivery)
    }

    private func range(from start: Int) -> ByteRange {
        ByteRange(offset: UInt32(truncatingIfNeeded: start), length: UInt32(truncatingIfNeeded: arena.count - start))
    }
}
