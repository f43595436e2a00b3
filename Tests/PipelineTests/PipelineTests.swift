import ConnectorKit
import ConnectorTesting
import EventLog
import Foundation
import Pipeline
import Testing

struct PipelineTests {
    private let place: Workplace
    private let database = PruningDatabase(seed: 21)
    private let store = LedgerStore()

    init() throws {
        place = try Workplace()
        database.commitRandom(transactions: 20)
    }

    /// Requests a stop when the condition holds; the run must end by itself then.
    private func stop(_ pipeline: Pipeline, after what: String, _ isThere: () -> Bool) async throws {
        async let code = pipeline.finish(untilCaughtUp: false)
        try await eventually(what, isThere)
        pipeline.stop.request()
        #expect(try await code == nil)
    }

    @Test func aStopEndsTheRunWhileAllWait() async throws {
        let pipeline = place.pipeline(
            from: PruningSourceModel(of: database), to: [plan("ledger", LedgerSink(on: store))])
        let end = UInt64(database.committed.count)
        try await stop(pipeline, after: "delivery") {
            pipeline.progress.snapshot.cursors["ledger"] == end
        }
        #expect(store.identities == database.committed)
    }

    @Test func aStopEndsTheRunWhileASinkAndTheSourceAreTriedAgain() async throws {
        let (openings, attempts) = (Counter(), Counter())
        let source = ScriptedSource(
            inner: PruningSourceModel(of: database),
            onOpen: { () async throws(ConnectorFailure) in
                openings.next()
                throw failure("away", .retry)
            })
        let sink = ScriptedSink(
            inner: LedgerSink(on: store),
            onOpen: { () async throws(ConnectorFailure) in
                attempts.next()
                throw failure("away", .retry)
            })
        let pipeline = place.pipeline(from: source, to: [plan("ledger", sink)])
        try await stop(pipeline, after: "four attempts") { openings.value >= 4 && attempts.value >= 4 }
    }

    @Test func aStopEndsTheRunWhileTheDiskIsFull() async throws {
        let refusals = Counter()
        let log = ScriptedLog(
            inner: place.log,
            onAppend: { (_) async throws(ConnectorFailure) in
                refusals.next()
                throw ConnectorFailure("log.disk_full", .retry, "no room")
            })
        let pipeline = place.pipeline(
            from: PruningSourceModel(of: database), to: [plan("ledger", LedgerSink(on: store))], captureLog: log)
        try await stop(pipeline, after: "three refusals") { refusals.value >= 3 }
        #expect(database.violations == [])
    }

    @Test func aCancelledTaskIsARequestToStop() async throws {
        let pipeline = place.pipeline(
            from: PruningSourceModel(of: database), to: [plan("ledger", LedgerSink(on: store))])
        let task = Task { try await pipeline.run(untilCaughtUp: false) }
        try await eventually("capture") { pipeline.progress.snapshot.capturedCount > 0 }
        task.cancel()
        try await within(.seconds(120), "the cancelled run") { try await task.value }
        #expect(pipeline.stop.isRequested)
    }

    /// Waits end at once in a cancelled task; sinks that went on meanwhile kept every thread from passing the stop on.
    @Test func aCancelledRunWithMoreSinksThanThreadsEnds() async throws {
        let names = (0..<(2 * ProcessInfo.processInfo.activeProcessorCount)).map { "ledger\($0)" }
        let pipeline = place.pipeline(
            from: PruningSourceModel(of: database), to: names.map { plan($0, LedgerSink(on: LedgerStore())) })
        let end = UInt64(database.committed.count)
        let task = Task { try await pipeline.run(untilCaughtUp: false) }
        try await eventually("delivery") { names.allSatisfy { pipeline.progress.snapshot.cursors[$0] == end } }
        task.cancel()
        try await within(.seconds(120), "the cancelled run") { try await task.value }
    }

    @Test func aRunGoesOnWhereTheLastOneEnded() async throws {
        for _ in 0..<3 {
            let pipeline = place.pipeline(
                from: PruningSourceModel(of: database), to: [plan("ledger", LedgerSink(on: store))])
            #expect(try await pipeline.finish() == nil)
            #expect(store.identities == database.committed)
            database.commitRandom(transactions: 5)
        }
        #expect(database.violations == [] && store.violations == [])
    }

    @Test func anIdlePipelineHardlyAsksItsSource() async throws {
        let (asked, store) = (Counter(), store)
        let source = ScriptedSource(
            inner: PruningSourceModel(of: database),
            onBatch: { (batch) async throws(ConnectorFailure) in
                asked.next()
                return batch
            })
        let pipeline = place.pipeline(from: source, to: [plan("ledger", LedgerSink(on: store))])
        async let code = pipeline.finish(untilCaughtUp: false)
        let end = UInt64(database.committed.count)
        try await eventually("delivery") { pipeline.progress.snapshot.cursors["ledger"] == end }
        try await eventually("the acknowledgement") { database.confirmed == database.endPosition }
        let (before, writes) = (asked.value, store.writeCount)
        let start = ContinuousClock.now
        try await Task.sleep(for: .seconds(2))
        let often = 6 * (start.duration(to: .now) / .seconds(1))
        #expect(Double(asked.value - before) <= often, "four times a second is enough")
        #expect(asked.value > before, "an idle pipeline still asks")
        #expect(store.writeCount == writes, "an idle pipeline writes nothing")
        pipeline.stop.request()
        #expect(try await code == nil)
    }
}
