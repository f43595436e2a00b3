internal import ByteKit
package import ChangeModel
package import ConnectorKit

/// Writes batches anew with some of their relations masked: identities, transactions and the order of changes stay,
/// every tuple of a masked relation is masked alike, before images and old keys too.
package struct BatchRewriting: Sendable {
    private let hash: KeyedHash?

    /// What stands for a redacted value.
    package static let redacted: StaticString = "[redacted]"

    /// With the key of its hashes; nil where nothing is hashed.
    package init(salt: [UInt8]?) throws(ConnectorFailure) {
        hash = if let salt { try KeyedHash(key: salt) } else { nil }
    }

    /// The batch with each relation masked by its plan; nil leaves a relation as it is. Without contexts, what
    /// applications said about their transactions is left out.
    package func rewrite(
        _ batch: ChangeBatch, _ plans: [MaskPlan?], checkpoint: SourceCheckpoint, keepsContexts: Bool = true
    ) throws(ConnectorFailure) -> ChangeBatch {
        var builder = ChangeBatchBuilder(capacity: batch.body.count)
        for index in 0..<batch.transactionCount {
            var transaction = batch.transaction(at: index)
            if keepsContexts {
                _ = batch.copy(transaction, to: &builder)
            } else {
                transaction.context = .empty
                _ = builder.begin(transaction)
            }
        }
        var places: [UInt32] = []
        for (relation, plan) in zip(batch.relations, plans) {
            places.append(builder.index(of: plan?.relation ?? relation))
        }
        for index in 0..<batch.changeCount {
            var change = batch.change(at: index)
            let number = Int(change.relation)
            guard number < plans.count else { throw MaskFailure.withoutPosition() }
            if let plan = plans[number] {
                let (before, after) = (change.before, change.after)
                let isKeyImage = change.beforeImage == .key
                change.before = try mask(before, of: batch, plan, isKeyImage: isKeyImage, into: &builder)
                change.after = try mask(after, of: batch, plan, isKeyImage: false, into: &builder)
            } else {
                if !change.before.isEmpty { change.before = builder.append(tuple: batch.tuple(change.before)) }
                if !change.after.isEmpty { change.after = builder.append(tuple: batch.tuple(change.after)) }
            }
            change.relation = places[number]
            builder.append(change)
        }
        do throws(ChangeBatchError) {
            return try builder.seal(
                checkpoint: checkpoint, mustBeDurableBeforeDelivery: batch.mustBeDurableBeforeDelivery)
        } catch {
            throw MaskFailure.tooLarge()
        }
    }

    private func mask(
        _ range: ByteRange, of batch: ChangeBatch, _ plan: MaskPlan, isKeyImage: Bool,
        into builder: inout ChangeBatchBuilder
    ) throws(ConnectorFailure) -> ByteRange {
        if range.isEmpty { return range }
        let tuple = batch.tuple(range)
        guard var reader = TupleReader(tuple), reader.columnCount == plan.actions.count else {
            throw MaskFailure.damaged(plan.relation)
        }
        return try builder.appendTuple(columnCount: plan.relation.columns.count) {
            (output: inout OutputBuffer) throws(ConnectorFailure) in
            for action in plan.actions {
                guard let value = reader.next() else { throw MaskFailure.damaged(plan.relation) }
                try append(value, action, isKeyImage: isKeyImage, to: &output)
            }
        }
    }

    /// What is not known stays unknown. A redacted NULL is redacted, so that it does not tell; but in the image of a
    /// key NULL only says that the column is none of the key.
    private func append(
        _ value: borrowing TupleValue, _ action: MaskPlan.Action, isKeyImage: Bool, to output: inout OutputBuffer
    ) throws(ConnectorFailure) {
        if action == .drop { return }
        if action == .blank {
            output.append(value.kind == ValueKind.unchanged ? value.kind : ValueKind.null)
            return
        }
        if value.kind == ValueKind.unchanged || (value.kind == ValueKind.null && (action != .redact || isKeyImage)) {
            output.append(value.kind)
            return
        }
        switch action {
        case .redact:
            output.append(ValueKind.text)
            output.append(bigEndian: Int32(Self.redacted.utf8CodeUnitCount))
            output.append(Self.redacted)
        case .hash:
            guard let hash else { throw MaskFailure.hashUnavailable() }
            output.append(ValueKind.text)
            output.append(bigEndian: Int32(2 * KeyedHash.length))
            try hash.append(hashOf: value.bytes, to: &output)
        case .truncate(let length):
            let isText = value.kind == ValueKind.text || value.kind == ValueKind.integer || value.kind == ValueKind.real
            let end = isText ? Self.end(ofCharacters: length, in: value.bytes) : min(length, value.bytes.byteCount)
            append(isText ? ValueKind.text : value.kind, value.bytes.extracting(0..<end), to: &output)
        case .truncateBytes(let length):
            append(value.kind, value.bytes.extracting(0..<Self.end(ofHexBytes: length, in: value.bytes)), to: &output)
        case .keep, .drop, .blank:
            append(value.kind, value.bytes, to: &output)
        }
    }

    private func append(_ kind: UInt8, _ bytes: RawSpan, to output: inout OutputBuffer) {
        output.append(kind)
        output.append(bigEndian: Int32(clamping: bytes.byteCount))
        output.append(bytes)
    }

    /// Where the first `count` bytes end that are written as `\x` and two digits each. Text in another form, which the
    /// source never asks for, loses everything.
    private static func end(ofHexBytes count: Int, in text: RawSpan) -> Int {
        guard text.byteCount >= 2, text.byte(0) == UInt8(ascii: "\\"), text.byte(1) == UInt8(ascii: "x") else {
            return 0
        }
        return min(text.byteCount, 2 + 2 * count)
    }

    /// Where the first `count` characters (Unicode scalars) of UTF-8 text end.
    private static func end(ofCharacters count: Int, in text: RawSpan) -> Int {
        if text.byteCount <= count { return text.byteCount }
        var (position, left) = (0, count)
        while position < text.byteCount {
            let isFirst = text.byte(position) & 0xC0 != 0x80
            if isFirst && left == 0 { break }
            if isFirst { left -= 1 }
            position += 1
        }
        return position
    }
}
