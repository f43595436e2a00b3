import ChangeModel
import ConnectorKit
import ConnectorTesting
import Synchronization
import Testing

@Suite struct PruningSourceModelTests {
    /// Reads to the end, closing and opening again when a call fails, as the pipeline does.
    private func readAll(_ database: PruningDatabase, failures: Set<Int> = []) async throws -> [ReadBatch] {
        let reader = SourceReader(PruningSourceModel(of: database, failures: failures))
        var batches: [ReadBatch] = []
        try await reader.open(after: nil)
        while (batches.last?.checkpoint?.resume ?? ResumePosition(0)) < database.endPosition {
            do {
                batches.append(try await reader.next())
            } catch let failure as ConnectorFailure where failure.code == "model.injected" {
                try await reader.close()
                try await reader.open(after: batches.last?.checkpoint)
            }
        }
        try await reader.close()
        return batches
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>) func deliversExactlyWhatWasCommitted(seed: UInt64) async throws {
        let database = PruningDatabase(seed: seed)
        database.commitRandom(transactions: 60)
        let batches = try await readAll(database, failures: [1, 3, 4, 20, 33])
        var ledger = ChangeLedger(expected: database.committed)
        var fold = RowFold()
        for change in batches.flatMap(\.changes) {
            ledger.saw(change.identity)
            let isFolded = fold.apply(change)
            #expect(isFolded)
        }
        #expect(ledger.violations() == [])
        #expect(database.violations == [])
        #expect(RowFold.differences(fold.texts, database.tableState) == [])
        #expect(!database.tableState.isEmpty)
    }

    @Test func sameSeedGivesTheSameBatches() async throws {
        func run() async throws -> [[ReadChange]] {
            let database = PruningDatabase(seed: 77)
            database.commitRandom(transactions: 30)
            return try await readAll(database).map(\.changes)
        }
        #expect(try await run() == run())
    }

    @Test func batchesCutTransactionsAndSomeAreEmpty() async throws {
        let database = PruningDatabase(seed: 5)
        database.commitRandom(transactions: 60)
        let batches = try await readAll(database)
        let cuts = zip(batches.filter { !$0.changes.isEmpty }, batches.filter { !$0.changes.isEmpty }.dropFirst())
            .filter { $0.changes.last?.identity.commit == $1.changes.first?.identity.commit }
        #expect(cuts.count > 5)
        #expect(batches.dropLast().filter(\.changes.isEmpty).count > 3)
        let operations = Set(batches.flatMap(\.changes).map(\.operation))
        #expect(operations == [.insert, .update, .delete, .truncate])
    }

    @Test func acknowledgingBeforeBeingDurableIsRecorded() async throws {
        let durable = Mutex(ResumePosition(0))
        let database = PruningDatabase(seed: 1, durable: { durable.withLock { $0 } })
        database.commitRandom(transactions: 3)
        let source = PruningSourceModel(of: database, changesMax: 100)
        let reader = SourceReader(source)
        try await reader.open(after: nil)
        let resume = try #require(try await reader.drain(expecting: 1).last?.checkpoint?.resume)
        durable.withLock { $0 = resume }
        source.acknowledge(resume)
        #expect(database.violations == [])
        durable.withLock { $0 = ResumePosition(resume.value - 1) }
        source.acknowledge(resume)
        #expect(database.violations.rules == ["acknowledgedBeforeDurable"])
    }

    @Test func resumingBehindWhatWasAcknowledgedIsRecordedAndRefused() async throws {
        let database = PruningDatabase(seed: 1)
        database.commitRandom(transactions: 3)
        let source = PruningSourceModel(of: database, changesMax: 100)
        let reader = SourceReader(source)
        try await reader.open(after: nil)
        let checkpoint = try #require(try await reader.drain(expecting: 1).last?.checkpoint)
        source.acknowledge(checkpoint.resume)
        try await reader.close()
        #expect(database.confirmed == checkpoint.resume)
        await #expect(throws: ConnectorFailure.self) { try await reader.open(after: nil) }
        #expect(database.violations.rules == ["resumedBehindAcknowledged"])
    }

    @Test func acknowledgingBeyondWhatWasDeliveredIsRecorded() async throws {
        let database = PruningDatabase(seed: 1)
        database.commitRandom(transactions: 3)
        let source = PruningSourceModel(of: database)
        try await SourceReader(source).open(after: nil)
        source.acknowledge(database.endPosition)
        #expect(database.violations.rules == ["acknowledgedBeyondDelivered"])
    }

    @Test func misuseIsRecordedByName() async throws {
        let database = PruningDatabase(seed: 1)
        let reader = SourceReader(PruningSourceModel(of: database))
        await #expect(throws: ConnectorFailure.self) { try await reader.next() }
        #expect(database.violations.rules == ["calledWhileNotOpen"])
        try await reader.open(after: nil)
        try await reader.open(after: nil)
        #expect(database.violations.rules == ["calledWhileNotOpen", "openedWithoutClose"])
    }

    @Test func aCallDuringAnotherIsRecorded() async throws {
        let database = PruningDatabase(seed: 1)
        let reader = SourceReader(PruningSourceModel(of: database))
        try await reader.open(after: nil)
        _ = try await reader.next()  // the position of the empty database
        async let first = reader.next(wait: .seconds(2))
        async let second = reader.next(wait: .seconds(2))
        let limit = ContinuousClock.now + .seconds(120)
        while database.violations.isEmpty && ContinuousClock.now < limit { await Task.yield() }
        database.commit(.insert(rows: 1))
        database.commit(.insert(rows: 1))
        _ = try await (first, second)
        #expect(database.violations.rules == ["overlappingCalls"])
    }
}

@Suite struct LedgerSinkTests {
    private func context(_ state: [UInt8]? = nil, _ offset: UInt64 = 0) -> SinkContext {
        SinkContext(name: "ledger", state: state, nextOffset: offset) { (_) async throws(ConnectorFailure) in }
    }

    @Test func countsWhatComesTwice() async throws {
        let store = LedgerStore()
        let sink = LedgerSink(on: store, keepsState: false)
        try await sink.open(context())
        _ = try await sink.write(.sample(count: 5), .required)
        _ = try await sink.write(.sample(from: 3, count: 4), .required)
        #expect(store.repeats == 2)
        #expect(store.entries.count == 9)
        #expect(store.violations == [])
    }

    @Test func nthWriteFailsAfterHalfOfItsRecords() async throws {
        let store = LedgerStore()
        let sink = LedgerSink(on: store, failures: [2])
        try await sink.open(context())
        let receipt = try await sink.write(.sample(count: 4), .required)
        await #expect(throws: ConnectorFailure.self) { try await sink.write(.sample(from: 4, count: 4), .required) }
        #expect(store.entries.count == 6)
        await sink.close()
        try await sink.open(context(receipt.state, 4))
        #expect(store.entries.count == 4)
    }

    @Test func aCrashTakesWhatWasOnlyAccepted() async throws {
        let store = LedgerStore()
        let sink = LedgerSink(on: store, buffersAccepted: true)
        try await sink.open(context())
        let receipt = try await sink.write(.sample(count: 4), .whenConvenient)
        #expect(receipt == .accepted)
        #expect(store.entries.isEmpty)
    }

    @Test func misuseIsRecordedByName() async throws {
        let store = LedgerStore()
        let sink = LedgerSink(on: store)
        await #expect(throws: ConnectorFailure.self) { try await sink.write(.sample(count: 1), .required) }
        #expect(store.violations.rules == ["calledWhileNotOpen"])
        try await sink.open(context())
        try await sink.open(context())
        let receipt = try await sink.write(.sample(count: 9), .required)
        _ = try await sink.write(.sample(count: 1), .required)
        #expect(store.violations.rules == ["calledWhileNotOpen", "openedWithoutClose", "offsetWentBack"])
        let other = LedgerSink(on: store)
        try await other.open(context(receipt.state, 8))
        #expect(store.violations.rules.contains("cursorAndStateDisagree"))
    }
}
