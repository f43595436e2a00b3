/// Says which records may be sent now, so that order is kept where it means something. Knows numbers only; does no I/O.
///
/// A record waits in the lane of its key, and after a change of its key in two lanes; it may go when it is the first in
/// all of them. A record without a key stands for its whole topic, as the truncation of a table does: it waits for the
/// records with keys that came before it in the topic, and those that come later wait for it. Records without keys of
/// one topic follow each other in the lane of the topic.
///
/// Records enter their lanes in log order, so they cannot wait for each other in a circle.
struct LaneSchedule {
    /// A record that is not done, as a number that is given to another one when it is.
    typealias Ticket = Int

    private struct Waiting {
        var lane = 0
        /// The lane of the key before its change; -1 without one.
        var otherLane = -1
        var topic = 0
        var standsForTopic = false
        /// In how many of its lanes and its topic it has to wait.
        var waits = 0
        /// True when it is in a request.
        var isTaken = false
    }

    /// Records of a topic that may go, all with keys or all without, and those that wait for them.
    private struct Gate {
        var inside = 0
        var insideStandForTopic = false
        var outside = Queue<Ticket>()

        var isIdle: Bool { inside == 0 && outside.isEmpty }
    }

    private var waiting: [Waiting] = []
    private var free: [Ticket] = []
    private var lanes: [Queue<Ticket>]
    private var gates: [Gate] = []
    private var ready = Queue<Ticket>()

    /// A schedule for so many lanes, at least one.
    init(laneCount: Int) { lanes = [Queue<Ticket>](repeating: Queue(), count: max(laneCount, 1)) }

    /// How many lanes there are.
    var laneCount: Int { lanes.count }
    /// True when a record may go.
    var hasReady: Bool { !ready.isEmpty }

    /// Makes a new topic and gives its number.
    mutating func addTopic() -> Int {
        gates.append(Gate())
        return gates.count - 1
    }

    /// True when nothing of a topic waits or is on its way.
    func isIdle(topic: Int) -> Bool { gates[topic].isIdle }

    /// Forgets all topics. Only while no record waits or is on its way.
    mutating func removeTopics() { gates.removeAll() }

    /// Adds the next record of the log. `lane` and `otherLane` are any numbers: the lane is what is left of dividing.
    mutating func add(lane: UInt64, otherLane: UInt64?, topic: Int, standsForTopic: Bool) -> Ticket {
        var item = Waiting(lane: index(lane), topic: topic, standsForTopic: standsForTopic)
        if let otherLane, index(otherLane) != item.lane { item.otherLane = index(otherLane) }
        let ticket = free.popLast() ?? waiting.count
        if ticket == waiting.count { waiting.append(item) } else { waiting[ticket] = item }
        enter(item.lane, ticket)
        if item.otherLane >= 0 { enter(item.otherLane, ticket) }
        if gates[topic].outside.isEmpty, fits(ticket, gates[topic]) {
            admit(ticket)
        } else {
            gates[topic].outside.append(ticket)
            waiting[ticket].waits += 1
        }
        if waiting[ticket].waits == 0 { ready.append(ticket) }
        return ticket
    }

    private func index(_ lane: UInt64) -> Int { Int(lane % UInt64(lanes.count)) }

    private mutating func enter(_ lane: Int, _ ticket: Ticket) {
        if !lanes[lane].isEmpty { waiting[ticket].waits += 1 }
        lanes[lane].append(ticket)
    }

    private func fits(_ ticket: Ticket, _ gate: Gate) -> Bool {
        gate.inside == 0 || gate.insideStandForTopic == waiting[ticket].standsForTopic
    }

    private mutating func admit(_ ticket: Ticket) {
        let topic = waiting[ticket].topic
        gates[topic].inside += 1
        gates[topic].insideStandForTopic = waiting[ticket].standsForTopic
    }

    /// Takes a record that may go for a request. Nil when none may go.
    mutating func take() -> Ticket? {
        guard let ticket = ready.popFirst() else { return nil }
        waiting[ticket].isTaken = true
        return ticket
    }

    /// Takes up to `count` records of the lane of a taken one that may follow it in the same request, as long as
    /// `accepts` takes them.
    mutating func takeFollowers(of first: Ticket, upTo count: Int, accepts: (Ticket) -> Bool) -> [Ticket] {
        var taken: [Ticket] = []
        let lane = lanes[waiting[first].lane]
        var place = 1
        while taken.count < count, place < lane.count {
            let next = lane[place]
            // It waits for nothing but the records before it in this lane, which go with it.
            guard waiting[next].waits == 1, accepts(next) else { break }
            waiting[next].isTaken = true
            taken.append(next)
            place += 1
        }
        return taken
    }

    /// Gives the records of a request back, for others with fewer of them.
    mutating func giveBack(_ tickets: some Sequence<Ticket>) {
        for ticket in tickets {
            waiting[ticket].isTaken = false
            if waiting[ticket].waits == 0 { ready.append(ticket) }
        }
    }

    /// A record is done, of a request the first one first; others may go now.
    mutating func finish(_ ticket: Ticket) {
        let item = waiting[ticket]
        leave(item.lane)
        if item.otherLane >= 0 { leave(item.otherLane) }
        leaveTopic(item.topic)
        free.append(ticket)
    }

    /// The first record of a lane is done.
    private mutating func leave(_ lane: Int) {
        lanes[lane].popFirst()
        if let next = lanes[lane].first { release(next) }
    }

    private mutating func leaveTopic(_ topic: Int) {
        gates[topic].inside -= 1
        while let next = gates[topic].outside.first, fits(next, gates[topic]) {
            gates[topic].outside.popFirst()
            admit(next)
            release(next)
        }
    }

    private mutating func release(_ ticket: Ticket) {
        waiting[ticket].waits -= 1
        if waiting[ticket].waits == 0, !waiting[ticket].isTaken { ready.append(ticket) }
    }
}
