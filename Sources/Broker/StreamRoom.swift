private import Synchronization

/// How many bytes of batches, and of events made of them, all readers may hold together.
///
/// Who wants more than is left waits in line: first come, first served. While somebody waits, those who have had theirs
/// for long enough are asked to let go, so that no slow reader keeps the others from reading on. Whoever is alone may
/// hold more than there is room for: nothing is too large to be read.
final class StreamRoom: Sendable {
    /// A place in the line, and later the right to hold bytes.
    struct Ticket: Sendable, Hashable {
        fileprivate let number: UInt64
    }

    private struct Holder {
        var byteCount: Int
        /// From when on it is asked to let go when somebody waits.
        var until: ContinuousClock.Instant
        var letGo: @Sendable () -> Void
    }

    private struct Waiter {
        var ticket: Ticket
        var askedAt: ContinuousClock.Instant
    }

    private struct State {
        var byteCount = 0
        var holders: [Ticket: Holder] = [:]
        var line: [Waiter] = []
        var lastNumber: UInt64 = 0
    }

    private let state = Mutex(State())
    private let bytesMax: Int
    /// How long each has what it got at least, while others wait.
    let slice: Duration

    /// What takes no more than this is held without asking.
    static let freeBytes = 1 << 20
    /// How often those in line ask.
    static let interval = Duration.milliseconds(20)
    private let absence: Duration

    /// Room for so many bytes. Each has what it got for a `slice` of time at least. Nobody is held up by one in the
    /// line who did not ask for longer than `absence`; it keeps its place.
    init(
        bytesMax: Int = 128 << 20, slice: Duration = .milliseconds(500), absence: Duration = .seconds(1)
    ) {
        self.bytesMax = bytesMax
        self.slice = slice
        self.absence = absence
    }

    /// How many bytes are held.
    var byteCount: Int { state.withLock { $0.byteCount } }

    /// True while somebody waits in line.
    var isAwaited: Bool { state.withLock { !$0.line.isEmpty } }

    /// A ticket that nobody has.
    func ticket() -> Ticket {
        state.withLock { state in
            state.lastNumber += 1
            return Ticket(number: state.lastNumber)
        }
    }

    /// True when the owner of a ticket may hold so many bytes from now on. False when it is to ask again soon; it
    /// stands in line then. `letGo` is called when somebody else waits and it had its time.
    func take(_ byteCount: Int, for ticket: Ticket, letGo: @escaping @Sendable () -> Void) -> Bool {
        let (isGranted, asked) = state.withLock { state -> (Bool, [@Sendable () -> Void]) in
            let now = ContinuousClock.now
            if let place = state.line.firstIndex(where: { $0.ticket == ticket }) {
                state.line[place].askedAt = now
            } else {
                state.line.append(Waiter(ticket: ticket, askedAt: now))
            }
            guard state.line.first(where: { now - $0.askedAt <= absence })?.ticket == ticket else {
                return (false, [])
            }
            guard state.byteCount == 0 || state.byteCount + byteCount <= bytesMax else {
                return (false, state.holders.values.filter { $0.until <= now }.map(\.letGo))
            }
            state.line.removeAll { $0.ticket == ticket }
            state.holders[ticket] = Holder(byteCount: byteCount, until: now + slice, letGo: letGo)
            state.byteCount += byteCount
            return (true, [])
        }
        for letGo in asked { letGo() }
        return isGranted
    }

    /// The owner of a ticket holds so many bytes, whether there is room or not, and needs them for so long.
    func hold(
        _ byteCount: Int, for ticket: Ticket, time: Duration, letGo: @escaping @Sendable () -> Void
    ) {
        state.withLock { state in
            state.line.removeAll { $0.ticket == ticket }
            state.byteCount += byteCount - (state.holders[ticket]?.byteCount ?? 0)
            state.holders[ticket] = Holder(byteCount: byteCount, until: .now + time, letGo: letGo)
        }
    }

    /// The owner of a ticket holds nothing more, or wants nothing more.
    func giveBack(_ ticket: Ticket) {
        state.withLock { state in
            state.line.removeAll { $0.ticket == ticket }
            state.byteCount -= state.holders.removeValue(forKey: ticket)?.byteCount ?? 0
        }
    }

    /// How long a client may take over what cannot be made again while others wait: it is cut off behind that.
    static func time(for byteCount: Int, patience: Duration) -> Duration {
        patience + .milliseconds(byteCount / 1024)
    }
}
