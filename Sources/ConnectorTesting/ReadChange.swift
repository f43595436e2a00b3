import ByteKit
package import ChangeModel

/// A row change copied out of its batch, for comparisons.
package struct ReadChange: Sendable, Equatable {
    /// Which change it is.
    package var identity: ChangeIdentity
    /// What happened.
    package var operation: Operation
    /// The table.
    package var relation: Relation
    /// What is known of the row before.
    package var beforeImage: BeforeImage
    /// The bytes of the tuple before; empty for none.
    package var before: [UInt8]
    /// The bytes of the tuple after; empty for none.
    package var after: [UInt8]
}

/// A batch copied out, for comparisons.
package struct ReadBatch: Sendable {
    /// The changes in order.
    package var changes: [ReadChange]
    /// The batch's checkpoint.
    package var checkpoint: SourceCheckpoint?
    /// The length of the batch's body.
    package var byteCount: Int

    /// Copies everything out of a batch.
    package init(_ batch: ChangeBatch) {
        checkpoint = batch.checkpoint
        byteCount = batch.body.count
        changes = (0..<batch.changeCount).map { index in
            let change = batch.change(at: index)
            return ReadChange(
                identity: batch.identity(at: index), operation: change.operation,
                relation: batch.relations[Int(change.relation)], beforeImage: change.beforeImage,
                before: [UInt8](copying: batch.tuple(change.before)), after: [UInt8](copying: batch.tuple(change.after))
            )
        }
    }
}

/// A value of a tuple, copied out.
package struct ReadValue: Sendable, Equatable {
    /// One of ``ValueKind``.
    package var kind: UInt8
    /// The value's bytes.
    package var bytes: [UInt8]

    /// Text as people and SQL print it: `NULL`, `x'…'` for bytes, else the text itself.
    package var text: String {
        switch kind {
        case ValueKind.null: "NULL"
        case ValueKind.unchanged: "UNCHANGED"
        case ValueKind.binary, ValueKind.malformedText:
            "x'" + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + "'"
        default: String(decoding: bytes, as: UTF8.self)
        }
    }
}

extension ReadChange {
    /// The values of a tuple's bytes, and how many bytes they took; nil when it is not well formed.
    package static func values(of tuple: [UInt8]) -> (values: [ReadValue], length: Int)? {
        guard var reader = TupleReader(tuple.rawBytes) else { return nil }
        var values: [ReadValue] = []
        for _ in 0..<reader.columnCount {
            guard let value = reader.next() else { return nil }
            values.append(ReadValue(kind: value.kind, bytes: [UInt8](copying: value.bytes)))
        }
        return (values, reader.offset)
    }
}

extension [UInt8] {
    /// A copy of a span's bytes.
    package init(copying span: RawSpan) {
        self = unsafe span.withUnsafeBytes { unsafe Array($0) }
    }
}
