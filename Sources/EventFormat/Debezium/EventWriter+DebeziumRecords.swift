internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

/// The frame of a record: id, key, headers and the end.
extension EventWriter {
    /// True when a line has topic, key and headers beside the value.
    var isRecordLine: Bool { form == .line && debezium.options.lines != .value }
    /// True when all records of an event are in one line.
    var isArrayLine: Bool { form == .line && debezium.options.lines == .event }
    /// True when nobody sees keys and headers, so that they are not written.
    var isValueAlone: Bool { form == .line && debezium.options.lines == .value }

    /// Begins a record with its id; returns where its payload begins.
    mutating func beginRecord(_ part: DebeziumPart, _ plan: ColumnPlan) -> Int {
        texts = RecordTexts()
        debezium.headers.removeAll()
        let start = looseTexts.count
        looseTexts.append(plan.bytes(plan.idPrefix))
        looseTexts.append(contentsOf: sequence)
        if isArrayLine {
            if debezium.arrayTopic != nil { output.append(UInt8(ascii: ",")) }
        } else {
            looseTexts.append(part.suffix)
        }
        texts.id = TextPlace(start..<looseTexts.count, isLoose: true)
        return output.count
    }

    /// Writes the key of a row, as text and as JSON; `null` where a line must have one and the row has none.
    mutating func appendKeyDocument(
        _ image: [ValuePlace], _ plan: ColumnPlan, _ parts: DebeziumPlan, _ body: RawSpan
    ) {
        if plan.keyColumns.isEmpty || image.isEmpty {
            if isRecordLine {
                output.append(plan.bytes(parts.recordHead))
                output.append("null")
            }
            return
        }
        texts.key = keepLooseKey(image, plan, body)
        if isValueAlone { return }
        let start = beginKeyDocument(plan, parts)
        appendDebeziumKey(image, plan, parts, body)
        endKeyDocument(from: start, parts)
    }

    /// Writes what stands before a key; returns where the key begins.
    mutating func beginKeyDocument(_ plan: ColumnPlan, _ parts: DebeziumPlan) -> Int {
        if isRecordLine { output.append(plan.bytes(parts.recordHead)) }
        let start = output.count
        output.append(plan.bytes(parts.keySchema))
        return start
    }

    /// Ends the key that was just written. Where it is no part of the payload, it moves behind the events.
    mutating func endKeyDocument(from start: Int, _ parts: DebeziumPlan) {
        if !parts.keySchema.isEmpty { output.append(UInt8(ascii: "}")) }
        keepKeyDocument(from: start)
    }

    /// The same for a key without a schema.
    mutating func keepKeyDocument(from start: Int) {
        if isRecordLine { return }
        let looseStart = looseTexts.count
        appendPart(output, start..<output.count, to: &looseTexts)
        texts.keyDocument = TextPlace(looseStart..<looseTexts.count, isLoose: true)
        output.truncate(to: start)
    }

    /// Keeps a header whose value is a key.
    mutating func appendHeader(
        _ name: StaticString, _ image: [ValuePlace], _ plan: ColumnPlan, _ parts: DebeziumPlan, _ body: RawSpan
    ) {
        if isValueAlone { return }
        let start = output.count
        output.append(plan.bytes(parts.keySchema))
        appendDebeziumKey(image, plan, parts, body)
        if !parts.keySchema.isEmpty { output.append(UInt8(ascii: "}")) }
        beginHeader(name)
        appendPart(output, start..<output.count, to: &debezium.headers)
        if form == .binary { debezium.headers.append(UInt8(ascii: "\n")) }
        output.truncate(to: start)
    }

    /// Keeps a header whose value is the text that was put together.
    mutating func appendTextHeader(_ name: StaticString) {
        beginHeader(name)
        endTextHeader()
    }

    /// The same for a name of the configuration, which is `name:` in the plan.
    mutating func appendTextHeader(named name: RawSpan) {
        if form == .binary {
            debezium.headers.append(name)
        } else {
            debezium.headers.append(debezium.headers.count == 0 ? "\"" : ",\"")
            debezium.headers.append(name.extracting(0..<max(name.byteCount &- 1, 0)))
            debezium.headers.append("\":")
        }
        endTextHeader()
    }

    private mutating func beginHeader(_ name: StaticString) {
        if form == .binary {
            debezium.headers.append(name)
            debezium.headers.append(":")
        } else {
            debezium.headers.append(debezium.headers.count == 0 ? "\"" : ",\"")
            debezium.headers.append(name)
            debezium.headers.append("\":")
        }
    }

    private mutating func endTextHeader() {
        appendJSONString(keyText, to: &debezium.headers)
        if form == .binary { debezium.headers.append(UInt8(ascii: "\n")) }
    }

    /// Writes the headers and the name of the value where a line has them; keeps them behind the events otherwise.
    mutating func appendHeaders() {
        if form == .binary {
            if debezium.headers.count == 0 { return }
            let start = looseTexts.count
            looseTexts.append(contentsOf: debezium.headers)
            texts.headers = TextPlace(start..<looseTexts.count, isLoose: true)
        } else if isRecordLine {
            output.append(",\"headers\":{")
            output.append(contentsOf: debezium.headers)
            output.append("},\"value\":")
        }
    }

    /// Ends a record.
    mutating func endRecord(from start: Int, _ context: DebeziumContext) throws(EncodingFailure.Reason) {
        if isRecordLine { output.append(UInt8(ascii: "}")) }
        if output.count &+ looseTexts.count >= Int(UInt32.max) { throw .tooLarge }
        if isArrayLine {
            debezium.arrayTopic = context.topic
            return
        }
        addRecord(from: start, at: context.offset, context.change, context.info, topic: context.topic)
    }
}

func appendPart(_ buffer: borrowing OutputBuffer, _ range: Range<Int>, to output: inout OutputBuffer) {
    output.append(buffer.bytes.extracting(range))
}

func appendJSONString(_ text: borrowing OutputBuffer, to output: inout OutputBuffer) {
    output.append(UInt8(ascii: "\""))
    output.append(jsonEscaping: text.bytes)
    output.append(UInt8(ascii: "\""))
}
