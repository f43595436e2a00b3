internal import ByteKit
internal import ChangeModel

extension EventWriter {
    /// Writes the key's text inside of a JSON string; returns how long the text is without escapes.
    mutating func appendKeyText(_ image: [ValuePlace], _ plan: ColumnPlan, _ body: RawSpan) -> Int {
        if plan.keyColumns.count == 1, let column = plan.keyColumns.first {
            let place = image[column]
            let form = plan.columns[column].form
            if place.kind == ValueKind.text, form.isItsOwnKeyText {
                let bytes = place.bytes(in: body)
                if output.append(jsonText: bytes) { return bytes.byteCount }
            }
        }
        composeKeyText(image, plan, body)
        appendEscaped(keyText, to: &output)
        return keyText.count
    }

    /// Keeps the key's text without escapes beside the events. The range is moved when the batch is finished.
    mutating func keepLooseKey(_ image: [ValuePlace], _ plan: ColumnPlan, _ body: RawSpan) -> TextPlace {
        composeKeyText(image, plan, body)
        return keepLooseText()
    }

    /// Keeps the text that was put together beside the events.
    mutating func keepLooseText() -> TextPlace {
        if keyText.count == 0 { return .none }
        let start = looseTexts.count
        looseTexts.append(contentsOf: keyText)
        return TextPlace(start..<looseTexts.count, isLoose: true)
    }

    /// Puts the key's text together: the values as they stand in JSON, without quotes and escapes of JSON; structured
    /// ones and JSON as the database writes them, so that the text tells them apart whatever their shape was. Those of
    /// a composite key are joined by commas, and a comma or backslash in them has a backslash before it.
    mutating func composeKeyText(_ image: [ValuePlace], _ plan: ColumnPlan, _ body: RawSpan) {
        keyText.removeAll()
        let isComposite = plan.keyColumns.count > 1
        for (number, column) in plan.keyColumns.enumerated() {
            if number > 0 { keyText.append(UInt8(ascii: ",")) }
            let start = keyText.count
            let place = image[column]
            appendKeyPart(place.kind, place.bytes(in: body), plan.columns[column].form)
            if isComposite { escapeKeyPart(from: start) }
        }
    }

    mutating func appendKeyPart(_ kind: UInt8, _ bytes: RawSpan, _ form: TextForm) {
        switch kind {
        case ValueKind.null: keyText.append("null")
        case ValueKind.unchanged: break
        case ValueKind.text, ValueKind.integer, ValueKind.real:
            if kind == ValueKind.text, form == .boolean, let truth = truth(bytes) {
                if truth { keyText.append("true") } else { keyText.append("false") }
            } else if kind == ValueKind.text, form == .bytes, let digits = hexDigits(bytes),
                keyText.append(base64OfHex: digits)
            {
                return
            } else if kind == ValueKind.text, form.isTime, keyText.append(rfc3339: bytes, as: form) {
                return
            } else if UTF8Check.isValid(bytes) {
                keyText.append(bytes)
            } else {
                keyText.append(base64: bytes)
            }
        default: keyText.append(base64: bytes)
        }
    }

    /// Puts a backslash before each comma and backslash of the text from `start` on. Most keys have none.
    private mutating func escapeKeyPart(from start: Int) {
        var added = 0
        for place in start..<keyText.count where isSeparator(keyText.bytes.byte(place)) { added += 1 }
        if added == 0 { return }
        let part = keyText.count - start
        var escaped = OutputBuffer(capacity: part + added)
        for place in 0..<part {
            let byte = keyText.bytes.byte(start + place)
            if isSeparator(byte) { escaped.append(UInt8(ascii: "\\")) }
            escaped.append(byte)
        }
        keyText.truncate(to: start)
        keyText.append(escaped.bytes)
    }

    private func isSeparator(_ byte: UInt8) -> Bool { byte == UInt8(ascii: ",") || byte == UInt8(ascii: "\\") }
}

func appendEscaped(_ text: borrowing OutputBuffer, to output: inout OutputBuffer) {
    output.append(jsonEscaping: text.bytes)
}
