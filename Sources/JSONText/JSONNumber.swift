/// A JSON number by its text, so that no digit is lost.
///
/// `==` compares the text; see ``isEqualInValue(to:)`` for the value.
package struct JSONNumber: Sendable, Hashable {
    /// The text as it stands in the document.
    package let text: String

    /// A whole number.
    package init(_ value: some BinaryInteger) { text = String(value) }

    /// The number that `text` is; nil when the text is none in JSON's grammar.
    package init?(text: String) {
        let bytes = Array(text.utf8)
        guard !bytes.isEmpty, Self.length(in: bytes, from: 0) == bytes.count else { return nil }
        self.text = text
    }

    /// For the parser, which has checked the text.
    init(checked text: String) { self.text = text }

    /// The number as an integer, when its text is one and fits.
    package var integer: Int? { Int(text) }

    /// The nearest double; infinite for what is too large.
    package var double: Double { Double(text) ?? .nan }

    /// True when the value has no fraction, however it is written: `1.0` and `10e-1` are whole.
    package var isWhole: Bool {
        guard let decimal = Decimal(text) else { return false }
        return decimal.digits.isEmpty || decimal.exponent >= 0
    }

    /// True when both are the same number, however they are written. Exponents beyond 64 bits are compared by their
    /// text.
    package func isEqualInValue(to other: JSONNumber) -> Bool {
        guard let mine = Decimal(text), let theirs = Decimal(other.text) else { return text == other.text }
        return mine == theirs
    }

    /// The value in one spelling, equal for two numbers exactly when ``isEqualInValue(to:)`` holds: digits without
    /// zeros at either end, and a power of ten.
    var canonicalText: String {
        guard let decimal = Decimal(text) else { return text }
        if decimal.digits.isEmpty { return "0" }
        let digits = String(decoding: decimal.digits, as: UTF8.self)
        return (decimal.isNegative ? "-" : "") + digits + (decimal.exponent == 0 ? "" : "e\(decimal.exponent)")
    }

    /// Length of the number that begins at `start`, 0 when there is none.
    static func length(in bytes: [UInt8], from start: Int) -> Int {
        func byte(_ place: Int) -> UInt8 { place < bytes.count ? bytes[place] : 0 }
        func digits(_ place: Int) -> Int {
            var end = place
            while byte(end) >= 48 && byte(end) <= 57 { end += 1 }
            return end
        }
        var place = start + (byte(start) == 45 ? 1 : 0)
        let whole = byte(place) == 48 ? place + 1 : digits(place)
        guard whole > place else { return 0 }
        place = whole
        if byte(place) == 46 {
            let end = digits(place + 1)
            guard end > place + 1 else { return 0 }
            place = end
        }
        if byte(place) | 0x20 == 101 {
            let first = byte(place + 1) == 43 || byte(place + 1) == 45 ? place + 2 : place + 1
            let end = digits(first)
            guard end > first else { return 0 }
            place = end
        }
        return place - start
    }
}

/// A number as digits without zeros at either end, and the power of ten of the last one.
private struct Decimal: Equatable {
    var isNegative: Bool
    var digits: [UInt8]
    var exponent: Int

    /// Nil when the exponent does not fit.
    init?(_ text: String) {
        let bytes = Array(text.utf8)
        let mantissa = bytes.prefix { $0 | 0x20 != 101 }
        let suffix = bytes.dropFirst(mantissa.count + 1)
        var exponent = 0
        if !suffix.isEmpty {
            guard let value = Int(String(decoding: suffix, as: UTF8.self)) else { return nil }
            exponent = value
        }
        if let point = mantissa.firstIndex(of: 46) {
            let (moved, overflow) = exponent.subtractingReportingOverflow(mantissa.endIndex - point - 1)
            if overflow { return nil }
            exponent = moved
        }
        var digits = mantissa.filter { $0 >= 48 && $0 <= 57 }
        digits.removeFirst(digits.prefix { $0 == 48 }.count)
        let trailing = digits.reversed().prefix { $0 == 48 }.count
        digits.removeLast(trailing)
        let (shifted, overflow) = exponent.addingReportingOverflow(trailing)
        if overflow { return nil }
        self.digits = Array(digits)
        self.exponent = digits.isEmpty ? 0 : shifted
        isNegative = bytes.first == 45 && !digits.isEmpty
    }
}
