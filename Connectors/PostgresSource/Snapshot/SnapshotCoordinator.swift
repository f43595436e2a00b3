internal import ByteKit
internal import ChangeModel
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
        /// What some earlier transaction saw: this one sees that and more.
        var floor: ServerSnapshot?
        /// True once the stream has come to its low watermark.
        var isMet = false
        /// True when its rows are being told: it cannot be given up any more.
        var isClaimed = false
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
        var owedBytes = 0
        /// So many rows are read by their keys in one chunk.
        var keyLimit = SnapshotCoordinator.keysPerChunk
        /// Owed keys that no chunk reads now: such a key need not be owed twice.
        var waitingKeys: Set<[UInt8]> = []
        var areKeysBusy = false
        /// When it may be tried again after a chunk that had to be thrown away.
        var notBefore = ContinuousClock.now
        /// Rows of a table that is read whole.
        var rowCount: UInt64 = 0
        var failuresInARow = 0
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
        /// What a transaction saw lately.
        var newestSnapshot: ServerSnapshot?
        /// How long chunks wait behind their low watermark before they look, so that those see each other who were
        /// committing at that moment.
        var settling = Duration.zero
        /// Why no rows are told.
        var hold = SnapshotHold()
        /// True when trouble with one table ends the source, because somebody waits for the end of the snapshot.
        var isStrict = false
        /// The tables that were put off, which is said once.
        var postponed: Set<UInt32> = []
        /// How many rows each table has, as far as the server's statistics know.
        var estimates: [UInt32: UInt64] = [:]
        /// Tables that are read because consumers have rows of them under another key, or of another table, or because
        /// somebody asked: not while their changes are set aside.
        var renewed: Set<UInt32> = []
        /// Those of them of which it is not known yet whether the change that was met was set aside.
        var unhandled: Set<UInt32> = []
        /// Tables that left the notes while the source runs: one that is captured again is a new one.
        var vanished: Set<UInt32> = []
        /// Where WAL ended when the catalogue had been looked at last; nil before the first look.
        var lookedBefore: LSN?
        /// Where nothing is read unasked: up to this position changes may be older than the name of the table.
        var namedSince: [UInt32: LSN] = [:]
        /// Where nothing is read unasked: the other names under which tables were changed, which is said once.
        var namesSaid: [UInt32: String] = [:]
        /// Names of tables whose changes are set aside by whoever takes them.
        var setAside: Set<String> = []
        /// Rows that were read since the session began.
        var rowCount: UInt64 = 0
    }

    let state: Mutex<State>
    let notice: @Sendable (String) -> Void
    let warning: @Sendable (String) -> Void
    /// The wished size of a chunk's rows.
    let chunkBytes: Int
    /// True when rows are read without anybody asking for it.
    let readsByItself: Bool
    private let flightsMax: Int
    /// Chunks that may be between assignment and place: the log stands still for a moment at each of its checkpoints,
    /// and workers should not.
    private static let flightsPerWorker = 4
    /// Wakes the stream's thread.
    let streamWakeUp: WakeUp
    private let workerWakeUps: [WakeUp]
    /// Grows with every change that the stream's thread must look at; changed under the lock, read without it.
    private let version = Atomic<Int>(1)

    init(
        notes: SnapshotNotes, estimates: [UInt32: UInt64] = [:], chunkBytes: Int, readsByItself: Bool = true,
        workers: [WakeUp], streamWakeUp: WakeUp, notice: @escaping @Sendable (String) -> Void,
        warning: (@Sendable (String) -> Void)? = nil
    ) {
        self.warning = warning ?? notice
        self.chunkBytes = chunkBytes
        self.readsByItself = readsByItself
        state = Mutex(State(notes: notes, estimates: estimates))
        workerWakeUps = workers
        flightsMax = workers.count * Self.flightsPerWorker
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
    static let keysPerChunk = 256

    /// Something to do now; nil when there is nothing.
    func next() -> Assignment? {
        state.withLock { state in
            guard state.isTracking, !state.isClosing, state.flights.count < flightsMax else { return nil }
            for oid in state.notes.unfinished {
                guard let table = state.notes.tables[oid], !state.mustWait(oid, table.name) else { continue }
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
            let owesMuch = !live.areKeysBusy && reading.owed.count >= live.keyLimit
            if let free, !owesMuch {
                state.live[oid, default: Live()].busyParts.insert(free)
                return read(oid, table.name, .part(free), live, &state, part: reading.parts[free])
            }
            guard owesMuch || reading.parts.allSatisfy(\.isDone), !reading.owed.isEmpty, !live.areKeysBusy else {
                return nil
            }
            let keys = Array(reading.owed.prefix(live.keyLimit))
            state.live[oid]?.areKeysBusy = true
            state.live[oid]?.waitingKeys.subtract(keys)
            return read(oid, table.name, .keys(Array(live.owedNumbers.prefix(keys.count))), live, &state, keys: keys)
        }
    }

    private static func read(
        _ oid: UInt32, _ name: String, _ work: SnapshotChunk.Work, _ live: Live, _ state: inout State,
        part: SnapshotNotes.Part? = nil, keys: [[UInt8]] = []
    ) -> Assignment {
        let chunk = SnapshotChunk(number: state.nextNumber, table: oid, work: work, turn: live.turn)
        state.nextNumber += 1
        state.flights[chunk.number] = Flight(chunk: chunk, floor: state.newestSnapshot)
        return .read(chunk, name: name, part: part, keys: keys, rowLimit: live.rowLimit)
    }

    /// How a table is read could not be found out now.
    func unplanned(_ table: UInt32, turn: Int) {
        change { state in
            guard state.live[table]?.turn == turn else { return }
            state.live[table]?.isBusy = false
            let before = state.live[table]?.notBefore ?? .now
            state.live[table]?.notBefore = max(before, .now + .milliseconds(500))
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

    /// The table is not there any more, or not published: nothing is left to read. Should it be back, it is a new one.
    func gone(_ table: UInt32) {
        change(wakesWorkers: true) { state in
            state.notes.tables[table] = nil
            state.vanished.insert(table)
            Self.abandon(table, &state)
        }
    }

    /// Nothing of a table is under way any more.
    static func abandon(_ table: UInt32, _ state: inout State) {
        state.live[table] = nil
        state.renewed.remove(table)
        state.unhandled.remove(table)
        state.flights = state.flights.filter { $0.value.chunk.table != table }
    }

    /// Puts a table off that cannot be read, for a reason that waiting may not mend; others go on. False when that ends
    /// the source instead.
    func postpone(_ table: UInt32, _ name: String, because failure: ConnectorFailure) -> Bool {
        let isSaid = change { state -> Bool? in
            if state.isStrict { return nil }
            state.live[table]?.notBefore = .now + Self.postponement
            return !state.postponed.insert(table).inserted
        }
        if isSaid == false {
            let hint = failure.hint.map { "; " + $0 } ?? ""
            warning("the rows of \(name) are NOT read for now: [\(failure.code)] \(failure.message)\(hint)")
        }
        return isSaid != nil
    }

    /// A table that was put off is tried again after this time.
    private static let postponement = Duration.seconds(60)

    /// From now on trouble with one table ends the source.
    func becomeStrict() { state.withLock { $0.isStrict = true } }

    /// How long to wait behind a low watermark now.
    var settling: Duration { state.withLock { $0.settling } }

    /// The rows with these keys are too large for one chunk.
    func shortenKeys(of table: UInt32) {
        state.withLock { state in
            guard let limit = state.live[table]?.keyLimit else { return }
            state.live[table]?.keyLimit = max(1, limit / 2)
        }
    }

    /// The transaction of a chunk sees this much.
    func saw(_ snapshot: ServerSnapshot, _ chunk: SnapshotChunk) {
        state.withLock { state in
            state.flights[chunk.number]?.snapshot = snapshot
            state.newestSnapshot = snapshot
        }
    }

    /// The stream's thread may have the chunk; the caller does not touch it again.
    func hand(over chunk: SnapshotChunk) {
        change { state in
            state.flights[chunk.number]?.isReady = true
            state.rowCount += UInt64(chunk.rows.count)
        }
    }

    /// A chunk will not come, or came to nothing: its rows are read again, after a pause if that has happened before.
    /// `wasTooOld`: others were committing when it looked, so chunks look later.
    func release(_ chunk: SnapshotChunk, mayRetryAfter pause: Duration? = nil, wasTooOld: Bool = false) {
        change(wakesWorkers: true) { state in
            guard let flight = state.flights[chunk.number], !flight.isClaimed else { return }
            state.flights[chunk.number] = nil
            guard var live = state.live[chunk.table], live.turn == chunk.turn else { return }
            Self.unlock(&live, chunk)
            live.failuresInARow += 1
            if wasTooOld { state.hold.begins() }
            if wasTooOld { state.settling = min(Self.settlingMax, max(.milliseconds(5), state.settling * 2)) }
            let pauses = max(0, live.failuresInARow - (wasTooOld ? 3 : 0))
            let byDefault = pauses == 0 ? Duration.zero : .milliseconds(min(1000, 20 << min(pauses, 6)))
            live.notBefore = max(live.notBefore, .now + (pause ?? byDefault))
            state.live[chunk.table] = live
        }
    }

    /// Chunks wait no longer than this; who takes longer to become visible is waited for by trying again.
    private static let settlingMax = Duration.milliseconds(500)

    static func unlock(_ live: inout Live, _ chunk: SnapshotChunk) {
        switch chunk.work {
        case .part(let part): live.busyParts.remove(part)
        case .keys: live.areKeysBusy = false
        case .clear, .whole: live.isBusy = false
        }
    }
}
