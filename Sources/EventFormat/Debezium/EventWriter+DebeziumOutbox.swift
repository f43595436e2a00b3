internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

extension EventWriter {
    /// Writes a row of an outbox as Debezium's event router does: the payload is the value, the id of the aggregate the
    /// key, the id of the event a header.
    mutating func appendDebeziumOutbox(
        _ context: DebeziumContext, _ plan: ColumnPlan, _ parts: DebeziumPlan, _ outbox: OutboxPlan,
        _ images: RowImages, _ body: RawSpan
    ) throws(EncodingFailure.Reason) {
        let (row, route) = (images.after, outbox.route)
        for column in [route.id, route.type] where composeText(row, column, plan, body) == 0 { throw .noOutboxEvent }
        composeTopic(row, plan, outbox, body)
        var context = context
        context.topic = routes.index(of: plan)
        // Nothing is written about the transaction, but its end counts the record.
        if context.info.id != 0, let count = debezium.count, count.commit == context.info.commit {
            _ = count.count(parts.collection)
        }
        texts = RecordTexts()
        debezium.headers.removeAll()
        let start = output.count
        if isRecordLine {
            output.append("{\"topic\":")
            appendJSONString(routes.name, to: &output)
            output.append(",\"key\":")
        }
        appendAggregateKey(row, plan, outbox, body)
        composeText(row, route.id, plan, body)
        texts.id = keepLooseText()
        if !isValueAlone { appendOutboxHeaders(row, plan, outbox, body) }
        appendHeaders()
        appendPayloadValue(row[route.payload], plan, outbox, body)
        isRouted = true
        try endRecord(from: start, context)
    }

    /// Keeps the headers; the event's id was put together.
    private mutating func appendOutboxHeaders(
        _ row: [ValuePlace], _ plan: ColumnPlan, _ outbox: OutboxPlan, _ body: RawSpan
    ) {
        appendTextHeader("id")
        for (number, attribute) in outbox.route.attributes.enumerated()
        where composeText(row, attribute.column, plan, body) > 0 && !UTF8Check.hasControlCharacters(keyText.bytes) {
            appendTextHeader(named: plan.bytes(outbox.fragments.attributes[number]))
        }
    }

    private mutating func appendAggregateKey(
        _ row: [ValuePlace], _ plan: ColumnPlan, _ outbox: OutboxPlan, _ body: RawSpan
    ) {
        guard composeText(row, outbox.route.aggregateID, plan, body) > 0 else {
            if isRecordLine { output.append("null") }
            return
        }
        texts.key = keepLooseText()
        if isValueAlone { return }
        let start = output.count
        appendJSONString(keyText, to: &output)
        keepKeyDocument(from: start)
    }

    /// Writes a payload as JSON: what is JSON as it is, text as a string, bytes as base64. Without one a record has no
    /// value.
    private mutating func appendPayloadValue(
        _ place: ValuePlace, _ plan: ColumnPlan, _ outbox: OutboxPlan, _ body: RawSpan
    ) {
        let start = output.count
        guard let content = appendPlainPayload(place, plan, outbox, body) else {
            if form == .line { output.append("null") }
            return
        }
        if content == .json { return }
        keyText.removeAll()
        appendPart(output, start..<output.count, to: &keyText)
        output.truncate(to: start)
        if content == .binary {
            appendBase64(keyText, to: &output)
        } else {
            appendJSONString(keyText, to: &output)
        }
    }
}
