internal import ByteKit

/// Fills the nodes of a ``JSONTape``. It says only whether the bytes are JSON; why not is another parser's business.
struct JSONTapeScanner {
    private var nodes: [JSONTape.Node] = []
    private let depthMax: Int

    init(byteCount: Int, depthMax: Int) {
        self.depthMax = depthMax
        nodes.reserveCapacity(min(byteCount / 6 + 8, 1 << 20))
    }

    /// A scanner that adds to nodes.
    init(continuing nodes: [JSONTape.Node], depthMax: Int) {
        (self.nodes, self.depthMax) = (nodes, depthMax)
    }

    /// Gives the nodes away.
    mutating func takeNodes() -> [JSONTape.Node] {
        defer { nodes = [] }
        return nodes
    }

    /// True when `bytes` are one JSON document from `start` on.
    mutating func scan(_ bytes: RawSpan, from start: Int = 0) -> Bool {
        // RFC 8259, section 8.1: a byte order mark may be passed over.
        let hasMark = bytes.byte(start) == 0xEF && bytes.byte(start + 1) == 0xBB && bytes.byte(start + 2) == 0xBF
        var place = hasMark ? start + 3 : start
        Self.skipSpace(bytes, &place)
        guard value(bytes, &place, depth: 0) else { return false }
        Self.skipSpace(bytes, &place)
        return place == bytes.byteCount
    }

    private mutating func value(_ bytes: RawSpan, _ place: inout Int, depth: Int) -> Bool {
        switch bytes.byte(place) {
        case UInt8(ascii: "\""): return string(bytes, &place)
        case UInt8(ascii: "{"): return object(bytes, &place, depth: depth + 1)
        case UInt8(ascii: "["): return array(bytes, &place, depth: depth + 1)
        case UInt8(ascii: "t"): return word("true", .bool, true, bytes, &place)
        case UInt8(ascii: "f"): return word("false", .bool, false, bytes, &place)
        case UInt8(ascii: "n"): return word("null", .null, false, bytes, &place)
        default: return number(bytes, &place)
        }
    }

    private mutating func add(_ kind: JSONTape.Kind, flag: Bool, _ start: Int, _ end: Int) {
        nodes.append(
            JSONTape.Node(
                kind: kind, flag: flag, start: Int32(truncatingIfNeeded: start), end: Int32(truncatingIfNeeded: end),
                next: Int32(truncatingIfNeeded: nodes.count + 1), count: 0))
    }

    private mutating func close(_ index: Int, count: Int32, end: Int) -> Bool {
        nodes[index].count = count
        nodes[index].end = Int32(truncatingIfNeeded: end)
        nodes[index].next = Int32(truncatingIfNeeded: nodes.count)
        return true
    }

    private mutating func object(_ bytes: RawSpan, _ place: inout Int, depth: Int) -> Bool {
        guard depth <= depthMax else { return false }
        let index = nodes.count
        add(.object, flag: false, place, place)
        place += 1
        Self.skipSpace(bytes, &place)
        if Self.take(UInt8(ascii: "}"), bytes, &place) { return close(index, count: 0, end: place) }
        var count: Int32 = 0
        while true {
            guard bytes.byte(place) == UInt8(ascii: "\""), string(bytes, &place) else { return false }
            Self.skipSpace(bytes, &place)
            guard Self.take(UInt8(ascii: ":"), bytes, &place) else { return false }
            Self.skipSpace(bytes, &place)
            guard value(bytes, &place, depth: depth) else { return false }
            count += 1
            Self.skipSpace(bytes, &place)
            if Self.take(UInt8(ascii: "}"), bytes, &place) { return close(index, count: count, end: place) }
            guard Self.take(UInt8(ascii: ","), bytes, &place) else { return false }
            Self.skipSpace(bytes, &place)
        }
    }

    private mutating func array(_ bytes: RawSpan, _ place: inout Int, depth: Int) -> Bool {
        guard depth <= depthMax else { return false }
        let index = nodes.count
        add(.array, flag: false, place, place)
        place += 1
        Self.skipSpace(bytes, &place)
        if Self.take(UInt8(ascii: "]"), bytes, &place) { return close(index, count: 0, end: place) }
        var count: Int32 = 0
        while true {
            guard value(bytes, &place, depth: depth) else { return false }
            count += 1
            Self.skipSpace(bytes, &place)
            if Self.take(UInt8(ascii: "]"), bytes, &place) { return close(index, count: count, end: place) }
            guard Self.take(UInt8(ascii: ","), bytes, &place) else { return false }
            Self.skipSpace(bytes, &place)
        }
    }

    private mutating func word(
        _ text: StaticString, _ kind: JSONTape.Kind, _ flag: Bool, _ bytes: RawSpan, _ place: inout Int
    ) -> Bool {
        let start = place
        for index in 0..<text.utf8CodeUnitCount {
            guard Self.take(unsafe text.utf8Start[index], bytes, &place) else { return false }
        }
        add(kind, flag: flag, start, place)
        return true
    }

    private mutating func number(_ bytes: RawSpan, _ place: inout Int) -> Bool {
        let start = place
        guard let isInteger = Self.passNumber(bytes, &place) else { return false }
        add(.number, flag: isInteger, start, place)
        return true
    }

    /// Passes a number; true for one that is written as an integer, nil for none.
    static func passNumber(_ bytes: RawSpan, _ place: inout Int) -> Bool? {
        _ = take(UInt8(ascii: "-"), bytes, &place)
        if !take(UInt8(ascii: "0"), bytes, &place) {
            guard digits(bytes, &place) else { return nil }
        }
        var isInteger = true
        if take(UInt8(ascii: "."), bytes, &place) {
            isInteger = false
            guard digits(bytes, &place) else { return nil }
        }
        if bytes.byte(place) | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            place += 1
            if !take(UInt8(ascii: "+"), bytes, &place) { _ = take(UInt8(ascii: "-"), bytes, &place) }
            guard digits(bytes, &place) else { return nil }
        }
        return isInteger
    }

    private mutating func string(_ bytes: RawSpan, _ place: inout Int) -> Bool {
        place += 1
        let start = place
        var hasEscape = false
        var isASCII = true
        while true {
            if Self.passWords(bytes, &place, &isASCII) { continue }
            let byte = bytes.byte(place)
            if byte == UInt8(ascii: "\"") { break }
            // Zero stands for the end of the document too.
            guard byte >= 0x20 else { return false }
            if byte == UInt8(ascii: "\\") {
                hasEscape = true
                guard Self.escape(bytes, &place) else { return false }
            } else {
                if byte >= 0x80 { isASCII = false }
                place += 1
            }
        }
        guard isASCII || UTF8Check.isValid(bytes.extracting(start..<place)) else { return false }
        add(.string, flag: hasEscape, start, place)
        place += 1
        return true
    }

    /// Passes eight bytes at once when none of them ends the string, escapes something or is forbidden.
    @inline(__always)
    private static func passWords(_ bytes: RawSpan, _ place: inout Int, _ isASCII: inout Bool) -> Bool {
        guard place &+ 8 <= bytes.byteCount else { return false }
        let word = UInt64(
            littleEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: place, as: UInt64.self))
        let (ones, high): (UInt64, UInt64) = (0x0101_0101_0101_0101, 0x8080_8080_8080_8080)
        let quote = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
        let backslash = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
        let special = ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash) | ((word &- ones &* 0x20) & ~word)
        let found = special & high
        if word & high != 0 { isASCII = false }
        // What stands before the first special byte is passed too.
        place &+= found == 0 ? 8 : found.trailingZeroBitCount / 8
        return found == 0
    }

    /// Passes one escape sequence; half of a surrogate pair is none.
    private static func escape(_ bytes: RawSpan, _ place: inout Int) -> Bool {
        switch bytes.byte(place + 1) {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            place += 2
            return true
        case UInt8(ascii: "u"):
            guard let unit = unit(bytes, place) else { return false }
            place += 6
            if unit >> 10 == 0xDC00 >> 10 { return false }
            guard unit >> 10 == 0xD800 >> 10 else { return true }
            guard let low = self.unit(bytes, place), low >> 10 == 0xDC00 >> 10 else { return false }
            place += 6
            return true
        default: return false
        }
    }

    /// The number of a `\u` escape at `place`.
    private static func unit(_ bytes: RawSpan, _ place: Int) -> UInt16? {
        guard bytes.byte(place) == UInt8(ascii: "\\"), bytes.byte(place + 1) == UInt8(ascii: "u") else { return nil }
        var unit: UInt16 = 0
        for index in 2..<6 {
            guard let digit = bytes.byte(place + index).hexValue else { return nil }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }

    private static func digits(_ bytes: RawSpan, _ place: inout Int) -> Bool {
        let start = place
        while bytes.byte(place).isDigit { place += 1 }
        return place > start
    }

    @inline(__always)
    private static func take(_ byte: UInt8, _ bytes: RawSpan, _ place: inout Int) -> Bool {
        guard bytes.byte(place) == byte else { return false }
        place += 1
        return true
    }

    @inline(__always)
    private static func skipSpace(_ bytes: RawSpan, _ place: inout Int) {
        while true {
            let byte = bytes.byte(place)
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            place += 1
        }
    }
}
