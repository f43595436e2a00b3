/// A function, initialiser, subscript or computed property with its extent.
struct FunctionExtent: Equatable {
    var name: String
    var line: Int
    var lineCount: Int
}

/// Finds what has a body in the code of a Swift file, by keywords and braces.
struct FunctionScanner {
    private let text: SwiftText
    private let code: [UInt8]

    init(_ text: SwiftText) {
        self.text = text
        code = text.code
    }

    /// Everything that has a body, in the order of the file. What is inside of another counts for both.
    var extents: [FunctionExtent] {
        var found: [FunctionExtent] = []
        var at = 0
        while at < code.count {
            guard let word = word(at: at) else {
                at += 1
                continue
            }
            if Self.keywords.contains(word), !isMember(at), let open = body(after: at + word.utf8.count, word) {
                let close = closingBrace(of: open)
                let line = text.line(of: at)
                found.append(
                    FunctionExtent(
                        name: name(after: at, word), line: line, lineCount: text.line(of: close) - line + 1))
            }
            at += word.utf8.count
        }
        return found
    }

    private static let keywords: Set<String> = ["func", "init", "deinit", "subscript", "var"]
    /// Words that begin another declaration: what came before them had no body.
    private static let starters: Set<String> = [
        "func", "init", "deinit", "subscript", "var", "let", "case", "static", "mutating", "public", "package",
        "private",
        "fileprivate", "struct", "enum", "class", "actor", "protocol", "extension", "associatedtype", "typealias", "if",
        "for", "while", "guard", "switch", "do", "return", "defer",
    ]

    private func word(at offset: Int) -> String? {
        guard SwiftText.isWordByte(code[offset]) else { return nil }
        return String(decoding: code[offset...].prefix(while: SwiftText.isWordByte), as: UTF8.self)
    }

    /// True after a dot, as in `self.init(…)`, and inside of backticks.
    private func isMember(_ offset: Int) -> Bool {
        offset > 0 && (code[offset - 1] == UInt8(ascii: ".") || code[offset - 1] == UInt8(ascii: "`"))
    }

    /// The brace that opens the body of a declaration whose keyword ends at `start`.
    private func body(after start: Int, _ keyword: String) -> Int? {
        var depth = 0
        var at = start
        while at < code.count {
            switch code[at] {
            case UInt8(ascii: "("), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"):
                depth -= 1
                if depth < 0 { return nil }
            case UInt8(ascii: "{") where depth == 0: return at
            case UInt8(ascii: "{"): at = closingBrace(of: at)
            case UInt8(ascii: "}") where depth == 0: return nil
            case UInt8(ascii: "=") where depth == 0 && keyword == "var": return nil
            default:
                if depth == 0, let word = word(at: at) {
                    if Self.starters.contains(word) { return nil }
                    at += word.utf8.count - 1
                }
            }
            at += 1
        }
        return nil
    }

    private func closingBrace(of open: Int) -> Int {
        var depth = 0
        for at in open..<code.count {
            if code[at] == UInt8(ascii: "{") { depth += 1 }
            if code[at] == UInt8(ascii: "}") {
                depth -= 1
                if depth == 0 { return at }
            }
        }
        return code.count - 1
    }

    private func name(after offset: Int, _ keyword: String) -> String {
        guard keyword == "func" || keyword == "var" else { return keyword }
        let rest = code[(offset + keyword.utf8.count)...].drop { $0 == 0x20 }
        return String(
            decoding: rest.prefix { $0 > 0x20 && $0 != UInt8(ascii: "(") && $0 != UInt8(ascii: ":") }, as: UTF8.self)
    }
}
