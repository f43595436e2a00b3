import ByteKit
package import ChangeModel
package import ConnectorKit

/// Records that follow from their log offset alone, so that the same offset gives the same record in every batch.
package enum SampleRecords {
    /// The tables that records come from, in turn.
    package static let topics = [
        Topic(schema: "shop", table: "orders"), Topic(schema: "shop", table: "customers"),
        Topic(schema: "stock", table: "orders"),
    ]

    /// The table of the record at a log offset.
    package static func topic(at offset: UInt64) -> Topic { topics[Int(offset % 7 % 3)] }

    /// The payload of the record at a log offset: a JSON object on one line, distinct and of varying length.
    package static func payload(at offset: UInt64) -> [UInt8] {
        let padding = String(repeating: "abcdefghij", count: Int(offset &* 13 % 12))
        return Array(#"{"offset":\#(offset),"table":"\#(topic(at: offset).table)","text":"ü \#(padding)"}"#.utf8)
    }

    /// The identity of the record at a log offset: three changes to a commit.
    package static func identity(at offset: UInt64) -> ChangeIdentity {
        ChangeIdentity(commit: 1000 + offset / 3 * 16, ordinal: UInt32(offset % 3))
    }

    /// When the record at a log offset was committed, in microseconds since 1970: one commit each half minute.
    package static func committedAt(_ offset: UInt64) -> Int64 {
        1_790_000_000_000_000 + Int64(offset / 3) * 30_000_000
    }

    /// What a sink that stored these offsets once and in order holds: payloads by ``topicName(_:)``.
    package static func expected(_ offsets: Range<UInt64>) -> [String: [[UInt8]]] {
        offsets.reduce(into: [:]) { $0[topicName(topic(at: $1)), default: []].append(payload(at: $1)) }
    }

    /// `schema.table`: how tests name a topic.
    package static func topicName(_ topic: Topic) -> String { "\(topic.schema).\(topic.table)" }
}

extension RecordBatch {
    /// A batch of ``SampleRecords`` at log offsets `from` to `from + count`. Keys lie before the payloads; payloads lie
    /// one behind the other, a line feed after each. The order of topics differs from batch to batch.
    package static func sample(from: UInt64 = 0, count: Int) -> RecordBatch {
        var body = OutputBuffer(capacity: 64 + count * 160)
        var topics: [Topic] = []
        var records: [Record] = []
        let offsets = from..<(from + UInt64(max(0, count)))
        let keys = offsets.map { offset in append("k\(offset % 5)", to: &body) }
        let ids = offsets.map { offset in append("shop-\(offset)", to: &body) }
        for ((offset, key), id) in zip(zip(offsets, keys), ids) {
            let topic = SampleRecords.topic(at: offset)
            if !topics.contains(topic) { topics.append(topic) }
            let payload = ByteRange(offset: UInt32(body.count), length: UInt32(SampleRecords.payload(at: offset).count))
            body.append(SampleRecords.payload(at: offset))
            body.append(UInt8(ascii: "\n"))
            records.append(
                Record(
                    offset: offset, id: id, payload: payload, key: key,
                    topic: UInt32(topics.firstIndex(of: topic) ?? 0),
                    identity: SampleRecords.identity(at: offset), committedAt: SampleRecords.committedAt(offset)))
        }
        return RecordBatch(body: body.freeze(), records: records, topics: topics, nextOffset: offsets.upperBound)
    }

    private static func append(_ key: String, to body: inout OutputBuffer) -> ByteRange {
        let start = body.count
        body.append(utf8: key)
        return ByteRange(offset: UInt32(start), length: UInt32(body.count - start))
    }
}
