import ByteKit
import ChangeModel
import ConnectorKit
import ConnectorTesting
import Testing

@Suite struct ChangeLedgerTests {
    private let committed = (0..<6).map { ChangeIdentity(commit: 10 + UInt64($0 / 3), ordinal: UInt32($0 % 3)) }

    private func rules(_ seen: [ChangeIdentity], allowingRepeats: Bool = false) -> Set<String> {
        var ledger = ChangeLedger(expected: committed)
        ledger.saw(seen)
        return ledger.violations(allowingRepeats: allowingRepeats).rules
    }

    @Test func theExactSequenceIsRight() { #expect(rules(committed).isEmpty) }

    @Test func eachKindOfErrorHasItsOwnName() {
        let other = ChangeIdentity(commit: 99, ordinal: 0)
        #expect(rules(Array(committed.dropFirst())) == ["missingChange"])
        #expect(rules(Array(committed.dropLast())) == ["missingChange"])
        #expect(rules(committed + [other]) == ["unexpectedChange"])
        #expect(rules(committed + [committed[5]]) == ["duplicatedChange"])
        #expect(rules(committed.reversed()) == ["changeOutOfOrder"])
        #expect(rules([]) == ["missingChange"])
    }

    @Test func repeatsMayBeAllowedButNothingElse() {
        let again = Array(committed[0..<4]) + Array(committed[2...])
        #expect(rules(again) == ["duplicatedChange"])
        #expect(rules(again, allowingRepeats: true).isEmpty)
        #expect(rules(Array(again.dropFirst()), allowingRepeats: true) == ["missingChange"])
        #expect(rules([committed[1]] + committed, allowingRepeats: true) == ["changeOutOfOrder"])
        var ledger = ChangeLedger(expected: committed)
        ledger.saw(again)
        #expect(ledger.repeats == 2)
    }
}

@Suite struct RowFoldTests {
    private func change(
        _ operation: Operation, _ key: String, previous: String? = nil, _ after: [String: String] = [:],
        unchanged: [String] = []
    ) -> FoldedChange {
        FoldedChange(
            table: "public.t", operation: operation, key: key, previousKey: previous, after: after, unchanged: unchanged
        )
    }

    private func fold(_ changes: [FoldedChange]) -> [String: [String: String]] {
        var fold = RowFold()
        for change in changes { fold.apply(change) }
        return fold.tables["public.t"] ?? [:]
    }

    @Test func rowsComeChangeAndGo() {
        let history = [
            change(.snapshot, "0", ["a": "0"]), change(.insert, "1", ["a": "x"]), change(.insert, "2", ["a": "y"]),
            change(.update, "2", ["a": "z"]), change(.delete, "1"),
        ]
        #expect(fold(history) == ["0": ["a": "0"], "2": ["a": "z"]])
        #expect(fold(history + [change(.truncate, "")]).isEmpty)
        #expect(fold(history + history) == fold(history))
    }

    @Test func aKeyChangeMovesTheRowWithItsUnchangedColumns() {
        let history = [
            change(.insert, "1", ["a": "x", "note": "long"]),
            change(.update, "7", previous: "1", ["a": "y"], unchanged: ["note"]),
        ]
        #expect(fold(history) == ["7": ["a": "y", "note": "long"]])
    }

    @Test func differencesNameTheKeysOfEachKind() {
        #expect(RowFold.differences(["a": "1"], ["a": "1"]).isEmpty)
        #expect(
            RowFold.differences(["a": "1", "b": "1"], ["a": "2", "c": "1"]) == [
                "1 rows only in the fold: b", "1 rows only in the table: c", "1 rows differ: a",
            ])
    }
}

@Suite struct RecordBatchSampleTests {
    @Test func payloadsAreContiguousLinesAndDistinct() {
        let batch = RecordBatch.sample(from: 9, count: 40)
        #expect(batch.nextOffset == 49)
        #expect(batch.records.count == 40)
        #expect(Set(batch.records.map(\.topic)).count == 3)
        for (record, next) in zip(batch.records, batch.records.dropFirst()) {
            #expect(record.payload.indices.upperBound + 1 == next.payload.indices.lowerBound)
            #expect(record.identity < next.identity)
        }
        let body = [UInt8](copying: batch.bytes(ByteRange(offset: 0, length: UInt32(batch.body.count))))
        for (offset, record) in zip(UInt64(9)..., batch.records) {
            let payload = [UInt8](copying: batch.payload(of: record))
            #expect(payload == SampleRecords.payload(at: offset))
            #expect(!payload.contains(10))
            #expect(body[record.payload.indices.upperBound] == 10)
            #expect(batch.topics[Int(record.topic)] == SampleRecords.topic(at: offset))
            #expect([UInt8](copying: batch.key(of: record)) == Array("k\(offset % 5)".utf8))
        }
        #expect(Set((0..<500).map { SampleRecords.payload(at: $0) }).count == 500)
    }

    @Test func emptyBatchHasOnlyItsOffset() {
        #expect(RecordBatch.sample(from: 5, count: 0).records.isEmpty)
        #expect(RecordBatch.empty(nextOffset: 5).nextOffset == 5)
    }

    @Test func whatIsExpectedIsEverythingOncePerTopic() {
        let expected = SampleRecords.expected(0..<50)
        #expect(expected.count == 3)
        #expect(expected.values.reduce(0) { $0 + $1.count } == 50)
    }
}
