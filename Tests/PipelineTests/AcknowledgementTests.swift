import ChangeModel
import ConnectorKit
import ConnectorTesting
import Synchronization
import Testing

@testable import Pipeline

/// `log.acknowledge: delivered`: the source forgets nothing that a sink does not have.
struct AcknowledgementTests {
    @Test func positionsComeOutOnceDeliveryHasPassedThem() {
        var positions = DeliveredPositions()
        for (offset, resume) in [(10, 100), (10, 110), (20, 200), (30, 300)] as [(UInt64, UInt64)] {
            positions.add(offset: offset, resume: ResumePosition(resume))
        }
        #expect(positions.take(deliveredBefore: 9) == nil)
        #expect(positions.take(deliveredBefore: 19) == ResumePosition(110))
        #expect(positions.take(deliveredBefore: 19) == nil)
        #expect(positions.take(deliveredBefore: 40) == ResumePosition(300))
        #expect(positions.isEmpty)
    }

    @Test func manyPositionsStayBoundedAndAreNeverGivenTooEarly() {
        var (positions, random) = (DeliveredPositions(), SeededGenerator(seed: 4))
        var (given, cursor) = (UInt64(0), UInt64(0))
        let count: UInt64 = 50_000
        for offset in 1...count {
            positions.add(offset: offset, resume: ResumePosition(offset * 10))
            guard UInt64.random(in: 0..<100, using: &random) == 0 else { continue }
            cursor = UInt64.random(in: cursor...offset, using: &random)
            guard let resume = positions.take(deliveredBefore: cursor) else { continue }
            #expect(resume.value <= cursor * 10 && resume.value > given)
            given = resume.value
        }
        #expect(positions.markCount <= DeliveredPositions.marksMax)
        #expect(positions.take(deliveredBefore: count) == ResumePosition(count * 10))
    }

    @Test func aBlockedSinkHoldsTheSourceAndAFreeOneLetsItGo() async throws {
        let place = try Workplace()
        let database = PruningDatabase(seed: 31)
        let (fast, slow) = (LedgerStore(), LedgerStore())
        let isOpen = Mutex(false)
        let blocked = ScriptedSink(
            inner: LedgerSink(on: slow),
            onWrite: { (_) async throws(ConnectorFailure) in
                if !isOpen.withLock({ $0 }) { throw failure("down", .retry) }
            })
        database.commitRandom(transactions: 30)
        let pipeline = place.pipeline(
            from: PruningSourceModel(of: database),
            to: [plan("fast", LedgerSink(on: fast)), plan("slow", blocked)], acknowledgement: .delivered)
        let begin = database.confirmed
        async let code = pipeline.finish(untilCaughtUp: false)
        try await eventually("delivery to the free sink") { fast.identities == database.committed }
        database.commitRandom(transactions: 30)
        try await eventually("more of it") { fast.identities == database.committed }
        #expect(database.confirmed == begin)
        isOpen.withLock { $0 = true }
        try await eventually("the acknowledgement") { database.confirmed == database.endPosition }
        #expect(slow.identities == database.committed)
        pipeline.stop.request()
        #expect(try await code == nil)
    }

    @Test func aRunThatEndsWhenCaughtUpHasToldTheSourceEverything() async throws {
        let (place, store) = (try Workplace(), LedgerStore())
        let database = PruningDatabase(seed: 32)
        database.commitRandom(transactions: 40)
        let pipeline = place.pipeline(
            from: PruningSourceModel(of: database), to: [plan("slow", LedgerSink(on: store, buffersAccepted: true))],
            acknowledgement: .delivered)
        #expect(try await pipeline.finish() == nil)
        #expect(store.identities == database.committed)
        #expect(database.confirmed == database.endPosition)
    }

    @Test func afterARestartThePositionOfTheLogIsToldOnceItIsDelivered() async throws {
        let (place, store) = (try Workplace(), LedgerStore())
        let database = PruningDatabase(seed: 33)
        database.commitRandom(transactions: 20)
        let broken = ScriptedSink(
            inner: LedgerSink(on: store),
            onWrite: { (_) async throws(ConnectorFailure) in throw failure("down", .retry) })
        let first = place.pipeline(
            from: PruningSourceModel(of: database), to: [plan("ledger", broken)], acknowledgement: .delivered)
        let begin = database.confirmed
        async let code = first.finish(untilCaughtUp: false)
        try await eventually("capture") { first.progress.snapshot.capturedCount == UInt64(database.committed.count) }
        first.stop.request()
        #expect(try await code == nil)
        #expect(database.confirmed == begin)
        let second = place.pipeline(
            from: PruningSourceModel(of: database), to: [plan("ledger", LedgerSink(on: store))],
            acknowledgement: .delivered)
        async let end = second.finish(untilCaughtUp: false)
        try await eventually("the acknowledgement") { database.confirmed == database.endPosition }
        #expect(store.identities == database.committed)
        second.stop.request()
        #expect(try await end == nil)
    }

    @Test func withoutSinksTheLogIsEnough() async throws {
        let place = try Workplace()
        let database = PruningDatabase(seed: 34)
        database.commitRandom(transactions: 10)
        let pipeline = place.pipeline(from: PruningSourceModel(of: database), to: [], acknowledgement: .delivered)
        #expect(try await pipeline.finish() == nil)
        #expect(database.confirmed == database.endPosition)
    }
}
