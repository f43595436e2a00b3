import ConnectorTesting
import EventLog
import Testing

@testable import Broker

/// What a subscription promises, at one step after the other.
struct SubscriptionStateTests {
    private let limits = SubscriptionState.Limits(ackTime: 30, inFlightMax: 100, deliveryMax: 3)

    private func event(_ offset: UInt64, _ key: UInt64?, from previous: UInt64? = nil, table: UInt64 = 1)
        -> OrderedEvent
    {
        OrderedEvent(
            offset: offset, table: table, key: key.map { table * 1000 + $0 },
            previousKey: previous.map { table * 1000 + $0 })
    }

    private func state(_ events: [OrderedEvent]) -> SubscriptionState {
        var state = SubscriptionState(cursor: 0, limits: limits)
        state.look(at: events, before: (events.last?.offset ?? 0) + 1)
        return state
    }

    private func offsets(_ leases: [SubscriptionState.Lease]) -> [UInt64] { leases.map(\.offset) }

    @Test func eventsOfOneKeyAreGivenOutOneByOne() {
        var state = state([event(0, 1), event(1, 2), event(2, 1), event(3, 2), event(4, 1, table: 2)])
        let first = state.lease(10, now: 0)
        #expect(offsets(first) == [0, 1, 4])
        #expect(state.lease(10, now: 1).isEmpty)
        #expect(state.acknowledge(first[1]) == .done)
        #expect(offsets(state.lease(10, now: 2)) == [3])
        #expect(state.cursor == 0)
        #expect(state.acknowledge(first[0]) == .done)
        #expect(state.cursor == 2 && offsets(state.lease(10, now: 3)) == [2])
    }

    @Test func aChangeOfAKeyBindsBothKeys() {
        var state = state([event(0, 1), event(1, 2), event(2, 3, from: 1), event(3, 1), event(4, 3), event(5, 2)])
        var leases = state.lease(10, now: 0)
        #expect(offsets(leases) == [0, 1])
        _ = state.acknowledge(leases[0])
        leases = state.lease(10, now: 0)
        #expect(offsets(leases) == [2])
        #expect(state.lease(10, now: 0).isEmpty)
        _ = state.acknowledge(leases[0])
        #expect(offsets(state.lease(10, now: 0)) == [3, 4])
    }

    @Test func anEventWithoutAKeyWaitsForItsTableAndItsTableForIt() {
        var state = state([event(0, 1), event(1, 2), event(2, nil), event(3, 1), event(4, 3), event(5, 1, table: 2)])
        let first = state.lease(10, now: 0)
        #expect(offsets(first) == [0, 1, 5])
        _ = state.acknowledge(first[0])
        #expect(state.lease(10, now: 0).isEmpty)
        _ = state.acknowledge(first[1])
        let truncate = state.lease(10, now: 0)
        #expect(offsets(truncate) == [2])
        _ = state.acknowledge(truncate[0])
        #expect(offsets(state.lease(10, now: 0)) == [3, 4])
    }

    @Test func whatIsNotAcknowledgedInTimeIsGivenOutAgain() {
        var state = state([event(0, 1), event(1, 1)])
        let first = state.lease(10, now: 0)
        #expect(state.lease(10, now: 29).isEmpty && state.nextTime == 30)
        let second = state.lease(10, now: 30)
        #expect(second == [SubscriptionState.Lease(offset: 0, delivery: 2)])
        #expect(state.acknowledge(first[0]) == .stale)
        #expect(state.acknowledge(second[0]) == .done)
        #expect(state.acknowledge(second[0]) == .done, "twice says the same")
        #expect(state.acknowledge(first[0]) == .done, "it is acknowledged, whoever did it")
        #expect(state.acknowledge(.init(offset: 1, delivery: 1)) == .stale, "it was never given out")
    }

    @Test func aLateAcknowledgementCountsWhileNobodyElseGotTheEvent() {
        var state = state([event(0, 1)])
        let lease = state.lease(1, now: 0)[0]
        state.advance(to: 100)
        #expect(state.acknowledge(lease) == .done && state.cursor == 1)
        #expect(state.lease(1, now: 200).isEmpty)
    }

    @Test func whatIsHandedBackComesAgainAfterItsDelay() {
        var state = state([event(0, 1), event(1, 1)])
        var lease = state.lease(1, now: 0)[0]
        #expect(state.reject(lease, delay: 10, now: 5) == .done)
        #expect(state.lease(5, now: 14).isEmpty, "later events of the key wait too")
        lease = state.lease(5, now: 15)[0]
        #expect(lease == .init(offset: 0, delivery: 2))
        #expect(state.reject(lease, delay: 0, now: 15) == .done)
        #expect(state.reject(lease, delay: 0, now: 15) == .stale)
        #expect(offsets(state.lease(5, now: 15)) == [0])
    }

    @Test func moreTimeIsGivenToWhomAsksForIt() {
        var state = state([event(0, 1)])
        let lease = state.lease(1, now: 0)[0]
        #expect(state.extend(lease, by: 100, now: 20) == .done)
        #expect(state.lease(1, now: 60).isEmpty)
        #expect(state.lease(1, now: 120).count == 1)
        #expect(state.extend(lease, by: 100, now: 121) == .stale)
    }

    @Test func anEventThatIsGivenOutTooOftenIsADeadLetterAndHoldsUpNothing() {
        var state = state([event(0, 1), event(1, 1)])
        for time in [0, 30, 60] { #expect(offsets(state.lease(1, now: Int64(time))) == [0]) }
        state.advance(to: 90)
        #expect(state.dead == [0: 3] && state.cursor == 1)
        #expect(state.acknowledge(.init(offset: 0, delivery: 3)) == .stale)
        let next = state.lease(10, now: 90)
        #expect(offsets(next) == [1])
        state.retry(event(0, 1))
        #expect(state.lease(10, now: 91).isEmpty, "behind the events of its key")
        _ = state.acknowledge(next[0])
        #expect(state.lease(10, now: 92) == [.init(offset: 0, delivery: 1)])
        #expect(state.acknowledge(.init(offset: 0, delivery: 1)) == .done && state.dead.isEmpty && state.cursor == 2)
    }

    @Test func whatNoConsumerSawIsNotCounted() {
        var state = state([event(0, 1), event(1, 2)])
        let leases = state.lease(10, now: 0)
        state.withdraw(leases)
        let changes = state.takeChanges()
        #expect(changes?.deliveredCount == 0)
        #expect(state.lease(10, now: 0) == leases)
    }

    @Test func noMoreEventsAreOutThanMayBe() {
        var state = SubscriptionState(cursor: 0, limits: .init(ackTime: 30, inFlightMax: 2, deliveryMax: 0))
        state.look(at: (0..<5).map { event($0, $0) }, before: 5)
        let first = state.lease(10, now: 0)
        #expect(offsets(first) == [0, 1] && state.leaseMax == 0)
        _ = state.acknowledge(first[1])
        #expect(offsets(state.lease(10, now: 0)) == [2])
    }

    @Test func theCursorPassesWhatNobodyWants() {
        var state = SubscriptionState(cursor: 5, limits: limits)
        state.look(at: [], before: 1000)
        #expect(state.cursor == 1000 && state.takeChanges()?.cursor == 1000 && state.takeChanges() == nil)
    }

    @Test func aConsumerThatAsksForMoreTimeAgainAndAgainCostsNoMemory() {
        var state = state([event(0, 1), event(1, 2)])
        let leases = state.lease(2, now: 0)
        for time in 0..<10_000 as Range<Int64> {
            #expect(state.extend(leases[0], by: 1_000_000, now: time) == .done)
        }
        #expect(state.timerCount < 100)
        let other = state.lease(1, now: 40)
        #expect(offsets(other) == [1] && state.acknowledge(other[0]) == .done)
        #expect(state.lease(1, now: 1_009_998).isEmpty && offsets(state.lease(2, now: 1_009_999)) == [0])
    }

    @Test func whatIsTakenBackAgainAndAgainCostsNoMemory() {
        var state = state([event(0, 1), event(1, 2)])
        for time in 0..<10_000 as Range<Int64> { state.withdraw(state.lease(2, now: time)) }
        #expect(state.timerCount < 100)
    }

    @Test func aRetriedLetterThatNobodyWantsAnyMoreHoldsUpNothing() {
        let stored = StoredDelivery(offset: 2, phase: .inFlight, deliveryCount: 1, until: 9)
        var state = SubscriptionState(cursor: 5, limits: limits, stored: [stored])
        #expect(state.storedBeforeCursor == [2] && state.isRestoring)
        state.forget(2)
        #expect(!state.isRestoring && state.takeChanges()?.removed == [2])
        state.look(at: [event(5, 1)], before: 6)
        #expect(offsets(state.lease(1, now: 0)) == [5])
    }

    @Test func whatCannotBeWrittenIsADeadLetterThatNobodyGot() {
        var state = state([event(0, 1)])
        #expect(state.bury(1) && !state.bury(1), "only the next one")
        state.look(at: [event(2, 1)], before: 3)
        #expect(state.dead == [1: 0] && state.takeChanges()?.deliveries.map(\.phase) == [.dead])
        let lease = state.lease(5, now: 0)
        #expect(offsets(lease) == [0] && state.acknowledge(lease[0]) == .done && state.cursor == 2)
        #expect(offsets(state.lease(5, now: 0)) == [2])
        // The next process meets it again.
        var next = SubscriptionState(
            cursor: 0, limits: limits, stored: [.init(offset: 1, phase: .dead, deliveryCount: 0, until: 0)])
        next.look(at: [event(0, 1)], before: 1)
        #expect(next.isRestoring && next.bury(1) && !next.isRestoring && next.dead == [1: 0])
    }

    /// Hundreds of runs of consumers that pull, acknowledge, hand back, die and are late, of kills and of retries.
    @Test(arguments: 0..<300 as Range<UInt64>)
    func nothingIsLostGivenTwiceOrOutOfOrder(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let end = UInt64.random(in: 1...120, using: &random)
        var events: [OrderedEvent] = []
        for offset in 0..<end where Int.random(in: 0..<5, using: &random) > 0 {
            let table = UInt64.random(in: 1...3, using: &random)
            let key = Int.random(in: 0..<12, using: &random) == 0 ? nil : UInt64.random(in: 0..<5, using: &random)
            let changes = key != nil && Int.random(in: 0..<6, using: &random) == 0
            let previous = changes ? UInt64.random(in: 0..<5, using: &random) : nil
            events.append(event(offset, key, from: previous, table: table))
        }
        let limits = SubscriptionState.Limits(
            ackTime: 50, inFlightMax: Int.random(in: 1...20, using: &random),
            deliveryMax: Int.random(in: 0...4, using: &random), windowMax: Int.random(in: 1...40, using: &random))
        var model = SubscriptionModel(events, end: end, limits)
        for _ in 0..<400 { try step(&model, &random) }
        // Then everybody behaves, and everything is done with.
        for _ in 0..<2000 where model.acknowledged.count < events.count {
            try model.wait(60)
            for offset in model.dead { try model.retry(offset) }
            model.scan(10)
            try model.pull(10)
            for lease in model.held.keys { try model.acknowledge(lease) }
        }
        #expect(model.acknowledged == Set(events.map(\.offset)), "seed \(seed)")
        #expect(model.disk.cursor == end && model.disk.deliveries.isEmpty, "seed \(seed)")
    }

    private func step(_ model: inout SubscriptionModel, _ random: inout SeededGenerator) throws {
        let lease = model.held.keys.sorted { $0.offset < $1.offset }.randomElement(using: &random)
        switch (Int.random(in: 0..<20, using: &random), lease) {
        case (0...3, _): model.scan(UInt64.random(in: 1...15, using: &random))
        case (4...8, _): try model.pull(Int.random(in: 1...6, using: &random))
        case (9...12, let lease?): try model.acknowledge(lease)
        case (13, let lease?): try model.reject(lease, delay: Int64.random(in: 0...40, using: &random))
        case (14, let lease?): try model.extend(lease, by: Int64.random(in: 1...80, using: &random))
        case (15...17, _): try model.wait(Int64.random(in: 1...70, using: &random))
        case (18, _): try model.restart()
        default:
            guard let offset = model.dead.sorted().randomElement(using: &random) else { return }
            if Bool.random(using: &random) { try model.retry(offset) } else { try model.discard(offset) }
        }
    }
}
