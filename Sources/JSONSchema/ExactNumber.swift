/// A decimal number of any size, compared and divided without rounding.
struct ExactNumber: Sendable, Hashable {
    private(set) var isNegative: Bool
    /// Decimal digits without zeros at either end, most significant first; empty for zero.
    private(set) var digits: [UInt8]
    /// The power of ten of the last digit.
    private(set) var exponent: Int

    /// Exponents beyond this are cut: such numbers differ from all others by their sign and digits alone.
    private static let exponentMax = 1 << 40

    /// Reads a number in JSON's grammar.
    init(_ text: some Collection<UInt8>) {
        var exponent = 0
        var digits: [UInt8] = []
        var fraction = 0
        var isFraction = false
        var rest = text[...]
        isNegative = rest.first == UInt8(ascii: "-")
        if isNegative { rest = rest.dropFirst() }
        while let byte = rest.first, byte | 0x20 != UInt8(ascii: "e") {
            rest = rest.dropFirst()
            if byte == UInt8(ascii: ".") {
                isFraction = true
            } else {
                if isFraction { fraction += 1 }
                if !digits.isEmpty || byte != 48 { digits.append(byte &- 48) }
            }
        }
        if !rest.isEmpty { exponent = Self.exponent(rest.dropFirst()) }
        exponent -= fraction
        while digits.last == 0 {
            digits.removeLast()
            exponent += 1
        }
        if digits.isEmpty { (isNegative, exponent) = (false, 0) }
        (self.digits, self.exponent) = (digits, exponent)
    }

    init(_ number: Int) { self.init(Array(String(number).utf8)) }

    private static func exponent(_ text: some Collection<UInt8>) -> Int {
        var (value, isNegative) = (0, false)
        for byte in text {
            switch byte {
            case UInt8(ascii: "-"): isNegative = true
            case 48...57: value = min(value * 10 + Int(byte - 48), exponentMax)
            default: break
            }
        }
        return isNegative ? -value : value
    }

    /// Digits and exponent in JSON's grammar.
    var shortestText: [UInt8] {
        if digits.isEmpty { return [48] }
        let end = exponent == 0 ? [] : Array("e\(exponent)".utf8)
        return (isNegative ? [UInt8(ascii: "-")] : []) + digits.map { $0 + 48 } + end
    }

    /// True for a number without a fraction.
    var isWhole: Bool { exponent >= 0 }

    /// Less, by value.
    static func < (a: ExactNumber, b: ExactNumber) -> Bool {
        if a.isNegative != b.isNegative { return a.isNegative }
        return a.isNegative ? b.magnitudeIsLess(than: a) : a.magnitudeIsLess(than: b)
    }

    private func magnitudeIsLess(than other: ExactNumber) -> Bool {
        if digits.isEmpty || other.digits.isEmpty { return digits.isEmpty && !other.digits.isEmpty }
        let (mine, theirs) = (digits.count + exponent, other.digits.count + other.exponent)
        if mine != theirs { return mine < theirs }
        return digits.lexicographicallyPrecedes(other.digits)
    }

    /// A number from 0 on as a count: whatever is larger is the largest.
    var clampedInt32: Int32 {
        guard digits.count + exponent <= 10 else { return .max }
        let shifted = digits + [UInt8](repeating: 0, count: max(0, exponent))
        return Int32(clamping: shifted.reduce(0) { $0 * 10 + Int($1) })
    }

    /// What divides may have as many digits, zeros at either end left out.
    static let divisorDigitsMax = 18

    /// True when it is a whole multiple of `divisor`, which is positive and has ``divisorDigitsMax`` digits at most;
    /// false for any other divisor.
    func isMultiple(of divisor: ExactNumber) -> Bool {
        guard divisor.digits.count <= Self.divisorDigitsMax, !divisor.digits.isEmpty else { return false }
        if digits.isEmpty { return true }
        let modulus = divisor.digits.reduce(0 as UInt64) { $0 * 10 + UInt64($1) }
        let shift = exponent - divisor.exponent
        // A fraction below the divisor's last digit remains: digits never end in zeros.
        guard shift >= 0 else { return false }
        var rest: UInt64 = 0
        for digit in digits { rest = Self.step(rest, UInt64(digit), modulus) }
        return Self.product(rest, Self.power(of: 10 % modulus, shift, modulus), modulus) == 0
    }

    private static func step(_ rest: UInt64, _ digit: UInt64, _ modulus: UInt64) -> UInt64 {
        (product(rest, 10, modulus) + digit % modulus) % modulus
    }

    private static func product(_ a: UInt64, _ b: UInt64, _ modulus: UInt64) -> UInt64 {
        let full = (a % modulus).multipliedFullWidth(by: b % modulus)
        return modulus.dividingFullWidth(full).remainder
    }

    private static func power(of base: UInt64, _ exponent: Int, _ modulus: UInt64) -> UInt64 {
        var (result, base, exponent) = (1 % modulus, base, exponent)
        while exponent > 0 {
            if exponent & 1 == 1 { result = product(result, base, modulus) }
            base = product(base, base, modulus)
            exponent >>= 1
        }
        return result
    }
}
