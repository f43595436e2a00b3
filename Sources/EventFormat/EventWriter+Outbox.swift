internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

extension EventWriter {
    /// Writes a row of an outbox as the event that the application meant; returns the index of its topic among the
    /// routed ones.
    mutating func appendOutboxEvent(
        _ plan: ColumnPlan, _ outbox: OutboxPlan, _ images: RowImages, _ body: RawSpan
    ) throws(EncodingFailure.Reason) -> Int {
        let row = images.after
        for column in [outbox.route.id, outbox.route.type] where composeText(row, column, plan, body) == 0 {
            throw .noOutboxEvent
        }
        composeTopic(row, plan, outbox, body)
        let topic = routes.index(of: plan)
        switch (format, form) {
        case (.cloudEvents, .line): appendOutboxCloudEvent(row, plan, outbox, body)
        case (.cloudEvents, .binary): appendBinaryOutboxEvent(row, plan, outbox, body)
        case (.row, _), (.debezium, _): appendOutboxRow(row, plan, outbox, images, body)
        case (.csv, _): appendOutboxCSV(row, plan, outbox, images, body)
        }
        return topic
    }

    private mutating func appendOutboxCloudEvent(
        _ row: [ValuePlace], _ plan: ColumnPlan, _ outbox: OutboxPlan, _ body: RawSpan
    ) {
        let (route, fragments) = (outbox.route, outbox.fragments)
        output.append(plan.bytes(fragments.head))
        appendID(row, plan, outbox, body)
        output.append(plan.bytes(fragments.type))
        appendText(row, route.type, plan, body)
        output.append(UInt8(ascii: "\""))
        var subject = 0..<0
        let keyLength = composeText(row, route.aggregateID, plan, body)
        if keyLength > 0 {
            output.append(",\"subject\":\"")
            let start = output.count
            appendEscaped(keyText, to: &output)
            subject = start..<output.count
            output.append(UInt8(ascii: "\""))
        }
        output.append(",\"time\":\"")
        transaction.appendTime(to: &output)
        output.append("\",\"sequence\":\"")
        output.append(contentsOf: sequence)
        output.append(UInt8(ascii: "\""))
        if !subject.isEmpty {
            output.append(",\"partitionkey\":\"")
            output.append(copyOf: subject)
            output.append(UInt8(ascii: "\""))
        }
        if composeText(row, route.aggregateType, plan, body) > 0 {
            output.append(",\"aggregatetype\":\"")
            appendEscaped(keyText, to: &output)
            output.append(UInt8(ascii: "\""))
        }
        appendAttributes(row, plan, outbox, body)
        appendPayload(row[route.payload], plan, outbox, body)
        output.append(UInt8(ascii: "}"))
        // Escapes only make text longer: with an equal length, the text in the event is the key itself.
        texts.key =
            subject.count == keyLength ? TextPlace(subject) : keepLooseText(row, route.aggregateID, plan, body)
    }

    /// Writes the row's own attributes and then those of its transaction, without the ones that the row has.
    private mutating func appendAttributes(
        _ row: [ValuePlace], _ plan: ColumnPlan, _ outbox: OutboxPlan, _ body: RawSpan
    ) {
        let names = outbox.fragments.attributes
        ownAttributes.removeAll(keepingCapacity: true)
        for (number, attribute) in outbox.route.attributes.enumerated()
        where composeText(row, attribute.column, plan, body) > 0 && !UTF8Check.hasControlCharacters(keyText.bytes) {
            output.append(plan.bytes(names[number]))
            appendEscaped(keyText, to: &output)
            output.append(UInt8(ascii: "\""))
            if transaction.attributeCount > 0 { ownAttributes.append(number) }
        }
        if ownAttributes.isEmpty { return transaction.appendAttributes(to: &output) }
        for number in 0..<transaction.attributeCount
        where !ownAttributes.contains(where: { transaction.attribute(number, hasPrefix: plan.bytes(names[$0])) }) {
            transaction.appendAttribute(number, to: &output)
        }
    }

    private mutating func appendOutboxRow(
        _ row: [ValuePlace], _ plan: ColumnPlan, _ outbox: OutboxPlan, _ images: RowImages, _ body: RawSpan
    ) {
        let fragments = outbox.fragments
        output.append(UInt8(ascii: "{"))
        appendMembers(row, plan, body, noting: .after)
        output.append(plan.bytes(fragments.head))
        appendID(row, plan, outbox, body)
        output.append(plan.bytes(fragments.sequence))
        output.append(contentsOf: sequence)
        output.append(plan.bytes(fragments.topic))
        appendEscaped(routes.name, to: &output)
        output.append(plan.bytes(fragments.time))
        transaction.appendTime(to: &output)
        output.append(UInt8(ascii: "\""))
        appendRowNotes(plan, images, body)
        output.append(UInt8(ascii: "}"))
        texts.key = keepLooseText(row, outbox.route.aggregateID, plan, body)
    }

    // MARK: Texts

    /// Puts a column's text together; returns how long it is: 0 for NULL too.
    @discardableResult
    mutating func composeText(
        _ row: [ValuePlace], _ column: Int, _ plan: ColumnPlan, _ body: RawSpan
    ) -> Int {
        keyText.removeAll()
        let place = row[column]
        if place.kind != ValueKind.null { appendKeyPart(place.kind, place.bytes(in: body), plan.columns[column].form) }
        return keyText.count
    }

    /// Writes a column's text inside of a JSON string.
    private mutating func appendText(_ row: [ValuePlace], _ column: Int, _ plan: ColumnPlan, _ body: RawSpan) {
        composeText(row, column, plan, body)
        appendEscaped(keyText, to: &output)
    }

    /// Writes the id that the row chose, and notes where it stands as it is.
    private mutating func appendID(
        _ row: [ValuePlace], _ plan: ColumnPlan, _ outbox: OutboxPlan, _ body: RawSpan
    ) {
        let start = output.count
        appendText(row, outbox.route.id, plan, body)
        // Escapes only make text longer.
        texts.id = output.count - start == keyText.count ? TextPlace(start..<output.count) : keepLooseText()
    }

    private mutating func keepLooseText(
        _ row: [ValuePlace], _ column: Int, _ plan: ColumnPlan, _ body: RawSpan
    ) -> TextPlace {
        composeText(row, column, plan, body)
        return keepLooseText()
    }

    mutating func composeTopic(
        _ row: [ValuePlace], _ plan: ColumnPlan, _ outbox: OutboxPlan, _ body: RawSpan
    ) {
        routes.name.removeAll()
        routes.name.append(utf8: outbox.route.topicPrefix)
        guard let suffix = outbox.route.topicSuffix else { return }
        composeText(row, outbox.route.aggregateType, plan, body)
        routes.name.append(contentsOf: keyText)
        routes.name.append(utf8: suffix)
    }

    // MARK: The payload

    /// Writes the payload as the event's data, with the type of its content. NULL is an event without data.
    private mutating func appendPayload(
        _ place: ValuePlace, _ plan: ColumnPlan, _ outbox: OutboxPlan, _ body: RawSpan
    ) {
        let bytes = place.bytes(in: body)
        switch place.kind {
        case ValueKind.null, ValueKind.unchanged: return
        case ValueKind.text: appendTextPayload(bytes, plan.columns[outbox.route.payload].form, outbox)
        case ValueKind.integer, ValueKind.real:
            if NumberText.isNumber(bytes), outbox.route.content != .text {
                output.append(",\"datacontenttype\":\"application/json\",\"data\":")
                output.append(bytes)
            } else {
                appendPlainPayload(bytes)
            }
        default: appendBinaryPayload(bytes, "application/octet-stream")
        }
    }

    private mutating func appendTextPayload(_ bytes: RawSpan, _ form: TextForm, _ outbox: OutboxPlan) {
        if form == .bytes, let digits = hexDigits(bytes) {
            let start = output.count
            output.append(",\"datacontenttype\":\"application/octet-stream\",\"data_base64\":\"")
            if output.append(base64OfHex: digits) {
                output.append(UInt8(ascii: "\""))
                return
            }
            output.truncate(to: start)
        }
        let isWhollyJSON = outbox.holdsJSON || outbox.route.content == .json
        if outbox.route.content != .text, isWhollyJSON || isObjectOrArray(bytes) {
            let start = output.count
            output.append(",\"datacontenttype\":\"application/json\",\"data\":")
            if output.append(embeddedJSON: bytes, depthMax: OutboxRoute.jsonDepthMax) { return }
            output.truncate(to: start)
            // JSON that strict readers of the event would refuse: its bytes, for who reads the payload alone.
            if isWhollyJSON { return appendBinaryPayload(bytes, "application/json") }
        }
        appendPlainPayload(bytes)
    }

    private mutating func appendPlainPayload(_ bytes: RawSpan) {
        let start = output.count
        output.append(",\"datacontenttype\":\"text/plain\",\"data\":")
        if output.append(jsonString: bytes) { return }
        output.truncate(to: start)
        appendBinaryPayload(bytes, "application/octet-stream")
    }

    private mutating func appendBinaryPayload(_ bytes: RawSpan, _ type: StaticString) {
        output.append(",\"datacontenttype\":\"")
        output.append(type)
        output.append("\",\"data_base64\":\"")
        output.append(base64: bytes)
        output.append(UInt8(ascii: "\""))
    }

    /// True when the first byte that is not white space opens an object or an array.
    func isObjectOrArray(_ bytes: RawSpan) -> Bool {
        var place = 0
        while place < bytes.byteCount, [0x20, 0x0A, 0x0D, 0x09].contains(bytes.byte(place)) { place += 1 }
        return bytes.byte(place) == UInt8(ascii: "{") || bytes.byte(place) == UInt8(ascii: "[")
    }
}
