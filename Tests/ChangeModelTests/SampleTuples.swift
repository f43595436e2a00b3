import ByteKit
import ChangeModel

/// A value of a tuple as a test reads and writes it.
struct SampleValue: Equatable {
    var kind: UInt8
    var bytes: [UInt8]

    init(_ kind: UInt8, _ text: String = "") {
        self.kind = kind
        bytes = Array(text.utf8)
    }
}

enum SampleTuples {
    static let values: [[SampleValue]] = [
        [],
        [SampleValue(ValueKind.null)],
        [SampleValue(ValueKind.unchanged), SampleValue(ValueKind.text)],
        [
            SampleValue(ValueKind.integer, "42"), SampleValue(ValueKind.text, "größer"), SampleValue(ValueKind.null),
            SampleValue(ValueKind.binary, "\0\u{1}n"), SampleValue(ValueKind.real, "-1.5e300"),
            SampleValue(ValueKind.malformedText, "tnu"), SampleValue(ValueKind.unchanged),
        ],
    ]

    static func write(_ values: [SampleValue], to buffer: inout OutputBuffer) {
        for value in values {
            buffer.append(value.kind)
            guard ValueKind.hasBytes(value.kind) else { continue }
            buffer.append(bigEndian: Int32(value.bytes.count))
            buffer.append(value.bytes)
        }
    }

    static func bytes(_ values: [SampleValue]) -> [UInt8] {
        var buffer = OutputBuffer(capacity: 64)
        buffer.append(bigEndian: UInt16(values.count))
        write(values, to: &buffer)
        return buffer.bytes.withUnsafeBytes { Array($0) }
    }

    /// Reads as many values as the tuple says it has; nil as soon as one of them is not there.
    static func read(_ tuple: RawSpan) -> [SampleValue]? {
        guard var reader = TupleReader(tuple) else { return nil }
        var values: [SampleValue] = []
        for _ in 0..<reader.columnCount {
            guard let value = reader.next() else { return nil }
            var copy = SampleValue(value.kind)
            copy.bytes = value.bytes.withUnsafeBytes { Array($0) }
            values.append(copy)
        }
        return values
    }

    static func length(_ bytes: [UInt8]) -> Int? { TupleReader.length(ofTupleIn: bytes.rawBytes) }

    static func read(_ bytes: [UInt8]) -> [SampleValue]? { read(bytes.rawBytes) }
}
