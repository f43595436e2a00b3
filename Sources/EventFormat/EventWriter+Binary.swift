internal import ByteKit
internal import ChangeModel

/// Events whose payload is their data alone. The context attributes stand behind the events, a line for each.
extension EventWriter {
    /// Writes the data of a change as the payload.
    mutating func appendBinaryCloudEvent(
        _ change: RowChange, _ info: TransactionInfo, _ plan: ColumnPlan, _ images: RowImages, _ body: RawSpan
    ) {
        guard let context = plan.context else { return }
        let operation = change.operation
        let number = Int(operation.rawValue) &- 1
        let data = plan.bytes(plan.fragments.operations[number].data)
        // Without `,"data":` before it and the closing brace of the event behind it.
        output.append(data.extracting(8..<data.byteCount))
        appendData(operation, plan, images, body)
        appendOrigin(change, info)
        output.truncate(to: output.count &- 1)

        let start = looseTexts.count
        looseTexts.append(plan.bytes(context.head))
        let isNamePlain = context.head.length == plan.idPrefix.length &+ 19
        let idStart = looseTexts.count &- Int(plan.idPrefix.length)
        looseTexts.append(contentsOf: sequence)
        if isNamePlain { texts.id = TextPlace(idStart..<looseTexts.count, isLoose: true) }
        looseTexts.append(plan.bytes(context.middles[number]))
        appendTimeAndSequence()
        let keyImage = operation == .delete ? images.before : images.after
        keyText.removeAll()
        if !plan.keyColumns.isEmpty && !keyImage.isEmpty { composeKeyText(keyImage, plan, body) }
        appendSubjectLines()
        transaction.appendAttributes(to: &looseTexts)
        texts.attributes = TextPlace(start..<looseTexts.count, isLoose: true)
        if !isNamePlain { texts.id = keepLooseID(plan) }
        if texts.key.range.isEmpty { texts.key = keepLooseText() }
    }

    /// Writes the rest of the line `time`, and the line `sequence`.
    private mutating func appendTimeAndSequence() {
        transaction.appendTime(to: &looseTexts)
        looseTexts.append("\nsequence:")
        looseTexts.append(contentsOf: sequence)
        looseTexts.append(UInt8(ascii: "\n"))
    }

    /// Writes the key that was put together as `subject` and `partitionkey`, unless it is empty, and notes where it
    /// stands as it is.
    private mutating func appendSubjectLines() {
        if keyText.count == 0 { return }
        looseTexts.append("subject:")
        let start = looseTexts.count
        appendAttribute(keyText, to: &looseTexts)
        let subject = start..<looseTexts.count
        looseTexts.append("\npartitionkey:")
        looseTexts.append(copyOf: subject)
        looseTexts.append(UInt8(ascii: "\n"))
        if subject.count == keyText.count { texts.key = TextPlace(subject, isLoose: true) }
    }

    // MARK: Outboxes

    /// Writes the payload of a row of an outbox as it is: JSON, text, or bytes.
    mutating func appendBinaryOutboxEvent(
        _ row: [ValuePlace], _ plan: ColumnPlan, _ outbox: OutboxPlan, _ body: RawSpan
    ) {
        let (route, fragments) = (outbox.route, outbox.fragments)
        let content = appendPlainPayload(row[route.payload], plan, outbox, body)
        let start = looseTexts.count
        looseTexts.append(plan.bytes(fragments.head))
        let idStart = looseTexts.count
        let idLength = composeText(row, route.id, plan, body)
        appendAttribute(keyText, to: &looseTexts)
        let id = idStart..<looseTexts.count
        looseTexts.append(plan.bytes(fragments.type))
        composeText(row, route.type, plan, body)
        appendAttribute(keyText, to: &looseTexts)
        looseTexts.append("\ntime:")
        appendTimeAndSequence()
        composeText(row, route.aggregateID, plan, body)
        appendSubjectLines()
        if composeText(row, route.aggregateType, plan, body) > 0 {
            looseTexts.append("aggregatetype:")
            appendAttribute(keyText, to: &looseTexts)
            looseTexts.append(UInt8(ascii: "\n"))
        }
        appendAttributeLines(row, plan, outbox, body)
        if let content {
            looseTexts.append("datacontenttype:")
            looseTexts.append(content.type)
            looseTexts.append(UInt8(ascii: "\n"))
        }
        texts.attributes = TextPlace(start..<looseTexts.count, isLoose: true)
        composeText(row, route.id, plan, body)
        texts.id = id.count == idLength ? TextPlace(id, isLoose: true) : keepLooseText()
        composeText(row, route.aggregateID, plan, body)
        if texts.key.range.isEmpty { texts.key = keepLooseText() }
    }

    /// Writes the row's own attributes and then those of its transaction, without the ones that the row has.
    private mutating func appendAttributeLines(
        _ row: [ValuePlace], _ plan: ColumnPlan, _ outbox: OutboxPlan, _ body: RawSpan
    ) {
        let names = outbox.fragments.attributes
        ownAttributes.removeAll(keepingCapacity: true)
        for (number, attribute) in outbox.route.attributes.enumerated()
        where composeText(row, attribute.column, plan, body) > 0 && !UTF8Check.hasControlCharacters(keyText.bytes) {
            looseTexts.append(plan.bytes(names[number]))
            looseTexts.append(contentsOf: keyText)
            looseTexts.append(UInt8(ascii: "\n"))
            ownAttributes.append(number)
        }
        for number in 0..<transaction.attributeCount
        where !ownAttributes.contains(where: { transaction.attribute(number, hasPrefix: plan.bytes(names[$0])) }) {
            transaction.appendAttribute(number, to: &looseTexts)
        }
    }

    /// Writes a payload as it is; returns what it is, nil for NULL.
    mutating func appendPlainPayload(
        _ place: ValuePlace, _ plan: ColumnPlan, _ outbox: OutboxPlan, _ body: RawSpan
    ) -> PayloadContent? {
        let bytes = place.bytes(in: body)
        let content = outbox.route.content
        switch place.kind {
        case ValueKind.null, ValueKind.unchanged: return nil
        case ValueKind.text:
            let form = plan.columns[outbox.route.payload].form
            if form == .bytes, let digits = hexDigits(bytes), output.append(bytesOfHex: digits) {
                return .binary
            }
            let isWhollyJSON = outbox.holdsJSON || content == .json
            if content != .text, isWhollyJSON || isObjectOrArray(bytes) {
                if output.append(embeddedJSON: bytes, depthMax: OutboxRoute.jsonDepthMax) { return .json }
                if isWhollyJSON {
                    output.append(bytes)
                    return .otherJSON
                }
            }
            output.append(bytes)
            return UTF8Check.isValid(bytes) ? .text : .binary
        case ValueKind.integer, ValueKind.real:
            output.append(bytes)
            return NumberText.isNumber(bytes) && content != .text ? .json : .text
        default:
            output.append(bytes)
            return .binary
        }
    }
}

/// What the payload of an outbox is.
enum PayloadContent {
    case json
    /// JSON that strict readers of an event would refuse.
    case otherJSON
    case text, binary

    var type: StaticString {
        switch self {
        case .json, .otherJSON: "application/json"
        case .text: "text/plain"
        case .binary: "application/octet-stream"
        }
    }
}
