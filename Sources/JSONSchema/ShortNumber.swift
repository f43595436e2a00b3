internal import ByteKit

/// A decimal number of up to 18 digits: most numbers there are, without memory of its own.
struct ShortNumber: Sendable, Equatable {
    /// The digits, with the sign.
    var digits: Int
    /// How many of the digits are behind the point.
    var scale: Int

    private static let digitsMax = 18

    init(digits: Int, scale: Int) { (self.digits, self.scale) = (digits, scale) }

    /// Reads a number in JSON's grammar; nil for one with an exponent or with more digits.
    init?(_ text: RawSpan) {
        let isNegative = text.byte(0) == UInt8(ascii: "-")
        var place = isNegative ? 1 : 0
        guard text.byteCount <= Self.digitsMax else { return nil }
        var (value, point) = (0, -1)
        while place < text.byteCount {
            let byte = text.byte(place)
            place += 1
            if byte.isDigit {
                value = value &* 10 &+ Int(byte &- 48)
            } else {
                guard byte == UInt8(ascii: ".") else { return nil }
                point = place
            }
        }
        self.init(digits: isNegative ? -value : value, scale: point < 0 ? 0 : text.byteCount - point)
    }

    /// The same number; nil when it has more digits.
    init?(_ number: ExactNumber) {
        guard number.exponent >= -Self.digitsMax, number.digits.count + max(0, number.exponent) <= Self.digitsMax else {
            return nil
        }
        var value = 0
        for digit in number.digits { value = value * 10 + Int(digit) }
        for _ in 0..<max(0, number.exponent) { value *= 10 }
        self.init(digits: number.isNegative ? -value : value, scale: max(0, -number.exponent))
    }

    /// The digits of two numbers with equally many of them behind the point; nil when that makes them too large.
    static func scaled(_ a: ShortNumber, _ b: ShortNumber) -> (Int, Int)? {
        if a.scale == b.scale { return (a.digits, b.digits) }
        if a.scale < b.scale { return a.digits(times: b.scale - a.scale).map { ($0, b.digits) } }
        return b.digits(times: a.scale - b.scale).map { (a.digits, $0) }
    }

    private func digits(times zeros: Int) -> Int? {
        var value = digits
        for _ in 0..<zeros {
            let (product, isTooLarge) = value.multipliedReportingOverflow(by: 10)
            if isTooLarge { return nil }
            value = product
        }
        return value
    }
}
