internal import ByteKit
internal import ChangeModel

extension EventWriter {
    /// Writes a change as a row with metadata.
    mutating func appendRowEvent(
        _ change: RowChange, _ plan: ColumnPlan, _ images: RowImages, _ body: RawSpan
    ) {
        let operation = change.operation
        let fragments = plan.fragments
        let start = output.count
        output.append(UInt8(ascii: "{"))
        if operation == .delete {
            if images.beforeImage == .full {
                appendMembers(images.before, plan, body, noting: .after)
            } else if !images.before.isEmpty {
                appendKeyMembers(images.before, plan, body, noting: .after)
            }
        } else {
            appendMembers(images.after, plan, body, noting: .after)
        }
        var head = plan.bytes(fragments.operations[Int(operation.rawValue) &- 1].head)
        if output.count == start &+ 1 { head = head.extracting(1..<head.byteCount) }
        output.append(head)
        appendSequenceOfID(plan)
        output.append(plan.bytes(fragments.sequence))
        output.append(contentsOf: sequence)
        output.append(plan.bytes(fragments.middle))
        transaction.appendTime(to: &output)
        output.append(UInt8(ascii: "\""))
        appendRowNotes(plan, images, body)
        output.append(UInt8(ascii: "}"))
        let keyImage = operation == .delete ? images.before : images.after
        if !plan.keyColumns.isEmpty && !keyImage.isEmpty { texts.key = keepLooseKey(keyImage, plan, body) }
    }

    /// Writes what is only sometimes to be said about the values.
    mutating func appendRowNotes(_ plan: ColumnPlan, _ images: RowImages, _ body: RawSpan) {
        let fragments = plan.fragments
        output.append(plan.bytes(fragments.unchanged))
        output.append(UInt8(ascii: "["))
        if images.hasUnchanged { appendUnchanged(images.after, plan) }
        output.append(UInt8(ascii: "]"))
        if images.isKeyChanged {
            output.append(plan.bytes(fragments.previousKey))
            appendKey(images.before, plan, body, noting: .before)
        }
        if !(after.isEmpty && before.isEmpty) { appendOddRowColumns(plan) }
    }

    /// Says which values are not spelled as their type says. Rare.
    private mutating func appendOddRowColumns(_ plan: ColumnPlan) {
        let fragments = plan.fragments
        if !after.base64.isEmpty {
            output.append(plan.bytes(fragments.base64))
            appendNames(of: after.base64, plan)
        }
        if !before.base64.isEmpty {
            output.append(plan.bytes(fragments.beforeBase64))
            appendNames(of: before.base64, plan)
        }
        if !after.asText.isEmpty {
            output.append(plan.bytes(fragments.asText))
            appendNames(of: after.asText, plan)
        }
        if !before.asText.isEmpty {
            output.append(plan.bytes(fragments.beforeAsText))
            appendNames(of: before.asText, plan)
        }
    }
}
