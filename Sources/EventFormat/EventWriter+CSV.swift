internal import ByteKit
internal import ChangeModel

extension EventWriter {
    /// Writes a change as a line of CSV: the metadata, then the columns of the row.
    mutating func appendCSVEvent(_ change: RowChange, _ plan: ColumnPlan, _ images: RowImages, _ body: RawSpan) {
        let operation = change.operation
        output.append(operation.name)
        output.append(UInt8(ascii: ","))
        keyText.removeAll()
        keyText.append(plan.bytes(plan.idPrefix))
        keyText.append(contentsOf: sequence)
        appendKeyTextAsCSV()
        texts.id = keepLooseText()
        output.append(UInt8(ascii: ","))
        output.append(contentsOf: sequence)
        output.append(plan.bytes(plan.fragments.middle))
        transaction.appendTime(to: &output)
        let image = operation == .delete ? images.before : images.after
        let isKeyOnly = operation == .delete && images.beforeImage != .full
        appendCSVNotes(image, isKeyOnly: isKeyOnly, plan, images, body)
        appendCSVColumns(image, isKeyOnly: isKeyOnly, plan, body)
        if !plan.keyColumns.isEmpty && !image.isEmpty { texts.key = keepLooseKey(image, plan, body) }
    }

    /// Writes a row of an outbox as a line of CSV.
    mutating func appendOutboxCSV(
        _ row: [ValuePlace], _ plan: ColumnPlan, _ outbox: OutboxPlan, _ images: RowImages, _ body: RawSpan
    ) {
        output.append("insert,")
        composeText(row, outbox.route.id, plan, body)
        appendKeyTextAsCSV()
        texts.id = keepLooseText()
        output.append(UInt8(ascii: ","))
        output.append(contentsOf: sequence)
        output.append(plan.bytes(plan.fragments.middle))
        appendCSV(routes.name, to: &output)
        output.append(UInt8(ascii: ","))
        transaction.appendTime(to: &output)
        appendCSVNotes(row, isKeyOnly: false, plan, images, body)
        appendCSVColumns(row, isKeyOnly: false, plan, body)
        composeText(row, outbox.route.aggregateID, plan, body)
        texts.key = keepLooseText()
    }

    /// Writes what is only sometimes to be said about the values, a comma before each: `_unchanged`, `_previous_key`
    /// and `_base64`.
    private mutating func appendCSVNotes(
        _ image: [ValuePlace], isKeyOnly: Bool, _ plan: ColumnPlan, _ images: RowImages, _ body: RawSpan
    ) {
        output.append(UInt8(ascii: ","))
        if images.hasUnchanged {
            let start = output.count
            output.append(UInt8(ascii: "["))
            appendUnchanged(images.after, plan)
            output.append(UInt8(ascii: "]"))
            makeCSV(from: start)
        }
        output.append(UInt8(ascii: ","))
        if images.isKeyChanged {
            let start = output.count
            appendKey(images.before, plan, body, noting: nil)
            makeCSV(from: start)
        }
        output.append(UInt8(ascii: ","))
        for column in image.indices where isOdd(image[column], plan.columns[column], body) {
            if !isKeyOnly || plan.columns[column].isKey { after.base64.append(column) }
        }
        if !after.base64.isEmpty {
            let start = output.count
            appendNames(of: after.base64, plan)
            makeCSV(from: start)
        }
    }

    /// True for a value that is written as base64 although its type does not say so.
    private func isOdd(_ place: ValuePlace, _ column: ColumnPlan.Column, _ body: RawSpan) -> Bool {
        switch place.kind {
        case ValueKind.null, ValueKind.unchanged: false
        case ValueKind.text, ValueKind.integer, ValueKind.real: !UTF8Check.isValid(place.bytes(in: body))
        default: !column.isKnownAsBase64
        }
    }

    /// Writes the columns of a row, a comma before each. What is NULL or not known is left empty.
    private mutating func appendCSVColumns(
        _ image: [ValuePlace], isKeyOnly: Bool, _ plan: ColumnPlan, _ body: RawSpan
    ) {
        for column in plan.columns.indices {
            output.append(UInt8(ascii: ","))
            if image.isEmpty || isKeyOnly && !plan.columns[column].isKey { continue }
            let place = image[column]
            if place.kind == ValueKind.null || place.kind == ValueKind.unchanged { continue }
            let description = plan.columns[column]
            let bytes = place.bytes(in: body)
            keyText.removeAll()
            var isStructure = place.kind == ValueKind.text && description.form == .structure
            if isStructure { isStructure = structures.append(bytes, Int(description.node), plan, to: &keyText) }
            if !isStructure { appendKeyPart(place.kind, bytes, description.form) }
            appendKeyTextAsCSV()
        }
    }

    /// Writes the text that was put together as one value.
    private mutating func appendKeyTextAsCSV() { appendCSV(keyText, to: &output) }

    /// Makes what was written from `start` on one value.
    private mutating func makeCSV(from start: Int) {
        keyText.removeAll()
        moveTail(of: &output, from: start, to: &keyText)
        appendKeyTextAsCSV()
    }
}

private func moveTail(of output: inout OutputBuffer, from start: Int, to text: inout OutputBuffer) {
    text.append(output.bytes.extracting(start..<output.count))
    output.truncate(to: start)
}

/// Writes a value that is not NULL: as it is, or in quotes with each quote doubled when it has a comma, a quote or the
/// end of a line in it (RFC 4180), or is empty, which would be NULL.
func appendCSV(_ value: borrowing OutputBuffer, to output: inout OutputBuffer) {
    let count = value.count
    var quoteCount = 0
    var isPlain = count > 0
    for place in 0..<count {
        switch value.bytes.byte(place) {
        case UInt8(ascii: "\""):
            quoteCount += 1
            isPlain = false
        case UInt8(ascii: ","), 10, 13: isPlain = false
        default: break
        }
    }
    if isPlain { return output.append(contentsOf: value) }
    output.append(UInt8(ascii: "\""))
    if quoteCount == 0 {
        output.append(contentsOf: value)
    } else {
        for place in 0..<count {
            let byte = value.bytes.byte(place)
            if byte == UInt8(ascii: "\"") { output.append(byte) }
            output.append(byte)
        }
    }
    output.append(UInt8(ascii: "\""))
}

extension FragmentWriter {
    /// CSV has one fragment: from the sequence to the time, or for an outbox to the topic.
    mutating func csvFragments(_ version: RelationVersion) -> Fragments {
        var fragments = Fragments()
        fragments.middle = fragment { text in
            var values = [version.relation.schema, version.relation.name]
            if version.relation.outbox == nil { values.append(dataSchema(version)) }
            for value in values {
                text.append(UInt8(ascii: ","))
                text.append(csv: value)
            }
            text.append(UInt8(ascii: ","))
        }
        return fragments
    }
}

extension ColumnPlan {
    /// The first line of files with the rows of a relation version, without its line feed: the names of the metadata,
    /// which are always as many, then those of the columns.
    static func csvHeader(_ relation: Relation) -> String {
        let metadata = MetadataNames(avoiding: relation.columns.lazy.map(\.name))
        let names =
            [
                "_op", "_id", "_sequence", "_schema", "_table", relation.outbox == nil ? "_dataschema" : "_topic",
                "_committed_at", "_unchanged", "_previous_key", "_base64",
            ].map(metadata.name) + relation.columns.map(\.name)
        var text = OutputBuffer(capacity: 256)
        for (index, name) in names.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            text.append(csv: name)
        }
        return String(validatingUTF8: text.bytes) ?? names.joined(separator: ",")
    }
}

extension OutputBuffer {
    fileprivate mutating func append(csv text: String) {
        var value = OutputBuffer(capacity: text.utf8.count)
        value.append(utf8: text)
        appendCSV(value, to: &self)
    }
}
