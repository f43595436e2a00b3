import ByteKit

extension OutputBuffer {
    /// Appends a text as the value of a header, as CloudEvents' protocol bindings have it: blanks, quotes, percent
    /// signs and everything outside of the visible ASCII characters become %XX.
    mutating func append(headerValue text: RawSpan) {
        for index in 0..<text.byteCount {
            let byte = unsafe text.unsafeLoad(fromByteOffset: index, as: UInt8.self)
            if byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "%") {
                append(byte)
            } else {
                append(UInt8(ascii: "%"))
                append(hex: UInt64(byte), width: 2)
            }
        }
    }

    /// Where a byte lies in memory until something is appended.
    func address(of place: Int) -> UInt {
        let start = unsafe bytes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
        return start + UInt(place)
    }

    /// Appends the headers of attributes (lines of `name:value`), names and values each with a zero byte behind it, and
    /// tells where they begin.
    mutating func append(attributeHeaders lines: RawSpan, _ each: (_ name: Int, _ value: Int) -> Void) {
        var position = 0
        while position < lines.byteCount {
            let line = lines.run(from: position, until: 10)
            let name = lines.run(from: position, until: UInt8(ascii: ":"))
            position = line.upperBound + 1
            guard name.upperBound < line.upperBound else { continue }
            let nameStart = count
            append("ce-")
            append(lines.extracting(name))
            append(0)
            let valueStart = count
            append(headerValue: lines.extracting((name.upperBound + 1)..<line.upperBound))
            append(0)
            each(nameStart, valueStart)
        }
    }
}

extension RawSpan {
    /// The bytes from a place up to the next `end`, or to the end.
    fileprivate func run(from start: Int, until end: UInt8) -> Range<Int> {
        var place = start
        while place < byteCount, unsafe unsafeLoad(fromByteOffset: place, as: UInt8.self) != end { place += 1 }
        return start..<place
    }
}
