/// Pieces of SQL text that are safe to put together.
enum SQLText {
    /// A name as an SQL identifier, quotes doubled.
    static func identifier(_ name: String) -> String { quoted(name, by: "\"") }

    /// A text as an SQL string literal, quotes doubled.
    static func literal(_ text: String) -> String { quoted(text, by: "'") }

    private static func quoted(_ text: String, by quote: Character) -> String {
        var result = String(quote)
        for character in text.unicodeScalars {
            result.unicodeScalars.append(character)
            if character == quote.unicodeScalars.first { result.append(quote) }
        }
        result.append(quote)
        return result
    }

    /// The same letters for names that SQLite takes as equal: it folds ASCII only.
    static func folded(_ name: String) -> String {
        String(decoding: name.utf8.map { $0 >= 65 && $0 <= 90 ? $0 + 32 : $0 }, as: UTF8.self)
    }
}

/// A word, string, number, symbol or comment of SQL text, by its place in the bytes.
struct SQLToken: Equatable {
    enum Kind: Equatable { case word, quotedName, string, number, symbol, space }
    var kind: Kind
    var range: Range<Int>
}

/// Cuts SQL text into tokens (<https://www.sqlite.org/draft/tokenreq.html>). Comments count as space; an unfinished
/// token reaches to the end of the text.
struct SQLTokenizer {
    let bytes: [UInt8]
    private var position = 0

    init(_ sql: String) { bytes = Array(sql.utf8) }

    /// All tokens but spaces.
    static func tokens(_ sql: String) -> (tokens: [SQLToken], bytes: [UInt8]) {
        var tokenizer = SQLTokenizer(sql)
        var tokens: [SQLToken] = []
        while let token = tokenizer.next() {
            if token.kind != .space { tokens.append(token) }
        }
        return (tokens, tokenizer.bytes)
    }

    private mutating func next() -> SQLToken? {
        guard position < bytes.count else { return nil }
        let start = position
        let kind = scan(bytes[position])
        return SQLToken(kind: kind, range: start..<position)
    }

    private mutating func scan(_ first: UInt8) -> SQLToken.Kind {
        switch first {
        case UInt8(ascii: "'"): return quoted(first, .string)
        case UInt8(ascii: "\""), UInt8(ascii: "`"): return quoted(first, .quotedName)
        case UInt8(ascii: "["): return until(.quotedName, ends: "]")
        case UInt8(ascii: "-") where byte(1) == UInt8(ascii: "-"): return until(.space, ends: "\n")
        case UInt8(ascii: "/") where byte(1) == UInt8(ascii: "*"): return blockComment()
        case 0x20, 0x09...0x0D: return run(.space) { $0 == 0x20 || (0x09...0x0D).contains($0) }
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return run(.number) { isWordByte($0) || $0 == UInt8(ascii: ".") }
        case let letter where isWordByte(letter): return run(.word, while: isWordByte)
        default:
            position += 1
            return .symbol
        }
    }

    private func byte(_ distance: Int) -> UInt8? {
        position + distance < bytes.count ? bytes[position + distance] : nil
    }

    private mutating func run(_ kind: SQLToken.Kind, while belongs: (UInt8) -> Bool) -> SQLToken.Kind {
        while position < bytes.count, belongs(bytes[position]) { position += 1 }
        return kind
    }

    private mutating func until(_ kind: SQLToken.Kind, ends: Unicode.Scalar) -> SQLToken.Kind {
        while position < bytes.count, bytes[position] != UInt8(ascii: ends) { position += 1 }
        position = min(position + 1, bytes.count)
        return kind
    }

    private mutating func blockComment() -> SQLToken.Kind {
        position += 2
        while position < bytes.count, !(bytes[position] == UInt8(ascii: "*") && byte(1) == UInt8(ascii: "/")) {
            position += 1
        }
        position = min(position + 2, bytes.count)
        return .space
    }

    private mutating func quoted(_ quote: UInt8, _ kind: SQLToken.Kind) -> SQLToken.Kind {
        position += 1
        while position < bytes.count {
            if bytes[position] == quote {
                if byte(1) != quote { break }
                position += 1
            }
            position += 1
        }
        position = min(position + 1, bytes.count)
        return kind
    }
}

private func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 97...122, 95, 36, 0x80...0xFF: true
    default: false
    }
}
