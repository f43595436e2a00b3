/// A small JSON tree that is written with its keys in the order they were given, so that generated files stay the same.
indirect enum JSONOutline {
    case object([(String, JSONOutline)])
    case array([JSONOutline])
    case string(String)
    case integer(Int)
    case flag(Bool)

    /// The text with two spaces of indentation and a newline at the end.
    var text: String {
        var result = ""
        write(into: &result, indent: "")
        return result + "\n"
    }

    private func write(into text: inout String, indent: String) {
        let inner = indent + "  "
        switch self {
        case .object(let members):
            Self.write(members, "{", "}", into: &text, indent) { member, text in
                Self.write(string: member.0, into: &text)
                text += ": "
                member.1.write(into: &text, indent: inner)
            }
        case .array(let items):
            Self.write(items, "[", "]", into: &text, indent) { item, text in item.write(into: &text, indent: inner) }
        case .string(let value): Self.write(string: value, into: &text)
        case .integer(let value): text += "\(value)"
        case .flag(let value): text += "\(value)"
        }
    }

    private static func write<Item>(
        _ items: [Item], _ open: String, _ close: String, into text: inout String, _ indent: String,
        each: (Item, inout String) -> Void
    ) {
        guard !items.isEmpty else {
            text += open + close
            return
        }
        text += open
        for (index, item) in items.enumerated() {
            text += (index == 0 ? "\n  " : ",\n  ") + indent
            each(item, &text)
        }
        text += "\n" + indent + close
    }

    private static func write(string: String, into text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\u{00}"..."\u{1F}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
