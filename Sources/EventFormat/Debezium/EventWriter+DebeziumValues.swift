internal import ByteKit
internal import ChangeModel

extension EventWriter {
    /// Writes a row as an object, every column in it; `null` without one.
    mutating func appendDebeziumImage(
        _ image: [ValuePlace], _ plan: ColumnPlan, _ parts: DebeziumPlan, _ body: RawSpan
    ) {
        if image.isEmpty {
            output.append("null")
            return
        }
        output.append(UInt8(ascii: "{"))
        var comma = 1
        for column in image.indices { appendDebeziumMember(column, image[column], plan, parts, body, &comma) }
        output.append(UInt8(ascii: "}"))
    }

    /// Writes the key of a row as an object.
    mutating func appendDebeziumKey(
        _ image: [ValuePlace], _ plan: ColumnPlan, _ parts: DebeziumPlan, _ body: RawSpan
    ) {
        output.append(UInt8(ascii: "{"))
        var comma = 1
        for column in plan.keyColumns { appendDebeziumMember(column, image[column], plan, parts, body, &comma) }
        output.append(UInt8(ascii: "}"))
    }

    @inline(__always)
    private mutating func appendDebeziumMember(
        _ column: Int, _ place: ValuePlace, _ plan: ColumnPlan, _ parts: DebeziumPlan, _ body: RawSpan,
        _ comma: inout Int
    ) {
        let name = plan.bytes(plan.columns[column].member)
        output.append(name.extracting(comma..<name.byteCount))
        comma = 0
        appendDebeziumValue(place, column, plan, parts, body)
    }

    /// Writes a value. What does not look like its type is a string of the database's text.
    mutating func appendDebeziumValue(
        _ place: ValuePlace, _ column: Int, _ plan: ColumnPlan, _ parts: DebeziumPlan, _ body: RawSpan
    ) {
        switch place.kind {
        case ValueKind.null: output.append("null")
        case ValueKind.unchanged: output.append(plan.bytes(parts.unavailable[column]))
        case ValueKind.text: appendDebeziumText(place.bytes(in: body), column, plan)
        case ValueKind.integer, ValueKind.real:
            let bytes = place.bytes(in: body)
            if NumberText.isNumber(bytes) { output.append(bytes) } else { appendDebeziumMisfit(bytes) }
        default: appendDebeziumBinary(place.bytes(in: body))
        }
    }

    private mutating func appendDebeziumText(_ bytes: RawSpan, _ column: Int, _ plan: ColumnPlan) {
        let start = output.count
        let place = Int(plan.columns[column].node)
        let fits: Bool
        if let leaf = plan.nodes[place].leaf {
            fits = structures.leaves.append(bytes, leaf, to: &output)
        } else {
            fits = structures.append(bytes, place, plan, to: &output)
        }
        if fits { return }
        output.truncate(to: start)
        appendDebeziumMisfit(bytes)
    }

    private mutating func appendDebeziumMisfit(_ bytes: RawSpan) {
        if !output.append(jsonString: bytes) { appendDebeziumBinary(bytes) }
    }

    private mutating func appendDebeziumBinary(_ bytes: RawSpan) {
        output.append(UInt8(ascii: "\""))
        output.append(base64: bytes)
        output.append(UInt8(ascii: "\""))
    }

    // MARK: Blocks

    /// Writes where a change comes from. The position is that of the commit, which never goes back; the second number
    /// of the sequence tells the changes of a transaction apart.
    mutating func appendSource(_ context: DebeziumContext, _ plan: ColumnPlan, _ parts: DebeziumPlan) {
        let isSnapshot = context.change.operation == .snapshot
        let info = context.info
        output.append(plan.bytes(parts.source.head))
        output.append(decimal: milliseconds(info.committedAt))
        output.append(isSnapshot ? ",\"snapshot\":\"true" : ",\"snapshot\":\"false")
        output.append(plan.bytes(parts.source.database))
        if isSnapshot {
            output.append("null,\\\"")
            output.append(decimal: info.commit)
        } else {
            output.append("\\\"")
            output.append(decimal: info.commit)
            output.append("\\\",\\\"")
            output.append(decimal: info.commit &+ UInt64(context.change.ordinal))
        }
        output.append("\\\"]\",\"ts_us\":")
        output.append(decimal: info.committedAt)
        output.append(",\"ts_ns\":")
        output.append(decimal: info.committedAt)
        output.append("000")
        output.append(plan.bytes(parts.source.table))
        if hasLSN {
            output.append(",\"txId\":")
            if info.id == 0 { output.append("null") } else { output.append(decimal: info.id) }
            output.append(",\"lsn\":")
            output.append(decimal: info.commit)
            output.append(",\"xmin\":null,\"origin\":null,\"origin_lsn\":null}")
        } else {
            output.append(UInt8(ascii: "}"))
        }
    }

    /// Counts a record, and writes its place in its transaction; `null` where the begin of the transaction is no event.
    mutating func appendTransactionBlock(_ context: DebeziumContext, _ parts: DebeziumPlan) {
        guard context.info.id != 0, let count = debezium.count, count.commit == context.info.commit else {
            output.append("null")
            return
        }
        let ofTable = count.count(parts.collection)
        output.append("{\"id\":")
        appendTransactionID(context.info)
        output.append(",\"total_order\":")
        output.append(decimal: count.total)
        output.append(",\"data_collection_order\":")
        output.append(decimal: ofTable)
        output.append(UInt8(ascii: "}"))
    }

    /// `"771:23803720"`
    mutating func appendTransactionID(_ info: TransactionInfo) {
        output.append(UInt8(ascii: "\""))
        output.append(decimal: info.id)
        output.append(UInt8(ascii: ":"))
        output.append(decimal: info.commit)
        output.append(UInt8(ascii: "\""))
    }

    /// Writes when the event was written, and ends the value.
    mutating func appendStamp() { output.append(contentsOf: debezium.stamp) }

    func milliseconds(_ microseconds: Int64) -> Int64 {
        microseconds / 1000 - (microseconds % 1000 < 0 ? 1 : 0)
    }
}
