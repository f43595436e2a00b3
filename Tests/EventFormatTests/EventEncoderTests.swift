import ByteKit
import ChangeModel
import ConnectorKit
import EventFormat
import Testing

private let other = Relation(sourceID: 2, schema: "public", name: "secrets", columns: [column("a")])

@Suite struct EventEncoderTests {
    /// Two changes of `orders` around one of `other`.
    private func mixedBatch() throws -> ChangeBatch {
        var builder = ChangeBatchBuilder(capacity: 1024)
        let (first, second) = (builder.index(of: orders), builder.index(of: other))
        for (number, relation) in [first, second, first].enumerated() {
            let transaction = builder.begin(
                TransactionInfo(commit: UInt64(number) + 1, id: 7, committedAt: commitTime + Int64(number)))
            let row: [SampleValue] = relation == first ? [.text(String(number)), nil, nil] : ["x"]
            let bytes = tuple(row)
            let after = builder.append(tuple: bytes.rawBytes)
            builder.append(
                RowChange(operation: .insert, relation: relation, transaction: transaction, ordinal: 0, after: after))
        }
        return try builder.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(1)))
    }

    @Test func unwantedTableIsCoveredWithoutARecord() throws {
        let encoder = EventEncoder(pipelineName: "shop", sourceKind: "postgres", format: .cloudEvents)
        let versions = [version(orders), version(other)]
        var asked: [String] = []
        for _ in 0..<2 {
            let (records, next) = try encoder.encode(
                mixedBatch(), versions: versions, firstOffset: 50, from: 0, bytesMax: .max
            ) {
                asked.append($0.name)
                return $0.name == "orders"
            }
            #expect(records.keys == ["0", "2"])
            #expect(records.records.map(\.identity.commit) == [1, 3])
            #expect(records.records.map(\.committedAt) == [commitTime, commitTime + 2])
            #expect(records.records.map { records.topics[Int($0.topic)].table } == ["orders", "orders"])
            #expect(next == 3 && records.nextOffset == 53)
        }
        #expect(asked == ["orders", "secrets"])
    }

    @Test func batchOfUnwantedChangesIsEmptyAndCovered() throws {
        let encoder = EventEncoder(pipelineName: "shop", sourceKind: "postgres", format: .row)
        let (records, next) = try encoder.encode(
            mixedBatch(), versions: [version(orders), version(other)], firstOffset: 50, from: 1, bytesMax: 1
        ) { _ in false }
        #expect(records.records.isEmpty && next == 3 && records.nextOffset == 53)
    }

    @Test func limitEndsABatchBehindTheRecordThatPassesIt() throws {
        let encoder = EventEncoder(pipelineName: "shop", sourceKind: "postgres", format: .cloudEvents)
        let batch = try batch((0..<10).map { .insert([.text(String($0)), nil, nil]) }, of: orders)
        var (index, lines) = (0, [String]())
        while index < batch.changeCount {
            let (records, next) = try encoder.encode(
                batch, versions: [version(orders)], firstOffset: 100, from: index, bytesMax: 1000,
                including: { _ in true })
            #expect(next > index && records.records.count == 2)
            #expect(records.nextOffset == 100 + UInt64(next))
            (index, lines) = (next, lines + records.lines)
        }
        #expect(lines.count == 10)
        #expect(lines == (try encode((0..<10).map { .insert([.text(String($0)), nil, nil]) }, of: orders).lines))
    }

    @Test func payloadsLieOneBehindTheOtherWithALineFeedBetween() throws {
        let records = try encode([.insert(["1", nil, nil]), .truncate, .insert(["\"", nil, nil])], of: orders)
        var end: UInt32 = 0
        for record in records.records {
            #expect(record.payload.offset == end)
            end = record.payload.offset + record.payload.length + 1
            let last = records.body.load(at: Int(end) - 1, as: UInt8.self)
            #expect(last == UInt8(ascii: "\n"))
        }
    }

    @Test func goodEventsBeforeADamagedOneAreDelivered() throws {
        let encoder = EventEncoder(pipelineName: "shop", sourceKind: "postgres", format: .cloudEvents)
        let damaged = SampleChange(operation: .insert, after: [0, 3, 110])
        let batch = try batch([.insert(["1", nil, nil]), damaged, .truncate], of: orders)
        func encode(from index: Int) throws -> (RecordBatch, Int) {
            try encoder.encode(
                batch, versions: [version(orders)], firstOffset: 0, from: index, bytesMax: .max,
                including: { _ in true })
        }
        let (records, next) = try encode(from: 0)
        #expect(records.keys == ["1"] && next == 1 && records.nextOffset == 1)
        let failure = #expect(throws: EncodingFailure.self) { try encode(from: 1) }
        #expect(failure?.identity == ChangeIdentity(commit: 0x16B_3748, ordinal: 11))
        #expect(failure?.index == 1 && failure?.reason == .damagedTuple && failure?.table == "public.orders")
        #expect(try encode(from: 2).0.records.count == 1)
    }

    @Test func tupleOfAnotherWidthIsNamed() throws {
        let failure = #expect(throws: EncodingFailure.self) { try encode([.insert(["1", nil])], of: orders) }
        #expect(failure?.reason == .columnCount(expected: 3, found: 2))
        #expect(
            failure?.message
                == "change 10 of commit 23803720 in table public.orders: the row has 2 columns, its relation 3")
    }

    @Test func missingRelationIsAFailure() throws {
        let encoder = EventEncoder(pipelineName: "shop", sourceKind: "postgres", format: .row)
        let failure = #expect(throws: EncodingFailure.self) {
            try encoder.encode(
                mixedBatch(), versions: [], firstOffset: 0, from: 0, bytesMax: 1, including: { _ in true })
        }
        #expect(failure?.reason == .unknownRelation)
    }

    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00.000000Z"), (-1, "1969-12-31T23:59:59.999999Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"), (-2_203_891_200_000_001, "1900-02-28T23:59:59.999999Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        (253_402_300_800_000_000, "9999-12-31T23:59:59.999999Z"),
        (-62_135_596_800_000_000, "0001-01-01T00:00:00.000000Z"), (.min, "0001-01-01T00:00:00.000000Z"),
        (.max, "9999-12-31T23:59:59.999999Z"), (1_709_164_799_000_001, "2024-02-28T23:59:59.000001Z"),
    ])
    func timeIsRFC3339AndNeverTraps(_ microseconds: Int64, _ text: String) throws {
        let encoder = EventEncoder(pipelineName: "shop", sourceKind: "postgres", format: .cloudEvents)
        let batch = try batch([.truncate], of: orders, commit: .max, transactionID: .max, committedAt: microseconds)
        let line = try encoder.encode(
            batch, versions: [version(orders)], firstOffset: 0, from: 0, bytesMax: 1, including: { _ in true }
        ).records.lines[0]
        #expect(line.contains("\"time\":\"\(text)\"") && line.contains("\"committed_at\":\"\(text)\""))
        #expect(line.contains("FFFFFFFFFFFFFFFF-0000000A") && line.contains("\"lsn\":\"FFFFFFFF/FFFFFFFF\""))
        #expect(line.contains("\"id\":\"18446744073709551615\""))
    }
}
