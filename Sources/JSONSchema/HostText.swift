internal import ByteKit

/// Names and addresses of hosts, and mail addresses.
enum HostText {
    private static let nameLengthMax = 253
    private static let labelLengthMax = 63

    /// RFC 1123, section 2.1, and RFC 5890 for labels with `xn--` or, with Unicode, in other scripts.
    static func isHostname(_ text: RawSpan, allowsUnicode: Bool) -> Bool {
        var start = 0
        for place in 0...text.byteCount {
            let byte = text.byte(place)
            if byte.isLetter || byte.isDigit { continue }
            if byte == UInt8(ascii: "-") {
                // Such a label has a meaning of its own.
                if place == start + 3, text.byte(start + 2) == byte { return isNameOfScripts(text, allowsUnicode) }
                continue
            }
            if byte >= 0x80 { return allowsUnicode && isNameOfScripts(text, allowsUnicode) }
            guard place == text.byteCount || byte == UInt8(ascii: "."), place > start, place - start <= labelLengthMax,
                text.byte(start) != UInt8(ascii: "-"), text.byte(place - 1) != UInt8(ascii: "-")
            else { return false }
            start = place + 1
        }
        return text.byteCount <= nameLengthMax
    }

    /// The same for names that are not plain ASCII.
    private static func isNameOfScripts(_ text: RawSpan, _ allowsUnicode: Bool) -> Bool {
        // No character has more than 4 bytes, and none becomes less than one of the name's in ASCII.
        guard text.byteCount <= 4 * nameLengthMax, let name = String(validatingUTF8: text) else { return false }
        // RFC 3490, section 3.1, counts the last three as dots.
        let dots: [UInt32] = allowsUnicode ? [0x2E, 0x3002, 0xFF0E, 0xFF61] : [0x2E]
        let parts = name.unicodeScalars.split(
            omittingEmptySubsequences: false, whereSeparator: { dots.contains($0.value) })
        var labels: [HostLabel] = []
        for part in parts {
            guard let label = HostLabel(Array(part), allowsUnicode: allowsUnicode) else { return false }
            labels.append(label)
        }
        return labels.reduce(labels.count - 1) { $0 + $1.asciiCount } <= nameLengthMax
            && HostLabel.keepDirection(labels)
    }

    /// RFC 3986, section 3.2.2: four numbers up to 255 without zeros before them.
    static func isIPv4(_ text: RawSpan) -> Bool {
        var (place, parts) = (0, 0)
        while true {
            let start = place
            var value = 0
            while text.byte(place).isDigit, place - start < 3 {
                value = value * 10 + Int(text.byte(place) &- 48)
                place += 1
            }
            guard place > start, value <= 255, place == start + 1 || text.byte(start) != 48 else { return false }
            parts += 1
            if place == text.byteCount { return parts == 4 }
            guard parts < 4, text.byte(place) == UInt8(ascii: ".") else { return false }
            place += 1
        }
    }

    /// RFC 4291, section 2.2: groups of hexadecimal digits, one gap at most, and maybe an IPv4 address behind them.
    static func isIPv6(_ text: RawSpan) -> Bool {
        let colon = UInt8(ascii: ":")
        var (place, groups, hasGap) = (0, 0, false)
        if text.byte(0) == colon {
            guard text.byte(1) == colon else { return false }
            (place, hasGap) = (2, true)
        }
        while place < text.byteCount {
            var end = place
            while text.byte(end).isHexDigit { end += 1 }
            if text.byte(end) == UInt8(ascii: ".") {
                groups += 2
                guard isIPv4(text.extracting(place..<text.byteCount)) else { return false }
                return hasGap ? groups <= 7 : groups == 8
            }
            guard (1...4).contains(end - place) else { return false }
            groups += 1
            place = end
            if place == text.byteCount { break }
            guard text.byte(place) == colon, place + 1 < text.byteCount else { return false }
            place += 1
            if text.byte(place) == colon {
                if hasGap { return false }
                (place, hasGap) = (place + 1, true)
            }
        }
        return hasGap ? groups <= 7 : groups == 8
    }

    /// RFC 5321, section 4.1.2, and RFC 6531 with Unicode.
    static func isEmail(_ text: RawSpan, allowsUnicode: Bool) -> Bool {
        var at = text.byteCount - 1
        while at > 0, text.byte(at) != UInt8(ascii: "@") { at -= 1 }
        guard at > 0, isLocalPart(text.extracting(0..<at), allowsUnicode) else { return false }
        let domain = text.extracting((at + 1)..<text.byteCount)
        let last = domain.byteCount - 1
        guard domain.byte(0) == UInt8(ascii: "["), last > 0, domain.byte(last) == UInt8(ascii: "]") else {
            return isHostname(domain, allowsUnicode: allowsUnicode)
        }
        let address = domain.extracting(1..<last)
        for (place, byte) in "IPv6:".utf8.enumerated() where address.byte(place) != byte { return isIPv4(address) }
        return isIPv6(address.extracting(5..<address.byteCount))
    }

    private static func isLocalPart(_ text: RawSpan, _ allowsUnicode: Bool) -> Bool {
        let quote = UInt8(ascii: "\"")
        if text.byteCount >= 2, text.byte(0) == quote, text.byte(text.byteCount - 1) == quote {
            return isQuotedText(text.extracting(1..<(text.byteCount - 1)), allowsUnicode)
        }
        var isBehindDot = true
        for place in 0..<text.byteCount {
            let byte = text.byte(place)
            if byte == UInt8(ascii: ".") {
                if isBehindDot { return false }
                isBehindDot = true
            } else {
                guard isAtomByte(byte) || (byte >= 0x80 && allowsUnicode) else { return false }
                isBehindDot = false
            }
        }
        return !isBehindDot
    }

    private static func isAtomByte(_ byte: UInt8) -> Bool {
        if byte.isLetter || byte.isDigit { return true }
        switch byte {
        case UInt8(ascii: "!"), UInt8(ascii: "#")...UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"),
            UInt8(ascii: "-"), UInt8(ascii: "/"), UInt8(ascii: "="), UInt8(ascii: "?"),
            UInt8(ascii: "^")...UInt8(ascii: "`"), UInt8(ascii: "{")...UInt8(ascii: "~"):
            return true
        default: return false
        }
    }

    private static func isQuotedText(_ text: RawSpan, _ allowsUnicode: Bool) -> Bool {
        var place = 0
        while place < text.byteCount {
            let byte = text.byte(place)
            if byte == UInt8(ascii: "\\") {
                place += 1
                guard (0x20...0x7E).contains(text.byte(place)) else { return false }
            } else if byte == UInt8(ascii: "\"") || byte < 0x20 || byte == 0x7F || (byte >= 0x80 && !allowsUnicode) {
                return false
            }
            place += 1
        }
        return true
    }
}
