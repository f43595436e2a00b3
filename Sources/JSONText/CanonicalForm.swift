extension JSONValue {
    /// Bytes that are the same for two values exactly when ``isEquivalent(to:)`` holds: what a hash of a document is
    /// taken of. They are JSON, but nothing that people should read.
    package var canonicalBytes: [UInt8] {
        var writer = CanonicalWriter()
        writer.write(self)
        return writer.bytes
    }
}

private struct CanonicalWriter {
    var bytes: [UInt8] = []

    mutating func write(_ value: JSONValue) {
        switch value {
        case .number(let number): bytes += number.canonicalText.utf8
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for (place, element) in elements.enumerated() {
                if place > 0 { bytes.append(UInt8(ascii: ",")) }
                write(element)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let object):
            bytes.append(UInt8(ascii: "{"))
            for (place, member) in object.sortedByName.enumerated() {
                if place > 0 { bytes.append(UInt8(ascii: ",")) }
                write(.string(member.name))
                bytes.append(UInt8(ascii: ":"))
                write(member.value)
            }
            bytes.append(UInt8(ascii: "}"))
        default: bytes += value.compactText.utf8
        }
    }
}
