internal import ByteKit

/// Values of several parts that Debezium takes apart.
extension DebeziumLeaves {
    // MARK: hstore

    /// `"k"=>"v", "n"=>NULL` as an object of texts, or as a string of such an object.
    mutating func appendHStore(_ value: RawSpan, isMap: Bool, to output: inout OutputBuffer) -> Bool {
        text.removeAll()
        text.append(UInt8(ascii: "{"))
        var place = 0
        while place < value.byteCount {
            if place > 0 {
                guard value.byte(place) == UInt8(ascii: ","), value.byte(place &+ 1) == UInt8(ascii: " ") else {
                    return false
                }
                place += 2
                text.append(UInt8(ascii: ","))
            }
            guard appendQuoted(value, &place), value.byte(place) == UInt8(ascii: "="),
                value.byte(place &+ 1) == UInt8(ascii: ">")
            else { return false }
            place += 2
            text.append(UInt8(ascii: ":"))
            if value.byte(place) == UInt8(ascii: "\"") {
                guard appendQuoted(value, &place) else { return false }
            } else {
                guard value.extracting(place..<value.byteCount).begins(with: "NULL") else { return false }
                place += 4
                text.append("null")
            }
        }
        text.append(UInt8(ascii: "}"))
        if isMap { output.append(contentsOf: text) } else { appendJSONString(text, to: &output) }
        return true
    }

    /// Moves behind a quoted text with backslashes before quotes and backslashes, which is JSON but for control
    /// characters.
    private mutating func appendQuoted(_ value: RawSpan, _ place: inout Int) -> Bool {
        guard value.byte(place) == UInt8(ascii: "\"") else { return false }
        place += 1
        text.append(UInt8(ascii: "\""))
        var runStart = place
        while place < value.byteCount {
            let byte = value.byte(place)
            if byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
                place += 1
                continue
            }
            guard text.append(jsonText: value.extracting(runStart..<place)) else { return false }
            place += 1
            if byte == UInt8(ascii: "\"") {
                text.append(byte)
                return true
            }
            guard place < value.byteCount else { return false }
            runStart = place
            place += 1
        }
        return false
    }

    // MARK: Points

    /// `(1.5,-2)` as its coordinates and as well-known binary.
    mutating func appendPoint(_ value: RawSpan, to output: inout OutputBuffer) -> Bool {
        guard value.byteCount > 2, value.byte(0) == UInt8(ascii: "("),
            value.byte(value.byteCount &- 1) == UInt8(ascii: ")")
        else { return false }
        var comma = 1
        while comma < value.byteCount, value.byte(comma) != UInt8(ascii: ",") { comma += 1 }
        guard comma < value.byteCount &- 1 else { return false }
        let (x, y) = (value.extracting(1..<comma), value.extracting((comma &+ 1)..<(value.byteCount &- 1)))
        // Short texts, which need no memory of their own.
        guard let xText = String(validatingUTF8: x), let yText = String(validatingUTF8: y), let xNumber = Double(xText),
            let yNumber = Double(yText)
        else { return false }
        output.append("{\"x\":")
        guard append(coordinate: x, to: &output) else { return false }
        output.append(",\"y\":")
        guard append(coordinate: y, to: &output) else { return false }
        output.append(",\"wkb\":")
        text.removeAll()
        text.append(1)
        text.append(littleEndian: UInt32(1))
        text.append(littleEndian: xNumber.bitPattern)
        text.append(littleEndian: yNumber.bitPattern)
        appendBase64(text, to: &output)
        output.append(",\"srid\":null}")
        return true
    }

    /// A number that shows that it is a double.
    private func append(coordinate: RawSpan, to output: inout OutputBuffer) -> Bool {
        guard output.append(value: coordinate, as: .float) == .typed else { return false }
        if NumberText.isInteger(coordinate) { output.append(".0") }
        return true
    }
}
