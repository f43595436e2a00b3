internal import ByteKit

/// Spells plain values as Debezium does. Its memory is kept from value to value.
struct DebeziumLeaves: ~Copyable {
    var integer = BigInteger()
    var text = OutputBuffer(capacity: 64)

    /// More memory than this is given back after a value.
    private static let bytesMax = 1 << 20

    /// Appends a value. False, and perhaps a part appended, when its text does not look like its type.
    mutating func append(_ value: RawSpan, _ leaf: DebeziumLeaf, to output: inout OutputBuffer) -> Bool {
        switch leaf.form {
        case .string: return output.append(jsonString: value)
        case .integer:
            guard NumberText.isInteger(value) else { return false }
            output.append(value)
            return true
        case .boolean, .float, .bytes: return appendPlain(value, leaf.form, to: &output)
        case .decimal, .variableDecimal, .decimalText, .decimalNumber:
            return appendDecimal(value, leaf, to: &output)
        case .money, .moneyText, .moneyNumber: return appendMoney(value, leaf, to: &output)
        case .days, .isoDate: return output.append(date: value, isISO: leaf.form == .isoDate)
        case .timeMillis, .timeMicros, .timeNanos, .isoTime: return output.append(time: value, leaf.form)
        case .timestampMillis, .timestampMicros, .timestampNanos, .isoTimestamp:
            return output.append(timestamp: value, leaf.form)
        case .zonedTimestamp: return output.append(zonedTimestamp: value, decimals: Int(leaf.parameter))
        case .zonedTime: return output.append(timeInUTC: value)
        case .durationMicros, .isoDuration: return output.append(interval: value, isISO: leaf.form == .isoDuration)
        case .hstoreJSON, .hstoreMap: return appendHStore(value, isMap: leaf.form == .hstoreMap, to: &output)
        case .point: return appendPoint(value, to: &output)
        case .bits, .bit: return appendBits(value, isOne: leaf.form == .bit, to: &output)
        }
    }

    private func appendPlain(_ value: RawSpan, _ form: DebeziumForm, to output: inout OutputBuffer) -> Bool {
        switch form {
        case .boolean: output.append(value: value, as: .boolean) == .typed
        case .float: output.append(value: value, as: .float) == .typed
        default: output.append(value: value, as: .bytes) == .base64
        }
    }

    // MARK: Numbers

    private mutating func appendDecimal(
        _ value: RawSpan, _ leaf: DebeziumLeaf, to output: inout OutputBuffer
    ) -> Bool {
        guard var digits = DecimalDigits(value) else { return append(specialDecimal: value, leaf.form, to: &output) }
        switch leaf.form {
        case .decimalText: return output.append(jsonString: value)
        case .decimalNumber:
            guard NumberText.isNumber(value) else { return false }
            output.append(value)
            return true
        case .variableDecimal:
            digits.trimFraction(value)
            output.append("{\"scale\":")
            output.append(decimal: digits.fraction.count)
            output.append(",\"value\":")
            append(value, digits, scale: digits.fraction.count, to: &output)
            output.append(UInt8(ascii: "}"))
            return true
        default: return append(value, digits, scale: Int(leaf.parameter), to: &output)
        }
    }

    /// Writes the base64 of a number's digits up to `scale` decimals. False when there are more decimals.
    @discardableResult
    private mutating func append(
        _ value: RawSpan, _ digits: DecimalDigits, scale: Int, to output: inout OutputBuffer
    ) -> Bool {
        var digits = digits
        if digits.fraction.count > scale { digits.trimFraction(value) }
        integer.begin()
        if scale >= 0 {
            guard digits.fraction.count <= scale else { return false }
            integer.append(value, digits.whole)
            integer.append(value, digits.fraction)
            integer.append(zeros: scale - digits.fraction.count)
        } else {
            // The type rounds before the point: the last digits are zeros.
            guard digits.fraction.isEmpty else { return false }
            let kept = max(digits.whole.lowerBound, digits.whole.upperBound + scale)
            for place in kept..<digits.whole.upperBound where value.byte(place) != UInt8(ascii: "0") { return false }
            integer.append(value, digits.whole.lowerBound..<kept)
        }
        integer.finish(isNegative: digits.isNegative)
        appendBase64(integer.bytes, to: &output)
        return true
    }

    /// Big integers have no such value, and their readers no word for it: NULL, as Debezium says. A text has names.
    private func append(specialDecimal value: RawSpan, _ form: DebeziumForm, to output: inout OutputBuffer) -> Bool {
        let isNaN = value.begins(with: "NaN") && value.byteCount == 3
        let isPositive = value.begins(with: "Infinity") && value.byteCount == 8
        guard isNaN || isPositive || value.begins(with: "-Infinity") && value.byteCount == 9 else { return false }
        switch form {
        case .decimalNumber: return output.append(jsonString: value)
        case .decimalText:
            output.append(isNaN ? "\"NAN\"" : isPositive ? "\"POSITIVE_INFINITY\"" : "\"NEGATIVE_INFINITY\"")
        default: output.append("null")
        }
        return true
    }

    /// An amount in the words of some locale: its digits, of which the last two are decimals when a mark stands before
    /// them, and a minus sign or parentheses somewhere.
    private mutating func appendMoney(
        _ value: RawSpan, _ leaf: DebeziumLeaf, to output: inout OutputBuffer
    ) -> Bool {
        var (isNegative, count, decimals) = (false, 0, 0)
        text.removeAll()
        for place in 0..<value.byteCount {
            let byte = value.byte(place)
            if isDigit(value, place) {
                count += 1
                decimals += 1
            } else if byte == UInt8(ascii: "-") || byte == UInt8(ascii: "(") {
                isNegative = true
            } else if count > 0, byte == UInt8(ascii: ".") || byte == UInt8(ascii: ",") {
                decimals = 0
            }
        }
        if count == 0 { return false }
        if count == decimals || decimals != 2 { decimals = 0 }
        if isNegative { text.append(UInt8(ascii: "-")) }
        var left = count
        for place in 0..<value.byteCount where isDigit(value, place) {
            if left == decimals, decimals > 0 { text.append(UInt8(ascii: ".")) }
            text.append(value.byte(place))
            left -= 1
        }
        return appendAmount(leaf, to: &output)
    }

    private mutating func appendAmount(_ leaf: DebeziumLeaf, to output: inout OutputBuffer) -> Bool {
        switch leaf.form {
        case .moneyText:
            output.append(UInt8(ascii: "\""))
            output.append(contentsOf: text)
            output.append(UInt8(ascii: "\""))
        case .moneyNumber: output.append(contentsOf: text)
        default:
            integer.begin()
            appendDigits(text, to: &integer)
            integer.finish(isNegative: text.bytes.byte(0) == UInt8(ascii: "-"))
            appendBase64(integer.bytes, to: &output)
        }
        return true
    }

    // MARK: Bits

    /// A string of 0 and 1 as bytes, the last digit in the lowest bit of the first byte; bytes of zeros at the end are
    /// left out.
    private mutating func appendBits(_ value: RawSpan, isOne: Bool, to output: inout OutputBuffer) -> Bool {
        for place in 0..<value.byteCount where value.byte(place) &- 48 > 1 { return false }
        if isOne {
            let isSet = value.byteCount == 1 && value.byte(0) == UInt8(ascii: "1")
            if isSet { output.append("true") } else { output.append("false") }
            return value.byteCount == 1
        }
        text.removeAll()
        var (byte, bit, zeros): (UInt8, UInt8, Int) = (0, 0, 0)
        for place in stride(from: value.byteCount - 1, through: 0, by: -1) {
            byte |= (value.byte(place) &- 48) << bit
            bit += 1
            if bit < 8 && place > 0 { continue }
            if byte == 0 {
                zeros += 1
            } else {
                for _ in 0..<zeros { text.append(0) }
                text.append(byte)
                zeros = 0
            }
            (byte, bit) = (0, 0)
        }
        appendBase64(text, to: &output)
        return true
    }

    /// Gives memory back that one long value needed.
    mutating func rest() {
        if text.count > Self.bytesMax { text = OutputBuffer(capacity: 64) }
    }
}

/// Appends the value that stands in a part of a buffer.
func appendLeaf(
    _ buffer: borrowing OutputBuffer, _ range: Range<Int>, _ leaf: DebeziumLeaf, _ leaves: inout DebeziumLeaves,
    to output: inout OutputBuffer
) -> Bool {
    leaves.append(buffer.bytes.extracting(range), leaf, to: &output)
}

func appendBase64(_ bytes: borrowing OutputBuffer, to output: inout OutputBuffer) {
    output.append(UInt8(ascii: "\""))
    output.append(base64: bytes.bytes)
    output.append(UInt8(ascii: "\""))
}

private func appendDigits(_ text: borrowing OutputBuffer, to integer: inout BigInteger) {
    let bytes = text.bytes
    for place in 0..<bytes.byteCount where isDigit(bytes, place) { integer.append(bytes, place..<(place &+ 1)) }
}
