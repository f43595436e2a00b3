import ByteKit
import ChangeModel
import ConnectorTesting
import Testing

@Suite struct ChangeBatchTests {
    static let relations = [
        Relation(sourceID: 7, schema: "public", name: "a", columns: []),
        Relation(sourceID: 8, schema: "public", name: "b", columns: []),
    ]

    /// Two transactions, two relations, every operation, and every sample tuple.
    static func sample() throws -> ChangeBatch {
        var builder = ChangeBatchBuilder(capacity: 1024)
        let (a, b) = (builder.index(of: relations[0]), builder.index(of: relations[1]))
        let first = builder.begin(TransactionInfo(commit: 100, id: 5, committedAt: 1_000_000))
        let tuples = SampleTuples.values
        let whole = builder.append(tuple: SampleTuples.bytes(tuples[3]).rawBytes)
        let short = builder.appendTuple(columnCount: tuples[2].count) { SampleTuples.write(tuples[2], to: &$0) }
        builder.append(RowChange(operation: .insert, relation: a, transaction: first, ordinal: 0, after: whole))
        builder.append(
            RowChange(
                operation: .update, relation: b, transaction: first, ordinal: 1, beforeImage: .key, before: short,
                after: whole))
        let second = builder.begin(TransactionInfo(commit: 200, id: 6, committedAt: 2_000_000))
        builder.append(
            RowChange(
                operation: .delete, relation: a, transaction: second, ordinal: 0, beforeImage: .full, before: whole))
        builder.append(RowChange(operation: .truncate, relation: b, transaction: second, ordinal: 1))
        builder.append(
            RowChange(
                operation: .snapshot, relation: b, transaction: second, ordinal: ChangeIdentity.snapshotOrdinalMin,
                after: short))
        let checkpoint = SourceCheckpoint(
            last: ChangeIdentity(commit: 200, ordinal: ChangeIdentity.snapshotOrdinalMin), resume: ResumePosition(150),
            notes: [1, 2])
        return try builder.seal(checkpoint: checkpoint, mustBeDurableBeforeDelivery: true)
    }

    static func bytes(_ batch: ChangeBatch) -> [UInt8] {
        let body = batch.body
        return body.bytes.withUnsafeBytes { Array($0) }
    }

    static func decode(_ bytes: [UInt8], relations: [Relation] = relations) throws(ChangeBatchError) -> ChangeBatch {
        try ChangeBatch(decoding: FrozenBytes(copying: bytes.rawBytes), relations: relations)
    }

    @Test func sealedBatchSaysWhatWasPutIn() throws {
        let batch = try Self.sample()
        #expect(batch.changeCount == 5)
        #expect(batch.transactionCount == 2)
        #expect(batch.relations == Self.relations)
        #expect(batch.mustBeDurableBeforeDelivery)
        #expect(batch.checkpoint?.notes == [1, 2])
        #expect(batch.checkpoint?.resume == ResumePosition(150))
        #expect((0..<5).map { batch.change(at: $0).operation } == Array(Operation.allCases.prefix(5)))
        #expect(batch.identity(at: 1) == ChangeIdentity(commit: 100, ordinal: 1))
        #expect(batch.identity(at: 2) == ChangeIdentity(commit: 200, ordinal: 0))
        #expect(batch.transaction(at: 1) == TransactionInfo(commit: 200, id: 6, committedAt: 2_000_000))
        #expect(SampleTuples.read(batch.tuple(batch.change(at: 0).after)) == SampleTuples.values[3])
        #expect(SampleTuples.read(batch.tuple(batch.change(at: 1).before)) == SampleTuples.values[2])
    }

    @Test func decodedBatchIsTheSealedOneWithoutItsCheckpoint() throws {
        let sealed = try Self.sample()
        let decoded = try Self.decode(Self.bytes(sealed))
        #expect(decoded.checkpoint == nil)
        #expect(!decoded.mustBeDurableBeforeDelivery)
        #expect(Self.bytes(decoded) == Self.bytes(sealed))
        #expect(decoded.changeCount == sealed.changeCount)
        for index in 0..<sealed.changeCount {
            let (here, there) = (decoded.change(at: index), sealed.change(at: index))
            #expect(withUnsafeBytes(of: here) { Array($0) } == withUnsafeBytes(of: there) { Array($0) })
            #expect(decoded.identity(at: index) == sealed.identity(at: index))
            #expect(SampleTuples.read(decoded.tuple(here.after)) == SampleTuples.read(sealed.tuple(there.after)))
        }
    }

    @Test func emptyBatchRoundTrips() throws {
        let checkpoint = SourceCheckpoint(last: nil, resume: ResumePosition(1))
        let batch = try ChangeBatchBuilder(capacity: 0).seal(checkpoint: checkpoint)
        #expect(batch.changeCount == 0)
        #expect(batch.body.count == 32)
        let decoded = try Self.decode(Self.bytes(batch), relations: [])
        #expect(decoded.changeCount == 0)
        #expect(decoded.transactionCount == 0)
    }

    @Test func aRelationIsListedOnce() {
        var builder = ChangeBatchBuilder(capacity: 64)
        #expect(builder.index(of: Self.relations[0]) == 0)
        #expect(builder.index(of: Self.relations[1]) == 1)
        #expect(builder.index(of: Self.relations[0]) == 0)
    }

    @Test func byteCountGrowsByWhatIsAppended() {
        var builder = ChangeBatchBuilder(capacity: 64)
        #expect(builder.byteCount == 0)
        let transaction = builder.begin(TransactionInfo(commit: 1, id: 0, committedAt: 0))
        #expect(builder.byteCount == 32)
        let tuple = builder.append(tuple: [0, 0].rawBytes)
        builder.append(
            RowChange(
                operation: .insert, relation: builder.index(of: Self.relations[0]), transaction: transaction,
                ordinal: 0,
                after: tuple))
        #expect(builder.byteCount == 32 + 2 + 32)
        #expect(builder.changeCount == 1)
    }

    @Test func otherRelationCountIsDamage() throws {
        let bytes = Self.bytes(try Self.sample())
        #expect(throws: ChangeBatchError.damaged("relation count")) { try Self.decode(bytes, relations: []) }
        #expect(throws: ChangeBatchError.damaged("relation count")) {
            try Self.decode(bytes, relations: Self.relations + Self.relations)
        }
    }

    @Test func everyPrefixIsAnError() throws {
        let bytes = Self.bytes(try Self.sample())
        for length in 0..<bytes.count {
            #expect(throws: ChangeBatchError.self) { try Self.decode(Array(bytes.prefix(length))) }
        }
    }

    @Test func everySuffixIsAnError() throws {
        let bytes = Self.bytes(try Self.sample())
        for start in 1...bytes.count {
            #expect(throws: ChangeBatchError.self) { try Self.decode(Array(bytes[start...])) }
        }
    }

    /// Every damaged batch is refused, or everything in it can still be read: descriptors by index, tuples as nil or
    /// value.
    @Test func everySingleByteMutationIsAnErrorOrReadableWithoutATrap() throws {
        let whole = Self.bytes(try Self.sample())
        var (refused, readable, damagedTuples) = (0, 0, 0)
        for place in whole.indices {
            for byte in UInt8(0)...255 where byte != whole[place] {
                var bytes = whole
                bytes[place] = byte
                guard let batch = try? Self.decode(bytes) else {
                    refused += 1
                    continue
                }
                readable += 1
                damagedTuples += Self.unreadableTuples(of: batch)
            }
        }
        #expect(refused > 1000)
        #expect(readable > 1000)
        #expect(damagedTuples > 1000)
    }

    /// Reads everything that a batch offers, and counts the tuples that are nil.
    static func unreadableTuples(of batch: ChangeBatch) -> Int {
        var unreadable = 0
        for index in 0..<batch.transactionCount { _ = batch.transaction(at: index) }
        for index in 0..<batch.changeCount {
            let change = batch.change(at: index)
            _ = (batch.identity(at: index), batch.relations[Int(change.relation)], change.operation, change.beforeImage)
            if SampleTuples.read(batch.tuple(change.before)) == nil { unreadable += 1 }
            if SampleTuples.read(batch.tuple(change.after)) == nil { unreadable += 1 }
        }
        return unreadable
    }

    @Test func randomDamageIsAnErrorOrReadableWithoutATrap() throws {
        let whole = Self.bytes(try Self.sample())
        var random = SeededGenerator(seed: 11)
        var readable = 0
        for _ in 0..<20_000 {
            var bytes = whole
            for _ in 0..<Int.random(in: 2...8, using: &random) {
                let extremes: [UInt8] = [0, 1, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &random)]
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = extremes.randomElement(using: &random) ?? 0
            }
            if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 0...8, using: &random)) }
            guard let batch = try? Self.decode(bytes) else { continue }
            readable += 1
            _ = Self.unreadableTuples(of: batch)
        }
        #expect(readable > 100)
    }

    /// Ranges that lie in the arena but not at a tuple's start give nil or some other tuple, for every offset and
    /// length.
    @Test func everyRangeInsideOfTheArenaIsReadWithoutATrap() throws {
        let batch = try Self.sample()
        let arena = batch.body.count - 32 - 5 * 32 - 2 * 32
        for offset in 0...arena {
            for length in 0...(arena - offset) {
                let range = ByteRange(offset: UInt32(offset), length: UInt32(length))
                if let values = SampleTuples.read(batch.tuple(range)) {
                    #expect(values.reduce(2) { $0 + 1 + $1.bytes.count } <= length)
                }
            }
        }
    }

    @Test func hugeCountsInTheFooterAreDamageNotOverflow() throws {
        let whole = Self.bytes(try Self.sample())
        for field in 0..<3 {
            var bytes = whole
            for place in 0..<4 { bytes[bytes.count - 32 + field * 4 + place] = 0xFF }
            #expect(throws: ChangeBatchError.damaged("length")) { try Self.decode(bytes) }
        }
    }

    /// One behind the last still lies inside of the body, so that only the check notices.
    @Test(arguments: [(1, 0, "relation"), (0, 1, "transaction")])
    func indexOneBehindTheLastIsDamage(relation: UInt32, transaction: UInt32, what: String) throws {
        var builder = ChangeBatchBuilder(capacity: 64)
        _ = (builder.begin(TransactionInfo(commit: 1, id: 0, committedAt: 0)), builder.index(of: Self.relations[0]))
        builder.append(RowChange(operation: .truncate, relation: relation, transaction: transaction, ordinal: 0))
        let batch = try builder.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(0)))
        #expect(throws: ChangeBatchError.damaged("\(what) of change 0")) {
            try Self.decode(Self.bytes(batch), relations: [Self.relations[0]])
        }
    }

    @Test func contextThatEndsOneByteBehindTheArenaIsDamage() throws {
        for (length, isDamaged) in [(2 as UInt32, false), (3, true)] {
            var builder = ChangeBatchBuilder(capacity: 64)
            let range = ByteRange(offset: builder.append(tuple: [0, 0].rawBytes).offset, length: length)
            let index = builder.begin(TransactionInfo(commit: 1, id: 0, committedAt: 0, context: range))
            let relation = builder.index(of: Self.relations[0])
            builder.append(RowChange(operation: .truncate, relation: relation, transaction: index, ordinal: 0))
            let bytes = Self.bytes(try builder.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(0))))
            let found = Result { try Self.decode(bytes, relations: [Self.relations[0]]) }
            if isDamaged {
                #expect(throws: ChangeBatchError.damaged("context of transaction 0")) { try found.get() }
            } else {
                #expect(try found.get().transaction(at: 0).context == range)
            }
        }
    }

    @Test func rangeThatEndsOneByteBehindTheArenaIsDamage() throws {
        var builder = ChangeBatchBuilder(capacity: 64)
        let transaction = builder.begin(TransactionInfo(commit: 1, id: 0, committedAt: 0))
        let relation = builder.index(of: Self.relations[0])
        let tuple = builder.append(tuple: [0, 0].rawBytes)
        let tooLong = ByteRange(offset: tuple.offset, length: tuple.length + 1)
        builder.append(
            RowChange(operation: .insert, relation: relation, transaction: transaction, ordinal: 0, after: tooLong))
        let batch = try builder.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(0)))
        #expect(throws: ChangeBatchError.damaged("tuple of change 0")) {
            try Self.decode(Self.bytes(batch), relations: [Self.relations[0]])
        }
    }
}
