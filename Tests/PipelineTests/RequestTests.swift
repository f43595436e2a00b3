import ChangeModel
import ConnectorKit
import ConnectorTesting
import EventLog
import Pipeline
import Synchronization
import Testing

struct RequestTests {
    @Test func aSnapshotRequestIsAnsweredOnceItsMemoryIsDurable() async throws {
        let place = try Workplace()
        let source = WishfulSource(inner: PruningSourceModel(of: PruningDatabase(seed: 1)))
        let box = RequestBox(logDirectory: place.path + "/log")
        let request = OperatorRequest(.snapshot(tables: ["public.orders"]))
        try box.post(request)
        let pipeline = place.pipeline(from: source, to: [plan("ledger", LedgerSink(on: LedgerStore()))], requests: box)
        async let end = pipeline.finish(untilCaughtUp: false)
        try await eventually("the answer") { try box.pending().isEmpty }
        #expect(source.asked == [request.id])
        #expect(try await place.log.checkpoint()?.notes == Array(request.id.utf8))
        pipeline.stop.request()
        #expect(try await end == nil)
        #expect(box.takeAnswer(to: request.id)?.isDone == true)
    }

    @Test func aRefusedRequestIsAnsweredAndTheRunGoesOn() async throws {
        let (place, store, database) = (try Workplace(), LedgerStore(), PruningDatabase(seed: 2))
        let box = RequestBox(logDirectory: place.path + "/log")
        let request = OperatorRequest(.snapshot(tables: ["public.orders"]))
        try box.post(request)
        let source = PruningSourceModel(of: database)
        let pipeline = place.pipeline(from: source, to: [plan("ledger", LedgerSink(on: store))], requests: box)
        async let end = pipeline.finish(untilCaughtUp: false)
        try await eventually("the answer") { try box.pending().isEmpty }
        database.commitRandom(transactions: 5)
        try await eventually("the changes behind it") { store.identities == database.committed }
        pipeline.stop.request()
        #expect(try await end == nil)
        let outcome = try #require(box.takeAnswer(to: request.id))
        #expect(!outcome.isDone)
        #expect(outcome.text.contains("source.no_snapshot"))
    }
}

/// A source that writes the newest request into its checkpoints.
private final class WishfulSource: ChangeSource {
    private let inner: PruningSourceModel
    private let requests = Mutex<[String]>([])

    init(inner: PruningSourceModel) { self.inner = inner }

    var asked: [String] { requests.withLock { $0 } }

    func open(
        resumingAfter checkpoint: SourceCheckpoint?, of expected: SourceIdentity?
    ) async throws(ConnectorFailure) -> SourceIdentity {
        try await inner.open(resumingAfter: checkpoint, of: expected)
    }

    func endPosition() async throws(ConnectorFailure) -> ResumePosition { try await inner.endPosition() }

    func nextBatch(until deadline: ContinuousClock.Instant) async throws(ConnectorFailure) -> ChangeBatch {
        let batch = try await inner.nextBatch(until: deadline)
        guard batch.changeCount == 0, var checkpoint = batch.checkpoint else { return batch }
        checkpoint.notes = Array((asked.last ?? "").utf8)
        do {
            return try ChangeBatchBuilder(capacity: 16).seal(checkpoint: checkpoint)
        } catch {
            throw failure("seal", .stop)
        }
    }

    func acknowledge(_ position: ResumePosition) { inner.acknowledge(position) }

    func requestSnapshot(_ request: SnapshotRequest) async throws(ConnectorFailure) {
        requests.withLock { $0.append(request.id) }
    }

    func remembers(_ request: SnapshotRequest, in checkpoint: SourceCheckpoint) -> Bool {
        checkpoint.notes == Array(request.id.utf8)
    }

    func close() async { await inner.close() }
}
