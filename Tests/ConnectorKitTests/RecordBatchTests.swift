import ByteKit
import ChangeModel
import ConnectorKit
import ConnectorTesting
import Testing

/// Batches that are made of parts of others.
struct RecordBatchTests {
    /// Everything that a record has, as text.
    private func texts(_ record: Record, _ batch: RecordBatch) -> [String] {
        let ranges = [
            record.id, record.payload, record.key, record.previousKey, record.attributes, record.keyDocument,
            record.headers,
        ]
        return ranges.map { String(validatingUTF8: batch.bytes($0)) ?? "?" }
            + [batch.topics[Int(record.topic)].name, "\(record.identity)", "\(record.emptiesTable)"]
    }

    /// The sample with texts in every place.
    private func full(from offset: UInt64, count: Int) -> RecordBatch {
        let sample = RecordBatch.sample(from: offset, count: count)
        var body = OutputBuffer(capacity: 4096)
        var records = sample.records
        for index in records.indices {
            let sampled = records[index]
            records[index].payload = add(texts(sampled, sample)[1], to: &body)
            body.append(UInt8(ascii: "\n"))
            records[index].id = add("id \(sampled.offset)", to: &body)
            records[index].key = add("key \(sampled.offset)", to: &body)
            records[index].previousKey = add("previous \(sampled.offset)", to: &body)
            records[index].attributes = add("a:\(sampled.offset)\n", to: &body)
            records[index].keyDocument = add("{\(sampled.offset)}", to: &body)
            records[index].headers = add("h:\(sampled.offset)\n", to: &body)
            records[index].emptiesTable = sampled.offset % 3 == 0
        }
        return RecordBatch(
            body: body.freeze(), records: records, topics: sample.topics, nextOffset: sample.nextOffset)
    }

    private func add(_ text: String, to body: inout OutputBuffer) -> ByteRange {
        let start = body.count
        body.append(utf8: text)
        return ByteRange(offset: UInt32(start), length: UInt32(body.count - start))
    }

    @Test func aSelectionHasEverythingOfItsRecords() {
        let whole = full(from: 40, count: 20)
        let indices = [0, 3, 4, 19]
        let part = whole.selecting(indices)
        #expect(part.records.map(\.offset) == [40, 43, 44, 59] && part.nextOffset == 60)
        #expect(part.records.map { texts($0, part) } == indices.map { texts(whole.records[$0], whole) })
        #expect(whole.selecting([]).records.isEmpty && whole.selecting([]).nextOffset == 60)
    }

    @Test func whatIsJoinedHasPlacesOfItsOwnRightBeforeTheEnd() {
        let parts = [full(from: 7, count: 1), full(from: 3, count: 2), full(from: 90, count: 1)]
        let joined = RecordBatch.joining(parts, before: 1_000)
        #expect(joined.records.map(\.offset) == [997, 998, 998, 999] && joined.nextOffset == 1_000)
        let expected = parts.flatMap { part in part.records.map { texts($0, part) } }
        #expect(joined.records.map { texts($0, joined) } == expected)
        #expect(Set(joined.topics).count == joined.topics.count)
    }

    @Test func payloadsOfAPartLieOneBehindTheOther() {
        let part = full(from: 0, count: 9).selecting([1, 2, 7])
        for (record, next) in zip(part.records, part.records.dropFirst()) {
            #expect(record.payload.offset + record.payload.length + 1 == next.payload.offset)
        }
    }
}
