internal import ByteKit
internal import ChangeModel

extension StructureWriter {
    /// `empty`, or `[1,10)` with nothing for a bound that is not there. Moves behind it.
    mutating func writeRange(
        _ position: inout Int, _ end: Int, _ node: ValueNode, _ plan: ColumnPlan, _ output: inout OutputBuffer
    ) -> Bool {
        if scratch.bytes.extracting(position..<end).begins(with: "empty") {
            position &+= 5
            output.append(
                "{\"lower\":null,\"upper\":null,\"lower_inclusive\":false,\"upper_inclusive\":false,\"empty\":true}")
            return true
        }
        let hasLower = isAt(UInt8(ascii: "["), position, end)
        guard hasLower || isAt(UInt8(ascii: "("), position, end) else { return false }
        position &+= 1
        output.append("{\"lower\":")
        guard writePart(&position, end, Int(node.firstChild), isBound: true, plan, &output),
            take(UInt8(ascii: ","), &position, end)
        else { return false }
        output.append(",\"upper\":")
        guard writePart(&position, end, Int(node.firstChild), isBound: true, plan, &output) else { return false }
        let hasUpper = isAt(UInt8(ascii: "]"), position, end)
        guard hasUpper || isAt(UInt8(ascii: ")"), position, end) else { return false }
        position &+= 1
        output.append(",\"lower_inclusive\":")
        if hasLower { output.append("true") } else { output.append("false") }
        output.append(",\"upper_inclusive\":")
        if hasUpper { output.append("true") } else { output.append("false") }
        output.append(",\"empty\":false}")
        return true
    }

    /// `{[1,3),[5,)}`
    mutating func writeMultirange(
        _ text: Range<Int>, _ node: ValueNode, _ plan: ColumnPlan, _ output: inout OutputBuffer
    ) -> Bool {
        var position = text.lowerBound
        let end = text.upperBound
        guard take(UInt8(ascii: "{"), &position, end) else { return false }
        output.append(UInt8(ascii: "["))
        while !isAt(UInt8(ascii: "}"), position, end) {
            if position > text.lowerBound + 1 {
                guard take(UInt8(ascii: ","), &position, end) else { return false }
                output.append(UInt8(ascii: ","))
            }
            guard position < end, writeRange(&position, end, node, plan, &output) else { return false }
        }
        output.append(UInt8(ascii: "]"))
        return take(UInt8(ascii: "}"), &position, end) && position == end
    }

    /// Writes a field or a bound: quoted, plain up to a comma or the closing bracket, or nothing for NULL or no bound.
    /// A plain field may hold a `]`, a plain bound none.
    mutating func writePart(
        _ position: inout Int, _ end: Int, _ place: Int, isBound: Bool, _ plan: ColumnPlan,
        _ output: inout OutputBuffer
    ) -> Bool {
        let stackTop = scratch.count
        if isAt(UInt8(ascii: "\""), position, end) {
            guard let text = takeQuoted(&position, end, doubled: true) else { return false }
            let fits = write(text, place, plan, &output)
            scratch.truncate(to: stackTop)
            return fits
        }
        let start = position
        while position < end {
            let byte = scratch.bytes.byte(position)
            if byte == UInt8(ascii: ",") || byte == UInt8(ascii: ")") || isBound && byte == UInt8(ascii: "]") { break }
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return false }
            position &+= 1
        }
        if start == position {
            output.append("null")
            return true
        }
        return write(start..<position, place, plan, &output)
    }

    /// Moves behind a quoted part and finds its text, which lies in the literal, or on top of the stack when it had
    /// escapes: a backslash before a byte and, where `doubled`, a quote before a quote. Nil without a closing quote.
    mutating func takeQuoted(_ position: inout Int, _ end: Int, doubled: Bool) -> Range<Int>? {
        let start = position &+ 1
        let stackTop = scratch.count
        position = start
        var runStart = start
        while position < end {
            let byte = scratch.bytes.byte(position)
            let isQuote = byte == UInt8(ascii: "\"")
            if isQuote, !(doubled && isAt(byte, position &+ 1, end)) {
                defer { position &+= 1 }
                if runStart == start { return start..<position }
                scratch.append(copyOf: runStart..<position)
                return stackTop..<scratch.count
            }
            if isQuote || byte == UInt8(ascii: "\\") {
                scratch.append(copyOf: runStart..<position)
                runStart = position &+ 1
                position &+= 2
            } else {
                position &+= 1
            }
        }
        return nil
    }

    /// True when `byte` stands at `position`, which is before `end`.
    func isAt(_ byte: UInt8, _ position: Int, _ end: Int) -> Bool {
        position < end && scratch.bytes.byte(position) == byte
    }

    /// Moves behind `byte`; false when it does not stand there.
    func take(_ byte: UInt8, _ position: inout Int, _ end: Int) -> Bool {
        guard isAt(byte, position, end) else { return false }
        position &+= 1
        return true
    }
}
