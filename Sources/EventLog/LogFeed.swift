import ByteKit
import ChangeModel
import Synchronization

/// The newest batches of the log in memory, and the bell for whoever waits for more.
///
/// The pipeline publishes each batch once sinks may see it; ``LogConsumer`` reads. A consumer that falls behind the
/// ring reads the database, and so never slows the others down. Bulk may wait a moment for those that keep up: see
/// ``makeRoom(for:until:)``.
package final class LogFeed: Sendable {
    private let state: Mutex<State>
    private let bytesMax: Int

    /// A feed of a log whose batches before `nextOffset` may be seen already. The ring holds up to `bytesMax` bytes of
    /// batches (default 8 MiB: three chunks of a snapshot), and the newest batch whatever its size.
    package init(nextOffset: UInt64, bytesMax: Int = 8 << 20) {
        state = Mutex(State(end: nextOffset))
        self.bytesMax = bytesMax
    }

    /// The offset behind the last batch that may be seen.
    package var nextOffset: UInt64 { state.withLock { $0.end } }

    /// The oldest offset that consumers find in memory; the end when there is nothing.
    package var firstOffset: UInt64 { state.withLock { $0.ring.first ?? $0.end } }

    /// How many tasks wait.
    var waiterCount: Int { state.withLock { $0.waiters.count } }

    /// Shows a batch to the consumers and wakes those that wait for it. Batches come in the order of the log; one that
    /// was published before, and one without changes, is ignored.
    package func publish(_ batch: LoggedBatch) {
        let woken = state.withLock { state -> [FeedWaiter] in
            guard batch.nextOffset > state.end else { return [] }
            if batch.firstOffset != state.end { state.ring.removeAll() }
            state.end = batch.nextOffset
            state.ring.append(batch, bytesMax: bytesMax)
            return state.takeReady()
        }
        for waiter in woken { waiter.wake() }
    }

    /// What there is for a consumer that wants `offset` next. Of a follower it is remembered how far it is.
    func look(at offset: UInt64, by follower: FollowerKey? = nil) -> FeedPlace {
        let (place, woken) = state.withLock { state -> (FeedPlace, [FeedWaiter]) in
            let place = state.place(of: offset)
            guard let follower else { return (place, []) }
            state.followers[follower, default: Follower()].offset = offset
            return (place, state.takeReady())
        }
        for waiter in woken { waiter.wake() }
        return place
    }

    /// Returns when `offset` may be read, when `deadline` has passed, or when the task is cancelled.
    package func wait(for offset: UInt64, until deadline: ContinuousClock.Instant) async {
        await wait(for: .offset(offset), until: deadline)
    }

    private func wait(for aim: FeedAim, until deadline: ContinuousClock.Instant) async {
        let waiter = FeedWaiter(aim: aim, deadline: deadline)
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                waiter.begin(continuation)
                if !enlist(waiter) { waiter.wake() }
            }
        } onCancel: {
            waiter.wake()
        }
        state.withLock { state in state.waiters.removeAll { $0 === waiter } }
    }

    /// False when there is nothing to wait for any more.
    private func enlist(_ waiter: FeedWaiter) -> Bool {
        state.withLock { state in
            if state.has(waiter.aim) || waiter.deadline <= .now { return false }
            state.waiters.append(waiter)
            arm(&state)
            return true
        }
    }

    /// Sets the one timer to the earliest deadline. It is left running when its waiter is woken early, because the next
    /// wait usually ends later: so a busy feed sets it about once per deadline, not once per batch.
    private func arm(_ state: inout State) {
        guard let earliest = state.waiters.map(\.deadline).min() else { return }
        if let timer = state.timer, timer.instant <= earliest { return }
        state.timer?.task.cancel()
        let task = Task { [weak self] in
            do { try await Task.sleep(until: earliest, clock: .continuous) } catch { return }
            self?.expire(earliest)
        }
        state.timer = State.Timer(instant: earliest, task: task)
    }

    private func expire(_ instant: ContinuousClock.Instant) {
        let woken = state.withLock { state -> [FeedWaiter] in
            if state.timer?.instant == instant { state.timer = nil }
            let now = ContinuousClock.now
            let due = state.takeWaiters { $0.deadline <= now || $0.deadline <= instant }
            arm(&state)
            return due
        }
        for waiter in woken { waiter.wake() }
    }

    deinit { state.withLock { $0.timer?.task.cancel() } }
}

extension LogFeed {
    /// Begins to look after a consumer, until ``unfollow(_:)``.
    func follow() -> FollowerKey {
        state.withLock { state in
            state.newestKey.number += 1
            return state.newestKey
        }
    }

    /// The consumer reads no more.
    func unfollow(_ key: FollowerKey) {
        let woken = state.withLock { state -> [FeedWaiter] in
            state.followers[key] = nil
            return state.takeReady()
        }
        for waiter in woken { waiter.wake() }
    }

    /// Waits until `batch` may be published without pushing out of the ring what a follower still needs, or until
    /// `deadline`. For one that is far behind, or stands where it was waited for in vain, nobody waits.
    ///
    /// What is pushed out would be read from the disk again, which takes the processor and the disk from everybody.
    package func makeRoom(for batch: LoggedBatch, until deadline: ContinuousClock.Instant) async {
        let needed = state.withLock { state in
            state.ring.firstOffset(leavingRoomFor: batch, bytesMax: bytesMax, end: state.end)
        }
        guard let needed else { return }
        await wait(for: .followers(at: needed), until: deadline)
        state.withLock { state in
            for (key, follower) in state.followers where follower.offset < needed {
                state.followers[key]?.missedAt = follower.offset
            }
        }
    }
}

/// Names a consumer that a feed looks after.
struct FollowerKey: Hashable, Sendable {
    fileprivate var number = 0
}

/// How far a consumer is.
private struct Follower {
    /// What it wanted last.
    var offset: UInt64 = 0
    /// What it wanted when it was last waited for in vain.
    var missedAt: UInt64?
}

/// What a task waits for.
private enum FeedAim {
    /// That the offset may be read.
    case offset(UInt64)
    /// That every follower who is worth waiting for wants this offset or a later one.
    case followers(at: UInt64)
}

/// Where a consumer finds an offset.
enum FeedPlace {
    case inMemory(LoggedBatch)
    case inDatabase
    case ahead
}

private struct State {
    struct Timer {
        var instant: ContinuousClock.Instant
        var task: Task<Void, Never>
    }

    var end: UInt64
    var ring = BatchRing()
    var waiters: [FeedWaiter] = []
    var followers: [FollowerKey: Follower] = [:]
    var newestKey = FollowerKey()
    var timer: Timer?

    init(end: UInt64) { self.end = end }

    func place(of offset: UInt64) -> FeedPlace {
        if offset >= end { return .ahead }
        return ring.batch(containing: offset).map { .inMemory($0) } ?? .inDatabase
    }

    func has(_ aim: FeedAim) -> Bool {
        switch aim {
        case .offset(let offset): offset < end
        case .followers(let offset): followers.values.allSatisfy { $0.offset >= offset || !isWorthWaiting(for: $0) }
        }
    }

    /// True for one that moves and may catch up: what it lacks is not many times what the ring holds.
    private func isWorthWaiting(for follower: Follower) -> Bool {
        guard follower.offset != follower.missedAt, let first = ring.first else { return false }
        return end - min(end, follower.offset) <= 16 * (end - first)
    }

    /// The waiters that have what they wait for.
    mutating func takeReady() -> [FeedWaiter] {
        let ready = waiters.filter { has($0.aim) }
        if !ready.isEmpty { waiters = waiters.filter { !has($0.aim) } }
        return ready
    }

    mutating func takeWaiters(_ isDue: (FeedWaiter) -> Bool) -> [FeedWaiter] {
        let due = waiters.filter(isDue)
        if !due.isEmpty { waiters.removeAll(where: isDue) }
        return due
    }
}

/// Consecutive batches, the oldest first, bounded by bytes.
struct BatchRing {
    private var batches: [LoggedBatch?] = []
    private var head = 0
    private(set) var byteCount = 0
    var count: Int { batches.count - head }

    mutating func append(_ batch: LoggedBatch, bytesMax: Int) {
        batches.append(batch)
        byteCount += Self.size(batch)
        while byteCount > bytesMax, count > 1, let oldest = batches[head] {
            byteCount -= Self.size(oldest)
            batches[head] = nil
            head += 1
        }
        if head > 64, head > batches.count / 2 {
            batches.removeFirst(head)
            head = 0
        }
    }

    /// The oldest offset that is there.
    var first: UInt64? { batches.indices.contains(head) ? batches[head]?.firstOffset : nil }

    /// The first offset that is still in the ring when `batch` comes behind `end`; nil when nothing leaves it for that.
    func firstOffset(leavingRoomFor batch: LoggedBatch, bytesMax: Int, end: UInt64) -> UInt64? {
        var total = byteCount + Self.size(batch)
        guard total > bytesMax, count > 0 else { return nil }
        for kept in batches[head...] {
            guard let kept else { continue }
            if total <= bytesMax { return kept.firstOffset }
            total -= Self.size(kept)
        }
        return end
    }

    mutating func removeAll() { self = BatchRing() }

    /// Binary search by offset.
    func batch(containing offset: UInt64) -> LoggedBatch? {
        var (low, high) = (head, batches.count)
        while low < high {
            let middle = (low + high) / 2
            guard let batch = batches[middle] else { return nil }
            if batch.contains(offset) { return batch }
            if offset < batch.firstOffset { high = middle } else { low = middle + 1 }
        }
        return nil
    }

    /// What a batch holds in memory, with something for the objects around its bytes.
    private static func size(_ batch: LoggedBatch) -> Int { batch.batch.body.count + 512 }
}

/// A task that waits: woken once, by whoever comes first.
private final class FeedWaiter: Sendable {
    private enum Phase {
        case early
        case waiting(CheckedContinuation<Void, Never>)
        case woken
    }

    let aim: FeedAim
    let deadline: ContinuousClock.Instant
    private let phase = Mutex(Phase.early)

    init(aim: FeedAim, deadline: ContinuousClock.Instant) {
        self.aim = aim
        self.deadline = deadline
    }

    /// Keeps the continuation, or resumes it when the wake-up came first.
    func begin(_ continuation: CheckedContinuation<Void, Never>) {
        let isWoken = phase.withLock { phase in
            if case .woken = phase { return true }
            phase = .waiting(continuation)
            return false
        }
        if isWoken { continuation.resume() }
    }

    /// Ends the wait; any number of calls.
    func wake() {
        let continuation = phase.withLock { phase -> CheckedContinuation<Void, Never>? in
            defer { phase = .woken }
            if case .waiting(let continuation) = phase { return continuation }
            return nil
        }
        continuation?.resume()
    }
}
