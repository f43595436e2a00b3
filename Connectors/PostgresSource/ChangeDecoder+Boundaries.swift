internal import ByteKit
internal import ChangeModel

/// What is known of the open transaction for the event of its end.
struct TransactionBoundary {
    /// True once an event of the transaction was seen, logged before or not.
    var hasBegun = false
    /// Messages that are events.
    var messages: UInt32 = 0
    /// Places of the relations with events.
    var places: [Int] = []
    /// Events by the place of their relation; zero between transactions.
    var counts: [UInt32] = []
    /// Tables that the end names one by one.
    static let tablesMax = 1000
}

extension ChangeDecoder {
    /// Counts an event of a table for the end of the transaction. The first one brings the begin with it.
    @inline(__always)
    mutating func countInBoundary(place: Int) {
        if !boundary.hasBegun { beginBoundary() }
        if place < boundary.counts.count, boundary.counts[place] > 0 {
            boundary.counts[place] &+= 1
        } else {
            noteTable(place)
        }
    }

    /// Counts an event that is a message.
    mutating func countMessageInBoundary() {
        if !boundary.hasBegun { beginBoundary() }
        boundary.messages &+= 1
    }

    @inline(never)
    private mutating func noteTable(_ place: Int) {
        while boundary.counts.count <= place { boundary.counts.append(0) }
        boundary.counts[place] = 1
        boundary.places.append(place)
    }

    /// The begin comes right before the first event, so that a transaction without one has none. Its ordinal comes
    /// before all others, so that it takes none of them.
    @inline(never)
    private mutating func beginBoundary() {
        boundary.hasBegun = true
        guard let info = transaction?.info else { return }
        appendBoundary(.begin, ChangeIdentity(commit: info.commit, ordinal: ChangeIdentity.beginOrdinal)) { output in
            output.append(textValue: String(info.id))
            for _ in 0..<3 { output.append(ValueKind.null) }
        }
    }

    /// Puts the end of a transaction with events into the batch, and forgets what was counted.
    mutating func endBoundary(_ open: OpenTransaction) {
        guard boundary.hasBegun else { return }
        let tables = tablesText()
        let events = boundary.places.reduce(UInt64(boundary.messages)) { $0 + UInt64(boundary.counts[$1]) }
        appendBoundary(
            .commit, ChangeIdentity(commit: open.info.commit, ordinal: ChangeIdentity.commitOrdinal)
        ) { output in
            output.append(textValue: String(open.info.id))
            output.append(textValue: String(open.nextOrdinal))
            output.append(textValue: String(events))
            output.append(textValue: tables)
        }
        for place in boundary.places { boundary.counts[place] = 0 }
        boundary.places.removeAll(keepingCapacity: true)
        (boundary.hasBegun, boundary.messages) = (false, 0)
    }

    private mutating func appendBoundary(
        _ operation: Operation, _ identity: ChangeIdentity, _ values: (inout OutputBuffer) -> Void
    ) {
        if progress.isLogged(identity) { return }
        progress.took(identity)
        let index = transactionIndex()
        let relation = MessageRelations.transaction
        let after = builder.appendTuple(columnCount: relation.columns.count, values)
        builder.append(
            RowChange(
                operation: operation, relation: builder.index(of: relation), transaction: index,
                ordinal: identity.ordinal, after: after))
    }

    /// Events by table as JSON, in the order in which the tables were first changed. Beyond the bound, one entry
    /// without a name has the rest.
    private func tablesText() -> String {
        var text = OutputBuffer(capacity: 128)
        text.append("[")
        for place in boundary.places.prefix(TransactionBoundary.tablesMax) {
            guard let relation = relations[place].relation else { continue }
            text.appendEntry(relation.schema, relation.name, UInt64(boundary.counts[place]))
        }
        if boundary.messages > 0 {
            let relation = MessageRelations.message
            text.appendEntry(relation.schema, relation.name, UInt64(boundary.messages))
        }
        let rest = boundary.places.dropFirst(TransactionBoundary.tablesMax)
        if !rest.isEmpty {
            text.appendEntry(nil, nil, rest.reduce(UInt64(0)) { $0 + UInt64(boundary.counts[$1]) })
        }
        text.append("]")
        return String(validatingUTF8: text.bytes) ?? "[]"
    }
}

extension OutputBuffer {
    fileprivate mutating func appendEntry(_ schema: String?, _ table: String?, _ events: UInt64) {
        append(count > 1 ? ",{\"schema\":" : "{\"schema\":")
        if let schema { append(jsonString: schema) } else { append("null") }
        append(",\"table\":")
        if let table { append(jsonString: table) } else { append("null") }
        append(",\"events\":")
        append(utf8: String(events))
        append("}")
    }
}
