extension OutputBuffer {
    /// Appends JSON text as a part of a larger JSON text: token by token as it is, without white space between tokens.
    /// Names that come twice, the order of members and the digits of numbers stay.
    ///
    /// False, and nothing appended, for text that is not one JSON value (RFC 8259) or that strict readers would refuse:
    /// bytes that are not UTF-8, an escape of half a surrogate pair, arrays and objects nested more than `depthMax`
    /// (up to 128) deep.
    public mutating func append(embeddedJSON text: RawSpan, depthMax: Int) -> Bool {
        let start = count
        var scanner = JSONTokenScanner(text, depthMax: min(depthMax, 128))
        while let token = scanner.next() { append(text.extracting(token)) }
        if scanner.isComplete { return true }
        truncate(to: start)
        return false
    }
}

/// Finds the tokens of one JSON value, front to back, and checks the grammar between them.
struct JSONTokenScanner: ~Escapable {
    private enum Expectation {
        case value, valueOrEnd, name, nameOrEnd, colon, separator
    }

    private let text: RawSpan
    private let depthMax: Int
    private var position = 0
    private var expectation = Expectation.value
    private var depth = 0
    /// For each open array and object a bit, the innermost lowest: 1 for an object.
    private var objects: UInt128 = 0
    /// True when the text ended where a value was complete.
    private(set) var isComplete = false

    @_lifetime(copy text)
    init(_ text: RawSpan, depthMax: Int) {
        self.text = text
        self.depthMax = depthMax
    }

    /// The place of the next token; nil at the end and at the first error.
    @_lifetime(self: copy self)
    mutating func next() -> Range<Int>? {
        while isSpace(text.byte(position)) { position &+= 1 }
        if position >= text.byteCount {
            isComplete = depth == 0 && expectation == .separator
            return nil
        }
        let start = position
        guard take(text.byte(start)) else { return nil }
        return start..<position
    }

    @_lifetime(self: copy self)
    private mutating func take(_ byte: UInt8) -> Bool {
        switch expectation {
        case .value: return takeValue(byte)
        case .valueOrEnd: return byte == UInt8(ascii: "]") ? close(object: false) : takeValue(byte)
        case .nameOrEnd where byte == UInt8(ascii: "}"): return close(object: true)
        case .name, .nameOrEnd:
            expectation = .colon
            return byte == UInt8(ascii: "\"") && takeString()
        case .colon:
            expectation = .value
            return takeMark(byte == UInt8(ascii: ":"))
        case .separator:
            guard depth > 0 else { return false }
            let isObject = objects & 1 == 1
            if byte == UInt8(ascii: ",") {
                expectation = isObject ? .name : .value
                return takeMark(true)
            }
            return byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) && close(object: isObject)
        }
    }

    @_lifetime(self: copy self)
    private mutating func takeValue(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            let isObject = byte == UInt8(ascii: "{")
            objects = objects &<< 1 | (isObject ? 1 : 0)
            depth &+= 1
            expectation = isObject ? .nameOrEnd : .valueOrEnd
            return takeMark(depth <= depthMax)
        case UInt8(ascii: "\""):
            expectation = .separator
            return takeString()
        case UInt8(ascii: "t"): return takeWord("true")
        case UInt8(ascii: "f"): return takeWord("false")
        case UInt8(ascii: "n"): return takeWord("null")
        default: return takeNumber()
        }
    }

    @_lifetime(self: copy self)
    private mutating func takeMark(_ isRight: Bool) -> Bool {
        position &+= 1
        return isRight
    }

    @_lifetime(self: copy self)
    private mutating func close(object: Bool) -> Bool {
        objects = objects &>> 1
        depth &-= 1
        expectation = .separator
        return takeMark(true)
    }

    @_lifetime(self: copy self)
    private mutating func takeWord(_ word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        for place in 0..<length where unsafe text.byte(position &+ place) != word.utf8Start[place] { return false }
        position &+= length
        expectation = .separator
        return true
    }

    @_lifetime(self: copy self)
    private mutating func takeNumber() -> Bool {
        let start = position
        while isNumberByte(text.byte(position)) { position &+= 1 }
        expectation = .separator
        return NumberText.isNumber(text.extracting(start..<position))
    }

    /// Moves behind the closing quote; eight bytes at a time while nothing in them is special.
    @_lifetime(self: copy self)
    private mutating func takeString() -> Bool {
        position &+= 1
        while position < text.byteCount {
            if text.byteCount &- position >= 8 {
                let word = unsafe text.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self)
                let marks = marksOfSpecial(UInt64(littleEndian: word))
                let plain = marks == 0 ? 8 : marks.trailingZeroBitCount &>> 3
                position &+= plain
                if plain == 8 { continue }
            }
            switch text.byte(position) {
            case UInt8(ascii: "\""):
                position &+= 1
                return true
            case UInt8(ascii: "\\"): if !takeEscape() { return false }
            case 0x20..<0x80: position &+= 1
            case 0x80...:
                let length = UTF8Check.sequenceLength(text, at: position)
                if length == 0 { return false }
                position &+= length
            default: return false
            }
        }
        return false
    }

    @_lifetime(self: copy self)
    private mutating func takeEscape() -> Bool {
        switch text.byte(position &+ 1) {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            position &+= 2
            return true
        case UInt8(ascii: "u"):
            guard let unit = codeUnit(at: position) else { return false }
            position &+= 6
            if unit & 0xF800 != 0xD800 { return true }
            guard unit < 0xDC00, let low = codeUnit(at: position), low & 0xFC00 == 0xDC00 else { return false }
            position &+= 6
            return true
        default: return false
        }
    }

    /// The code unit of an escape `\uXXXX` that begins at `start`.
    private func codeUnit(at start: Int) -> UInt16? {
        guard text.byte(start) == UInt8(ascii: "\\"), text.byte(start &+ 1) == UInt8(ascii: "u") else { return nil }
        var unit: UInt16 = 0
        for place in 2..<6 {
            let digit = hexValue(text.byte(start &+ place))
            if digit > 15 { return nil }
            unit = unit &<< 4 | UInt16(digit)
        }
        return unit
    }

    private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

    private func isNumberByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"),
            UInt8(ascii: "E"):
            true
        default: false
        }
    }
}
