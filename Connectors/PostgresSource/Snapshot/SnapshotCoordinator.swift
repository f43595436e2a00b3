internal import ByteKit
internal import ConnectorKit
internal import Synchronization

/// What the stream's thread and the workers of a snapshot know together: which tables are left, who reads what, and
/// which chunks wait for their place in the stream.
///
/// The stream's thread alone says when a chunk is final. Nobody waits here: whoever finds nothing to do sleeps on a
/// ``WakeUp`` of its own.
final class SnapshotCoordinator: Sendable {
    /// A chunk between its assignment and its place in the stream.
    struct Flight {
        var chunk: SnapshotChunk
        /// What its transaction sees, as soon as it is known.
        var snapshot: ServerSnapshot?
        /// True when the stream's thread may have it.
        var isReady = false
        /// Of a table that is read whole: true when the stream waits for its rows, and the rows that wait for it.
        var isAccepted = false
        var blocks: [RowBlock] = []
        var isComplete = false
    }

    /// What is known of a table that is not done, beyond the notes.
    struct Live {
        var turn = 0
        var rowLimit = 1000
        var isBusy = false
        var busyParts: Set<Int> = []
        /// The ranges of a keyed table that consumers are still to forget.
        var plan: SnapshotNotes.Reading?
        var isWhole = false
        var owedNumbers: [Int] = []
        var nextOwed = 0
        /// Owed keys that no chunk reads now: such a key need not be owed twice.
        var waitingKeys: Set<[UInt8]> = []
        var areKeysBusy = false
        /// When it may be tried again after a chunk that had to be thrown away.
        var notBefore = ContinuousClock.now
        /// Rows of a table that is read whole.
        var rowCount: UInt64 = 0
        var failuresInARow = 0
        var failingSince: ContinuousClock.Instant?
    }

    struct State {
        var notes: SnapshotNotes
        var live: [UInt32: Live] = [:]
        var flights: [UInt64: Flight] = [:]
        var nextNumber: UInt64 = 1
        /// True while the stream records transactions, so that chunks may be begun.
        var isTracking = false
        /// Which life of the record of transactions this is.
        var epoch = 0
        var isClosing = false
        /// How many rows each table has, as far as the server's statistics know.
        var estimates: [UInt32: UInt64] = [:]
        /// Rows that were read since the session began.
        var rowCount: UInt64 = 0
    }

    let state: Mutex<State>
    let notice: @Sendable (String) -> Void
    /// The wished size of a chunk's rows.
    let chunkBytes: Int
    private let flightsMax: Int
    /// Wakes the stream's thread.
    let streamWakeUp: WakeUp
    private let workerWakeUps: [WakeUp]
    /// Grows with every change that the stream's thread must look at; changed under the lock, read without it.
    private let version = Atomic<Int>(1)

    init(
        notes: SnapshotNotes, estimates: [UInt32: UInt64] = [:], chunkBytes: Int, workers: [WakeUp],
        streamWakeUp: WakeUp, notice: @escaping @Sendable (String) -> Void
    ) {
        self.chunkBytes = chunkBytes
        state = Mutex(State(notes: notes, estimates: estimates))
        workerWakeUps = workers
        flightsMax = workers.count * 2
        self.streamWakeUp = streamWakeUp
        self.notice = notice
    }

    /// Changes the state; the stream's thread is told, and workers too when there may be work.
    @discardableResult
    func change<T>(wakesWorkers: Bool = false, _ body: (inout State) -> T) -> T {
        let result = state.withLock { state in
            defer { version.add(1, ordering: .sequentiallyConsistent) }
            return body(&state)
        }
        streamWakeUp.wake()
        if wakesWorkers { wakeWorkers() }
        return result
    }

    func wakeWorkers() { for wakeUp in workerWakeUps { wakeUp.wake() } }

    /// A number that is another one after every change.
    var currentVersion: Int { version.load(ordering: .sequentiallyConsistent) }
    /// True when the session ends.
    var isClosing: Bool { state.withLock { $0.isClosing } }

    /// Asks everybody to end.
    func close() {
        change(wakesWorkers: true) { $0.isClosing = true }
    }
}

// MARK: - Work

extension SnapshotCoordinator {
    /// What a worker is to do.
    enum Assignment {
        /// Find out how a table can be read.
        case plan(table: UInt32, name: String, turn: Int)
        /// Read a chunk: a part of the key's range, or rows by their keys, or nothing for a clear.
        case read(SnapshotChunk, name: String, part: SnapshotNotes.Part?, keys: [[UInt8]], rowLimit: Int)
    }

    /// At most so many rows are read by their keys in one chunk.
    private static let keysPerChunk = 256

    /// Something to do now; nil when there is nothing.
    func next() -> Assignment? {
        state.withLock { state in
            guard state.isTracking, !state.isClosing, state.flights.count < flightsMax else { return nil }
            for oid in state.notes.unfinished {
                guard let table = state.notes.tables[oid] else { continue }
                let live = state.live[oid] ?? Live()
                guard live.notBefore <= .now else { continue }
                if let assignment = Self.assign(oid, table, live, &state) { return assignment }
            }
            return nil
        }
    }

    private static func assign(
        _ oid: UInt32, _ table: SnapshotNotes.Table, _ live: Live, _ state: inout State
    ) -> Assignment? {
        switch table.stage {
        case .done: return nil
        case .pending:
            if live.isBusy { return nil }
            var busy = live
            busy.isBusy = true
            state.live[oid] = busy
            if live.isWhole { return read(oid, table.name, .whole, live, &state) }
            if live.plan != nil { return read(oid, table.name, .clear, live, &state) }
            return .plan(table: oid, name: table.name, turn: live.turn)
        case .reading(let reading):
            let free = reading.parts.indices.first { !reading.parts[$0].isDone && !live.busyParts.contains($0) }
            let owesMuch = !live.areKeysBusy && reading.owed.count >= keysPerChunk
            if let free, !owesMuch {
                state.live[oid, default: Live()].busyParts.insert(free)
                return read(oid, table.name, .part(free), live, &state, part: reading.parts[free])
            }
            guard owesMuch || reading.parts.allSatisfy(\.isDone), !reading.owed.isEmpty, !live.areKeysBusy else {
                return nil
            }
            let keys = Array(reading.owed.prefix(keysPerChunk))
            state.live[oid]?.areKeysBusy = true
            state.live[oid]?.waitingKeys.subtract(keys)
            return read(oid, table.name, .keys(Array(live.owedNumbers.prefix(keysPerChunk))), live, &state, keys: keys)
        }
    }

    private static func read(
        _ oid: UInt32, _ name: String, _ work: SnapshotChunk.Work, _ live: Live, _ state: inout State,
        part: SnapshotNotes.Part? = nil, keys: [[UInt8]] = []
    ) -> Assignment {
        let chunk = SnapshotChunk(number: state.nextNumber, table: oid, work: work, turn: live.turn)
        state.nextNumber += 1
        state.flights[chunk.number] = Flight(chunk: chunk)
        return .read(chunk, name: name, part: part, keys: keys, rowLimit: live.rowLimit)
    }

    /// How a table is read could not be found out now.
    func unplanned(_ table: UInt32, turn: Int) {
        change { state in
            guard state.live[table]?.turn == turn else { return }
            state.live[table]?.isBusy = false
            state.live[table]?.notBefore = .now + .milliseconds(500)
        }
    }

    /// The key of a table is another one than its parts were made of: it is read from the beginning.
    func restart(_ table: UInt32) {
        change(wakesWorkers: true) { state in
            guard case .reading = state.notes.tables[table]?.stage else { return }
            state.notes.tables[table]?.stage = .pending(clears: false)
            state.live[table] = Live(turn: (state.live[table]?.turn ?? 0) + 1)
        }
    }

    /// How a table is read was found out: by ranges of its key, or whole when there is none.
    func planned(_ table: UInt32, turn: Int, _ plan: SnapshotNotes.Reading?) {
        change(wakesWorkers: true) { state in
            var live = state.live[table] ?? Live()
            guard live.turn == turn, case .pending(let clears) = state.notes.tables[table]?.stage else { return }
            live.isBusy = false
            live.isWhole = plan == nil
            live.plan = clears ? plan : nil
            live.owedNumbers = []
            state.live[table] = live
            if let plan, !clears { state.notes.tables[table]?.stage = .reading(plan) }
        }
    }

    /// The table is not there any more, or not published: nothing is left to read.
    func gone(_ table: UInt32) {
        change(wakesWorkers: true) { state in
            state.notes.tables[table]?.stage = .done
            state.live[table] = nil
        }
    }

    /// The transaction of a chunk sees this much.
    func saw(_ snapshot: ServerSnapshot, _ chunk: SnapshotChunk) {
        state.withLock { $0.flights[chunk.number]?.snapshot = snapshot }
    }

    /// The stream's thread may have the chunk; the caller does not touch it again.
    func hand(over chunk: SnapshotChunk) {
        change { state in
            state.flights[chunk.number]?.isReady = true
            state.rowCount += UInt64(chunk.rows.count)
        }
    }

    /// A chunk will not come, or came to nothing: its rows are read again after a pause. True when this has been so
    /// for a while and was not said yet.
    @discardableResult
    func release(_ chunk: SnapshotChunk, mayRetryAfter pause: Duration? = nil) -> Bool {
        change(wakesWorkers: true) { state in
            guard state.flights.removeValue(forKey: chunk.number) != nil, var live = state.live[chunk.table] else {
                return false
            }
            guard live.turn == chunk.turn else { return false }
            Self.unlock(&live, chunk)
            live.failuresInARow += 1
            let since = live.failingSince ?? .now
            live.failingSince = since
            live.notBefore = .now + (pause ?? .milliseconds(min(1000, 20 << min(live.failuresInARow, 6))))
            state.live[chunk.table] = live
            return live.failuresInARow % 32 == 16
        }
    }

    static func unlock(_ live: inout Live, _ chunk: SnapshotChunk) {
        switch chunk.work {
        case .part(let part): live.busyParts.remove(part)
        case .keys: live.areKeysBusy = false
        case .clear, .whole: live.isBusy = false
        }
    }
}
