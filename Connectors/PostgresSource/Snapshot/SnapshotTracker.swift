internal import ByteKit
internal import ChangeModel
internal import ConnectorKit
internal import Synchronization

/// What the stream's thread does for snapshots: it records who was streamed, compares the changes between watermarks
/// with the chunks, and gives each chunk its place.
///
/// The rule that all rests on: a chunk is told at its high watermark, and by then every transaction that its snapshot
/// sees was streamed, because the watermark was written after the snapshot was taken. What was streamed and is not seen
/// is either inside of the window, where its rows leave the chunk, or before it, where the chunk is thrown away: the
/// server streams a transaction as soon as its commit is in the WAL, and others may see it only later, much later when
/// it waits for a synchronous standby.
final class SnapshotTracker {
    /// A transaction that was streamed, in the order of the stream.
    private struct Streamed {
        var sequence: UInt64
        var transaction: UInt32
    }

    /// A table that is being read.
    final class Watched {
        let oid: UInt32
        var windows: [SnapshotWindow] = []
        var wholeWindows: [WholeTableWindow] = []
        /// The relation that ``columns`` belong to.
        private var relation: Relation?
        private var keyColumns: [Int] = []

        init(_ oid: UInt32) { self.oid = oid }

        /// The key's columns in the order of the table.
        func columns(of relation: Relation) -> [Int] {
            if self.relation !== relation {
                self.relation = relation
                keyColumns = relation.keyColumns.sorted()
            }
            return keyColumns
        }
    }

    /// The place of a chunk, once its high watermark was committed.
    struct Place {
        var number: UInt64
        var info: TransactionInfo
        var committed = false
    }

    /// How many transactions are recorded before those that everybody sees are taken out; beyond twice as many the
    /// record begins anew.
    static let recordMax = 65_536

    let coordinator: SnapshotCoordinator
    let run: String
    /// False for a table whose rows become events without its key.
    let watchesKey: (Relation) -> Bool
    /// True while tables are left to read.
    private(set) var isActive = false
    /// True when the stream must wait for a chunk's rows.
    private(set) var isBlocked = false
    /// The chunk whose turn it is.
    var place: Place?
    var watched: [UInt32: Watched] = [:]
    /// The relation of each table as it was resolved last.
    var relations: [UInt32: (message: RelationMessage, relation: Relation)] = [:]
    /// The names that the server goes on under are to be compared with the notes before a transaction that is committed
    /// here or behind it.
    var namesDue = LSN(UInt64.max)
    /// The ordinal of the next row of a table that is read whole.
    var nextOrdinal = ChangeIdentity.snapshotOrdinalMin

    private var seenVersion = 0
    var seenLook: LSN?
    private var epoch = 0
    private var isTracking = false
    private var streamed: [Streamed] = []
    private var recordLimit = SnapshotTracker.recordMax
    private var nextSequence: UInt64 = 0
    private var current: UInt32 = 0
    private var isRecorded = false
    private var key = OutputBuffer(capacity: 128)
    private var oldKey = OutputBuffer(capacity: 128)

    init(
        coordinator: SnapshotCoordinator, run: String, watchesKey: @escaping (Relation) -> Bool = { _ in true }
    ) {
        self.watchesKey = watchesKey
        self.coordinator = coordinator
        self.run = run
    }

    /// True when a chunk is to be told before anything else is decoded.
    var isEmitting: Bool { place?.committed ?? false }
}

// MARK: - From the decoder

extension SnapshotTracker {
    /// A transaction begins.
    func began(_ transaction: UInt32) {
        current = transaction
        isRecorded = false
    }

    /// A row change of the current transaction, of whatever table.
    @inline(__always)
    func touched() {
        if !isRecorded { record() }
    }

    private func record() {
        isRecorded = true
        streamed.append(Streamed(sequence: nextSequence, transaction: current))
        nextSequence += 1
        guard streamed.count >= recordLimit else { return }
        forget()
        recordLimit = max(Self.recordMax, streamed.count * 2)
        if streamed.count > Self.recordMax * 16 { beginEpoch() }
    }

    /// Takes out transactions that every chunk sees, now and later: seen once is seen for ever.
    private func forget() {
        guard let snapshots = coordinator.knownSnapshots(), !snapshots.isEmpty else { return }
        streamed.removeAll { entry in snapshots.allSatisfy { $0.sees(entry.transaction) } }
    }

    /// The stream announced a table.
    func announced(_ message: RelationMessage, _ relation: Relation?) {
        if let relation { relations[message.relationID] = (message, relation) }
        guard let table = watched[message.relationID] else { return }
        for window in table.windows { window.announced = message }
        for window in table.wholeWindows { window.announced = message }
    }

    func inserted(_ new: RawSpan, _ relation: Relation) {
        guard let table = watched[relation.sourceID] else { return }
        for window in table.wholeWindows { window.changed(new, isAdded: true, by: current) }
        let columns = table.columns(of: relation)
        if columns.isEmpty { return }
        key.removeAll()
        guard RowKey.append(of: new, else: RawSpan(), columns: columns, to: &key) else { return distrust(table) }
        // A row that an UPDATE moved into the publication's filter arrives as an INSERT that may lack values.
        if RowKey.hasUnchanged(new) { owe(table, key.bytes) }
        for window in table.windows {
            window.changed(.told, key: key.bytes, tuple: RawSpan(), by: current)
        }
        lookWhetherBlocked(table)
    }

    func updated(_ old: RawSpan, _ image: BeforeImage, _ new: RawSpan, _ relation: Relation) {
        guard let table = watched[relation.sourceID] else { return }
        if !table.wholeWindows.isEmpty { updatedWhole(table, old, image, new) }
        let columns = table.columns(of: relation)
        if columns.isEmpty { return }
        key.removeAll()
        oldKey.removeAll()
        guard RowKey.append(of: new, else: old, columns: columns, to: &key) else { return distrust(table) }
        let isPartlyTold = RowKey.hasUnchanged(new)
        if image != .none {
            guard RowKey.append(of: old, else: RawSpan(), columns: columns, to: &oldKey) else { return distrust(table) }
            if !oldKey.bytes.hasSameBytes(as: key.bytes) {
                if isPartlyTold { owe(table, key.bytes) }
                for window in table.windows {
                    window.changed(.told, key: oldKey.bytes, tuple: RawSpan(), by: current)
                    window.changed(.told, key: key.bytes, tuple: RawSpan(), by: current)
                }
                return lookWhetherBlocked(table)
            }
        }
        for window in table.windows {
            window.changed(
                isPartlyTold ? .partlyTold : .told, key: key.bytes, tuple: isPartlyTold ? new : RawSpan(), by: current)
        }
        lookWhetherBlocked(table)
    }

    func deleted(_ old: RawSpan, _ image: BeforeImage, _ relation: Relation) {
        guard let table = watched[relation.sourceID] else { return }
        for window in table.wholeWindows {
            if image == .full { window.changed(old, isAdded: false, by: current) } else { window.fail() }
        }
        let columns = table.columns(of: relation)
        if columns.isEmpty { return }
        key.removeAll()
        guard RowKey.append(of: old, else: RawSpan(), columns: columns, to: &key) else { return distrust(table) }
        for window in table.windows {
            window.changed(.told, key: key.bytes, tuple: RawSpan(), by: current)
        }
        lookWhetherBlocked(table)
    }

    func truncated(_ relation: Relation) {
        guard let table = watched[relation.sourceID] else { return }
        for window in table.wholeWindows { window.fail() }
        for window in table.windows {
            window.changed(.emptied, key: RawSpan(), tuple: RawSpan(), by: current)
        }
        lookWhetherBlocked(table)
    }

    private func updatedWhole(_ table: Watched, _ old: RawSpan, _ image: BeforeImage, _ new: RawSpan) {
        var filled = OutputBuffer(capacity: new.byteCount)
        RowKey.append(new, filledFrom: old, to: &filled)
        for window in table.wholeWindows {
            guard image == .full else {
                window.fail()
                continue
            }
            window.changed(old, isAdded: false, by: current)
            window.changed(filled.bytes, isAdded: true, by: current)
        }
    }

    /// The row under this key was told without all its values, and what was told before may not have them either.
    private func owe(_ table: Watched, _ key: RawSpan) {
        let copy = [UInt8](copying: key)
        coordinator.owe(copy, of: table.oid)
    }

    /// A change that does not say which row it is about: no chunk in flight can be trusted.
    private func distrust(_ table: Watched) { table.windows = [] }

    private func lookWhetherBlocked(_ table: Watched) {
        if table.windows.contains(where: \.isFull) { isBlocked = true }
    }
}

// MARK: - Watermarks

extension SnapshotTracker {
    /// A watermark of a snapshot, ours or another pipeline's.
    func marked(_ content: RawSpan, in info: TransactionInfo) {
        guard isActive, let mark = SnapshotMark(content), mark.run == run else { return }
        switch mark.bound {
        case .low:
            guard let chunk = coordinator.flight(mark.number)?.chunk, let table = watched[chunk.table] else { return }
            open(mark.number, chunk.work, table)
            if chunk.work == .whole { coordinator.met(mark.number) }
        case .high:
            // Rows of a snapshot belong to no transaction of the application.
            var place = info
            place.id = 0
            self.place = Place(number: mark.number, info: place)
        }
    }

    private func open(_ number: UInt64, _ work: SnapshotChunk.Work, _ table: Watched) {
        if work == .whole {
            table.wholeWindows.append(
                WholeTableWindow(number: number, table: table.oid, firstSequence: nextSequence))
        } else {
            table.windows.append(SnapshotWindow(number: number, table: table.oid, firstSequence: nextSequence))
        }
    }

    /// The transaction of a high watermark is complete.
    func committed() {
        if place != nil { place?.committed = true }
    }

    /// Takes over what changed on the workers' side. Called between two decodings; notes that changed belong to the
    /// next checkpoint.
    func refresh(_ progress: inout ReplicationProgress) {
        let version = coordinator.currentVersion
        guard version != seenVersion else { return }
        seenVersion = version
        let (notes, flights, look) = coordinator.state.withLock { ($0.notes, $0.flights, $0.lookedBefore) }
        // A stream that is further behind than the time between two looks comes to the first of them.
        if let look, look != seenLook { (seenLook, namesDue) = (look, min(namesDue, look)) }
        if progress.notes.snapshot != notes { progress.notes.snapshot = notes }
        let unfinished = notes.unfinished
        let newTables = unfinished.filter { watched[$0] == nil }
        for oid in newTables { watched[oid] = Watched(oid) }
        if unfinished.count < watched.count { watched = watched.filter { unfinished.contains($0.key) } }
        isActive = !unfinished.isEmpty
        if !newTables.isEmpty { beginEpoch() } else if !isActive, epoch > 0 { rest() }
        isBlocked = false
        for table in watched.values { refresh(table, flights) }
    }

    private func refresh(_ table: Watched, _ flights: [UInt64: SnapshotCoordinator.Flight]) {
        table.windows.removeAll { flights[$0.number] == nil }
        table.wholeWindows.removeAll { flights[$0.number] == nil }
        for window in table.windows where window.chunk == nil {
            guard let flight = flights[window.number], flight.isReady else { continue }
            window.receive(flight.chunk)
        }
        lookWhetherBlocked(table)
    }

    /// The record of transactions begins, and with it the order to ask for a transaction that is younger than it: of
    /// older ones nobody knows whether they were streamed before, or committed before the slot's first position, or
    /// changed a table before it was published.
    private func beginEpoch() {
        epoch += 1
        isTracking = true
        streamed = []
        recordLimit = Self.recordMax
        coordinator.tracks(epoch: epoch)
    }

    private func rest() {
        guard isTracking else { return }
        isTracking = false
        streamed = []
        relations = [:]
        coordinator.rests()
    }
}

// MARK: - Judging a chunk

extension SnapshotTracker {
    /// What is to be done with a chunk at its place.
    enum Verdict {
        case tell
        /// Everything about it is right, except that the server shows it a past that the stream has left behind.
        case tooOld
        /// Something else makes it void.
        case void
    }

    /// Judges a chunk by what was streamed before its window, and by the table's shape inside of it. The event that
    /// empties a table has no rows that could be wrong; but while rows would be, consumers keep what they have.
    func judge(_ chunk: SnapshotChunk, firstSequence: UInt64, announced: RelationMessage?) -> Verdict {
        guard chunk.epoch == epoch, coordinator.isCurrent(chunk) else { return .void }
        guard let snapshot = chunk.snapshot, let message = chunk.message else { return .void }
        if let announced, !announced.isAlike(message) { return .void }
        let isBehind = streamed.contains { $0.sequence < firstSequence && !snapshot.sees($0.transaction) }
        return isBehind || snapshot.xmin < chunk.horizon ? .tooOld : .tell
    }
}
