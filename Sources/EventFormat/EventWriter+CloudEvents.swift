internal import ByteKit
internal import ChangeModel

extension EventWriter {
    /// Writes a change as a CloudEvent.
    mutating func appendCloudEvent(
        _ change: RowChange, _ info: TransactionInfo, _ plan: ColumnPlan, _ images: RowImages, _ body: RawSpan
    ) {
        let operation = change.operation
        let fragments = plan.fragments.operations[Int(operation.rawValue) &- 1]
        output.append(plan.bytes(fragments.head))
        appendSequenceOfID(plan)
        output.append(plan.bytes(fragments.type))
        let subject = appendSubject(operation, plan, images, body)
        output.append(",\"time\":\"")
        transaction.appendTime(to: &output)
        output.append(plan.bytes(plan.fragments.middle))
        output.append(contentsOf: sequence)
        output.append(UInt8(ascii: "\""))
        if !subject.isEmpty {
            output.append(",\"partitionkey\":\"")
            output.append(copyOf: subject)
            output.append(UInt8(ascii: "\""))
        }
        transaction.appendAttributes(to: &output)
        output.append(plan.bytes(fragments.data))
        appendData(operation, plan, images, body)
        appendOrigin(change, info)
    }

    /// Writes the subject, unless the key's text is empty. Returns where it stands, and notes where the key stands as
    /// it is.
    private mutating func appendSubject(
        _ operation: Operation, _ plan: ColumnPlan, _ images: RowImages, _ body: RawSpan
    ) -> Range<Int> {
        let start = output.count
        let keyImage = operation == .delete ? images.before : images.after
        guard !plan.keyColumns.isEmpty, !keyImage.isEmpty else { return start..<start }
        output.append(",\"subject\":\"")
        let textStart = output.count
        let rawLength = appendKeyText(keyImage, plan, body)
        let text = textStart..<output.count
        if text.isEmpty {
            output.truncate(to: start)
            return start..<start
        }
        output.append(UInt8(ascii: "\""))
        // Escapes only make text longer: with an equal length, the text in the event is the key itself.
        texts.key = rawLength == text.count ? TextPlace(text) : keepLooseKey(keyImage, plan, body)
        return text
    }

    /// Writes the members of `data` from the key's value to `unchanged`.
    mutating func appendData(_ operation: Operation, _ plan: ColumnPlan, _ images: RowImages, _ body: RawSpan) {
        let isDelete = operation == .delete
        let isBeforeWhole = images.beforeImage == .full
        if images.beforeImage == .none, !isDelete {
            appendKey(images.after, plan, body, noting: nil)
            output.append(",\"previous_key\":null,\"before\":null,\"after\":")
        } else if isDelete {
            appendKey(images.before, plan, body, noting: .after)
            output.append(",\"previous_key\":null,\"before\":")
        } else {
            appendKey(images.after, plan, body, noting: nil)
            output.append(",\"previous_key\":")
            if images.isKeyChanged {
                appendKey(images.before, plan, body, noting: isBeforeWhole ? nil : .before)
            } else {
                output.append("null")
            }
            output.append(",\"before\":")
        }
        if images.beforeImage != .none || isDelete {
            if isBeforeWhole { appendImage(images.before, plan, body, noting: .before) } else { output.append("null") }
            output.append(",\"after\":")
        }
        if images.after.isEmpty && (isDelete || operation == .truncate) {
            output.append("null,\"unchanged\":[]")
        } else {
            appendImage(images.after, plan, body, noting: .after)
            output.append(",\"unchanged\":[")
            if images.hasUnchanged { appendUnchanged(images.after, plan) }
            output.append(UInt8(ascii: "]"))
        }
        if !(after.isEmpty && before.isEmpty) { appendOddColumns(plan) }
    }

    /// Says which values are not spelled as their type says. Rare.
    private mutating func appendOddColumns(_ plan: ColumnPlan) {
        if !after.base64.isEmpty {
            output.append(",\"base64\":")
            appendNames(of: after.base64, plan)
        }
        if !before.base64.isEmpty {
            output.append(",\"before_base64\":")
            appendNames(of: before.base64, plan)
        }
        if !after.asText.isEmpty {
            output.append(",\"as_text\":")
            appendNames(of: after.asText, plan)
        }
        if !before.asText.isEmpty {
            output.append(",\"before_as_text\":")
            appendNames(of: before.asText, plan)
        }
    }

    /// Writes the transaction and the commit, and closes the event.
    mutating func appendOrigin(_ change: RowChange, _ info: TransactionInfo) {
        if info.id == 0 {
            output.append(",\"transaction\":null,\"committed_at\":\"")
        } else {
            output.append(",\"transaction\":{\"id\":\"")
            transaction.appendID(to: &output)
            output.append("\",\"position\":")
            if change.operation == .begin || change.operation == .commit {
                output.append("null")
            } else {
                output.append(decimal: change.ordinal)
            }
            output.append("},\"committed_at\":\"")
        }
        transaction.appendTime(to: &output)
        if hasLSN {
            output.append("\",\"lsn\":\"")
            transaction.appendLSN(to: &output)
        }
        output.append("\"}}")
    }
}
