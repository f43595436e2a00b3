import NIOCore
private import Synchronization

/// All connections of the listener, and what each is doing. When there is no room for another one, the oldest of those
/// on which nothing is asked is closed: so nobody keeps others out by connections that never send a whole request.
final class ConnectionTable: Sendable {
    private struct Entry {
        var channel: any Channel
        var watch: ClientWatch
        /// When it came, or had its last answer: the order of arrival.
        var turn: UInt64
        /// Requests whose answer is not written to its end.
        var openCount = 0
        /// True once a whole request came.
        var isKnown = false
    }

    private struct State {
        var entries: [ObjectIdentifier: Entry] = [:]
        var turn: UInt64 = 0
        var isClosing = false

        mutating func nextTurn() -> UInt64 {
            turn += 1
            return turn
        }

        /// The connection to close when there is no room for another one: the oldest of those on which nothing is
        /// asked, first those that never asked for anything. Nil while there is room.
        func dispensable(besides newest: (any Channel)?, _ countMax: Int) -> (any Channel)? {
            guard entries.count >= countMax else { return nil }
            let waiting = entries.values.filter { $0.openCount == 0 && $0.channel !== newest }
            return waiting.min { ($0.isKnown ? 1 : 0, $0.turn) < ($1.isKnown ? 1 : 0, $1.turn) }?.channel
        }
    }

    private let state = Mutex(State())
    private let countMax: Int

    init(countMax: Int) { self.countMax = countMax }

    /// A connection came.
    func opened(_ channel: any Channel) {
        let dispensable = state.withLock { state -> (any Channel)? in
            let watch = ClientWatch()
            if state.isClosing { watch.leave() }
            state.entries[ObjectIdentifier(channel)] = Entry(channel: channel, watch: watch, turn: state.nextTurn())
            return state.dispensable(besides: channel, countMax)
        }
        dispensable?.close(promise: nil)
    }

    /// A whole head came.
    func asked(_ channel: any Channel) {
        state.withLock { state in
            state.entries[ObjectIdentifier(channel)]?.openCount += 1
            state.entries[ObjectIdentifier(channel)]?.isKnown = true
        }
    }

    /// An answer was written to its end, or cannot be.
    func answered(_ channel: any Channel) {
        let dispensable = state.withLock { state -> (any Channel)? in
            let turn = state.nextTurn()
            guard var entry = state.entries[ObjectIdentifier(channel)] else { return nil }
            entry.openCount = max(0, entry.openCount - 1)
            entry.turn = turn
            state.entries[ObjectIdentifier(channel)] = entry
            return state.dispensable(besides: nil, countMax)
        }
        dispensable?.close(promise: nil)
    }

    /// A connection is gone.
    func closed(_ channel: any Channel) {
        let entry = state.withLock { $0.entries.removeValue(forKey: ObjectIdentifier(channel)) }
        entry?.watch.leave()
    }

    /// The client will send nothing more: nobody waits on its behalf from now on.
    func left(_ channel: any Channel) { watch(of: channel).leave() }

    /// What tells of the client of a connection.
    func watch(of channel: any Channel) -> ClientWatch {
        state.withLock { $0.entries[ObjectIdentifier(channel)]?.watch } ?? .gone
    }

    /// Ends all waiting: streams end, and who waits for events is answered.
    func endWaiting() {
        let watches = state.withLock { state in
            state.isClosing = true
            return state.entries.values.map(\.watch)
        }
        for watch in watches { watch.leave() }
    }
}

/// Whether somebody still waits for an answer. Work on behalf of a client that left is cancelled.
final class ClientWatch: Sendable {
    private struct State {
        var hasLeft = false
        var cancel: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    /// Of a client that is not there any more.
    static let gone = {
        let watch = ClientWatch()
        watch.leave()
        return watch
    }()

    /// The client left: what is done for it is cancelled, now and later.
    func leave() {
        let cancel = state.withLock { state in
            state.hasLeft = true
            return state.cancel.take()
        }
        cancel?()
    }

    /// Does work that is cancelled when the client leaves. One at a time.
    func run<Value: Sendable>(_ work: @escaping @Sendable () async -> Value) async -> Value {
        let task = Task { await work() }
        let hasLeft = state.withLock { state in
            if !state.hasLeft { state.cancel = { task.cancel() } }
            return state.hasLeft
        }
        if hasLeft { task.cancel() }
        let value = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
        state.withLock { $0.cancel = nil }
        return value
    }
}
