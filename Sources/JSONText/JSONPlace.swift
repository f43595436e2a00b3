/// Where in a text a part of a JSON document stands.
package struct JSONPlace: Sendable, Equatable {
    /// The line, from 1.
    package let line: Int
    /// The column in characters (code points), from 1.
    package let column: Int

    /// The place of the value that a JSON Pointer (RFC 6901, such as `/properties/id`) leads to, or of the innermost
    /// value around it that there is. Of members with equal names the last one counts.
    ///
    /// The text must be a document that was parsed before; for other text the place is the start.
    package init(of pointer: String, in bytes: [UInt8]) {
        let steps = pointer.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst()
        var finder = PlaceFinder(bytes: bytes)
        self.init(at: finder.find(steps.map { Self.name(String(decoding: $0, as: UTF8.self)) }), in: bytes)
    }

    init(at offset: Int, in bytes: [UInt8]) {
        let passed = bytes.prefix(offset)
        let lineStart = (passed.lastIndex(of: 0x0A) ?? -1) + 1
        line = passed.count { $0 == 0x0A } + 1
        column = passed[lineStart...].count { $0 & 0xC0 != 0x80 } + 1
    }

    private static func name(_ step: String) -> [UInt8] {
        var name: [UInt8] = []
        var rest = Array(step.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "~"), rest.first == UInt8(ascii: "0") || rest.first == UInt8(ascii: "1") {
                name.append(rest.removeFirst() == UInt8(ascii: "0") ? byte : UInt8(ascii: "/"))
            } else {
                name.append(byte)
            }
        }
        return name
    }
}

/// Walks over the text of a document without reading more of it than it must.
private struct PlaceFinder {
    let bytes: [UInt8]
    var place = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// The offset of what the names and indices lead to.
    mutating func find(_ steps: [[UInt8]]) -> Int {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { place = 3 }
        skipSpace()
        var found = place
        for step in steps {
            place = found
            let inner =
                switch next {
                case UInt8(ascii: "{"): member(step)
                case UInt8(ascii: "["): element(Int(String(decoding: step, as: UTF8.self)) ?? -1)
                default: Int?.none
                }
            guard let inner else { return found }
            found = inner
        }
        return found
    }

    private mutating func member(_ name: [UInt8]) -> Int? {
        var found: Int?
        place += 1
        while true {
            skipSeparators()
            guard next == UInt8(ascii: "\"") else { return found }
            let start = place
            skipString()
            let text = bytes[start..<place]
            skipSpace()
            if next == UInt8(ascii: ":") { place += 1 }
            skipSpace()
            // Names with escapes are rare, so only those are unescaped, by the parser that knows how.
            let isWanted =
                text.contains(UInt8(ascii: "\\"))
                ? (try? JSONValue(parsing: Array(text)))?.string.map { Array($0.utf8) } == name
                : text.dropFirst().dropLast().elementsEqual(name)
            if isWanted { found = place }
            skipValue()
        }
    }

    private mutating func element(_ index: Int) -> Int? {
        place += 1
        var number = 0
        while true {
            skipSeparators()
            guard let next, next != UInt8(ascii: "]") else { return nil }
            if number == index { return place }
            let start = place
            skipValue()
            // Only in what is no document: a bracket that closes nothing.
            guard place > start else { return nil }
            number += 1
        }
    }

    /// A container ends where as many brackets have closed as opened.
    private mutating func skipValue() {
        var depth = 0
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""): skipString()
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                place += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard depth > 0 else { return }
                depth -= 1
                place += 1
            case UInt8(ascii: ","):
                guard depth > 0 else { return }
                place += 1
            default: place += 1
            }
            if depth == 0 && (next == UInt8(ascii: ",") || byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]")) {
                return
            }
        }
    }

    private mutating func skipString() {
        place += 1
        while let byte = next, byte != UInt8(ascii: "\"") { place += byte == UInt8(ascii: "\\") ? 2 : 1 }
        place += 1
    }

    private mutating func skipSeparators() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 || byte == 0x2C {
            place += 1
        }
    }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { place += 1 }
    }

    private var next: UInt8? { place < bytes.count ? bytes[place] : nil }
}
