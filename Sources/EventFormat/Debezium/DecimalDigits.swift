internal import ByteKit

/// A decimal number in PostgreSQL's text, taken apart without conversion: `-12.50` is the digits 12 and 50 with a sign.
struct DecimalDigits {
    var isNegative: Bool
    /// Where the digits before and behind the point stand.
    var whole: Range<Int>
    var fraction: Range<Int>

    /// Nil for anything but digits with at most one point and one sign: `NaN`, infinities, exponents.
    init?(_ text: RawSpan) {
        var place = text.byte(0) == UInt8(ascii: "-") ? 1 : 0
        isNegative = place == 1
        let start = place
        while isDigit(text, place) { place &+= 1 }
        whole = start..<place
        fraction = place..<place
        if text.byte(place) == UInt8(ascii: "."), place < text.byteCount {
            let point = place &+ 1
            place = point
            while isDigit(text, place) { place &+= 1 }
            fraction = point..<place
        }
        guard place == text.byteCount, !whole.isEmpty || !fraction.isEmpty else { return nil }
    }

    /// Takes off zeros at the end of the fraction.
    mutating func trimFraction(_ text: RawSpan) {
        while !fraction.isEmpty, text.byte(fraction.upperBound &- 1) == UInt8(ascii: "0") {
            fraction = fraction.lowerBound..<(fraction.upperBound &- 1)
        }
    }
}

@inline(__always)
func isDigit(_ text: RawSpan, _ place: Int) -> Bool { text.byte(place) &- 48 < 10 && place < text.byteCount }

/// Turns decimal digits into the bytes of a big integer. Its memory is kept from number to number.
struct BigInteger: ~Copyable {
    /// The magnitude, least significant part first.
    private var limbs: [UInt64] = []
    /// Digits that are not in ``limbs`` yet, and ten to their count.
    private var waiting: UInt64 = 0
    private var scale: UInt64 = 1
    private(set) var bytes = OutputBuffer(capacity: 64)

    /// More memory than this is given back after a number.
    private static let limbsMax = 4096

    mutating func begin() {
        if limbs.capacity > Self.limbsMax { limbs = [] }
        limbs.removeAll(keepingCapacity: true)
        (waiting, scale) = (0, 1)
    }

    mutating func append(_ text: RawSpan, _ digits: Range<Int>) {
        for place in digits { append(UInt64(text.byte(place) &- 48)) }
    }

    mutating func append(zeros: Int) {
        for _ in 0..<max(zeros, 0) { append(0) }
    }

    private mutating func append(_ digit: UInt64) {
        if scale == 1_000_000_000_000_000_000 { flush() }
        waiting = waiting &* 10 &+ digit
        scale = scale &* 10
    }

    private mutating func flush() {
        var carry = waiting
        for place in limbs.indices {
            let product = limbs[place].multipliedFullWidth(by: scale)
            let (low, overflow) = product.low.addingReportingOverflow(carry)
            limbs[place] = low
            carry = product.high &+ (overflow ? 1 : 0)
        }
        if carry > 0 { limbs.append(carry) }
        (waiting, scale) = (0, 1)
    }

    /// Writes the number's two's complement into ``bytes``: the most significant byte first, and no more bytes than the
    /// sign needs.
    mutating func finish(isNegative: Bool) {
        flush()
        bytes.removeAll()
        if isNegative { negate() }
        let sign: UInt8 = isNegative && !limbs.isEmpty ? 0xFF : 0
        var hasBegun = false
        for limb in limbs.reversed() {
            for shift in stride(from: UInt64(56), through: 0, by: -8) {
                let byte = UInt8(truncatingIfNeeded: limb >> shift)
                if !hasBegun {
                    if byte == sign { continue }
                    hasBegun = true
                    if byte >> 7 != sign >> 7 { bytes.append(sign) }
                }
                bytes.append(byte)
            }
        }
        if !hasBegun { bytes.append(sign) }
    }

    private mutating func negate() {
        var carry = true
        for place in limbs.indices {
            let (value, overflow) = (~limbs[place]).addingReportingOverflow(carry ? 1 : 0)
            limbs[place] = value
            carry = overflow
        }
    }
}
