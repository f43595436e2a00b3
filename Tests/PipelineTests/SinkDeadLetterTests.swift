import ChangeModel
import ConnectorKit
import ConnectorTesting
import EventFormat
import EventLog
import Sensitivity
import Testing

@testable import Pipeline

/// Events that a receiver refuses for good wait beside the log, for that sink alone.
struct SinkDeadLetterTests {
    private let place: Workplace
    private let database = PruningDatabase(seed: 11)
    private let receiver = Receiver()
    private let healthy = LedgerStore()

    init() throws { place = try Workplace() }

    private var box: RequestBox { RequestBox(logDirectory: place.path + "/log") }

    private func pipeline(_ policy: RejectionPolicy = .quarantine) -> Pipeline {
        var refusing = plan("partner", RefusingSink(receiver))
        refusing.onRejected = policy
        return place.pipeline(
            from: PruningSourceModel(of: database), to: [refusing, plan("ledger", LedgerSink(on: healthy))],
            requests: box)
    }

    private func letters() throws -> [StoredDeadLetter] {
        let reader = try place.log.makeReader()
        var letters: [StoredDeadLetter] = []
        while let letter = try reader.deadLetter(of: "@partner", after: letters.last?.id ?? 0) {
            letters.append(letter)
        }
        return letters
    }

    private func waiting() throws -> [ChangeIdentity] { try letters().map { $0.letter.batch.identity(at: 0) } }

    /// Asks a pipeline that is made for it, and ends it.
    private func ask(_ action: OperatorRequest.Action) async throws -> RequestOutcome {
        let request = OperatorRequest(action)
        try box.post(request)
        let pipeline = pipeline()
        async let end = pipeline.finish(untilCaughtUp: false)
        var outcome: RequestOutcome?
        try await eventually("the answer") {
            outcome = box.takeAnswer(to: request.id)
            return outcome != nil
        }
        pipeline.stop.request()
        #expect(try await end == nil)
        return try #require(outcome)
    }

    @Test func aRefusedEventWaitsWithTheLaterOnesOfItsKeyWhileAllOthersAreDelivered() async throws {
        database.commitRandom(transactions: 200)
        receiver.refuse { $0.keys.contains("3") }
        #expect(try await pipeline().finish() == nil)
        let waiting = try waiting()
        #expect(!waiting.isEmpty && waiting.count < database.committed.count)
        #expect(Set(waiting).isDisjoint(with: receiver.identities))
        #expect((waiting + receiver.identities).sorted() == database.committed)
        #expect(receiver.misplaced == [])
        #expect(healthy.identities == database.committed)
        let stored = try letters()
        #expect(stored.first?.letter.code == "test.refused")
        #expect(Set(stored.map(\.letter.code)) == ["test.refused", "delivery.behind"])
        let end = UInt64(database.committed.count)
        #expect(try await place.log.cursor(of: "partner")?.offset == end)
    }

    @Test func aRetryAtTheBeginningOfTheLogDeliversWhatWaits() async throws {
        database.commitRandom(transactions: 60)
        receiver.refuse { $0.keys.contains("2") }
        #expect(try await pipeline().finish() == nil)
        #expect(try waiting().count > 1)
        receiver.refuse { _ in false }
        // Such were set aside before letters had a place in the log: a replay does not take them back.
        let old = try letters().map(\.letter)
        _ = try await place.log.discardDeadLetters(of: "@partner", through: .max)
        try await place.log.setAside(old, for: "partner", movingCursorTo: 0, state: nil)
        let replay = OperatorRequest(.replay(sink: "partner", offset: 0, skipping: false))
        // Both are there before the sink is opened.
        try box.post(replay)
        let outcome = try await ask(.redeliver(sink: "partner", through: .max))
        #expect(box.takeAnswer(to: replay.id)?.isDone == true)
        #expect(outcome.isDone && outcome.text.hasPrefix("\(old.count) events"), "\(outcome.text)")
        #expect(try waiting() == [])
        #expect(try await pipeline().finish() == nil)
        #expect(Set(receiver.identities) == Set(database.committed))
        #expect(try await place.log.cursor(of: "partner")?.offset == UInt64(database.committed.count))
    }

    @Test(arguments: [false, true])
    func aRetryAfterAReplayPutsNoOlderStateOverANewerOne(isStopped: Bool) async throws {
        database.commitRandom(transactions: 60)
        #expect(try await pipeline().finish() == nil)
        database.commitRandom(transactions: 60)
        receiver.refuse { $0.keys.contains { $0.contains("3") } }
        #expect(try await pipeline().finish() == nil)
        let waiting = try waiting()
        #expect(waiting.count > 2)
        // While the receiver refuses the same, what waits is not multiplied.
        for _ in 0..<2 {
            #expect(try await ask(.replay(sink: "partner", offset: 0, skipping: false)).isDone)
            #expect(try await pipeline().finish() == nil)
        }
        let again = try self.waiting()
        #expect(again == again.sorted() && Set(again).count == again.count && Set(again).isSuperset(of: waiting))
        receiver.refuse { _ in false }
        let before = receiver.entries.count
        if isStopped {
            let moved = try await place.log.replayWithLetters(
                "partner", from: 0, skipping: false, forgetting: false, tables: [TablePattern("*")])
            #expect(moved.former == UInt64(database.committed.count) && moved.letterCount == again.count)
        } else {
            let outcome = try await ask(.replay(sink: "partner", offset: 0, skipping: false))
            #expect(outcome.text.contains("\(again.count) events that waited"), "\(outcome.text)")
        }
        #expect(try await pipeline().finish() == nil)
        #expect(try await ask(.redeliver(sink: "partner", through: .max)).isDone)
        #expect(Array(receiver.identities.dropFirst(before)) == database.committed)
        #expect(try self.waiting() == [])
    }

    /// They were gone, and nothing came.
    @Test func aReplayDoesNotTakeBackWhatTheSinkWouldNotBeGivenAgain() async throws {
        database.commitRandom(transactions: 60)
        receiver.refuse { $0.keys.contains { $0.contains("3") } }
        #expect(try await pipeline().finish() == nil)
        let waiting = try waiting()
        #expect(!waiting.isEmpty)
        let failure = await #expect(throws: ConnectorFailure.self) {
            try await place.log.replayWithLetters(
                "partner", from: 0, skipping: false, forgetting: false, tables: [TablePattern("others")])
        }
        #expect(failure?.code == "replay.loses_letters" && failure?.exitCode == 2)
        #expect(try self.waiting() == waiting)
        #expect(try await place.log.cursor(of: "partner")?.offset == UInt64(database.committed.count))
    }

    @Test func aReplayLeavesWhatWaitsBeforeItAndItsKeysWaitBehindThat() async throws {
        database.commitRandom(transactions: 100)
        receiver.refuse { $0.keys.contains("3") }
        #expect(try await pipeline().finish() == nil)
        let waiting = try waiting()
        let middle = try #require(database.committed.firstIndex(of: waiting[waiting.count / 2]))
        receiver.refuse { _ in false }
        #expect(try await ask(.replay(sink: "partner", offset: UInt64(middle), skipping: false)).isDone)
        #expect(try await pipeline().finish() == nil)
        #expect(try self.waiting() == waiting)
        // Forward, nothing of what waits comes again by itself.
        let end = UInt64(database.committed.count)
        let moved = try await place.log.replayWithLetters(
            "partner", from: end, skipping: true, forgetting: false, tables: [TablePattern("*")])
        #expect(moved.letterCount == 0)
        #expect(try self.waiting() == waiting)
        #expect(try await ask(.redeliver(sink: "partner", through: .max)).isDone)
        #expect(Set(receiver.identities) == Set(database.committed))
    }

    @Test func whatWaitsIsDeliveredInTheOrderOfItsKeysOnceTheReceiverTakesIt() async throws {
        for round in 0..<3 {
            database.commitRandom(transactions: 60)
            receiver.refuse { $0.keys.contains("\(round + 2)") }
            #expect(try await pipeline().finish() == nil)
        }
        receiver.refuse { _ in false }
        let last = try #require(try letters().last?.id)
        let outcome = try await ask(.redeliver(sink: "partner", through: last))
        #expect(outcome.isDone, "\(outcome.text)")
        #expect(try waiting() == [])
        #expect(receiver.identities.sorted() == database.committed)
        #expect(receiver.misplaced == [])
        database.commitRandom(transactions: 60)
        #expect(try await pipeline().finish() == nil)
        #expect(receiver.identities.sorted() == database.committed)
        #expect(receiver.misplaced == [])
    }

    @Test func aKeyWhoseEventIsRefusedAgainWaitsOnAndTheOthersAreDelivered() async throws {
        database.commitRandom(transactions: 120)
        receiver.refuse { $0.keys.contains("3") || $0.keys.contains("5") }
        #expect(try await pipeline().finish() == nil)
        let count = try waiting().count
        receiver.refuse { $0.keys.contains("5") }
        let outcome = try await ask(.redeliver(sink: "partner", through: .max))
        #expect(!outcome.isDone && outcome.text.contains("test.refused"))
        let left = try waiting()
        #expect(!left.isEmpty && left.count < count)
        #expect((left + receiver.identities).sorted() == database.committed)
        #expect(receiver.misplaced == [])
    }

    @Test func manyEventsAreRetriedAtATimeAndNotEachByItself() async throws {
        database.commitRandom(transactions: 400)
        receiver.refuse { _ in true }
        #expect(try await pipeline().finish() == nil)
        let waiting = try waiting()
        #expect(waiting.count == database.committed.count && waiting.count > 600)
        receiver.refuse { $0.keys.contains("5") }
        let before = receiver.writeCount
        #expect(try await !ask(.redeliver(sink: "partner", through: .max)).isDone)
        #expect(receiver.writeCount - before <= waiting.count / 256 + 1)
        #expect((try self.waiting() + receiver.identities).sorted() == database.committed)
        receiver.refuse { _ in false }
        #expect(try await ask(.redeliver(sink: "partner", through: .max)).isDone)
        #expect(receiver.identities.sorted() == database.committed)
        #expect(receiver.misplaced == [])
    }

    @Test(.timeLimit(.minutes(1)))
    func aRunThatIsToEndDoesNotWaitForEverForARetryThatGetsNowhere() async throws {
        database.commitRandom(transactions: 60)
        receiver.refuse { $0.keys.contains("3") }
        #expect(try await pipeline().finish() == nil)
        let waiting = try waiting()
        try box.post(OperatorRequest(.redeliver(sink: "partner", through: .max)))
        let pipeline = place.pipeline(
            from: PruningSourceModel(of: database), to: [plan("partner", StubbornSink())], requests: box)
        #expect(try await pipeline.finish(patience: .seconds(1)) == "test.stubborn")
        #expect(try self.waiting() == waiting)
    }

    @Test func aServiceGivesUpARetryBehindARequestThatFailsAndGoesOn() async throws {
        database.commitRandom(transactions: 60)
        receiver.refuse { $0.keys.contains("3") }
        #expect(try await pipeline().finish() == nil)
        let waiting = try waiting()
        let request = OperatorRequest(.redeliver(sink: "partner", through: .max))
        try box.post(request)
        var limits = DeliveryLimits()
        limits.requestPatience = .milliseconds(200)
        let pipeline = place.pipeline(
            from: PruningSourceModel(of: database), to: [plan("partner", StubbornSink())], requests: box,
            limits: limits)
        async let end = pipeline.finish(untilCaughtUp: false)
        var outcome: RequestOutcome?
        try await eventually("the answer") {
            outcome = box.takeAnswer(to: request.id)
            return outcome != nil
        }
        #expect(outcome?.isDone == false)
        #expect(outcome?.text.contains("does not get on") == true && outcome?.text.contains("test.stubborn") == true)
        #expect(try self.waiting() == waiting)
        database.commitRandom(transactions: 5)
        let last = UInt64(database.committed.count)
        try await eventually("other events") { pipeline.progress.snapshot.cursors["partner"] == last }
        pipeline.stop.request()
        #expect(try await end == nil)
    }

    @Test func whatIsHeldBackWhileARequestSticksIsBounded() async throws {
        database.commit(.insert(rows: 5))
        receiver.refuse { $0.keys.contains("1") }
        let gate = Counter()
        var limits = DeliveryLimits()
        limits.heldBackMax = 16
        let sink = WindowSink(receiver) { gate.value != 1 }
        let pipeline = place.pipeline(
            from: PruningSourceModel(of: database), to: [plan("partner", sink)], requests: box, limits: limits)
        async let code = pipeline.finish(untilCaughtUp: false)
        try await eventually("the first letters") {
            pipeline.progress.snapshot.cursors["partner"] == UInt64(database.committed.count)
        }
        #expect(try letters().count == 1)
        gate.next()
        // From here on the new row sticks, and what belongs behind the refused one is held back.
        database.commit(.insert(rows: 1))
        for _ in 0..<200 {
            database.commit(.update(rows: 1))
            let end = UInt64(database.committed.count)
            try await eventually("capture") { pipeline.progress.snapshot.nextOffset == end }
        }
        let asked = await sink.askedCount
        try await eventually("further calls") { await sink.askedCount > asked + 5 }
        let taken = await sink.taken
        #expect(taken < UInt64(database.committed.count) - 100, "held back without a bound")
        gate.next()
        try await eventually("the end") {
            pipeline.progress.snapshot.cursors["partner"] == UInt64(database.committed.count)
        }
        pipeline.stop.request()
        #expect(try await code == nil)
        let left = try waiting()
        #expect(
            left.count == 201 && left == left.sorted() && (left + receiver.identities).sorted() == database.committed)
        receiver.refuse { _ in false }
        #expect(try await ask(.redeliver(sink: "partner", through: .max)).isDone)
        #expect(receiver.identities.sorted() == database.committed)
        #expect(receiver.misplaced == [])
    }

    @Test func anEventDoesNotOvertakeWhatWasHeldBackWhenTheRefusedOneIsDiscarded() async throws {
        database.commit(.insert(rows: 5))
        receiver.refuse { $0.keys.contains("1") }
        let gate = Counter()
        let sink = WindowSink(receiver) { gate.value != 1 }
        let pipeline = place.pipeline(
            from: PruningSourceModel(of: database), to: [plan("partner", sink)], requests: box)
        async let code = pipeline.finish(untilCaughtUp: false)
        func allTaken() async -> Bool { await sink.taken == UInt64(database.committed.count) }
        try await eventually("the first letter") {
            pipeline.progress.snapshot.cursors["partner"] == UInt64(database.committed.count)
        }
        let discarded = try waiting()
        gate.next()
        // The new row sticks, and the update belongs behind the refused row.
        database.commit(.insert(rows: 1))
        database.commit(.update(rows: 1))
        try await eventually("the first two") { await allTaken() }
        let request = OperatorRequest(.discardDeadLetters(subject: "@partner", through: .max))
        try box.post(request)
        try await eventually("the answer") { box.takeAnswer(to: request.id)?.isDone == true }
        receiver.refuse { _ in false }
        database.commit(.update(rows: 1))
        try await eventually("all of them") { await allTaken() }
        gate.next()
        try await eventually("the end") {
            pipeline.progress.snapshot.cursors["partner"] == UInt64(database.committed.count)
        }
        pipeline.stop.request()
        #expect(try await code == nil)
        #expect(try waiting().count == 2, "the later one passed the one that was held back")
        #expect(try await ask(.redeliver(sink: "partner", through: .max)).isDone)
        #expect((discarded + receiver.identities).sorted() == database.committed)
        #expect(receiver.misplaced == [])
    }

    /// There may be so many that reading them takes longer than anybody waits for the end of a process.
    @Test func aDeliveryThatIsAskedToStopReadsNoMoreOfWhatWaits() async throws {
        database.commitRandom(transactions: 60)
        receiver.refuse { _ in true }
        #expect(try await pipeline().finish() == nil)
        #expect(try !letters().isEmpty)
        let feed = LogFeed(nextOffset: try await place.log.statistics().nextOffset)
        let stop = StopSignal()
        let plan = plan("partner", RefusingSink(receiver))
        var stage = DeliveryStage(
            plan: plan, source: "model", pipelineName: "shop", log: place.log,
            events: LogConsumer(feed: feed, reader: try place.log.makeReader()),
            clearing: try Clearing(plan.clearance, rules: SensitivityRules(), schemas: place.schemas),
            progress: PipelineProgress(), stop: stop, desk: RequestDesk(nil, logger: silent), logger: silent)
        let encoder = ClearedEncoder(
            pipelineName: "shop", sourceKind: "model", format: plan.format, form: plan.sink.form,
            debezium: plan.debezium)
        try await stage.readHolds(encoder)
        #expect(!stage.holds.isEmpty)
        stop.request()
        try await stage.readHolds(encoder)
        #expect(stage.holds.isEmpty)
    }

    @Test func aTruncationThatIsRefusedHoldsTheRowsOfItsTableThatWereOnTheirWay() async throws {
        database.commitRandom(transactions: 200)
        receiver.refuse { $0.keys.isEmpty }
        #expect(try await pipeline().finish() == nil)
        let first = try #require(try letters().first)
        #expect(first.letter.batch.change(at: 0).operation == .truncate)
        let table = first.letter.batch.relations[0].name
        let place = first.letter.batch.identity(at: 0)
        #expect(receiver.entries.allSatisfy { $0.table != table || $0.identity < place })
        #expect(receiver.entries.contains { $0.table == table })
        // Refused again, it holds the same rows.
        #expect(try await !ask(.redeliver(sink: "partner", through: .max)).isDone)
        #expect((try waiting() + receiver.identities).sorted() == database.committed)
        receiver.refuse { _ in false }
        #expect(try await ask(.redeliver(sink: "partner", through: .max)).isDone)
        #expect(receiver.identities.sorted() == database.committed)
        #expect(receiver.misplaced == [])
    }

    @Test func aTableThatTheSinkDoesNotWantAnyMoreStaysOutAlthoughAnEventOfItWaits() async throws {
        database.commitRandom(transactions: 60)
        receiver.refuse { $0.keys.contains("3") }
        #expect(try await pipeline().finish() == nil)
        let letters = try letters()
        let unwanted = try #require(letters.first?.letter.batch.relations.first?.name)
        receiver.refuse { _ in false }
        let before = receiver.entries.count
        database.commitRandom(transactions: 60)
        let wanted = ["items", "lines"].filter { $0 != unwanted }.map { "*." + $0 }
        let fewer = plan("partner", RefusingSink(receiver), tables: wanted)
        let pipeline = place.pipeline(from: PruningSourceModel(of: database), to: [fewer])
        #expect(try await pipeline.finish() == nil)
        #expect(receiver.entries.count > before)
        #expect(receiver.entries.dropFirst(before).allSatisfy { $0.table != unwanted })
    }

    @Test func whatIsRefusedOnItsWayWhileOthersAreRetriedIsNotTakenForOneOfThem() async throws {
        database.commitRandom(transactions: 50)
        receiver.refuse { $0.keys.contains("3") }
        #expect(try await pipeline().finish() == nil)
        receiver.refuse { $0.keys.contains("5") }
        let slow = SlowSink(receiver)
        let pipeline = place.pipeline(
            from: PruningSourceModel(of: database), to: [plan("partner", slow)], requests: box)
        async let end = pipeline.finish(untilCaughtUp: false)
        let before = database.committed.count
        database.commitRandom(transactions: 50)
        let held = try waiting().count
        try await eventually("events on their way") {
            await slow.waitingCount > 20 && pipeline.progress.snapshot.nextOffset == UInt64(database.committed.count)
        }
        #expect(held > 0 && receiver.identities.count == before - held)
        let request = OperatorRequest(.redeliver(sink: "partner", through: .max))
        try box.post(request)
        try await eventually("the answer") { box.takeAnswer(to: request.id) != nil }
        pipeline.stop.request()
        #expect(try await end == nil)
        receiver.refuse { _ in false }
        #expect(try await ask(.redeliver(sink: "partner", through: .max)).isDone)
        // What was not on its way yet.
        #expect(try await self.pipeline().finish() == nil)
        #expect(receiver.identities.sorted() == database.committed)
        #expect(receiver.misplaced == [])
    }

    @Test func whatIsDiscardedIsNeverDeliveredAndItsKeyGoesOn() async throws {
        database.commitRandom(transactions: 50)
        receiver.refuse { $0.keys.contains("3") }
        #expect(try await pipeline().finish() == nil)
        let gone = try waiting()
        receiver.refuse { _ in false }
        #expect(try await ask(.discardDeadLetters(subject: "@partner", through: .max)).isDone)
        database.commitRandom(transactions: 50)
        #expect(try await pipeline().finish() == nil)
        #expect((gone + receiver.identities).sorted() == database.committed)
    }

    @Test func haltStopsTheSinkInFrontOfTheRefusedEventAndNoOtherOne() async throws {
        database.commitRandom(transactions: 60)
        receiver.refuse { $0.keys.contains("3") }
        #expect(try await pipeline(.halt).finish() == "test.refused")
        #expect(try waiting() == [])
        #expect(healthy.identities == database.committed)
        receiver.refuse { _ in false }
        #expect(try await pipeline(.halt).finish() == nil)
        #expect(Set(receiver.identities) == Set(database.committed))
    }

    @Test func aRejectionOutsideOfWhatTheReceiptCoversIsAFaultOfTheSink() async throws {
        database.commitRandom(transactions: 5)
        var sink = ScriptedSink(inner: LedgerSink(on: LedgerStore()))
        sink.receipt = { receipt, batch in
            var receipt = receipt
            receipt.rejected = [RejectedRecord(offset: batch.nextOffset, code: "test.refused", message: "")]
            return receipt
        }
        let pipeline = place.pipeline(from: PruningSourceModel(of: database), to: [plan("liar", sink)])
        #expect(try await pipeline.finish() == "pipeline.wrong_receipt")
    }
}
