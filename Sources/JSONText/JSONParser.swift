/// Why text is no JSON, and where.
package struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was found instead of what, in a few words. Never text of the document.
    package let message: String
    /// The line, from 1.
    package let line: Int
    /// The column in characters (code points), from 1.
    package let column: Int

    /// An error of its parts.
    package init(message: String, line: Int, column: Int) {
        self.message = message
        self.line = line
        self.column = column
    }

    /// `line 3, column 7: message`.
    package var description: String { "line \(line), column \(column): \(message)" }
}

extension JSONValue {
    /// Reads a document: one value with nothing but white space around it. A byte order mark before it is passed over.
    ///
    /// Arrays and objects may be nested `depthMax` deep. A surrogate escape without its other half is refused, because
    /// no Unicode string can hold it. Throws ``JSONError`` for anything that RFC 8259 does not allow.
    package init(parsing bytes: [UInt8], depthMax: Int = 256) throws(JSONError) {
        var parser = JSONParser(bytes: bytes, depthMax: depthMax)
        self = try parser.document()
    }

    /// Reads a document from a string likewise.
    package init(parsing text: String, depthMax: Int = 256) throws(JSONError) {
        try self.init(parsing: Array(text.utf8), depthMax: depthMax)
    }
}

/// A parser by recursive descent over the bytes of one document.
private struct JSONParser {
    let bytes: [UInt8]
    let depthMax: Int
    var place = 0
    var depth = 0

    init(bytes: [UInt8], depthMax: Int) {
        self.bytes = bytes
        self.depthMax = depthMax
    }

    mutating func document() throws(JSONError) -> JSONValue {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { place = 3 }
        skipSpace()
        let value = try value()
        skipSpace()
        guard place == bytes.count else { throw error("the document has ended, but more text follows") }
        return value
    }

    private mutating func value() throws(JSONError) -> JSONValue {
        switch next {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case .some(UInt8(ascii: "-")), .some(48...57): return try number()
        case nil: throw error("a value is missing at the end")
        default: throw error("expected a value")
        }
    }

    private mutating func object() throws(JSONError) -> JSONValue {
        try enter()
        var members: [JSONObject.Member] = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return leave(.object(JSONObject(members))) }
        while true {
            guard next == UInt8(ascii: "\"") else { throw error("expected a member's name in quotes") }
            let name = try string()
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw error("expected \":\" after a member's name") }
            skipSpace()
            members.append(JSONObject.Member(name: name, value: try value()))
            skipSpace()
            if take(UInt8(ascii: "}")) { return leave(.object(JSONObject(members))) }
            guard take(UInt8(ascii: ",")) else { throw error("expected \",\" or \"}\"") }
            skipSpace()
        }
    }

    private mutating func array() throws(JSONError) -> JSONValue {
        try enter()
        var elements: [JSONValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return leave(.array(elements)) }
        while true {
            elements.append(try value())
            skipSpace()
            if take(UInt8(ascii: "]")) { return leave(.array(elements)) }
            guard take(UInt8(ascii: ",")) else { throw error("expected \",\" or \"]\"") }
            skipSpace()
        }
    }

    private mutating func enter() throws(JSONError) {
        guard depth < depthMax else { throw error("nested deeper than \(depthMax)") }
        depth += 1
        place += 1
    }

    private mutating func leave(_ value: JSONValue) -> JSONValue {
        depth -= 1
        return value
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let length = JSONNumber.length(in: bytes, from: place)
        guard length > 0 else { throw error("malformed number") }
        let text = String(decoding: bytes[place..<(place + length)], as: UTF8.self)
        place += length
        // Without this, "01" would be a number and then text that is in the way.
        if let next, next >= 48 && next <= 57 { throw error("malformed number") }
        return .number(JSONNumber(checked: text))
    }

    private mutating func word(_ text: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for byte in text.description.utf8 {
            guard take(byte) else { throw error("expected \"\(text)\"") }
        }
        return value
    }

    /// A string, from its first quote to behind its last one.
    private mutating func string() throws(JSONError) -> String {
        place += 1
        let start = place
        while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { place += 1 }
        var text = Array(bytes[start..<place])
        while let byte = next, byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw error("control character in a string") }
            if byte == UInt8(ascii: "\\") {
                try escape(into: &text)
            } else {
                text.append(byte)
                place += 1
            }
        }
        guard let result = String(validating: text, as: UTF8.self) else {
            throw error("a string is not valid UTF-8", at: start)
        }
        guard take(UInt8(ascii: "\"")) else { throw error("a string has no closing quote") }
        return result
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        let start = place
        place += 1
        let letter = next
        place += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(letter ?? 0)
        case UInt8(ascii: "b"): text.append(8)
        case UInt8(ascii: "f"): text.append(12)
        case UInt8(ascii: "n"): text.append(10)
        case UInt8(ascii: "r"): text.append(13)
        case UInt8(ascii: "t"): text.append(9)
        case UInt8(ascii: "u"):
            guard let scalar = unicodeScalar() else { throw error("malformed \\u escape", at: start) }
            text.append(contentsOf: String(Character(scalar)).utf8)
        default: throw error("unknown escape", at: start)
        }
    }

    /// The character of a `\u` escape, or of a pair of them, behind the `u`.
    private mutating func unicodeScalar() -> Unicode.Scalar? {
        guard let first = hexUnit() else { return nil }
        guard first >> 10 == 0xD800 >> 10 else { return Unicode.Scalar(first) }
        guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")), let second = hexUnit(), second >> 10 == 0xDC00 >> 10
        else { return nil }
        return Unicode.Scalar(0x10000 + (UInt32(first & 0x3FF) << 10 | UInt32(second & 0x3FF)))
    }

    private mutating func hexUnit() -> UInt16? {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let digit = next, let value = Character(Unicode.Scalar(digit)).hexDigitValue else { return nil }
            unit = unit << 4 | UInt16(value)
            place += 1
        }
        return unit
    }

    private var next: UInt8? { place < bytes.count ? bytes[place] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        place += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { place += 1 }
    }

    private func error(_ message: String) -> JSONError { error(message, at: place) }

    private func error(_ message: String, at place: Int) -> JSONError {
        let passed = bytes.prefix(place)
        let lineStart = (passed.lastIndex(of: 0x0A) ?? -1) + 1
        let column = passed[lineStart...].count { $0 & 0xC0 != 0x80 }
        return JSONError(message: message, line: passed.count { $0 == 0x0A } + 1, column: column + 1)
    }
}
