private import Synchronization

/// How many bytes of batches, and of events made of them, all readers may hold together.
///
/// Who wants more than is left waits in line: first come, first served. While somebody waits, those who have had theirs
/// for long enough are asked to let go, so that no slow reader keeps the others from reading on. Whoever is alone may
/// hold more than there is room for: nothing is too large to be read.
///
/// Who waits sleeps until it is its turn (``turn(of:until:)``): whoever gives back, leaves the line or is away for too
/// long wakes the next one.
final class StreamRoom: Sendable {
    /// A place in the line, and later the right to hold bytes.
    struct Ticket: Sendable, Hashable {
        fileprivate let number: UInt64
    }

    private let state: Mutex<RoomState>
    /// How long each has what it got at least, while others wait.
    let slice: Duration

    /// What takes no more than this is held without asking.
    static let freeBytes = 1 << 20

    /// Room for so many bytes. Each has what it got for a `slice` of time at least. Nobody is held up by one in the
    /// line who neither sleeps nor asked for longer than `absence`; it keeps its place.
    init(
        bytesMax: Int = 128 << 20, slice: Duration = .milliseconds(500), absence: Duration = .seconds(1)
    ) {
        state = Mutex(RoomState(bytesMax: bytesMax, absence: absence))
        self.slice = slice
    }

    deinit { state.withLock { $0.timer?.task.cancel() } }

    /// How many bytes are held.
    var byteCount: Int { state.withLock { $0.byteCount } }

    /// True while somebody waits in line.
    var isAwaited: Bool { state.withLock { !$0.line.isEmpty } }

    /// How many of those in line sleep.
    var sleeperCount: Int { state.withLock { $0.line.count { $0.sleeper != nil } } }

    /// A ticket that nobody has.
    func ticket() -> Ticket {
        state.withLock { state in
            state.lastNumber += 1
            return Ticket(number: state.lastNumber)
        }
    }

    /// True when the owner of a ticket may hold so many bytes from now on. False when it is to wait for its turn and
    /// ask again; it stands in line then. `letGo` is called when somebody else waits and it had its time, and again
    /// as long as it does not.
    func take(_ byteCount: Int, for ticket: Ticket, letGo: @escaping @Sendable () -> Void) -> Bool {
        change { state, now in
            let place = state.stand(ticket, byteCount, now)
            guard state.first(now) == place, state.fits(byteCount) else { return false }
            state.leave(ticket)
            state.hold(byteCount, ticket, until: now + slice, letGo)
            return true
        }
    }

    /// Returns when it seems to be the turn of a ticket that stands in line, when `deadline` has passed, or when the
    /// task is cancelled, which gives up the place in line.
    func turn(of ticket: Ticket, until deadline: ContinuousClock.Instant) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // Looked at under the lock, which whoever cancels takes only afterwards: so one of both sees the other.
                change { state, _ in
                    if Task.isCancelled { state.leave(ticket) }
                    state.sleep(ticket, RoomSleeper(continuation: continuation, deadline: deadline))
                }
            }
        } onCancel: {
            change { state, _ in state.leave(ticket) }
        }
    }

    /// The owner of a ticket holds so many bytes, whether there is room or not, and needs them for so long.
    func hold(
        _ byteCount: Int, for ticket: Ticket, time: Duration, letGo: @escaping @Sendable () -> Void
    ) {
        change { state, now in
            state.leave(ticket)
            state.hold(byteCount, ticket, until: now + time, letGo)
        }
    }

    /// The owner of a ticket holds nothing more, or wants nothing more.
    func giveBack(_ ticket: Ticket) {
        change { state, _ in
            state.leave(ticket)
            state.giveBack(ticket)
        }
    }

    /// How long a client may take over what cannot be made again while others wait: it is cut off behind that.
    static func time(for byteCount: Int, patience: Duration) -> Duration {
        patience + .milliseconds(byteCount / 1024)
    }

    /// Changes the state, and then calls and wakes everybody whom that concerns: outside of the lock, because they may
    /// come back at once.
    private func change<Value: Sendable>(
        _ body: (inout RoomState, ContinuousClock.Instant) -> Value
    ) -> Value {
        let (value, calls, woken) = state.withLock { state in
            let now = ContinuousClock.now
            let value = body(&state, now)
            state.settle(now)
            arm(&state, now)
            let calls = state.takeCalls()
            return (value, calls.letGo, calls.woken)
        }
        for letGo in calls { letGo() }
        for continuation in woken { continuation.resume() }
        return value
    }

    /// Sets the one timer for when something changes by time alone. One that is too early is left as it is.
    private func arm(_ state: inout RoomState, _ now: ContinuousClock.Instant) {
        guard let due = state.nextTime(now) else { return }
        if let timer = state.timer, timer.instant <= due { return }
        state.timer?.task.cancel()
        let task = Task { [weak self] in
            do { try await Task.sleep(until: due, clock: .continuous) } catch { return }
            self?.change { state, _ in
                if state.timer?.instant == due { state.timer = nil }
            }
        }
        state.timer = RoomState.Timer(instant: due, task: task)
    }
}

/// One in the line that sleeps. Taken out of the line by whoever wakes it: so it is woken once.
struct RoomSleeper {
    /// What it waits in.
    let continuation: CheckedContinuation<Void, Never>
    /// When it wakes in any case.
    let deadline: ContinuousClock.Instant
}
