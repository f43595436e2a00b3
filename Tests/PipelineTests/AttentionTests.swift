import ChangeModel
import ConnectorKit
import ConnectorTesting
import EventLog
import Pipeline
import Synchronization
import Testing

/// Sinks that have something to do while nothing comes, or at the end.
struct AttentionTests {
    private let place: Workplace
    private let database = PruningDatabase(seed: 12)
    private let store = LedgerStore()

    init() throws {
        place = try Workplace()
        database.commitRandom(transactions: 5)
    }

    @Test func aSinkThatWantsItIsCalledWhileNothingComesAndFinishedAtTheEnd() async throws {
        let sink = AttentiveSink(inner: LedgerSink(on: store))
        let pipeline = place.pipeline(from: PruningSourceModel(of: database), to: [plan("ledger", sink)])
        let task = Task { try await pipeline.run(untilCaughtUp: false) }
        let end = UInt64(database.committed.count)
        try await eventually("delivery") { pipeline.progress.snapshot.cursors["ledger"] == end }
        let before = sink.emptyWrites.value
        try await eventually("calls without records") { sink.emptyWrites.value >= before + 3 }
        #expect(sink.finishes.value == 0)
        pipeline.stop.request()
        try await within(.seconds(120), "the stop") { try await task.value }
        #expect(sink.finishes.value == 1)
        #expect(store.identities == database.committed)
    }

    @Test func aStateThatComesWhileNothingIsWrittenIsStored() async throws {
        let sink = AttentiveSink(inner: LedgerSink(on: store, keepsState: false), states: true)
        let pipeline = place.pipeline(from: PruningSourceModel(of: database), to: [plan("ledger", sink)])
        let task = Task { try await pipeline.run(untilCaughtUp: false) }
        try await eventually("the state in the log") {
            try await place.log.cursor(of: "ledger")?.state == [7, 7]
        }
        pipeline.stop.request()
        try await within(.seconds(120), "the stop") { try await task.value }
    }

    @Test func aSinkThatFailedIsNotFinished() async throws {
        let sink = AttentiveSink(inner: LedgerSink(on: store), failsForGood: true)
        let pipeline = place.pipeline(from: PruningSourceModel(of: database), to: [plan("ledger", sink)])
        #expect(try await pipeline.finish() == "test.gone")
        #expect(sink.finishes.value == 0)
    }
}

private struct AttentiveSink: EventSink {
    let inner: LedgerSink
    var states = false
    var failsForGood = false
    let emptyWrites = Counter()
    let finishes = Counter()
    var attention: Duration? { .milliseconds(1) }

    func open(_ context: SinkContext) async throws(ConnectorFailure) { try await inner.open(context) }

    func write(_ batch: RecordBatch, _ durability: Durability) async throws(ConnectorFailure) -> DeliveryReceipt {
        if failsForGood { throw failure("gone", .stop) }
        var receipt = try await inner.write(batch, durability)
        guard batch.records.isEmpty else { return receipt }
        emptyWrites.next()
        if states, emptyWrites.value > 3 { receipt.state = [7, 7] }
        return receipt
    }

    func finish() async throws(ConnectorFailure) { finishes.next() }

    func close() async { await inner.close() }
}
