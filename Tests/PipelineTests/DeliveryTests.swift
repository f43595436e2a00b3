import ChangeModel
import ConnectorKit
import ConnectorTesting
import EventLog
import Pipeline
import Synchronization
import Testing

struct DeliveryTests {
    private let place: Workplace
    private let database = PruningDatabase(seed: 11)
    private let good = LedgerStore()
    private let bad = LedgerStore()

    init() throws {
        place = try Workplace()
        database.commitRandom(transactions: 30)
    }

    private var source: PruningSourceModel { PruningSourceModel(of: database) }

    @Test func aSinkThatFailsDelaysOnlyItself() async throws {
        let isDown = Mutex(true)
        let attempts = Counter()
        let failing = ScriptedSink(
            inner: LedgerSink(on: bad),
            onWrite: { (_) async throws(ConnectorFailure) in
                attempts.next()
                if isDown.withLock({ $0 }) { throw failure("down", .retry) }
            })
        let pipeline = place.pipeline(
            from: source, to: [plan("bad", failing), plan("good", LedgerSink(on: good))])
        async let code = pipeline.finish()
        let end = UInt64(database.committed.count)
        try await eventually("the good sink's end") { pipeline.progress.snapshot.cursors["good"] == end }
        try await eventually("three attempts") { attempts.value >= 3 }
        #expect(good.identities == database.committed)
        #expect(bad.entries.isEmpty)
        try await eventually("the error in the log") {
            try await place.log.cursor(of: "bad")?.lastError?.code == "test.down"
        }
        isDown.withLock { $0 = false }
        #expect(try await code == nil)
        #expect(bad.identities == database.committed)
        #expect(try await place.log.cursor(of: "bad")?.lastError == nil, "a sink that works again has no error")
        #expect(good.violations == [] && bad.violations == [])
    }

    @Test func anErrorOfAnEarlierRunIsClearedOnceTheSinkWorks() async throws {
        _ = try await place.log.createCursor(of: "good", at: 0)
        try await place.log.setError(of: "good", failure("earlier", .stop))
        let pipeline = place.pipeline(from: source, to: [plan("good", LedgerSink(on: good))])
        #expect(try await pipeline.finish() == nil)
        #expect(try await place.log.cursor(of: "good")?.lastError == nil)
    }

    /// `status` went on to show what an earlier process had measured, or what a sink did before it stopped.
    @Test func aSinkThatDeliversNothingHasNoRate() async throws {
        _ = try await place.log.createCursor(of: "good", at: 0)
        try await place.log.moveCursor(of: "good", to: 0, eventsPerSecond: 5000)
        let failing = ScriptedSink(
            inner: LedgerSink(on: bad),
            onWrite: { [log = place.log] (_) async throws(ConnectorFailure) in
                try await log.moveCursor(of: "bad", to: 0, eventsPerSecond: 77)
                throw failure("refused", .stop)
            })
        let pipeline = place.pipeline(
            from: source, to: [plan("bad", failing), plan("good", LedgerSink(on: good))])
        async let code = pipeline.finish(untilCaughtUp: false)
        let end = UInt64(database.committed.count)
        try await eventually("delivery") { pipeline.progress.snapshot.cursors["good"] == end }
        #expect(try await place.log.cursor(of: "good")?.eventsPerSecond ?? -1 < 5000)
        try await eventually("the end of the other") { pipeline.progress.snapshot.isStopped["bad"] == true }
        #expect(try await place.log.cursor(of: "bad")?.eventsPerSecond == 0)
        pipeline.stop.request()
        #expect(try await code == nil)
        #expect(try await place.log.cursor(of: "good")?.eventsPerSecond == 0)
    }

    @Test func writesThatFailInTheMiddleLoseNothing() async throws {
        let pipeline = place.pipeline(
            from: source,
            to: [
                plan("good", LedgerSink(on: good, buffersAccepted: true, failures: [2, 3, 5])),
                plan("bad", LedgerSink(on: bad, keepsState: false, failures: [1, 4])),
            ])
        #expect(try await pipeline.finish() == nil)
        #expect(good.identities == database.committed)
        var ledger = ChangeLedger(expected: database.committed)
        ledger.saw(bad.identities)
        #expect(ledger.violations(allowingRepeats: true) == [])
    }

    @Test func aSinkThatFailsForGoodStopsAloneAndIsReportedAtTheEnd() async throws {
        let writes = Counter()
        let failing = ScriptedSink(
            inner: LedgerSink(on: bad),
            onWrite: { (_) async throws(ConnectorFailure) in
                if writes.next() == 2 { throw failure("refused", .stop) }
            })
        let pipeline = place.pipeline(
            from: source, to: [plan("bad", failing), plan("good", LedgerSink(on: good))])
        #expect(try await pipeline.finish() == "test.refused")
        #expect(good.identities == database.committed)
        #expect(try await place.log.cursor(of: "bad")?.lastError?.code == "test.refused")
    }

    @Test func aRunThatIsToEndDoesSoWithItsLastSink() async throws {
        // What comes behind the sink's end never comes, so the run would not end by itself.
        let source = ScriptedSource(
            inner: source,
            onBatch: { (batch) async throws(ConnectorFailure) in
                if batch.changeCount == 0 { throw failure("away", .retry) }
                return batch
            })
        let failing = ScriptedSink(
            inner: LedgerSink(on: bad),
            onWrite: { (_) async throws(ConnectorFailure) in throw failure("refused", .stop) })
        let pipeline = place.pipeline(from: source, to: [plan("bad", failing)])
        #expect(try await pipeline.finish() == "test.refused")
    }

    /// It ended the run, and with it capture and whoever reads over HTTP.
    @Test func aServiceGoesOnWithoutItsLastSinkUntilAReloadBringsItBack() async throws {
        let isGone = Mutex(true)
        let failing = ScriptedSink(
            inner: LedgerSink(on: bad),
            onWrite: { (_) async throws(ConnectorFailure) in
                if isGone.withLock({ $0 }) { throw failure("gone", .stop) }
            })
        let plan = plan("bad", failing)
        let pipeline = place.pipeline(from: source, to: [plan])
        async let code = pipeline.finish(untilCaughtUp: false)
        for _ in 0..<2 {
            try await eventually("the end of the sink") { pipeline.progress.snapshot.areAllSinksStopped }
            database.commitRandom(transactions: 20)
            let end = UInt64(database.committed.count)
            try await eventually("capture without sinks") { pipeline.progress.snapshot.capturedCount == end }
            #expect(bad.entries.isEmpty)
            let attempt = try #require(try await place.log.cursor(of: "bad")?.lastError?.at)
            pipeline.reload([plan], changed: [])
            try await eventually("another attempt") {
                let error = try await place.log.cursor(of: "bad")?.lastError
                return error.map { $0.code == "test.gone" && $0.at > attempt } ?? false
            }
        }
        isGone.withLock { $0 = false }
        pipeline.reload([plan], changed: [])
        try await eventually("delivery") { bad.identities == database.committed }
        #expect(pipeline.progress.snapshot.isStopped == ["bad": false])
        pipeline.stop.request()
        #expect(try await code == nil)
        #expect(bad.violations == [] && database.violations == [])
    }

    /// The run ended with the sink's failure, which was said long before, and a service manager called it a crash.
    @Test(arguments: [false, true])
    func aRunThatIsAskedToStopDoesNotEndWithAnEarlierFailureOfASink(untilCaughtUp: Bool) async throws {
        let failing = ScriptedSink(
            inner: LedgerSink(on: bad),
            onWrite: { (_) async throws(ConnectorFailure) in throw failure("refused", .stop) })
        let waiting = ScriptedSink(
            inner: LedgerSink(on: good),
            onWrite: { (_) async throws(ConnectorFailure) in throw failure("down", .retry) })
        let pipeline = place.pipeline(from: source, to: [plan("bad", failing), plan("waiting", waiting)])
        async let code = pipeline.finish(untilCaughtUp: untilCaughtUp)
        try await eventually("the end of one sink") { pipeline.progress.snapshot.isStopped["bad"] == true }
        #expect(!pipeline.progress.snapshot.areAllSinksStopped)
        pipeline.stop.request()
        #expect(try await code == nil)
    }

    @Test func aSinkThatCannotBeOpenedAtTheStartEndsTheRun() async throws {
        let failing = ScriptedSink(
            inner: LedgerSink(on: bad), onOpen: { () async throws(ConnectorFailure) in throw failure("closed", .stop) })
        let pipeline = place.pipeline(
            from: source, to: [plan("bad", failing), plan("good", LedgerSink(on: good))])
        #expect(try await pipeline.finish(untilCaughtUp: false) == "test.closed")
    }

    @Test func theFailureThatEndsAServiceIsTheOneItEndsWith() async throws {
        let stopping = ScriptedSink(
            inner: LedgerSink(on: good),
            onWrite: { (_) async throws(ConnectorFailure) in throw failure("refused", .stop) })
        let hasStopped = Mutex(false)
        let never = ScriptedSink(
            inner: LedgerSink(on: bad),
            onOpen: { () async throws(ConnectorFailure) in
                throw failure("closed", hasStopped.withLock { $0 } ? .stop : .retry)
            })
        let pipeline = place.pipeline(from: source, to: [plan("stopping", stopping), plan("never", never)])
        async let code = pipeline.finish(untilCaughtUp: false)
        try await eventually("the end of one sink") { pipeline.progress.snapshot.isStopped["stopping"] == true }
        hasStopped.withLock { $0 = true }
        #expect(try await code == "test.closed")
    }

    @Test(.timeLimit(.minutes(1)))
    func aRunThatIsToEndDoesNotWaitForEverForASinkThatNeverConnects() async throws {
        let openings = Counter()
        let failing = ScriptedSink(
            inner: LedgerSink(on: bad),
            onOpen: { () async throws(ConnectorFailure) in
                openings.next()
                throw failure("unreachable", .retry)
            })
        let pipeline = place.pipeline(
            from: source, to: [plan("bad", failing), plan("good", LedgerSink(on: good))])
        #expect(try await pipeline.finish(patience: .seconds(1)) == "test.unreachable")
        #expect(openings.value >= 2, "it is tried as long as the patience lasts")
        #expect(good.identities == database.committed, "the others get everything")
        let error = try await place.log.cursor(of: "bad")?.lastError
        #expect(error?.code == "test.unreachable")
        #expect(try await place.log.cursor(of: "bad")?.offset == 0)
    }

    @Test(.timeLimit(.minutes(1)))
    func aRunThatIsToEndDoesNotWaitForEverForASinkThatTriesByItself() async throws {
        let pipeline = place.pipeline(
            from: source, to: [plan("bad", DeafSink()), plan("good", LedgerSink(on: good))])
        #expect(try await pipeline.finish(patience: .seconds(1)) == "test.deaf")
        #expect(good.identities == database.committed)
    }

    @Test func aSinkThatConnectsWithinThePatienceIsDelivered() async throws {
        let openings = Counter()
        let late = ScriptedSink(
            inner: LedgerSink(on: bad),
            onOpen: { () async throws(ConnectorFailure) in
                if openings.next() < 4 { throw failure("unreachable", .retry) }
            })
        let pipeline = place.pipeline(from: source, to: [plan("bad", late)])
        #expect(try await pipeline.finish(patience: .seconds(30)) == nil)
        #expect(bad.identities == database.committed)
    }

    @Test func aSinkThatWantsOtherTablesAdvancesOverTheEventsOfThese() async throws {
        let pipeline = place.pipeline(
            from: source,
            to: [
                plan("good", LedgerSink(on: good), tables: ["public.lines"]),
                plan("bad", LedgerSink(on: bad), tables: ["elsewhere"]),
            ])
        #expect(try await pipeline.finish() == nil)
        #expect(!good.entries.isEmpty && good.entries.count < database.committed.count)
        #expect(good.entries.allSatisfy { $0.topic.table == "lines" })
        #expect(bad.entries.isEmpty)
        let end = UInt64(database.committed.count)
        #expect(pipeline.progress.snapshot.cursors == ["good": end, "bad": end])
        #expect(try await place.log.cursor(of: "bad")?.offset == end)
    }

    @Test(arguments: [Int64(1), -1000])
    func aReceiptForWhatWasNotWrittenMovesNoCursor(distance: Int64) async throws {
        let lying = ScriptedSink(
            inner: LedgerSink(on: bad, keepsState: false),
            receipt: { _, batch in .durable(before: UInt64(max(0, Int64(batch.nextOffset) + distance))) })
        let pipeline = place.pipeline(from: source, to: [plan("bad", lying)])
        _ = try await place.log.createCursor(of: "bad", at: 0)
        let code = try await pipeline.finish()
        #expect(code == "pipeline.wrong_receipt")
        #expect(try await place.log.cursor(of: "bad")?.offset == 0)
    }

    @Test func aSinkThatNeverMakesAnythingDurableIsNotAskedForEver() async throws {
        let lying = ScriptedSink(inner: LedgerSink(on: bad), receipt: { _, _ in .accepted })
        let pipeline = place.pipeline(from: source, to: [plan("bad", lying)])
        #expect(try await pipeline.finish() == "pipeline.wrong_receipt")
    }
}

/// A sink whose receiver never answers, and which tells so while it takes records.
private actor DeafSink: EventSink {
    private var context: SinkContext?
    private var hasReported = false
    nonisolated var deliversByItself: Bool { true }

    func open(_ context: SinkContext) async throws(ConnectorFailure) { self.context = context }

    func write(_ batch: RecordBatch, _ durability: Durability) async throws(ConnectorFailure) -> DeliveryReceipt {
        if !hasReported { context?.report(failure("deaf", .retry), .seconds(1)) }
        hasReported = true
        await Task.yield()
        return .durable(before: context?.nextOffset ?? 0)
    }

    func close() async {}
}
