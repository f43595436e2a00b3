private import ByteKit
internal import ConnectorKit
private import Synchronization

/// What the pipeline's task and the courier's thread tell each other.
///
/// The task puts batches in and waits; the courier takes them out and says how far it is. The courier never waits here.
final class Mailbox: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// A batch as the courier gets it.
    struct Letter {
        var parcel: Parcel
        /// How many rejections were named in receipts before it was put in.
        var namedRejections: Int
    }

    /// What the courier finds.
    struct Orders {
        var letters: [Letter] = []
        var isClosed = false
        /// When somebody wants an answer at the latest.
        var deadline: Instant?
        /// The number of the first record that the cursor may not cover yet; nil when everything is waited for.
        var knownNumber: Int?
    }

    /// How far the courier is.
    struct Progress: Equatable {
        var durableBefore: UInt64
        /// Records and bytes from the first one that is not done.
        var recordCount = 0
        var byteCount = 0
        /// The number of the first one.
        var firstNumber = 0
    }

    /// What a write waits for.
    enum Wish {
        /// That another batch may come; or news.
        case room
        /// That half of the window is delivered, or all, or that there is room again.
        case news
        /// That everything is delivered.
        case all
    }

    private struct Waiter {
        var continuation: CheckedContinuation<Void, Never>
        var wish: Wish
        var deadline: Instant?
    }

    private struct State {
        var letters: [Letter] = []
        /// Records and bytes that are in letters.
        var recordCount = 0
        var byteCount = 0
        /// Log offset behind everything that was put in.
        var putBefore: UInt64
        var progress: Progress
        var rejected: [RejectedRecord] = []
        var namedRejections = 0
        /// The first record that is not delivered by the last receipt, and by the one before, which the pipeline has
        /// dealt with.
        var receiptNumber = 0
        var knownNumber = 0
        /// True when the last receipt said that there is no room.
        var saidFull = false
        var failure: ConnectorFailure?
        var waiter: Waiter?
        var isClosed = false
        var hasEnded = false
        var endWaiters: [CheckedContinuation<Void, Never>] = []
        /// Ends the courier's wait.
        var waker: Waker?

        /// The offset alone does not say it: records that were set aside come again at an offset that is passed.
        var isDone: Bool { progress.durableBefore >= putBefore && recordCount == 0 && progress.recordCount == 0 }
    }

    private let state: Mutex<State>
    private let recordsMax: Int
    private let bytesMax: Int

    /// A mailbox for a courier whose first record will be the one at `offset`.
    init(at offset: UInt64, recordsMax: Int, bytesMax: Int) {
        state = Mutex(State(putBefore: offset, progress: Progress(durableBefore: offset)))
        self.recordsMax = recordsMax
        self.bytesMax = bytesMax
    }

    // MARK: The pipeline's side

    /// Hands a batch to the courier.
    func put(_ parcel: Parcel) {
        let batch = parcel.batch
        state.withLock { state in
            state.putBefore = max(state.putBefore, batch.nextOffset)
            // The pipeline calls again once it has moved the cursor.
            state.knownNumber = state.receiptNumber
            state.letters.append(Letter(parcel: parcel, namedRejections: state.namedRejections))
            state.recordCount += batch.records.count
            state.byteCount += batch.records.isEmpty ? 0 : batch.body.count
            wake(&state)
        }
    }

    /// Waits for something. A failure, the deadline and cancellation end it too.
    func wait(for wish: Wish, until deadline: Instant?) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    let waiter = Waiter(continuation: continuation, wish: wish, deadline: deadline)
                    if ends(waiter, state, ContinuousClock.now) || Task.isCancelled { return true }
                    state.waiter = waiter
                    wake(&state)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiter.take() }?.continuation.resume()
        }
    }

    /// True when everything that was put in is delivered.
    var isDone: Bool { state.withLock { $0.isDone } }

    /// How far everything is delivered, with the rejections that no receipt has named. Throws what made the courier
    /// stop.
    func receipt() throws(ConnectorFailure) -> DeliveryReceipt {
        let result = state.withLock { state -> Result<DeliveryReceipt, ConnectorFailure> in
            if let failure = state.failure { return .failure(failure) }
            let rejected = state.rejected
            state.rejected = []
            state.namedRejections += rejected.count
            state.receiptNumber = state.progress.firstNumber
            state.saidFull = !hasRoom(state)
            var receipt = DeliveryReceipt.durable(before: state.progress.durableBefore, rejected: rejected)
            receipt.isFull = state.saidFull
            return .success(receipt)
        }
        return try result.get()
    }

    /// Has the courier end, without waiting for it.
    func abandon() {
        state.withLock { state in
            state.isClosed = true
            state.letters = []
            wake(&state)
        }
    }

    /// Has the courier end, and waits until it has.
    func close() async {
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                state.isClosed = true
                state.letters = []
                if state.hasEnded { return true }
                state.endWaiters.append(continuation)
                wake(&state)
                return false
            }
            if hasEnded { continuation.resume() }
        }
    }

    // MARK: The courier's side

    /// Says how the courier is woken.
    func begins(_ waker: Waker) { state.withLock { $0.waker = waker } }

    /// What is to be done.
    func collect() -> Orders {
        state.withLock { state in
            let orders = Orders(
                letters: state.letters, isClosed: state.isClosed, deadline: state.waiter?.deadline,
                knownNumber: state.waiter?.wish == .all ? nil : state.knownNumber)
            state.letters = []
            state.recordCount = 0
            state.byteCount = 0
            // Until it says how far it is, what it took counts.
            for letter in orders.letters {
                state.progress.recordCount += letter.parcel.batch.records.count
                state.progress.byteCount += letter.parcel.batch.records.isEmpty ? 0 : letter.parcel.batch.body.count
            }
            return orders
        }
    }

    /// Says how far the courier is, and wakes whoever waited for that. `rejected` lie before `progress`.
    func publish(_ progress: Progress, rejected: [RejectedRecord], at now: Instant) {
        let waiter = state.withLock { state -> Waiter? in
            state.progress = progress
            state.rejected += rejected
            guard let waiter = state.waiter, ends(waiter, state, now) else { return nil }
            state.waiter = nil
            return waiter
        }
        waiter?.continuation.resume()
    }

    /// Says that the courier cannot go on.
    func fail(_ failure: ConnectorFailure) {
        let waiter = state.withLock { state -> Waiter? in
            state.failure = state.failure ?? failure
            return state.waiter.take()
        }
        waiter?.continuation.resume()
    }

    /// Says that the courier's thread is at its end.
    func end() {
        let waiters = state.withLock { state in
            state.hasEnded = true
            defer { state.endWaiters = [] }
            return state.endWaiters + (state.waiter.take().map { [$0.continuation] } ?? [])
        }
        for waiter in waiters { waiter.resume() }
    }

    private func ends(_ waiter: Waiter, _ state: State, _ now: Instant) -> Bool {
        if state.failure != nil || state.isClosed || state.hasEnded { return true }
        if let deadline = waiter.deadline, now >= deadline { return true }
        let hasNews = state.progress.firstNumber - state.receiptNumber >= max(recordsMax / 2, 1)
        switch waiter.wish {
        case .room: return hasNews || hasRoom(state)
        case .news: return hasNews || state.isDone || (state.saidFull && hasRoom(state))
        case .all: return state.isDone
        }
    }

    private func hasRoom(_ state: State) -> Bool {
        state.progress.recordCount + state.recordCount < recordsMax
            && state.progress.byteCount + state.byteCount < bytesMax
    }

    private func wake(_ state: inout State) { state.waker?.wake() }
}
