internal import ByteKit
private import ChangeModel
internal import ConnectorKit

/// How key, topic and headers of a record become headers of its request, for formats whose records have them.
///
/// Names and the coding are those of Debezium Server's HTTP sink, which sends the headers; key, topic and the mark of a
/// record without value are beside them. Each value is JSON.
package struct RecordHeaders: Sendable, Equatable {
    /// What names begin with.
    var prefix = "X-DEBEZIUM-"
    /// True for values in base64, false for JSON in ASCII.
    var isBase64 = true

    /// What Debezium Server does unless it is told otherwise.
    package init() {}

    /// The headers of a record: `name: value` each.
    func headers(of record: Record, in batch: RecordBatch) -> [[UInt8]] {
        var headers: [[UInt8]] = []
        var names: Set<[UInt8]> = []
        batch.bytes(record.headers).forEachAttribute { name, value in
            names.insert(Self.upperCase(name))
            headers.append(header(name, value))
        }
        // A name of the application's own counts.
        func add(_ name: String, _ value: RawSpan) {
            let name = Array(name.utf8)
            if !names.contains(name) { headers.append(header(name.rawBytes, value)) }
        }
        var topic = OutputBuffer(capacity: 64)
        topic.append(jsonString: batch.topics[Int(record.topic)].name)
        add("TOPIC", topic.bytes)
        if !record.keyDocument.isEmpty { add("KEY", batch.bytes(record.keyDocument)) }
        if record.payload.isEmpty { add("TOMBSTONE", Self.truth.rawBytes) }
        return headers
    }

    private static let truth = Array("true".utf8)

    private func header(_ name: RawSpan, _ value: RawSpan) -> [UInt8] {
        var header = OutputBuffer(capacity: prefix.utf8.count + name.byteCount + value.byteCount * 2 + 8)
        header.append(utf8: prefix)
        header.append(Self.upperCase(name).rawBytes)
        header.append(": ")
        if isBase64 { header.append(base64: value) } else { header.append(asciiJSON: value) }
        return header.list
    }

    private static func upperCase(_ name: RawSpan) -> [UInt8] {
        (0..<name.byteCount).map { place in
            let byte = name.byte(place)
            return (0x61...0x7A).contains(byte) ? byte & 0xDF : byte
        }
    }
}

extension OutputBuffer {
    /// The bytes as a list.
    var list: [UInt8] {
        var list: [UInt8] = []
        list.reserveCapacity(count)
        for place in 0..<count { list.append(bytes.byte(place)) }
        return list
    }
}
