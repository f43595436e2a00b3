internal import ByteKit

/// URIs and IRIs (RFC 3986, RFC 3987), URI templates (RFC 6570) and JSON Pointers (RFC 6901), in valid UTF-8.
enum URIText {
    /// What may stand in a part beside unreserved characters, sub-delimiters and percent-encoded bytes.
    private struct Extra: OptionSet {
        let rawValue: UInt8
        static let colon = Extra(rawValue: 1)
        static let at = Extra(rawValue: 2)
        static let slash = Extra(rawValue: 4)
        static let question = Extra(rawValue: 8)
        static let unicode = Extra(rawValue: 16)
    }

    static func isURI(_ text: RawSpan, allowsUnicode: Bool, isReference: Bool) -> Bool {
        let unicode: Extra = allowsUnicode ? .unicode : []
        let hash = firstPlace(of: UInt8(ascii: "#"), in: text, 0, text.byteCount)
        let end = firstPlace(of: UInt8(ascii: "?"), in: text, 0, hash)
        var start = 0
        var mark = 0
        while mark < end, text.byte(mark) != UInt8(ascii: ":"), text.byte(mark) != UInt8(ascii: "/") { mark += 1 }
        if mark < end, text.byte(mark) == UInt8(ascii: ":") {
            // A relative path's first segment has no colon (section 4.2), so it ends a scheme.
            guard isScheme(text.extracting(0..<mark)) else { return false }
            start = mark + 1
        } else if !isReference {
            return false
        }
        if text.byte(start) == UInt8(ascii: "/"), start + 1 < end, text.byte(start + 1) == UInt8(ascii: "/") {
            let path = firstPlace(of: UInt8(ascii: "/"), in: text, start + 2, end)
            guard isAuthority(text.extracting((start + 2)..<path), unicode) else { return false }
            start = path
        }
        let rest: Extra = [.colon, .at, .slash, .question]
        return areCharacters(text.extracting(start..<end), unicode.union([.colon, .at, .slash]))
            && areCharacters(text.extracting(min(end + 1, hash)..<hash), unicode.union(rest))
            && areCharacters(text.extracting(min(hash + 1, text.byteCount)..<text.byteCount), unicode.union(rest))
    }

    /// The first place of a byte, or the end.
    private static func firstPlace(of byte: UInt8, in text: RawSpan, _ start: Int, _ end: Int) -> Int {
        var place = start
        while place < end, text.byte(place) != byte { place += 1 }
        return min(place, end)
    }

    private static func isScheme(_ text: RawSpan) -> Bool {
        guard text.byte(0).isLetter else { return false }
        for place in 1..<text.byteCount {
            let byte = text.byte(place)
            guard
                byte.isLetter || byte.isDigit || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
                    || byte == UInt8(ascii: ".")
            else { return false }
        }
        return true
    }

    private static func isAuthority(_ text: RawSpan, _ unicode: Extra) -> Bool {
        var at = text.byteCount - 1
        while at >= 0, text.byte(at) != UInt8(ascii: "@") { at -= 1 }
        guard areCharacters(text.extracting(0..<max(0, at)), unicode.union(.colon)) else { return false }
        let host = text.extracting((at + 1)..<text.byteCount)
        var end: Int
        if host.byte(0) == UInt8(ascii: "[") {
            end = firstPlace(of: UInt8(ascii: "]"), in: host, 0, host.byteCount)
            guard end < host.byteCount, isLiteral(host.extracting(1..<end)) else { return false }
            end += 1
        } else {
            end = firstPlace(of: UInt8(ascii: ":"), in: host, 0, host.byteCount)
            guard areCharacters(host.extracting(0..<end), unicode) else { return false }
        }
        guard end < host.byteCount else { return true }
        guard host.byte(end) == UInt8(ascii: ":") else { return false }
        for place in (end + 1)..<host.byteCount where !host.byte(place).isDigit { return false }
        return true
    }

    /// `IP-literal` without its brackets: an IPv6 address, or one of a version to come.
    private static func isLiteral(_ text: RawSpan) -> Bool {
        guard text.byte(0) | 0x20 == UInt8(ascii: "v") else { return HostText.isIPv6(text) }
        let dot = firstPlace(of: UInt8(ascii: "."), in: text, 1, text.byteCount)
        for place in 1..<dot where !text.byte(place).isHexDigit { return false }
        return dot > 1 && dot + 1 < text.byteCount
            && areCharacters(text.extracting((dot + 1)..<text.byteCount), .colon)
    }

    private static func areCharacters(_ text: RawSpan, _ extra: Extra) -> Bool {
        var place = 0
        while place < text.byteCount {
            let byte = text.byte(place)
            place += 1
            if byte.isLetter || byte.isDigit { continue }
            let isAllowed: Bool
            switch byte {
            case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "!"),
                UInt8(ascii: "$"), UInt8(ascii: "&")...UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "="):
                isAllowed = true
            case UInt8(ascii: ":"): isAllowed = extra.contains(.colon)
            case UInt8(ascii: "@"): isAllowed = extra.contains(.at)
            case UInt8(ascii: "/"): isAllowed = extra.contains(.slash)
            case UInt8(ascii: "?"): isAllowed = extra.contains(.question)
            case UInt8(ascii: "%"):
                isAllowed = text.byte(place).isHexDigit && text.byte(place + 1).isHexDigit
                place += 2
            default: isAllowed = byte >= 0x80 && extra.contains(.unicode)
            }
            if !isAllowed { return false }
        }
        return true
    }

    /// Literals and expressions in braces (RFC 6570, section 2).
    static func isTemplate(_ text: RawSpan) -> Bool {
        var place = 0
        while place < text.byteCount {
            let byte = text.byte(place)
            place += 1
            switch byte {
            case UInt8(ascii: "{"):
                let end = firstPlace(of: UInt8(ascii: "}"), in: text, place, text.byteCount)
                guard end < text.byteCount, isExpression(text.extracting(place..<end)) else { return false }
                place = end + 1
            case UInt8(ascii: "}"), UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"),
                UInt8(ascii: "\\"), UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "|"), 0...0x20, 0x7F:
                return false
            case UInt8(ascii: "%"):
                guard text.byte(place).isHexDigit, text.byte(place + 1).isHexDigit else { return false }
            default: break
            }
        }
        return true
    }

    private static func isExpression(_ text: RawSpan) -> Bool {
        var start = 0
        switch text.byte(0) {
        case UInt8(ascii: "+"), UInt8(ascii: "#"), UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: ";"),
            UInt8(ascii: "?"), UInt8(ascii: "&"), UInt8(ascii: "="), UInt8(ascii: ","), UInt8(ascii: "!"),
            UInt8(ascii: "@"), UInt8(ascii: "|"):
            start = 1
        default: break
        }
        while true {
            let end = firstPlace(of: UInt8(ascii: ","), in: text, start, text.byteCount)
            guard isVariable(text.extracting(start..<end)) else { return false }
            if end == text.byteCount { return true }
            start = end + 1
        }
    }

    /// A name of parts with dots between them, and a star or a length behind it.
    private static func isVariable(_ text: RawSpan) -> Bool {
        var end = firstPlace(of: UInt8(ascii: ":"), in: text, 0, text.byteCount)
        if end < text.byteCount {
            guard (1...4).contains(text.byteCount - end - 1), text.byte(end + 1) != 48 else { return false }
            for place in (end + 1)..<text.byteCount where !text.byte(place).isDigit { return false }
        } else if text.byte(end - 1) == UInt8(ascii: "*") {
            end -= 1
        }
        var (place, isBehindDot) = (0, true)
        while place < end {
            let byte = text.byte(place)
            place += 1
            if byte == UInt8(ascii: ".") {
                if isBehindDot { return false }
                isBehindDot = true
                continue
            }
            if byte == UInt8(ascii: "%") {
                guard place + 2 <= end, text.byte(place).isHexDigit, text.byte(place + 1).isHexDigit else {
                    return false
                }
                place += 2
            } else {
                guard byte.isLetter || byte.isDigit || byte == UInt8(ascii: "_") else { return false }
            }
            isBehindDot = false
        }
        return !isBehindDot
    }

    static func isPointer(_ text: RawSpan) -> Bool {
        guard text.byteCount == 0 || text.byte(0) == UInt8(ascii: "/") else { return false }
        for place in 0..<text.byteCount where text.byte(place) == UInt8(ascii: "~") {
            guard text.byte(place + 1) == 48 || text.byte(place + 1) == 49 else { return false }
        }
        return true
    }

    static func isRelativePointer(_ text: RawSpan) -> Bool {
        var place = 0
        while text.byte(place).isDigit { place += 1 }
        guard place == 1 || (place > 1 && text.byte(0) != 48) else { return false }
        if text.byteCount == place + 1, text.byte(place) == UInt8(ascii: "#") { return true }
        return isPointer(text.extracting(place..<text.byteCount))
    }
}
