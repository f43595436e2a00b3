internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

extension EventWriter {
    /// Writes the records of a change in Debezium's form.
    mutating func appendDebezium(
        _ context: DebeziumContext, _ plan: ColumnPlan, _ images: RowImages, _ body: RawSpan
    ) throws(EncodingFailure.Reason) {
        guard let parts = plan.debezium else { return }
        guard isArrayLine else { return try appendRecords(context, plan, parts, images, body) }
        let start = output.count
        debezium.arrayTopic = nil
        output.append(UInt8(ascii: "["))
        try appendRecords(context, plan, parts, images, body)
        guard let topic = debezium.arrayTopic else { return output.truncate(to: start) }
        output.append(UInt8(ascii: "]"))
        // Keys and id are those of the last record, which has the event's.
        addRecord(from: start, at: context.offset, context.change, context.info, topic: topic)
    }

    private mutating func appendRecords(
        _ context: DebeziumContext, _ plan: ColumnPlan, _ parts: DebeziumPlan, _ images: RowImages, _ body: RawSpan
    ) throws(EncodingFailure.Reason) {
        if let outbox = plan.outbox { return try appendDebeziumOutbox(context, plan, parts, outbox, images, body) }
        switch context.change.operation {
        case .begin, .commit: try appendBoundary(context, plan, parts, images, body)
        case .message: try appendMessage(context, plan, parts, images, body)
        case .update where images.isKeyChanged:
            try appendRow(.deletion, context, plan, parts, images, body)
            try appendTombstone(context, plan, parts, images, body)
            try appendRow(.creation, context, plan, parts, images, body)
        case .delete:
            try appendRow(.whole, context, plan, parts, images, body)
            try appendTombstone(context, plan, parts, images, body)
        case .insert, .update, .truncate, .snapshot: try appendRow(.whole, context, plan, parts, images, body)
        }
    }

    /// Writes a record with the value of a change.
    private mutating func appendRow(
        _ part: DebeziumPart, _ context: DebeziumContext, _ plan: ColumnPlan, _ parts: DebeziumPlan,
        _ images: RowImages, _ body: RawSpan
    ) throws(EncodingFailure.Reason) {
        let operation = context.change.operation
        let isGone = operation == .delete || part == .deletion
        let start = beginRecord(part, plan)
        appendKeyDocument(isGone ? images.before : images.after, plan, parts, body)
        if part == .deletion {
            texts.previousKey = keepLooseKey(images.after, plan, body)
            appendHeader("__debezium.newkey", images.after, plan, parts, body)
        } else if part == .creation {
            texts.previousKey = keepLooseKey(images.before, plan, body)
            appendHeader("__debezium.oldkey", images.before, plan, parts, body)
        }
        appendHeaders()
        output.append(plan.bytes(parts.valueSchema))
        output.append("{\"before\":")
        let hasBefore = isGone || images.beforeImage == .full && part != .creation
        appendDebeziumImage(hasBefore ? images.before : [], plan, parts, body)
        output.append(",\"after\":")
        appendDebeziumImage(isGone ? [] : images.after, plan, parts, body)
        output.append(",\"source\":")
        appendSource(context, plan, parts)
        output.append(",\"transaction\":")
        appendTransactionBlock(context, parts)
        output.append(",\"op\":\"")
        output.append(part == .whole ? operation.debeziumCode : part == .deletion ? "d" : "c")
        output.append(UInt8(ascii: "\""))
        appendStamp()
        if !parts.valueSchema.isEmpty { output.append(UInt8(ascii: "}")) }
        try endRecord(from: start, context)
    }

    /// Writes the record that lets receivers forget a key.
    private mutating func appendTombstone(
        _ context: DebeziumContext, _ plan: ColumnPlan, _ parts: DebeziumPlan, _ images: RowImages, _ body: RawSpan
    ) throws(EncodingFailure.Reason) {
        if !debezium.options.hasTombstones || plan.keyColumns.isEmpty || images.before.isEmpty { return }
        if isValueAlone { return }
        let start = beginRecord(.tombstone, plan)
        appendKeyDocument(images.before, plan, parts, body)
        if images.isKeyChanged { texts.previousKey = keepLooseKey(images.after, plan, body) }
        appendHeaders()
        if form == .line { output.append("null") }
        try endRecord(from: start, context)
    }

    /// Writes a logical message. Its key is its prefix.
    private mutating func appendMessage(
        _ context: DebeziumContext, _ plan: ColumnPlan, _ parts: DebeziumPlan, _ images: RowImages, _ body: RawSpan
    ) throws(EncodingFailure.Reason) {
        let row = images.after
        guard row.count == 2 else { throw .columnCount(expected: 2, found: row.count) }
        let start = beginRecord(.whole, plan)
        appendKeyDocument(row, plan, parts, body)
        appendHeaders()
        output.append(plan.bytes(parts.valueSchema))
        output.append("{\"op\":\"m\",\"ts_ms\":")
        output.append(decimal: debezium.milliseconds)
        output.append(",\"source\":")
        appendSource(context, plan, parts)
        output.append(",\"transaction\":")
        appendTransactionBlock(context, parts)
        output.append(",\"message\":{\"prefix\":")
        appendDebeziumValue(row[0], 0, plan, parts, body)
        output.append(",\"content\":\"")
        output.append(base64: row[1].bytes(in: body))
        output.append("\"}}")
        if !parts.valueSchema.isEmpty { output.append(UInt8(ascii: "}")) }
        try endRecord(from: start, context)
    }

    /// Writes the begin or the end of a transaction.
    private mutating func appendBoundary(
        _ context: DebeziumContext, _ plan: ColumnPlan, _ parts: DebeziumPlan, _ images: RowImages, _ body: RawSpan
    ) throws(EncodingFailure.Reason) {
        let isBegin = context.change.operation == .begin
        if isBegin { debezium.count?.begin(context.info.commit) }
        let start = beginRecord(.whole, plan)
        if !images.after.isEmpty { texts.key = keepLooseKey(images.after, plan, body) }
        if !isValueAlone {
            let keyStart = beginKeyDocument(plan, parts)
            output.append("{\"id\":")
            appendTransactionID(context.info)
            output.append(UInt8(ascii: "}"))
            endKeyDocument(from: keyStart, parts)
        }
        appendHeaders()
        output.append(plan.bytes(parts.valueSchema))
        output.append(isBegin ? "{\"status\":\"BEGIN\",\"id\":" : "{\"status\":\"END\",\"id\":")
        appendTransactionID(context.info)
        if !isBegin, let count = debezium.count, count.commit == context.info.commit {
            appendCounts(count, to: &output)
        } else {
            // Of a transaction whose begin is not in the log any more nobody counted the records.
            output.append(",\"event_count\":null,\"data_collections\":null")
        }
        output.append(",\"ts_ms\":")
        output.append(decimal: milliseconds(context.info.committedAt))
        output.append(UInt8(ascii: "}"))
        if !parts.valueSchema.isEmpty { output.append(UInt8(ascii: "}")) }
        if !isBegin { debezium.count?.end() }
        try endRecord(from: start, context)
    }
}

extension Operation {
    /// The letter that Debezium has for a change.
    fileprivate var debeziumCode: StaticString {
        switch self {
        case .insert: "c"
        case .update: "u"
        case .delete: "d"
        case .truncate: "t"
        case .snapshot: "r"
        case .message, .begin, .commit: "m"
        }
    }
}

private func appendCounts(_ count: TransactionCount, to output: inout OutputBuffer) {
    output.append(",\"event_count\":")
    output.append(decimal: count.total)
    output.append(",\"data_collections\":[")
    var comma = false
    count.forEach { name, number in
        if comma { output.append(UInt8(ascii: ",")) }
        comma = true
        output.append("{\"data_collection\":")
        output.append(jsonString: name)
        output.append(",\"event_count\":")
        output.append(decimal: number)
        output.append(UInt8(ascii: "}"))
    }
    output.append(UInt8(ascii: "]"))
}
