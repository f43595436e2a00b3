extension JSONValue {
    /// The document on one line without white space.
    package var compactText: String { text { $0.write(self) } }

    /// The document with a line for each member and element, indented by two spaces, and a line feed at its end. Equal
    /// values give equal text.
    package var prettyText: String {
        text { writer in
            writer.write(self, indentation: 0)
            writer.append("\n")
        }
    }

    private func text(_ body: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        body(&writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

private struct JSONWriter {
    var bytes: [UInt8] = []

    mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    /// Writes a value compactly.
    mutating func write(_ value: JSONValue) {
        switch value {
        case .null: append("null")
        case .bool(let value): append(value ? "true" : "false")
        case .number(let value): append(value.text)
        case .string(let value): write(value)
        case .array(let elements):
            append("[")
            for (number, element) in elements.enumerated() {
                if number > 0 { append(",") }
                write(element)
            }
            append("]")
        case .object(let object):
            append("{")
            for (number, member) in object.members.enumerated() {
                if number > 0 { append(",") }
                write(member.name)
                append(":")
                write(member.value)
            }
            append("}")
        }
    }

    /// Writes a value over several lines; empty arrays and objects, and arrays of scalars that fit, stay on one.
    mutating func write(_ value: JSONValue, indentation: Int) {
        switch value {
        case .array(let elements) where !elements.isEmpty:
            if writeOnOneLine(elements, indentation: indentation) { return }
            append("[")
            for (number, element) in elements.enumerated() {
                breakLine(number, indentation + 1)
                write(element, indentation: indentation + 1)
            }
            closeLine("]", indentation)
        case .object(let object) where !object.members.isEmpty:
            append("{")
            for (number, member) in object.members.enumerated() {
                breakLine(number, indentation + 1)
                write(member.name)
                append(": ")
                write(member.value, indentation: indentation + 1)
            }
            closeLine("}", indentation)
        default: write(value)
        }
    }

    /// Writes an array of scalars on one line when that stays within 100 columns.
    private mutating func writeOnOneLine(_ elements: [JSONValue], indentation: Int) -> Bool {
        let start = bytes.count
        append("[")
        for (number, element) in elements.enumerated() {
            if number > 0 { append(", ") }
            if element.object == nil && element.array == nil { write(element) }
            if element.object != nil || element.array != nil || bytes.count - start + indentation * 2 > 100 {
                bytes.removeLast(bytes.count - start)
                return false
            }
        }
        append("]")
        return true
    }

    private mutating func breakLine(_ number: Int, _ indentation: Int) {
        append(number > 0 ? ",\n" : "\n")
        append(String(repeating: "  ", count: indentation))
    }

    private mutating func closeLine(_ bracket: String, _ indentation: Int) {
        append("\n")
        append(String(repeating: "  ", count: indentation))
        append(bracket)
    }

    private mutating func write(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(contentsOf: [UInt8(ascii: "\\"), byte])
            case 8: append("\\b")
            case 9: append("\\t")
            case 10: append("\\n")
            case 12: append("\\f")
            case 13: append("\\r")
            case 0..<0x20: append("\\u00" + (byte < 16 ? "0" : "1") + String(byte & 15, radix: 16))
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
