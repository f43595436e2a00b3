import ChangeModel
import ConnectorKit
import ConnectorTesting
import EventLog
import Testing

@testable import Pipeline

/// Cursors that people move, sinks that come and go while a pipeline runs.
struct ReplayTests {
    private let place: Workplace
    private let database = PruningDatabase(seed: 12)

    init() throws { place = try Workplace() }

    private var box: RequestBox { RequestBox(logDirectory: place.path + "/log") }

    private func pipeline(_ sinks: [SinkPlan]) -> Pipeline {
        place.pipeline(from: PruningSourceModel(of: database), to: sinks, requests: box)
    }

    private func answer(to request: OperatorRequest) async throws -> RequestOutcome {
        var outcome: RequestOutcome?
        try await eventually("the answer") {
            outcome = box.takeAnswer(to: request.id)
            return outcome != nil
        }
        return try #require(outcome)
    }

    @Test func aReplayDeliversAgainFromItsPlaceOnAndToNobodyElse() async throws {
        database.commitRandom(transactions: 40)
        let (moved, other) = (Receiver(), Receiver())
        let pipeline = pipeline([plan("moved", RefusingSink(moved)), plan("other", RefusingSink(other))])
        async let end = pipeline.finish(untilCaughtUp: false)
        try await eventually("the first delivery") { moved.identities == database.committed }
        let request = OperatorRequest(.replay(sink: "moved", offset: 10, skipping: false))
        try box.post(request)
        #expect(try await answer(to: request).isDone)
        let twice = database.committed + database.committed.dropFirst(10)
        try await eventually("the second delivery") { moved.identities.count >= twice.count }
        pipeline.stop.request()
        #expect(try await end == nil)
        #expect(moved.identities == twice)
        #expect(other.identities == database.committed)
    }

    @Test(arguments: [1_000_000, 30])
    func aPlaceThatTheLogDoesNotHaveOrThatWouldSkipEventsIsRefused(offset: UInt64) async throws {
        database.commitRandom(transactions: 40)
        let receiver = Receiver()
        #expect(try await pipeline([plan("partner", RefusingSink(receiver))]).finish() == nil)
        _ = try await place.log.replay("partner", from: 5, skipping: false)
        let failure = await #expect(throws: ConnectorFailure.self) {
            try await place.log.replay("partner", from: offset, skipping: false)
        }
        #expect(failure?.code == (offset == 30 ? "replay.would_skip" : "replay.not_in_log"))
        #expect(try await place.log.cursor(of: "partner")?.offset == 5)
        #expect(try await place.log.replay("partner", from: 30, skipping: true) == 5)
    }

    @Test func aReplayOfASinkThatDoesNotWorkIsDoneWhileItWaits() async throws {
        database.commitRandom(transactions: 10)
        let receiver = Receiver()
        let working = pipeline([plan("partner", RefusingSink(receiver))])
        #expect(try await working.finish() == nil)
        var broken = ScriptedSink(inner: RefusingSink(receiver))
        broken.onOpen = { () async throws(ConnectorFailure) in throw failure("down", .retry) }
        let pipeline = pipeline([plan("partner", broken)])
        async let end = pipeline.finish(untilCaughtUp: false)
        let request = OperatorRequest(.replay(sink: "partner", offset: 0, skipping: false))
        try box.post(request)
        #expect(try await answer(to: request).isDone)
        #expect(try await place.log.cursor(of: "partner")?.offset == 0)
        pipeline.stop.request()
        #expect(try await end == nil)
    }

    @Test func aNewSinkBeginsWhereItIsTold() async throws {
        database.commitRandom(transactions: 20)
        #expect(try await pipeline([]).finish() == nil)
        let receivers = [Receiver(), Receiver(), Receiver()]
        var plans = receivers.enumerated().map { plan("sink\($0)", RefusingSink($1)) }
        plans[0].start = .latest
        plans[1].start = .offset(7)
        let before = database.committed
        database.commitRandom(transactions: 20)
        let pipeline = pipeline(plans)
        #expect(try await pipeline.finish() == nil)
        #expect(receivers[1].identities == Array(database.committed.dropFirst(7)))
        #expect(receivers[2].identities == database.committed)
        // It began at the start of the run, which may have captured some already.
        #expect(receivers[0].identities.allSatisfy { $0 > before[before.count - 1] })
    }

    @Test func aReloadStartsNewSinksEndsOldOnesAndWakesThoseThatStopped() async throws {
        let (old, steady, fresh, failing) = (Receiver(), Receiver(), Receiver(), Receiver())
        let attempts = Counter()
        var stopping = ScriptedSink(inner: RefusingSink(failing))
        stopping.onWrite = { (_) async throws(ConnectorFailure) in
            if attempts.next() == 1 { throw failure("broken", .stop) }
        }
        let (steadyPlan, failingPlan) = (plan("steady", RefusingSink(steady)), plan("failing", stopping))
        let pipeline = pipeline([plan("old", RefusingSink(old)), steadyPlan, failingPlan])
        async let end = pipeline.finish(untilCaughtUp: false)
        database.commitRandom(transactions: 10)
        try await eventually("the first delivery") {
            steady.identities == database.committed && old.identities == database.committed && attempts.value == 1
        }
        let atReload = database.committed
        pipeline.reload([steadyPlan, failingPlan, plan("fresh", RefusingSink(fresh))], changed: [])
        try await eventually("the new one") { fresh.identities == atReload && failing.identities == atReload }
        try await eventually("the end of the old one") {
            database.commitRandom(transactions: 1)
            try await eventually("the others") { steady.identities == database.committed }
            return old.identities != database.committed
        }
        let last = old.identities
        database.commitRandom(transactions: 10)
        try await eventually("all that are left") {
            [steady, fresh, failing].allSatisfy { $0.identities == database.committed }
        }
        #expect(old.identities == last)
        pipeline.stop.request()
        // What was mended is no failure of the run.
        #expect(try await end == nil)
    }

    @Test func aSinkWhoseEventsRetentionWasToldToDropGoesOnWithWhatIsLeft() async throws {
        let place = try Workplace(retention: LogRetention(age: .zero, dropsUndelivered: true))
        let (database, receiver) = (PruningDatabase(seed: 3), Receiver())
        database.commitRandom(transactions: 20)
        func run(_ sinks: [SinkPlan]) async throws -> String? {
            try await place.pipeline(from: PruningSourceModel(of: database), to: sinks).finish()
        }
        #expect(try await run([plan("partner", RefusingSink(receiver))]) == nil)
        let had = receiver.identities.count
        database.commitRandom(transactions: 20)
        #expect(try await run([]) == nil)
        let gone = try await place.log.retain(activeSinks: ["partner"])
        #expect(gone.passedSinks["partner"]?.count == database.committed.count - had)
        database.commitRandom(transactions: 5)
        #expect(try await run([plan("partner", RefusingSink(receiver))]) == nil)
        #expect(receiver.identities.last == database.committed.last)
        #expect(Set(receiver.identities).isSubset(of: database.committed))
    }

    /// What was on its way was counted as lost, and was lost indeed: the sink was begun anew behind the gap.
    @Test func whatASinkHadReadBeforeRetentionRemovedItArrivesAndIsNoLoss() async throws {
        let place = try Workplace(retention: LogRetention(age: .seconds(3600), dropsUndelivered: true))
        let (database, receiver, gate) = (PruningDatabase(seed: 3), Receiver(), Counter())
        database.commitRandom(transactions: 200)
        // Captured by another run: nothing of it is in memory later.
        #expect(try await place.pipeline(from: PruningSourceModel(of: database), to: []).finish() == nil)
        let end = UInt64(database.committed.count)
        let sink = WindowSink(receiver, recordsMax: 30) { gate.value > 0 }
        let pipeline = place.pipeline(from: PruningSourceModel(of: database), to: [plan("partner", sink)])
        async let code = pipeline.finish(untilCaughtUp: false)
        try await eventually("a full window") { await sink.askedCount > 3 }
        let read = try #require(pipeline.progress.snapshot.readUntil["partner"])
        #expect(read >= 30 && read < end)
        let feed = try #require(pipeline.feed)
        let step = try await pipeline.removeOldEvents(feed, at: UTCTime.now() + 7_200_000_000)
        #expect(!step.isUnfinished && step.lostBy == ["partner": Int(end - read)])
        gate.next()
        try await eventually("the cursor behind the gap") { pipeline.progress.snapshot.cursors["partner"] == end }
        #expect(receiver.identities == Array(database.committed.prefix(Int(read))))
        database.commitRandom(transactions: 5)
        let more = Array(database.committed[Int(end)...])
        try await eventually("what comes behind the gap") { receiver.identities.suffix(more.count) == more[...] }
        #expect(receiver.identities.count == Int(read) + more.count)
        // What is in memory is not lost for a sink that is open.
        #expect(try await pipeline.removeOldEvents(feed, at: UTCTime.now() + 7_200_000_000).lostBy.isEmpty)
        pipeline.stop.request()
        #expect(try await code == nil)
    }

    @Test func aFullLogHoldsCaptureUntilTheSinkTookItsEvents() async throws {
        let place = try Workplace(retention: LogRetention(byteCount: 1 << 16, limit: 1 << 18))
        let (database, receiver, gate) = (PruningDatabase(seed: 4), Receiver(), Counter())
        var blocked = ScriptedSink(inner: RefusingSink(receiver))
        blocked.onWrite = { (_) async throws(ConnectorFailure) in
            if gate.value == 0 { throw failure("down", .retry) }
        }
        let pipeline = place.pipeline(from: PruningSourceModel(of: database), to: [plan("partner", blocked)])
        async let end = pipeline.finish(untilCaughtUp: false)
        try await eventually("a full log") {
            let now = pipeline.progress.snapshot
            if now.waitsFor == "log.full" { return true }
            if now.capturedCount == UInt64(database.committed.count) { database.commitRandom(transactions: 50) }
            return false
        }
        let captured = pipeline.progress.snapshot.capturedCount
        #expect(captured < UInt64(database.committed.count))
        gate.next()
        try await eventually("all of it") { receiver.identities.count >= database.committed.count }
        #expect(receiver.identities == database.committed)
        pipeline.stop.request()
        #expect(try await end == nil)
    }

    @Test func aChangedSinkGoesOnWhereItWas() async throws {
        let (former, changed) = (Receiver(), Receiver())
        let pipeline = pipeline([plan("partner", RefusingSink(former))])
        async let end = pipeline.finish(untilCaughtUp: false)
        database.commitRandom(transactions: 10)
        try await eventually("the first delivery") { former.identities == database.committed }
        try await eventually("its cursor") {
            try await place.log.cursor(of: "partner")?.offset == UInt64(database.committed.count)
        }
        pipeline.reload([plan("partner", RefusingSink(changed))], changed: ["partner"])
        let count = database.committed.count
        try await eventually("the end of the former") {
            database.commitRandom(transactions: 1)
            return !changed.identities.isEmpty
        }
        try await eventually("the rest") { (former.identities + changed.identities) == database.committed }
        #expect(former.identities.count >= count)
        pipeline.stop.request()
        #expect(try await end == nil)
    }
}
