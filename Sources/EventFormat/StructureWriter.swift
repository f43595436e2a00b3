internal import ByteKit
internal import ChangeModel

/// Writes structured values as JSON while it reads PostgreSQL's literals of them: no tree in between, and nothing is
/// allocated once its memory has grown.
///
/// The literals are those of "Array Input and Output Syntax", "Composite Type Input and Output Syntax" and "Range
/// Types" in PostgreSQL's manual, exactly as the server writes them; it takes more forms than these as input. Every
/// function that returns a truth says false for text that does not fit; what it wrote is then cut off by `append`.
struct StructureWriter: ~Copyable {
    /// The literal, and behind it, as on a stack, the texts of the quoted parts that are being read.
    var scratch = OutputBuffer(capacity: 256)
    /// Spells plain values for Debezium.
    var leaves = DebeziumLeaves()

    /// More memory than this is given back after a value.
    private static let scratchBytesMax = 1 << 20
    /// Dimensions of an array; PostgreSQL's MAXDIM.
    private static let dimensionsMax = 6

    /// Appends a value whose shape is the node at `place`. False, and nothing appended, when its text does not fit.
    mutating func append(_ text: RawSpan, _ place: Int, _ plan: ColumnPlan, to output: inout OutputBuffer) -> Bool {
        let start = output.count
        scratch.removeAll()
        scratch.append(text)
        let fits = write(0..<scratch.count, place, plan, &output)
        if !fits { output.truncate(to: start) }
        if scratch.count > Self.scratchBytesMax { scratch = OutputBuffer(capacity: 256) }
        return fits
    }

    mutating func write(
        _ text: Range<Int>, _ place: Int, _ plan: ColumnPlan, _ output: inout OutputBuffer
    ) -> Bool {
        let node = plan.nodes[place]
        switch node.kind {
        case .plain:
            if let leaf = node.leaf { return appendLeaf(scratch, text, leaf, &leaves, to: &output) }
            return output.append(value: scratch.bytes.extracting(text), as: node.form) != .misfit
        case .array: return writeArray(text, node, plan, &output)
        case .vector: return writeVector(text, node, plan, &output)
        case .composite: return writeComposite(text, node, plan, &output)
        case .range:
            var position = text.lowerBound
            return writeRange(&position, text.upperBound, node, plan, &output) && position == text.upperBound
        case .multirange: return writeMultirange(text, node, plan, &output)
        }
    }

    /// `{1,NULL,{…}}`. One with other lower bounds than 1 begins with `[` and is a misfit: JSON's arrays have none.
    private mutating func writeArray(
        _ text: Range<Int>, _ node: ValueNode, _ plan: ColumnPlan, _ output: inout OutputBuffer
    ) -> Bool {
        var position = text.lowerBound
        var depth = 0
        var expectsElement = true
        while position < text.upperBound {
            let byte = scratch.bytes.byte(position)
            if expectsElement {
                if byte == UInt8(ascii: "{") {
                    depth &+= 1
                    if depth > Self.dimensionsMax { return false }
                    output.append(UInt8(ascii: "["))
                    position &+= 1
                    expectsElement = !isAt(UInt8(ascii: "}"), position, text.upperBound)
                } else {
                    guard depth > 0, writeElement(&position, text.upperBound, node, plan, &output) else { return false }
                    expectsElement = false
                }
            } else if byte == UInt8(ascii: "}") {
                depth &-= 1
                output.append(UInt8(ascii: "]"))
                position &+= 1
                if depth == 0 { return position == text.upperBound }
            } else {
                guard byte == node.delimiter else { return false }
                output.append(UInt8(ascii: ","))
                position &+= 1
                expectsElement = true
            }
        }
        return false
    }

    private mutating func writeElement(
        _ position: inout Int, _ end: Int, _ node: ValueNode, _ plan: ColumnPlan, _ output: inout OutputBuffer
    ) -> Bool {
        let stackTop = scratch.count
        let element = Int(node.firstChild)
        if isAt(UInt8(ascii: "\""), position, end) {
            guard let text = takeQuoted(&position, end, doubled: false) else { return false }
            let fits = write(text, element, plan, &output)
            scratch.truncate(to: stackTop)
            return fits
        }
        let start = position
        while position < end {
            let byte = scratch.bytes.byte(position)
            if byte == node.delimiter || byte == UInt8(ascii: "}") { break }
            if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return false }
            position &+= 1
        }
        if start == position { return false }
        if position &- start == 4, scratch.bytes.extracting(start..<position).begins(with: "NULL") {
            output.append("null")
            return true
        }
        return write(start..<position, element, plan, &output)
    }

    /// `1 2 3`
    private mutating func writeVector(
        _ text: Range<Int>, _ node: ValueNode, _ plan: ColumnPlan, _ output: inout OutputBuffer
    ) -> Bool {
        output.append(UInt8(ascii: "["))
        var position = text.lowerBound
        while position < text.upperBound {
            let start = position
            while position < text.upperBound, scratch.bytes.byte(position) != UInt8(ascii: " ") { position &+= 1 }
            guard start < position, write(start..<position, Int(node.firstChild), plan, &output) else { return false }
            if position == text.upperBound { break }
            position &+= 1
            if position == text.upperBound { return false }
            output.append(UInt8(ascii: ","))
        }
        output.append(UInt8(ascii: "]"))
        return true
    }

    /// `(1,,"a b")`: as many fields as the shape has, nothing for NULL.
    private mutating func writeComposite(
        _ text: Range<Int>, _ node: ValueNode, _ plan: ColumnPlan, _ output: inout OutputBuffer
    ) -> Bool {
        var position = text.lowerBound
        let end = text.upperBound
        guard take(UInt8(ascii: "("), &position, end) else { return false }
        output.append(UInt8(ascii: "{"))
        for field in node.children {
            let isFirst = field == node.children.lowerBound
            if !isFirst, !take(UInt8(ascii: ","), &position, end) { return false }
            let member = plan.bytes(plan.nodes[field].member)
            output.append(member.extracting((isFirst ? 1 : 0)..<member.byteCount))
            guard writePart(&position, end, field, isBound: false, plan, &output) else { return false }
        }
        output.append(UInt8(ascii: "}"))
        return take(UInt8(ascii: ")"), &position, end) && position == end
    }
}
