import ByteKit
import ChangeModel
import Testing

/// Bodies that a program of the first format wrote, recorded from its log.
@Suite struct FormerBatchTests {
    private static let relation = Relation(
        sourceID: 1, schema: "main", name: "orders",
        columns: [
            Column(name: "id", type: .dynamic, typeName: "INTEGER", keyPosition: 0),
            Column(name: "note", type: .dynamic, typeName: "TEXT"),
        ])
    /// An insert, an update with its old row, and a delete, each in a transaction of its own.
    private static let recorded = """
        0002690000000132740000000162000269000000013174000000016100026900000001317400000001630002690000000132\
        74000000016202000000000000000000000000000000E87E3804C860060003000000000000000000000000000000E87E3804\
        C860060004000000000000000000000000000000E87E3804C860060001000000000000000000000000000000000000000000\
        0000000000000E000000020200000000000001000000000000000E0000000E0000001C0000000E0000000302000000000000\
        02000000000000002A0000000E00000000000000000000003800000003000000030000000100000000000000000000004D4C\
        524254434831
        """

    private static var bytes: [UInt8] {
        let digits = Array(recorded.utf8)
        return stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(decoding: digits[$0..<($0 + 2)], as: UTF8.self), radix: 16)
        }
    }

    private func decode(_ bytes: [UInt8]) throws(ChangeBatchError) -> ChangeBatch {
        try ChangeBatch(decoding: FrozenBytes(copying: bytes.rawBytes), relations: [Self.relation])
    }

    @Test func aBodyOfTheFirstFormatIsReadAsItWasWritten() throws {
        let batch = try decode(Self.bytes)
        #expect((0..<3).map { batch.change(at: $0).operation } == [.insert, .update, .delete])
        #expect((0..<3).map { batch.identity(at: $0) } == (2...4).map { ChangeIdentity(commit: $0, ordinal: 0) })
        #expect(
            (0..<3).map { batch.transaction(at: $0).committedAt } == Array(repeating: 1_795_262_040_801_000, count: 3))
        #expect((0..<3).allSatisfy { batch.transaction(at: $0).context.isEmpty })
        #expect(batch.change(at: 1).beforeImage == .full)
        #expect(SampleTuples.read(batch.tuple(batch.change(at: 1).after))?.map(\.bytes) == [[0x31], [0x63]])
        #expect(SampleTuples.read(batch.tuple(batch.change(at: 2).before))?.map(\.bytes) == [[0x32], [0x62]])
    }

    @Test func aConvertedBodyIsOfTodaysFormat() throws {
        let batch = try decode(Self.bytes)
        #expect(batch.body.count == Self.bytes.count + 3 * 8)
        let again = try ChangeBatch(decoding: batch.body, relations: [Self.relation])
        #expect(again.body === batch.body)
        #expect(again.changeCount == 3)
    }

    @Test func aDamagedBodyOfTheFirstFormatIsRefusedOrReadWithoutATrap() throws {
        var refused = 0
        for place in Self.bytes.indices {
            for byte in [0, 1, 0x7F, 0x80, 0xFF, Self.bytes[place] ^ 1] as [UInt8] {
                var damaged = Self.bytes
                damaged[place] = byte
                guard let batch = try? decode(damaged) else {
                    refused += 1
                    continue
                }
                _ = ChangeBatchTests.unreadableTuples(of: batch)
            }
        }
        #expect(refused > 100)
        for length in 0..<Self.bytes.count {
            #expect(throws: ChangeBatchError.self) { try decode(Array(Self.bytes.prefix(length))) }
        }
    }
}
