internal import ByteKit
internal import ChangeModel

/// Sees whether a row of an outbox can be an event, before it is stored as one.
struct OutboxRowCheck {
    /// Aggregate types become parts of topics, which have bounds of their own.
    static let aggregateTypeBytesMax = 200

    private let route: OutboxRoute
    /// The highest column that is looked at.
    private let last: Int

    init(_ route: OutboxRoute) {
        self.route = route
        last = max(route.id, route.type, route.aggregateType, route.payload)
    }

    /// What is wrong with a row.
    struct Fault: Hashable {
        /// Index of the column.
        var column: Int
        var kind: RowFault
    }

    /// Nil for a row that can be an event. Throws for bytes that are not a tuple.
    func fault(in tuple: RawSpan) throws(Damage) -> Fault? {
        guard var reader = TupleReader(tuple), reader.columnCount > last else { throw Damage() }
        for column in 0...last {
            guard let value = reader.next() else { throw Damage() }
            do throws(RowFault) {
                if column == route.id || column == route.type { try checkText(value) }
                if column == route.aggregateType, route.topicSuffix != nil || value.kind != ValueKind.null {
                    try checkText(value)
                    if value.bytes.byteCount > Self.aggregateTypeBytesMax { throw .isTooLong }
                }
                if column == route.payload, route.content == .json { try checkJSON(value) }
            } catch {
                return Fault(column: column, kind: error)
            }
        }
        return nil
    }

    /// The row's bytes are not a tuple of its relation.
    struct Damage: Error {}

    private func checkText(_ value: borrowing TupleValue) throws(RowFault) {
        switch value.kind {
        case ValueKind.null: throw .isNull
        case ValueKind.text, ValueKind.integer, ValueKind.real: break
        default: throw .isNotText
        }
        if value.bytes.isEmpty { throw .isEmpty }
        // CloudEvents: an attribute has none.
        if UTF8Check.hasControlCharacters(value.bytes) { throw .hasControlCharacters }
    }

    private func checkJSON(_ value: borrowing TupleValue) throws(RowFault) {
        switch value.kind {
        case ValueKind.null, ValueKind.integer, ValueKind.real: return
        case ValueKind.text:
            var scratch = OutputBuffer(capacity: value.bytes.byteCount)
            if !scratch.append(embeddedJSON: value.bytes, depthMax: OutboxRoute.jsonDepthMax) { throw .isNotJSON }
        default: throw .isNotJSON
        }
    }
}
