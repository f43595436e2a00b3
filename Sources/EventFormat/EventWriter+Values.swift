internal import ByteKit
internal import ChangeModel

/// The lists that a column is put on when its value is not spelled as its type says.
enum SpellingNote {
    case before, after
}

/// Columns whose value is not spelled as their type says.
struct OddColumns {
    /// Those whose value was written as base64 although their type does not say so.
    var base64: [Int] = []
    /// Those whose value is the database's text although their type says something else.
    var asText: [Int] = []

    var isEmpty: Bool { base64.isEmpty && asText.isEmpty }

    mutating func removeAll() {
        base64.removeAll(keepingCapacity: true)
        asText.removeAll(keepingCapacity: true)
    }
}

extension EventWriter {
    /// Writes a row as an object.
    mutating func appendImage(_ image: [ValuePlace], _ plan: ColumnPlan, _ body: RawSpan, noting note: SpellingNote?) {
        output.append(UInt8(ascii: "{"))
        appendMembers(image, plan, body, noting: note)
        output.append(UInt8(ascii: "}"))
    }

    /// Writes the key columns of a row as an object; `null` for a table without key, or without a row to take it from.
    mutating func appendKey(_ image: [ValuePlace], _ plan: ColumnPlan, _ body: RawSpan, noting note: SpellingNote?) {
        if plan.keyColumns.isEmpty || image.isEmpty {
            output.append("null")
            return
        }
        output.append(UInt8(ascii: "{"))
        appendKeyMembers(image, plan, body, noting: note)
        output.append(UInt8(ascii: "}"))
    }

    /// Writes the columns of a row as members of an object. What is not known is left out.
    mutating func appendMembers(_ image: [ValuePlace], _ plan: ColumnPlan, _ body: RawSpan, noting note: SpellingNote?)
    {
        var comma = 1
        for column in image.indices {
            appendMember(column, image, plan, body, noting: note, &comma)
        }
    }

    /// Writes the key columns of a row likewise, in the order of the key.
    mutating func appendKeyMembers(
        _ image: [ValuePlace], _ plan: ColumnPlan, _ body: RawSpan, noting note: SpellingNote?
    ) {
        var comma = 1
        for column in plan.keyColumns {
            appendMember(column, image, plan, body, noting: note, &comma)
        }
    }

    /// Writes a column; `comma` is 1 for the first member, whose comma is left out.
    @inline(__always)
    private mutating func appendMember(
        _ column: Int, _ image: [ValuePlace], _ plan: ColumnPlan, _ body: RawSpan, noting note: SpellingNote?,
        _ comma: inout Int
    ) {
        let place = image[column]
        if place.kind == ValueKind.unchanged { return }
        let description = plan.columns[column]
        let name = plan.bytes(description.member)
        output.append(name.extracting(comma..<name.byteCount))
        comma = 0
        let spelling = appendValue(place.kind, place.bytes(in: body), description, plan)
        if spelling != .typed { keep(spelling, of: column, description, note) }
    }

    /// Notes an odd spelling. A misfit was written as its text.
    @inline(never)
    private mutating func keep(
        _ spelling: Spelling, of column: Int, _ description: ColumnPlan.Column, _ note: SpellingNote?
    ) {
        if spelling == .base64, description.isKnownAsBase64 { return }
        switch (note, spelling) {
        case (.before, .base64): before.base64.append(column)
        case (.before, _): before.asText.append(column)
        case (.after, .base64): after.base64.append(column)
        case (.after, _): after.asText.append(column)
        case (nil, _): break
        }
    }

    /// Writes a value. What does not look like its type is written as a string, and text that is not UTF-8 as base64.
    @inline(__always)
    private mutating func appendValue(
        _ kind: UInt8, _ bytes: RawSpan, _ description: ColumnPlan.Column, _ plan: ColumnPlan
    ) -> Spelling {
        switch kind {
        case ValueKind.text:
            let spelling =
                description.form == .structure
                ? appendStructure(bytes, description, plan) : output.append(value: bytes, as: description.form)
            return spelling == .misfit ? appendMisfit(bytes, description.form) : spelling
        case ValueKind.null:
            output.append("null")
            return .typed
        case ValueKind.integer: return appendNumber(bytes, .integer)
        case ValueKind.real: return appendNumber(bytes, .float)
        default: return appendBase64(bytes)
        }
    }

    @inline(never)
    private mutating func appendStructure(
        _ bytes: RawSpan, _ description: ColumnPlan.Column, _ plan: ColumnPlan
    ) -> Spelling {
        structures.append(bytes, Int(description.node), plan, to: &output) ? .typed : .misfit
    }

    @inline(never)
    private mutating func appendMisfit(_ bytes: RawSpan, _ form: TextForm) -> Spelling {
        if form != .string, output.append(jsonString: bytes) { return .misfit }
        return appendBase64(bytes)
    }

    /// A number of SQLite.
    private mutating func appendNumber(_ bytes: RawSpan, _ form: TextForm) -> Spelling {
        output.append(value: bytes, as: form) == .misfit ? appendMisfit(bytes, form) : .typed
    }

    private mutating func appendBase64(_ bytes: RawSpan) -> Spelling {
        output.append(UInt8(ascii: "\""))
        output.append(base64: bytes)
        output.append(UInt8(ascii: "\""))
        return .base64
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
