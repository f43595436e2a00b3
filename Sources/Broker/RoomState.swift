/// Who holds room and who stands in line for it; see ``StreamRoom``, under whose lock it is.
struct RoomState {
    typealias Ticket = StreamRoom.Ticket
    typealias Instant = ContinuousClock.Instant

    /// Looks again at a time.
    struct Timer {
        var instant: Instant
        var task: Task<Void, Never>
    }

    /// What is to be done once the lock is open.
    struct Calls {
        var letGo: [@Sendable () -> Void] = []
        var woken: [CheckedContinuation<Void, Never>] = []
    }

    private struct Holder {
        var byteCount: Int
        /// From when on it is asked to let go when somebody waits.
        var until: Instant
        var letGo: @Sendable () -> Void
    }

    /// One in the line.
    struct Waiter {
        let ticket: Ticket
        /// How much it wants.
        var byteCount: Int
        /// When it last asked, or was woken.
        var seenAt: Instant
        /// There while it sleeps.
        var sleeper: RoomSleeper?
    }

    var lastNumber: UInt64 = 0
    var timer: Timer?
    private(set) var byteCount = 0
    private(set) var line: [Waiter] = []
    private var holders: [Ticket: Holder] = [:]
    private var calls = Calls()
    private let bytesMax: Int
    private let absence: Duration

    /// After how long one that holds on is asked again.
    private static let askAgain = Duration.milliseconds(250)

    init(bytesMax: Int, absence: Duration) {
        self.bytesMax = bytesMax
        self.absence = absence
    }

    /// True when so many bytes may be held.
    func fits(_ wanted: Int) -> Bool { byteCount == 0 || byteCount + wanted <= bytesMax }

    /// The place of the first one in line who is there: who sleeps, or was seen lately.
    func first(_ now: Instant) -> Int? {
        line.firstIndex { $0.sleeper != nil || now - $0.seenAt <= absence }
    }

    /// Someone asks: behind all others, unless it has a place already. Gives the place.
    mutating func stand(_ ticket: Ticket, _ byteCount: Int, _ now: Instant) -> Int {
        if let place = line.firstIndex(where: { $0.ticket == ticket }) {
            line[place].seenAt = now
            line[place].byteCount = byteCount
            return place
        }
        line.append(Waiter(ticket: ticket, byteCount: byteCount, seenAt: now))
        return line.count - 1
    }

    /// Someone sleeps in its place; without one, it is woken at once.
    mutating func sleep(_ ticket: Ticket, _ sleeper: RoomSleeper) {
        guard let place = line.firstIndex(where: { $0.ticket == ticket }) else {
            calls.woken.append(sleeper.continuation)
            return
        }
        if let former = line[place].sleeper { calls.woken.append(former.continuation) }
        line[place].sleeper = sleeper
    }

    /// Someone gives up its place, and is woken when it slept there.
    mutating func leave(_ ticket: Ticket) {
        guard let place = line.firstIndex(where: { $0.ticket == ticket }) else { return }
        if let sleeper = line.remove(at: place).sleeper { calls.woken.append(sleeper.continuation) }
    }

    /// Someone holds so many bytes, instead of what it held.
    mutating func hold(_ byteCount: Int, _ ticket: Ticket, until: Instant, _ letGo: @escaping @Sendable () -> Void) {
        giveBack(ticket)
        self.byteCount += byteCount
        holders[ticket] = Holder(byteCount: byteCount, until: until, letGo: letGo)
    }

    /// Someone holds nothing.
    mutating func giveBack(_ ticket: Ticket) {
        byteCount -= holders.removeValue(forKey: ticket)?.byteCount ?? 0
    }

    /// Wakes the one whose turn it is, and those whose time is over, and asks those who had their time when there is no
    /// room for the first one. One is woken at a time: what is left behind it shows when it has taken its part.
    mutating func settle(_ now: Instant) {
        for place in line.indices where line[place].sleeper.map({ $0.deadline <= now }) ?? false { wake(place, now) }
        guard let place = first(now) else { return }
        if fits(line[place].byteCount) {
            wake(place, now)
        } else {
            for (ticket, holder) in holders where holder.until <= now {
                calls.letGo.append(holder.letGo)
                holders[ticket]?.until = now + Self.askAgain
            }
        }
    }

    private mutating func wake(_ place: Int, _ now: Instant) {
        guard let sleeper = line[place].sleeper else { return }
        line[place].sleeper = nil
        line[place].seenAt = now
        calls.woken.append(sleeper.continuation)
    }

    /// When to ``settle(_:)`` again although nobody came; nil while nobody sleeps.
    func nextTime(_ now: Instant) -> Instant? {
        guard var next = line.compactMap({ $0.sleeper?.deadline }).min() else { return nil }
        guard let place = first(now) else { return next }
        // One that is awake and does not ask is passed over then.
        if line[place].sleeper == nil { next = min(next, line[place].seenAt + absence + .milliseconds(1)) }
        if !fits(line[place].byteCount), let until = holders.values.map(\.until).min() { next = min(next, until) }
        return next
    }

    /// What is to be done now.
    mutating func takeCalls() -> Calls {
        defer { calls = Calls() }
        return calls
    }
}
