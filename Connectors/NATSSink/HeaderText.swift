import ByteKit
import ChangeModel
import ConnectorKit

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
        lines.forEachAttribute { name, value in
            let nameStart = count
            append("ce-")
            append(name)
            append(0)
            let valueStart = count
            append(headerValue: value)
            append(0)
            each(nameStart, valueStart)
        }
    }

    /// Appends the headers of a record that has some of its own, under their names, its key, and the mark of a record
    /// without value; otherwise as ``append(attributeHeaders:_:)``. Values are JSON in ASCII.
    mutating func append(headersOf record: Record, _ batch: RecordBatch, _ each: (_ name: Int, _ value: Int) -> Void) {
        batch.bytes(record.headers).forEachAttribute { name, value in
            let start = count
            append(name)
            append(0)
            append(value: value, of: start, each)
        }
        if !record.keyDocument.isEmpty {
            let start = count
            append("Debezium-Key\0")
            append(value: batch.bytes(record.keyDocument), of: start, each)
        }
        if record.payload.isEmpty {
            let start = count
            append("Debezium-Tombstone\0")
            append(value: Self.truth.rawBytes, of: start, each)
        }
    }

    private mutating func append(value: RawSpan, of name: Int, _ each: (_ name: Int, _ value: Int) -> Void) {
        let start = count
        append(asciiJSON: value)
        append(0)
        each(name, start)
    }

    private static let truth = Array("true".utf8)
}
