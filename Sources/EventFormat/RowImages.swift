internal import ByteKit
internal import ChangeModel

/// Where a value of a tuple lies in the body of its batch.
struct ValuePlace: BitwiseCopyable {
    /// One of `ValueKind`.
    var kind: UInt8 = ValueKind.null
    /// The bytes; empty for null and unchanged.
    var range: ByteRange = .empty

    /// The value's bytes in `body`, which the tuple was read from.
    @inline(__always)
    @_lifetime(copy body)
    func bytes(in body: RawSpan) -> RawSpan { body.extracting(range.indices) }
}

/// What the tuples of one change say, each value found and checked before anything is written. Kept and filled again
/// from row to row.
struct RowImages {
    /// The row after the change; values that were not sent are taken from the old row where it has them. Empty without
    /// one.
    private(set) var after: [ValuePlace] = []
    /// The old row, or its key columns; empty without one.
    private(set) var before: [ValuePlace] = []
    /// How much of the old row there is.
    private(set) var beforeImage = BeforeImage.none
    /// True when a value of ``after`` is not known.
    private(set) var hasUnchanged = false
    /// True when the old row has another key than the new one.
    private(set) var isKeyChanged = false

    /// Reads the tuples of `change`.
    mutating func read(_ change: RowChange, _ plan: ColumnPlan, _ body: RawSpan) throws(EncodingFailure.Reason) {
        (hasUnchanged, isKeyChanged) = (false, false)
        let operation = change.operation
        beforeImage = operation == .truncate ? .none : change.beforeImage
        if beforeImage == .none {
            if !before.isEmpty { before.removeAll(keepingCapacity: true) }
        } else {
            _ = try Self.read(change.before, plan, body, into: &before)
        }
        if operation == .delete || operation == .truncate {
            if !after.isEmpty { after.removeAll(keepingCapacity: true) }
        } else {
            let isIncomplete = try Self.read(change.after, plan, body, into: &after)
            if isIncomplete { fillUnchanged(plan) }
            if beforeImage != .none { compareKeys(plan, body) }
        }
    }

    /// Finds the values of a tuple. True when one of them was not sent.
    private static func read(
        _ range: ByteRange, _ plan: ColumnPlan, _ body: RawSpan, into places: inout [ValuePlace]
    ) throws(EncodingFailure.Reason) -> Bool {
        guard range.indices.upperBound <= body.byteCount, var tuple = TupleReader(body.extracting(range.indices)) else {
            throw .damagedTuple
        }
        let count = plan.columns.count
        guard tuple.columnCount == count else { throw .columnCount(expected: count, found: tuple.columnCount) }
        if places.count != count { places = Array(repeating: ValuePlace(), count: count) }
        var isIncomplete = false
        var filling = places.mutableSpan
        for column in 0..<count {
            guard let value = tuple.next() else { throw .damagedTuple }
            let length = value.bytes.byteCount
            let offset = Int(range.offset) &+ tuple.offset &- length
            filling[column] = ValuePlace(
                kind: value.kind,
                range: ByteRange(offset: UInt32(truncatingIfNeeded: offset), length: UInt32(truncatingIfNeeded: length))
            )
            if value.kind == ValueKind.unchanged { isIncomplete = true }
        }
        guard tuple.offset == Int(range.length) else { throw .damagedTuple }
        return isIncomplete
    }

    /// Takes what was not sent from the old row: any column from a whole one, a key column from its key.
    private mutating func fillUnchanged(_ plan: ColumnPlan) {
        for column in after.indices where after[column].kind == ValueKind.unchanged {
            let isKnown =
                switch beforeImage {
                case .none: false
                case .key: plan.columns[column].isKey && before[column].kind != ValueKind.null
                case .full: true
                }
            if isKnown { after[column] = before[column] }
            if after[column].kind == ValueKind.unchanged { hasUnchanged = true }
        }
    }

    private mutating func compareKeys(_ plan: ColumnPlan, _ body: RawSpan) {
        for column in plan.keyColumns {
            let (old, new) = (before[column], after[column])
            if old.kind == ValueKind.unchanged { continue }
            if old.kind != new.kind || !old.bytes(in: body).hasSameBytes(as: new.bytes(in: body)) {
                isKeyChanged = true
                return
            }
        }
    }
}
