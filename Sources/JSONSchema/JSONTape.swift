internal import ByteKit
package import JSONText

/// A JSON document as a flat list of nodes over its bytes: what validation walks over, without a tree in between.
///
/// A container's node is followed by the nodes of its content; members of objects alternate name and value. Strings and
/// numbers stay where they stand in the bytes.
package struct JSONTape: Sendable {
    /// What a node is. The raw value is its place in a set of types.
    enum Kind: UInt8, Sendable {
        case null, bool, number, string, array, object
    }

    /// A value, or a member's name (a string).
    struct Node: Sendable {
        var kind: Kind
        /// For bool its value; for number true when it is written as an integer; for string true with escapes in it.
        var flag: Bool
        /// Where its text begins: behind the quote of a string.
        var start: Int32
        /// Where its text ends: before the quote of a string.
        var end: Int32
        /// Index of the node behind this value and all its content.
        var next: Int32
        /// How many elements or members there are.
        var count: Int32

        /// How many bytes its text has.
        var byteCount: Int { Int(end &- start) }
    }

    var bytes: [UInt8]
    var nodes: [Node]

    /// Longer documents are refused.
    package static let byteCountMax = Int(Int32.max) - 1

    /// Reads a document. Throws at the first byte that is not JSON (RFC 8259), or nested deeper than `depthMax`.
    package init(parsing bytes: [UInt8], depthMax: Int = 256) throws(JSONError) {
        guard bytes.count <= Self.byteCountMax else {
            throw JSONError(message: "the document is longer than 2 GiB", line: 1, column: 1)
        }
        var scanner = JSONTapeScanner(byteCount: bytes.count, depthMax: depthMax)
        guard scanner.scan(bytes.rawBytes) else {
            // The parser that keeps lines and columns says what is wrong.
            _ = try JSONValue(parsing: bytes, depthMax: depthMax)
            throw JSONError(message: "the document is not JSON", line: 1, column: 1)
        }
        self.bytes = bytes
        nodes = scanner.takeNodes()
    }

    /// The document of a value.
    package init(_ value: JSONValue) throws(JSONError) {
        try self.init(parsing: Array(value.compactText.utf8))
    }

    /// The bytes of a node's text as they stand in the document.
    func raw(_ node: Node) -> ArraySlice<UInt8> { bytes[Int(node.start)..<Int(node.end)] }

    /// The bytes of a string node's characters, escapes resolved.
    func characters(_ node: Node) -> [UInt8] { node.flag ? Self.unescaped(raw(node)) : Array(raw(node)) }

    /// The value of a number node.
    func number(_ node: Node) -> ExactNumber { ExactNumber(raw(node)) }

    /// The value of a number node that is written with up to 18 characters and without an exponent.
    func shortNumber(_ node: Node) -> ShortNumber? {
        ShortNumber(bytes.rawBytes.extracting(Int(node.start)..<Int(node.end)))
    }

    /// How many code points a string node has.
    func codePointCount(_ node: Node) -> Int {
        let text = bytes.rawBytes
        var count = 0
        var place = Int(node.start)
        let end = Int(node.end)
        while place < end {
            let byte = text.byte(place)
            if byte == UInt8(ascii: "\\") {
                let isUnit = text.byte(place + 1) == UInt8(ascii: "u")
                // The second half of a surrogate pair is no code point of its own.
                let isLow =
                    isUnit && text.byte(place + 2) | 0x20 == UInt8(ascii: "d")
                    && text.byte(place + 3) | 0x20 >= UInt8(ascii: "c")
                if !isLow { count += 1 }
                place += isUnit ? 6 : 2
            } else {
                if byte & 0xC0 != 0x80 { count += 1 }
                place += 1
            }
        }
        return count
    }

    /// True when a string node has exactly these characters.
    func equals(_ node: Node, _ text: RawSpan) -> Bool {
        if node.flag { return characters(node).rawBytes.hasSameBytes(as: text) }
        return bytes.rawBytes.extracting(Int(node.start)..<Int(node.end)).hasSameBytes(as: text)
    }

    /// The place of a string node's characters in a table, -1 when they are not in it.
    func place(of node: Node, in table: NameTable, guess: Int = -1) -> Int {
        if node.flag { return table.place(of: characters(node).rawBytes) }
        return table.place(of: bytes.rawBytes.extracting(Int(node.start)..<Int(node.end)), guess: guess)
    }

    /// Searches a string node's characters.
    func search(_ pattern: TextPattern, _ node: Node, _ scratch: TextPattern.Scratch) -> TextPattern.Outcome {
        if node.flag { return pattern.search(characters(node).rawBytes, scratch) }
        return pattern.search(bytes.rawBytes.extracting(Int(node.start)..<Int(node.end)), scratch)
    }

    /// Searches a string node's characters.
    func search(_ automaton: PatternAutomaton, _ node: Node) -> Bool {
        if node.flag { return automaton.isFound(in: characters(node).rawBytes) }
        return automaton.isFound(in: bytes.rawBytes.extracting(Int(node.start)..<Int(node.end)))
    }

    /// True when a string node's characters have a format.
    func fits(_ format: FormatCheck, _ node: Node) -> Bool {
        if node.flag { return format.accepts(characters(node).rawBytes) }
        return format.accepts(bytes.rawBytes.extracting(Int(node.start)..<Int(node.end)))
    }

    private static func unescaped(_ raw: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(raw.count)
        var place = raw.startIndex
        while place < raw.endIndex {
            guard raw[place] == UInt8(ascii: "\\") else {
                result.append(raw[place])
                place += 1
                continue
            }
            let letter = raw[place + 1]
            place += 2
            switch letter {
            case UInt8(ascii: "b"): result.append(8)
            case UInt8(ascii: "f"): result.append(12)
            case UInt8(ascii: "n"): result.append(10)
            case UInt8(ascii: "r"): result.append(13)
            case UInt8(ascii: "t"): result.append(9)
            case UInt8(ascii: "u"):
                var unit = hexUnit(raw, place)
                place += 4
                if unit >> 10 == 0xD800 >> 10 {
                    unit = 0x10000 + ((unit & 0x3FF) << 10 | hexUnit(raw, place + 2) & 0x3FF)
                    place += 6
                }
                if let scalar = Unicode.Scalar(unit) { result += UTF8.encode(scalar) ?? .init() }
            default: result.append(letter)
            }
        }
        return result
    }

    /// The number of four digits, which the scanner has seen.
    private static func hexUnit(_ raw: ArraySlice<UInt8>, _ place: Int) -> UInt32 {
        raw[place..<(place + 4)].reduce(0) { $0 << 4 | UInt32($1.hexValue ?? 0) }
    }
}
