internal import ByteKit
internal import ChangeModel

/// The list that a column is put on when its value became base64 unannounced.
enum Base64Note {
    case before, after
}

extension EventWriter {
    /// Writes a row as an object.
    mutating func appendImage(_ image: [ValuePlace], _ plan: ColumnPlan, _ body: RawSpan, noting note: Base64Note?) {
        output.append(UInt8(ascii: "{"))
        appendMembers(image, plan, body, noting: note)
        output.append(UInt8(ascii: "}"))
    }

    /// Writes the key columns of a row as an object; `null` for a table without key, or without a row to take it from.
    mutating func appendKey(_ image: [ValuePlace], _ plan: ColumnPlan, _ body: RawSpan, noting note: Base64Note?) {
        if plan.keyColumns.isEmpty || image.isEmpty {
            output.append("null")
            return
        }
        output.append(UInt8(ascii: "{"))
        appendKeyMembers(image, plan, body, noting: note)
        output.append(UInt8(ascii: "}"))
    }

    /// Writes the columns of a row as members of an object. What is not known is left out.
    mutating func appendMembers(_ image: [ValuePlace], _ plan: ColumnPlan, _ body: RawSpan, noting note: Base64Note?) {
        var comma = 1
        for column in image.indices {
            appendMember(column, image, plan, body, noting: note, &comma)
        }
    }

    /// Writes the key columns of a row likewise, in the order of the key.
    mutating func appendKeyMembers(_ image: [ValuePlace], _ plan: ColumnPlan, _ body: RawSpan, noting note: Base64Note?)
    {
        var comma = 1
        for column in plan.keyColumns {
            appendMember(column, image, plan, body, noting: note, &comma)
        }
    }

    /// Writes a column; `comma` is 1 for the first member, whose comma is left out.
    @inline(__always)
    private mutating func appendMember(
        _ column: Int, _ image: [ValuePlace], _ plan: ColumnPlan, _ body: RawSpan, noting note: Base64Note?,
        _ comma: inout Int
    ) {
        let place = image[column]
        if place.kind == ValueKind.unchanged { return }
        let description = plan.columns[column]
        let name = plan.bytes(description.member)
        output.append(name.extracting(comma..<name.byteCount))
        comma = 0
        let isBase64 = appendValue(place.kind, place.bytes(in: body), description.form)
        if isBase64 && !description.isKnownAsBase64 {
            switch note {
            case .before: beforeBase64Columns.append(column)
            case .after: base64Columns.append(column)
            case nil: break
            }
        }
    }

    /// Writes a value. True when it became base64. What does not look like its type is written as a string.
    @inline(__always)
    private mutating func appendValue(_ kind: UInt8, _ bytes: RawSpan, _ form: TextForm) -> Bool {
        switch kind {
        case ValueKind.text: return appendText(bytes, form)
        case ValueKind.null: output.append("null")
        case ValueKind.integer: return appendText(bytes, .integer)
        case ValueKind.real: return appendText(bytes, .float)
        default: return appendBase64(bytes)
        }
        return false
    }

    private mutating func appendText(_ bytes: RawSpan, _ form: TextForm) -> Bool {
        switch form {
        case .string: break
        case .integer:
            if NumberText.isInteger(bytes) {
                output.append(bytes)
                return false
            }
        case .float:
            if NumberText.isNumber(bytes) {
                output.append(bytes)
                return false
            }
        case .boolean:
            if let truth = truth(bytes) {
                if truth { output.append("true") } else { output.append("false") }
                return false
            }
        case .bytes:
            if let digits = hexDigits(bytes), appendBase64(ofHex: digits) { return true }
        }
        if output.append(jsonString: bytes) { return false }
        return appendBase64(bytes)
    }

    private mutating func appendBase64(_ bytes: RawSpan) -> Bool {
        output.append(UInt8(ascii: "\""))
        output.append(base64: bytes)
        output.append(UInt8(ascii: "\""))
        return true
    }

    private mutating func appendBase64(ofHex digits: RawSpan) -> Bool {
        let start = output.count
        output.append(UInt8(ascii: "\""))
        guard output.append(base64OfHex: digits) else {
            output.truncate(to: start)
            return false
        }
        output.append(UInt8(ascii: "\""))
        return true
    }

    /// Writes the names of the columns whose value is not known, without the brackets around them.
    mutating func appendUnchanged(_ image: [ValuePlace], _ plan: ColumnPlan) {
        var comma = 1
        for column in image.indices where image[column].kind == ValueKind.unchanged {
            appendName(of: column, plan, &comma)
        }
    }

    /// Writes names of columns as an array.
    mutating func appendNames(of columns: [Int], _ plan: ColumnPlan) {
        output.append(UInt8(ascii: "["))
        var comma = 1
        for column in columns { appendName(of: column, plan, &comma) }
        output.append(UInt8(ascii: "]"))
    }

    /// The fragment is `,"name":`, and here the colon is left out too.
    private mutating func appendName(of column: Int, _ plan: ColumnPlan, _ comma: inout Int) {
        let member = plan.bytes(plan.columns[column].member)
        output.append(member.extracting(comma..<(member.byteCount &- 1)))
        comma = 0
    }
}

/// PostgreSQL's text of a boolean.
@inline(__always)
func truth(_ bytes: RawSpan) -> Bool? {
    guard bytes.byteCount == 1 else { return nil }
    return switch bytes.byte(0) {
    case UInt8(ascii: "t"): true
    case UInt8(ascii: "f"): false
    default: nil
    }
}

/// The digits of PostgreSQL's hex format of bytea; nil for other text.
@_lifetime(copy bytes)
func hexDigits(_ bytes: RawSpan) -> RawSpan? {
    guard bytes.byteCount >= 2, bytes.byte(0) == UInt8(ascii: "\\"), bytes.byte(1) == UInt8(ascii: "x") else {
        return nil
    }
    return bytes.extracting(2..<bytes.byteCount)
}
