internal import ChangeModel
internal import ConnectorKit
internal import Synchronization

/// Sealed batches on their way from the stream's thread to the pipeline's task, and wishes on their way back.
///
/// It holds a few batches and no more: while it is full the thread does not read. The one task that takes may wait; the
/// thread never does.
final class BatchMailbox: Sendable {
    /// How many batches may wait.
    static let roomMax = 2

    private typealias Answer = Result<ChangeBatch, ConnectorFailure>

    private struct State {
        var batches: [ChangeBatch] = []
        /// Covers everything that was read, once ``batches`` are taken.
        var newest: SourceCheckpoint
        var failure: ConnectorFailure?
        var waiter: CheckedContinuation<Answer, Never>?
        var deadline: ContinuousClock.Instant?
        /// True when the thread stopped reading for want of room.
        var wantsRoom = false
        /// True when the thread does not read because it waits for rows of a snapshot.
        var isHeldUp = false
        var isClosing = false
        var isCancelled = false
        /// When the thread looks here next by itself; nil while it is awake.
        var sleepsUntil: ContinuousClock.Instant?
        /// What the thread is to write into the checkpoint's notes.
        var publication: PublicationMemory?
    }

    private let state: Mutex<State>
    private let acknowledged: Atomic<UInt64>
    /// Reads of the stream so far.
    private let reads = Atomic<UInt64>(0)
    private let wakeUp: WakeUp

    init(newest: SourceCheckpoint, wakeUp: WakeUp) {
        state = Mutex(State(newest: newest))
        acknowledged = Atomic(0)
        self.wakeUp = wakeUp
    }
}

// MARK: - The pipeline's side

extension BatchMailbox {
    /// The next batch; an empty one with the newest checkpoint at `deadline` or when the task is cancelled.
    func next(until deadline: ContinuousClock.Instant) async throws(ConnectorFailure) -> ChangeBatch {
        if let answer = state.withLock({ takeNow(&$0) }) { return try answer.get() }
        let answer = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in wait(continuation, until: deadline) }
        } onCancel: {
            resumeWaiter { state in state.isCancelled = true }
        }
        return try answer.get()
    }

    /// Takes note of what is durable; the thread is woken only if it would sleep for longer than a tenth of a second.
    func acknowledge(_ position: UInt64) {
        guard acknowledged.max(position, ordering: .sequentiallyConsistent).oldValue < position else { return }
        wake(if: { $0 > .now + .milliseconds(100) })
    }

    /// Asks the thread to end.
    func close() {
        state.withLock { $0.isClosing = true }
        wakeUp.wake()
    }

    private func takeNow(_ state: inout State) -> Answer? {
        if !state.batches.isEmpty {
            let batch = state.batches.removeFirst()
            if state.wantsRoom {
                state.wantsRoom = false
                wakeUp.wake()
            }
            return .success(batch)
        }
        if let failure = state.failure { return .failure(failure) }
        return nil
    }

    private func wait(_ continuation: CheckedContinuation<Answer, Never>, until deadline: ContinuousClock.Instant) {
        let answer = state.withLock { state -> Answer? in
            if let answer = takeNow(&state) { return answer }
            if state.isCancelled || deadline <= .now {
                state.isCancelled = false
                return emptyBatch(state)
            }
            state.waiter = continuation
            state.deadline = deadline
            return nil
        }
        if let answer { continuation.resume(returning: answer) } else { wake(if: { $0 > deadline }) }
    }

    private func wake(if isTooLate: (ContinuousClock.Instant) -> Bool) {
        let isAsleep = state.withLock { state in state.sleepsUntil.map(isTooLate) ?? false }
        if isAsleep { wakeUp.wake() }
    }

    private func emptyBatch(_ state: borrowing State) -> Answer {
        do throws(ChangeBatchError) {
            return .success(try ChangeBatchBuilder(capacity: 16).seal(checkpoint: state.newest))
        } catch {
            return .failure(PostgresFailure.batchTooLarge())
        }
    }

    /// Changes the state and answers the waiting task, if there is one and something for it.
    private func resumeWaiter(_ change: (inout State) -> Void) {
        let resumed = state.withLock { state -> (CheckedContinuation<Answer, Never>, Answer)? in
            change(&state)
            guard let waiter = state.waiter else { return nil }
            let isDue = state.isCancelled || (state.deadline ?? .now) <= .now
            guard let answer = takeNow(&state) ?? (isDue ? emptyBatch(state) : nil) else { return nil }
            (state.waiter, state.deadline, state.isCancelled) = (nil, nil, false)
            return (waiter, answer)
        }
        if let (waiter, answer) = resumed { waiter.resume(returning: answer) }
    }
}

// MARK: - The side of the watch

extension BatchMailbox {
    /// How the stream is doing.
    struct Pulse {
        /// Everything before it was read.
        var reached: UInt64
        /// Grows with each read.
        var readCount: UInt64
        /// True while the thread does not read because batches wait to be taken.
        var isFull: Bool
        /// True while the thread does not read because rows of a snapshot are to come first.
        var isHeldUp: Bool
    }

    var pulse: Pulse {
        state.withLock { state in
            Pulse(
                reached: state.newest.resume.value, readCount: reads.load(ordering: .relaxed), isFull: state.wantsRoom,
                isHeldUp: state.isHeldUp)
        }
    }

    /// Has the thread write into the notes what is published now.
    func remember(_ publication: PublicationMemory) {
        state.withLock { $0.publication = publication }
        wakeUp.wake()
    }

    /// Ends the stream: the pipeline learns why once it took what waits, and nothing is read any more.
    func end(_ failure: ConnectorFailure) {
        fail(failure)
        wakeUp.wake()
    }
}

// MARK: - The thread's side

extension BatchMailbox {
    /// The highest position that was acknowledged; 0 before the first.
    var acknowledgedPosition: UInt64 { acknowledged.load(ordering: .sequentiallyConsistent) }
    /// True when the thread is to end: it was asked to, or somebody found out that the stream is not whole.
    var isOver: Bool { state.withLock { $0.isClosing || $0.failure != nil } }
    /// Bytes have arrived.
    func didRead() { reads.add(1, ordering: .relaxed) }

    /// What is to go into the notes, once.
    func takePublication() -> PublicationMemory? {
        state.withLock { state in
            defer { state.publication = nil }
            return state.publication
        }
    }

    /// True when a batch fits. When it does not, the thread is woken as soon as one does.
    func hasRoom() -> Bool {
        state.withLock { state in
            state.wantsRoom = state.batches.count >= Self.roomMax
            return !state.wantsRoom
        }
    }

    /// The thread waits for rows of a snapshot, or does no longer.
    func isHeldUp(_ isHeldUp: Bool) { state.withLock { $0.isHeldUp = isHeldUp } }

    /// Hands a batch over; there must be room.
    func deliver(_ batch: ChangeBatch, newest: SourceCheckpoint) {
        resumeWaiter { state in
            state.batches.append(batch)
            state.newest = newest
        }
    }

    /// The stream went on without changes for us. Only when every change that was read is handed over.
    func advance(to newest: SourceCheckpoint) { state.withLock { $0.newest = newest } }

    /// The stream is over; the task learns why after it took what waits.
    func fail(_ failure: ConnectorFailure) {
        resumeWaiter { state in state.failure = state.failure ?? failure }
    }

    /// Answers a task whose deadline has come.
    func serveDeadline() { resumeWaiter { _ in } }

    /// The thread is going to sleep until `instant`, or until the task's deadline if that is earlier; returns which.
    /// Call before looking at wishes for the last time: a wish that comes later wakes the thread.
    func sleeps(until instant: ContinuousClock.Instant) -> ContinuousClock.Instant {
        state.withLock { state in
            let wake = state.deadline.map { min($0, instant) } ?? instant
            state.sleepsUntil = wake
            return wake
        }
    }

    /// The thread is awake.
    func isAwake() { state.withLock { $0.sleepsUntil = nil } }
}
