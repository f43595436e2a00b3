import ConnectorTesting
import Testing

@testable import WebhookSink

/// The order of records, with random records that are finished in random order.
struct LaneScheduleTests {
    private struct Event {
        var keys: [UInt64]
        var topic: Int
        var standsForTopic: Bool { keys.isEmpty }
    }

    private func events(_ count: Int, _ random: inout SeededGenerator) -> [Event] {
        (0..<count).map { _ in
            let key = random.next() % 12
            let kind = random.next() % 20
            let keys = kind == 0 ? [] : kind < 4 ? [key, random.next() % 12] : [key]
            return Event(keys: keys, topic: Int(random.next() % 3))
        }
    }

    /// True when the later of two events must wait for the earlier.
    private func mustWait(_ later: Event, _ earlier: Event, lanes: UInt64) -> Bool {
        let sharesLane = later.keys.contains { a in earlier.keys.contains { $0 % lanes == a % lanes } }
        return sharesLane || (later.topic == earlier.topic && (later.standsForTopic || earlier.standsForTopic))
    }

    @Test(arguments: 0..<40)
    func nothingOvertakesWhatItMustFollowAndAllGetsThrough(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let lanes = 1 + random.next() % 8
        let batch = Int(1 + random.next() % 5)
        let events = events(400, &random)
        var schedule = LaneSchedule(laneCount: Int(lanes))
        let topics = (0..<3).map { _ in schedule.addTopic() }
        var byTicket: [Int: Int] = [:]
        var (added, done) = (0, Set<Int>())
        var requests: [[Int]] = []
        while done.count < events.count {
            for _ in 0..<(random.next() % 30) where added < events.count {
                let event = events[added]
                let lane = event.keys.first ?? UInt64(event.topic)
                let ticket = schedule.add(
                    lane: lane, otherLane: event.keys.dropFirst().first, topic: topics[event.topic],
                    standsForTopic: event.standsForTopic)
                byTicket[ticket] = added
                added += 1
            }
            while let tickets = taken(upTo: batch, from: &schedule) {
                for (place, ticket) in tickets.enumerated() {
                    let number = try #require(byTicket[ticket])
                    let earlier = Set(tickets[..<place].compactMap { byTicket[$0] })
                    for before in 0..<number where !done.contains(before) && !earlier.contains(before) {
                        #expect(!mustWait(events[number], events[before], lanes: lanes), "seed \(seed)")
                    }
                }
                requests.append(tickets)
                #expect(requests.count <= lanes, "seed \(seed)")
            }
            if requests.isEmpty { continue }
            let request = requests.remove(at: Int(random.next() % UInt64(requests.count)))
            if request.count > 1, random.next() % 3 == 0 {
                schedule.giveBack(request)
            } else {
                done.formUnion(request.compactMap { byTicket[$0] })
                for ticket in request { schedule.finish(ticket) }
            }
        }
        #expect(!schedule.hasReady && topics.allSatisfy { schedule.isIdle(topic: $0) })
    }

    /// A record that may go, and those of its lane that go with it.
    private func taken(upTo count: Int, from schedule: inout LaneSchedule) -> [Int]? {
        guard let first = schedule.take() else { return nil }
        return [first] + schedule.takeFollowers(of: first, upTo: count - 1) { _ in true }
    }

    @Test func aChangeOfTheKeyWaitsForBothKeysAndHoldsThemUp() {
        var schedule = LaneSchedule(laneCount: 8)
        let topic = schedule.addTopic()
        func add(_ lane: UInt64, _ other: UInt64? = nil) -> Int {
            schedule.add(lane: lane, otherLane: other, topic: topic, standsForTopic: false)
        }
        let (one, two, change, later) = (add(1), add(2), add(2, 1), add(1))
        var taken: [Int] = []
        func takeAll() { while let ticket = schedule.take() { taken.append(ticket) } }
        takeAll()
        schedule.finish(two)
        takeAll()
        #expect(taken == [one, two])
        schedule.finish(one)
        takeAll()
        #expect(taken == [one, two, change])
        schedule.finish(change)
        takeAll()
        #expect(taken == [one, two, change, later])
    }
}
