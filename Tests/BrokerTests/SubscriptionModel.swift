import EventLog

@testable import Broker

/// A subscription under consumers that do anything at any time, on a disk that keeps what it was told, with a clock of
/// its own. It checks every promise at every step, against a list of all events.
struct SubscriptionModel {
    /// What is wrong, in words.
    struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    private(set) var state: SubscriptionState
    private(set) var now: Int64 = 1_000_000
    /// The wanted events of the log; others have offsets between theirs.
    let events: [OrderedEvent]
    let end: UInt64
    /// What consumers hold, with the time until which it is theirs.
    private(set) var held: [SubscriptionState.Lease: Int64] = [:]
    private(set) var acknowledged: Set<UInt64> = []
    private(set) var deliveryCounts: [UInt64: Int] = [:]
    private(set) var disk: Disk

    /// What outlives the process.
    struct Disk {
        var cursor: UInt64 = 0
        var deliveries: [UInt64: StoredDelivery] = [:]

        mutating func store(_ changes: SubscriptionChanges) {
            cursor = changes.cursor
            for (offset, delivery) in deliveries where offset < cursor && delivery.phase == .settled {
                deliveries[offset] = nil
            }
            for offset in changes.removed { deliveries[offset] = nil }
            for delivery in changes.deliveries { deliveries[delivery.offset] = delivery }
        }
    }

    init(_ events: [OrderedEvent], end: UInt64, _ limits: SubscriptionState.Limits) {
        self.events = events
        self.end = end
        disk = Disk()
        state = SubscriptionState(cursor: 0, limits: limits)
    }

    var dead: Set<UInt64> { Set(state.dead.keys) }

    /// Looks at some more of the log.
    mutating func scan(_ count: UInt64) {
        guard state.room > 0 || state.isRestoring else { return }
        let before = min(end, state.next + count)
        state.look(at: events.filter { (state.next..<before).contains($0.offset) }, before: before)
    }

    mutating func pull(_ countMax: Int) throws {
        let leases = state.lease(countMax, now: now)
        try store()
        held = held.filter { $0.value > now }
        for lease in leases {
            guard !acknowledged.contains(lease.offset) else { throw Broken(description: "\(lease) was acknowledged") }
            if held.keys.contains(where: { $0.offset == lease.offset }) {
                throw Broken(description: "\(lease) is with somebody else")
            }
            if dead.contains(lease.offset) { throw Broken(description: "\(lease) is dead") }
            deliveryCounts[lease.offset, default: 0] += 1
            try checkOrder(of: lease)
            held[lease] = now + state.limits.ackTime
        }
        guard held.count <= state.limits.inFlightMax else { throw Broken(description: "\(held.count) in flight") }
    }

    /// Everything before an event that it depends on is done with.
    private func checkOrder(of lease: SubscriptionState.Lease) throws {
        guard let event = events.first(where: { $0.offset == lease.offset }) else {
            throw Broken(description: "\(lease) is no wanted event")
        }
        for earlier in events where earlier.offset < event.offset && earlier.table == event.table {
            let isBarrier = earlier.key == nil || event.key == nil
            let keys = Set([event.key, event.previousKey].compactMap(\.self))
            let shares = !keys.isDisjoint(with: [earlier.key, earlier.previousKey].compactMap(\.self))
            guard isBarrier || shares, !acknowledged.contains(earlier.offset), !dead.contains(earlier.offset) else {
                continue
            }
            // A dead letter that is given out again has lost its turn.
            if retried.contains(earlier.offset) { continue }
            throw Broken(description: "\(event) was given out before \(earlier)")
        }
    }
    private var retried: Set<UInt64> = []

    mutating func acknowledge(_ lease: SubscriptionState.Lease) throws {
        let isMine = held[lease].map { $0 > now } ?? false
        let outcome = state.acknowledge(lease)
        if outcome == .done { acknowledged.insert(lease.offset) }
        try store()
        if isMine, outcome != .done { throw Broken(description: "\(lease) was refused in its time") }
        held[lease] = nil
    }

    mutating func reject(_ lease: SubscriptionState.Lease, delay: Int64) throws {
        _ = state.reject(lease, delay: delay, now: now)
        try store()
        held[lease] = nil
    }

    mutating func extend(_ lease: SubscriptionState.Lease, by time: Int64) throws {
        if state.extend(lease, by: time, now: now) == .done { held[lease] = now + time }
        try store()
    }

    mutating func wait(_ time: Int64) throws {
        now += time
        state.advance(to: now)
        try store()
        held = held.filter { $0.value > now }
    }

    mutating func retry(_ offset: UInt64) throws {
        guard let event = events.first(where: { $0.offset == offset }) else { return }
        retried.insert(offset)
        state.retry(event)
        try store()
    }

    mutating func discard(_ offset: UInt64) throws {
        state.discard(offset)
        acknowledged.insert(offset)
        try store()
    }

    /// The process is killed, and another one goes on with what the disk has.
    mutating func restart() throws {
        state = SubscriptionState(
            cursor: disk.cursor, limits: state.limits, stored: disk.deliveries.values.sorted { $0.offset < $1.offset })
        for offset in state.storedBeforeCursor {
            if let event = events.first(where: { $0.offset == offset }) { state.retry(event) }
        }
        while state.isRestoring, state.next < end { scan(7) }
        if state.isRestoring { throw Broken(description: "stored events were not found again") }
        try check()
    }

    private mutating func store() throws {
        if let changes = state.takeChanges() { disk.store(changes) }
        try check()
    }

    /// Nothing that is not done with lies before the cursor, unless the disk knows of it.
    private func check() throws {
        for event in events where event.offset < disk.cursor && !acknowledged.contains(event.offset) {
            if disk.deliveries[event.offset] == nil { throw Broken(description: "\(event) is lost") }
        }
        for (offset, delivery) in disk.deliveries where offset < disk.cursor && delivery.phase == .settled {
            throw Broken(description: "\(offset) is remembered for nothing")
        }
    }
}
