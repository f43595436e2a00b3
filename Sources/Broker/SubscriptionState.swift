package import EventLog

/// How far a subscription is: which events are with consumers, which are acknowledged, which wait.
///
/// Events are given out in the order of the log, as far as ``EventOrder`` lets several of them go side by side. One
/// that was given out is given to nobody else before it was handed back or its time is over; one that was
/// acknowledged is never given out again. Before ``cursor`` everything is settled; behind it, a window of events is
/// remembered one by one.
///
/// A pure value: it is told the time, and tells what has to be stored.
package struct SubscriptionState: Sendable {
    /// The bounds of a subscription.
    package struct Limits: Sendable, Equatable {
        /// How long a consumer has an event, in microseconds.
        package var ackTime: Int64
        /// How many events consumers have at a time.
        package var inFlightMax: Int
        /// How often an event is given out before it is a dead letter; 0 for no bound.
        package var deliveryMax: Int
        /// How many events behind the cursor are remembered.
        package var windowMax: Int

        /// Limits of their parts.
        package init(ackTime: Int64, inFlightMax: Int, deliveryMax: Int, windowMax: Int = 10_000) {
            self.ackTime = ackTime
            self.inFlightMax = inFlightMax
            self.deliveryMax = deliveryMax
            self.windowMax = windowMax
        }
    }

    /// An event that was given out.
    package struct Lease: Sendable, Hashable {
        /// Its offset in the log.
        package var offset: UInt64
        /// How often it was given out, this time included.
        package var delivery: Int

        /// A lease of its parts.
        package init(offset: UInt64, delivery: Int) {
            self.offset = offset
            self.delivery = delivery
        }
    }

    /// What became of a lease that a consumer came back with.
    package enum Outcome: Sendable, Equatable {
        /// It was taken.
        case done
        /// The event was given out again meanwhile, and belongs to somebody else.
        case stale
    }

    private enum Phase: Equatable {
        /// It waits for its turn, or is ready.
        case idle
        /// It was handed back, until a time.
        case resting(until: Int64)
        /// A consumer has it, until a time.
        case inFlight(until: Int64)
        /// It was acknowledged.
        case settled
    }

    private struct Entry {
        var phase = Phase.idle
        var deliveryCount = 0
    }

    package var limits: Limits
    /// Everything before is settled.
    package private(set) var cursor: UInt64
    /// The offset behind the last change that was looked at.
    package private(set) var next: UInt64
    /// How many events consumers have.
    package private(set) var inFlightCount = 0
    /// Events that were given out too often, with how often. They hold up nothing.
    package private(set) var dead: [UInt64: Int] = [:]
    /// What is with events that are not settled, and with settled ones behind the cursor.
    private var entries: [UInt64: Entry] = [:]
    /// The offsets of ``entries`` behind the cursor in order, from ``head`` on; some may be gone.
    private var queue: [UInt64] = []
    private var head = 0
    private var order = EventOrder()
    /// Events that may be given out; some may be so no more.
    private var ready = OffsetHeap()
    /// When events that are in flight or rest are due; some may be so no more.
    private var timers = OffsetHeap()
    /// What was stored of events that were not looked at yet.
    private var stored: [UInt64: StoredDelivery] = [:]
    /// The offset behind the last event of which something was stored.
    private let storedEnd: UInt64
    private var touched: Set<UInt64> = []
    private var changes: SubscriptionChanges

    /// The state of a subscription as it was stored.
    package init(cursor: UInt64, limits: Limits, stored: [StoredDelivery] = []) {
        self.cursor = cursor
        self.limits = limits
        next = cursor
        storedEnd = stored.reduce(cursor) { max($0, $1.offset + 1) }
        for delivery in stored {
            if delivery.phase == .dead {
                dead[delivery.offset] = delivery.deliveryCount
            } else {
                self.stored[delivery.offset] = delivery
            }
        }
        changes = SubscriptionChanges(cursor: cursor)
    }

    /// True while events were stored that were not looked at yet: until then nothing may be given out or taken back.
    package var isRestoring: Bool { !stored.isEmpty || next < storedEnd }
    /// Events before the cursor that were stored: dead letters that are given out again. ``retry(_:)`` them first.
    package var storedBeforeCursor: [UInt64] { stored.keys.filter { $0 < cursor }.sorted() }
    /// How many more events may be remembered.
    package var room: Int { max(0, limits.windowMax - entries.count) }
    /// How many events may be given out now, at most.
    package var leaseMax: Int { max(0, limits.inFlightMax - inFlightCount) }
    /// When something happens by itself.
    package var nextTime: Int64? { timers.first?.time }
}

// MARK: - What comes in

extension SubscriptionState {
    /// Takes the wanted events of the changes from ``next`` on, and goes behind them.
    package mutating func look(at events: [OrderedEvent], before offset: UInt64) {
        for event in events where event.offset >= next { add(event) }
        // What was stored and is not among the events is not wanted any more.
        if !stored.isEmpty {
            for gone in stored.keys where (next..<max(next, offset)).contains(gone) {
                stored[gone] = nil
                touched.insert(gone)
            }
        }
        next = max(next, offset)
        moveCursor()
    }

    /// Gives out a dead letter again, from the beginning: behind the events of its key that are known by now.
    package mutating func retry(_ event: OrderedEvent) {
        let isStored = stored[event.offset] != nil
        guard dead.removeValue(forKey: event.offset) != nil || isStored else { return }
        add(event, isBehind: false)
        if !isStored { touched.insert(event.offset) }
    }

    /// Forgets what was stored of an event that nobody wants any more.
    package mutating func forget(_ offset: UInt64) {
        if stored.removeValue(forKey: offset) != nil { touched.insert(offset) }
    }

    /// Makes the change at ``next`` a dead letter that was never given out, because there is no event of it. False when
    /// there are too many dead letters.
    package mutating func bury(_ offset: UInt64) -> Bool {
        guard offset == next else { return false }
        if dead[offset] == nil {
            guard dead.count < Self.deadMax else { return false }
            dead[offset] = 0
            touched.insert(offset)
        }
        look(at: [], before: offset + 1)
        return true
    }

    /// Forgets a dead letter for good.
    package mutating func discard(_ offset: UInt64) {
        if dead.removeValue(forKey: offset) != nil { touched.insert(offset) }
    }

    private mutating func add(_ event: OrderedEvent, isBehind: Bool = true) {
        var entry = Entry()
        if dead[event.offset] != nil { entry.phase = .settled }
        if let known = stored.removeValue(forKey: event.offset) {
            entry.deliveryCount = known.deliveryCount
            switch known.phase {
            case .settled: entry.phase = .settled
            case .inFlight:
                entry.phase = .inFlight(until: known.until)
                inFlightCount += 1
            case .resting, .dead: entry.phase = .resting(until: known.until)
            }
        }
        if isBehind { queue.append(event.offset) }
        entries[event.offset] = entry
        if entry.phase == .settled { return }
        order.add(event)
        switch entry.phase {
        case .inFlight(let until), .resting(let until): setTimer(until, of: event.offset)
        case .idle, .settled: offer(event.offset, isNew: true)
        }
    }

    /// What was in flight or rested until now comes back.
    package mutating func advance(to now: Int64) {
        while let first = timers.first, first.time <= now {
            guard let due = timers.removeFirst() else { return }
            switch entries[due.offset]?.phase {
            case .inFlight(let until) where until == due.time:
                inFlightCount -= 1
                changes.expiredCount += 1
                giveUpOr(due.offset) { $0.offer(due.offset) }
            case .resting(let until) where until == due.time: offer(due.offset)
            default: break
            }
        }
    }

    /// An event is due at a time. What was set for it before stays until then, or until there is too much of that.
    private mutating func setTimer(_ time: Int64, of offset: UInt64) {
        timers.insert(.init(time: time, offset: offset))
        guard timers.count > 64 + 4 * entries.count else { return }
        timers = OffsetHeap(
            entries.compactMap { offset, entry in
                switch entry.phase {
                case .inFlight(let until), .resting(let until): OffsetHeap.Item(time: until, offset: offset)
                case .idle, .settled: nil
                }
            })
    }

    /// How many timers are set.
    var timerCount: Int { timers.count }

    /// Puts an event aside when it was given out too often, or does something else with it.
    private mutating func giveUpOr(_ offset: UInt64, _ other: (inout SubscriptionState) -> Void) {
        let count = entries[offset]?.deliveryCount ?? 0
        guard limits.deliveryMax > 0, count >= limits.deliveryMax, dead.count < Self.deadMax else {
            return other(&self)
        }
        dead[offset] = count
        leave(offset)
    }

    /// With more dead letters than this, no event becomes one: it is given out again and again.
    static let deadMax = 10_000

    /// An event is ready as soon as no other is before it.
    private mutating func offer(_ offset: UInt64, isNew: Bool = false) {
        entries[offset]?.phase = .idle
        if !isNew { touched.insert(offset) }
        if order.isFree(offset) { ready.insert(.init(time: 0, offset: offset)) }
    }
}

// MARK: - What goes out, and comes back

extension SubscriptionState {
    /// Gives out events, at most so many. To be stored before any consumer sees them.
    package mutating func lease(_ countMax: Int, now: Int64) -> [Lease] {
        if isRestoring { return [] }
        advance(to: now)
        var leases: [Lease] = []
        while leases.count < countMax, leaseMax > 0, let item = ready.removeFirst() {
            guard var entry = entries[item.offset], entry.phase == .idle, order.isFree(item.offset) else { continue }
            entry.deliveryCount += 1
            let until = now + limits.ackTime
            entry.phase = .inFlight(until: until)
            entries[item.offset] = entry
            setTimer(until, of: item.offset)
            inFlightCount += 1
            changes.deliveredCount += 1
            touched.insert(item.offset)
            leases.append(Lease(offset: item.offset, delivery: entry.deliveryCount))
        }
        return leases
    }

    /// Takes back what no consumer has seen, as if it had never been given out.
    package mutating func withdraw(_ leases: [Lease]) {
        for lease in leases {
            guard let entry = entries[lease.offset], case .inFlight = entry.phase,
                entry.deliveryCount == lease.delivery
            else { continue }
            entries[lease.offset]?.deliveryCount -= 1
            inFlightCount -= 1
            changes.deliveredCount -= 1
            offer(lease.offset)
        }
    }

    /// A consumer is done with an event. Also when its time is over, as long as nobody else got the event.
    package mutating func acknowledge(_ lease: Lease) -> Outcome {
        switch find(lease) {
        case .settled: return .done
        case .none: return .stale
        case .inFlight: inFlightCount -= 1
        case .idle, .resting: break
        }
        changes.acknowledgedCount += 1
        leave(lease.offset)
        return .done
    }

    /// A consumer hands an event back; it is given out again after `delay` microseconds, unless that was too often.
    package mutating func reject(_ lease: Lease, delay: Int64, now: Int64) -> Outcome {
        guard case .inFlight = find(lease) else { return .stale }
        inFlightCount -= 1
        changes.rejectedCount += 1
        giveUpOr(lease.offset) { state in
            guard delay > 0 else { return state.offer(lease.offset) }
            state.entries[lease.offset]?.phase = .resting(until: now + delay)
            state.touched.insert(lease.offset)
            state.setTimer(now + delay, of: lease.offset)
        }
        return .done
    }

    /// A consumer needs more time: so many microseconds from now on.
    package mutating func extend(_ lease: Lease, by time: Int64, now: Int64) -> Outcome {
        guard case .inFlight = find(lease) else { return .stale }
        entries[lease.offset]?.phase = .inFlight(until: now + time)
        touched.insert(lease.offset)
        setTimer(now + time, of: lease.offset)
        return .done
    }

    /// Where the event of a lease stands; nil when the lease is no more, or was none.
    private func find(_ lease: Lease) -> Phase? {
        if dead[lease.offset] != nil { return nil }
        guard let entry = entries[lease.offset] else {
            // Everything before the cursor that was ever given out is settled.
            return lease.offset < cursor ? .settled : nil
        }
        if entry.phase == .settled { return .settled }
        return entry.deliveryCount == lease.delivery ? entry.phase : nil
    }

    /// Nobody gets the event any more.
    private mutating func leave(_ offset: UInt64) {
        entries[offset]?.phase = .settled
        touched.insert(offset)
        for freed in order.remove(offset) where entries[freed]?.phase == .idle {
            ready.insert(.init(time: 0, offset: freed))
        }
        if offset < cursor { entries[offset] = nil }
        moveCursor()
    }

    private mutating func moveCursor() {
        while head < queue.count, entries[queue[head]]?.phase ?? .settled == .settled {
            entries[queue[head]] = nil
            head += 1
        }
        if head > 256, head > queue.count / 2 {
            queue.removeFirst(head)
            head = 0
        }
        cursor = max(cursor, head < queue.count ? queue[head] : next)
    }
}

// MARK: - What is to be stored

extension SubscriptionState {
    /// What changed since the last call; nil when nothing did.
    package mutating func takeChanges() -> SubscriptionChanges? {
        var taken = changes
        for offset in touched.sorted() {
            if let count = dead[offset] {
                taken.deliveries.append(.init(offset: offset, phase: .dead, deliveryCount: count, until: 0))
            } else if let entry = entries[offset] {
                taken.deliveries.append(Self.delivery(entry, at: offset))
            } else {
                taken.removed.append(offset)
            }
        }
        taken.cursor = cursor
        let isChanged = taken != changes
        changes = SubscriptionChanges(cursor: cursor)
        touched.removeAll()
        return isChanged ? taken : nil
    }

    /// How far the cursor is ahead of what was stored.
    package var unstoredCount: UInt64 { cursor - min(cursor, changes.cursor) }
    /// True when something happened to an event since the last changes were taken.
    package var hasTouched: Bool { !touched.isEmpty }

    private static func delivery(_ entry: Entry, at offset: UInt64) -> StoredDelivery {
        var result = StoredDelivery(offset: offset, phase: .resting, deliveryCount: entry.deliveryCount, until: 0)
        switch entry.phase {
        case .idle: break
        case .resting(let until): result.until = until
        case .inFlight(let until): (result.phase, result.until) = (.inFlight, until)
        case .settled: result.phase = .settled
        }
        return result
    }
}
