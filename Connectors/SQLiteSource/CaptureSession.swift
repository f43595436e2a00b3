internal import ChangeModel
internal import ConnectorKit

/// One connection's work from open to close: reads the log and the snapshot, keeps the triggers right, prunes.
///
/// Every call blocks for a bounded time and ends without an open transaction or statement.
final class CaptureSession {
    /// Snapshot rows under one commit before the log gets a mark, so that their ordinals never run out.
    static let chunkRowsMax: UInt32 = 1 << 30

    let connection: SQLiteConnection
    let settings: SQLiteSettings
    private(set) var progress: SourceProgress
    private(set) var tables: [CapturedTable]
    private var reader: ChangeLogReader
    private var pruner: ChangeLogPruner
    private var watch: DatabaseFileWatch
    private var schemaVersion: Int64
    private var dataVersion: Int64?
    /// True when there may be more to read than what was read.
    private var mayHaveMore = true
    private var isTakingSnapshot = false
    private let notice: @Sendable (String) -> Void

    private static let snapshotChunk = HaltPoint("sqlite.snapshot_chunk")

    /// Goes on after an installation; see ``CaptureSession/open(_:resumingAfter:of:notice:)``.
    init(
        _ connection: SQLiteConnection, _ settings: SQLiteSettings, _ progress: SourceProgress,
        _ installed: CaptureInstaller.Outcome, _ watch: DatabaseFileWatch, notice: @escaping @Sendable (String) -> Void
    ) throws(SQLiteError) {
        self.connection = connection
        self.settings = settings
        self.progress = progress
        self.watch = watch
        self.notice = notice
        tables = installed.tables
        schemaVersion = installed.schemaVersion
        reader = try ChangeLogReader(connection)
        pruner = ChangeLogPruner(connection)
        isTakingSnapshot = !pendingTables.isEmpty
    }

    static let kind = "sqlite"

    /// What tells a database from every other, by the number in it.
    static func identity(_ database: String) -> SourceIdentity {
        SourceIdentity(kind: kind, fingerprint: ["database": database])
    }

    /// The captured tables whose rows are still to be read.
    private var pendingTables: [CapturedTable] { settings.takesSnapshot ? progress.pending(tables) : [] }

    /// The position that covers everything that is committed now, and the running snapshot.
    func endPosition() throws(SQLiteError) -> ResumePosition {
        let newest = try reader.newest()
        return SourceProgress.position(round: isTakingSnapshot ? progress.round &+ 1 : progress.round, seq: newest)
    }

    /// Looks for changes; nil when there are none. Another connection's lock counts as none for now.
    func poll() throws(SQLiteError) -> ChangeBatch? {
        do {
            guard try mayHaveChanged() else { return nil }
            try renewIfSchemaChanged()
            return try readBatch()
        } catch  where error.isBusy {
            connection.rollBack()
            return nil
        } catch {
            connection.rollBack()
            throw error
        }
    }

    /// Reads the rows of captured tables again, from the next batch on.
    func takeSnapshot(_ request: SnapshotRequest) throws(SQLiteError) {
        guard settings.takesSnapshot else { throw SQLiteError(refusal: .snapshotsOff(connection.path)) }
        let chosen = tables.map(\.shape.name).filter { name in
            request.tables.contains { $0.matches(name) || $0.matches("main." + name) }
        }
        guard !chosen.isEmpty else { throw SQLiteError(refusal: .notCaptured(connection.path)) }
        progress.take(request: request.id, tables: chosen)
        isTakingSnapshot = isTakingSnapshot || !pendingTables.isEmpty
        mayHaveMore = true
    }

    /// A batch without changes, for the checkpoint's sake.
    func emptyBatch() throws(SQLiteError) -> ChangeBatch {
        try seal(ChangeBatchBuilder(capacity: 16), progress, mustBeDurable: false)
    }

    /// Removes rows up to an acknowledged position from the log when it is time to.
    func prune(upTo position: ResumePosition, isClosing: Bool = false) throws(SQLiteError) {
        try pruner.prune(
            upTo: min(SourceProgress.seq(of: position), progress.seq), captures: tables.map(\.capture),
            isClosing: isClosing)
    }

    private func mayHaveChanged() throws(SQLiteError) -> Bool {
        switch watch.look() {
        case .replaced: throw SQLiteError(refusal: .fileReplaced(connection.path))
        case .unchanged: return mayHaveMore
        case .maybeChanged: break
        }
        let version = try connection.integer("PRAGMA data_version")
        if version != dataVersion {
            dataVersion = version
            mayHaveMore = true
        }
        return mayHaveMore
    }

    private func renewIfSchemaChanged() throws(SQLiteError) {
        guard try connection.integer("PRAGMA schema_version") != schemaVersion else { return }
        let installer = CaptureInstaller(connection: connection, patterns: settings.tables)
        let outcome = try connection.transaction("IMMEDIATE") { () throws(SQLiteError) in try installer.install() }
        tables = outcome.tables
        schemaVersion = outcome.schemaVersion
        if settings.takesSnapshot && !isTakingSnapshot { isTakingSnapshot = !pendingTables.isEmpty }
        for line in outcome.notices { notice(line) }
    }
}

// MARK: - Reading

extension CaptureSession {
    /// The changes behind ``progress``, then, in the same view of the database, rows of the snapshot.
    private func readBatch() throws(SQLiteError) -> ChangeBatch? {
        try makeRoomForOrdinals()
        var next = progress
        try connection.execute("BEGIN")
        // In this very view: a file that was restored under us may have grown past our place again.
        try reader.checkAnchor(next)
        let newest = try reader.newest()
        let pending = pendingTables
        if newest <= next.seq && pending.isEmpty && !isTakingSnapshot {
            try connection.execute("COMMIT")
            mayHaveMore = false
            return nil
        }
        let limit = settings.batchByteCountMax
        var batch = ChangeBatchBuilder(capacity: limit + limit / 8)
        let isAtEnd = try reader.read(into: &batch, byteCountMax: limit, &next)
        let changeCount = batch.changeCount
        if isAtEnd && !pending.isEmpty, try connection.integer("PRAGMA schema_version") == schemaVersion {
            try reader.checkAnchor(next)
            let snapshot = SnapshotReader(connection: connection, now: DatabaseFileWatch.wallClockMicroseconds())
            try snapshot.read(pending, into: &batch, byteCountMax: limit, &next)
        }
        try connection.execute("COMMIT")
        return try handOver(batch, next, hasChunk: isAtEnd && !pending.isEmpty, streamed: changeCount, isAtEnd: isAtEnd)
    }

    private func handOver(
        _ batch: consuming ChangeBatchBuilder, _ next: SourceProgress, hasChunk: Bool, streamed: Int, isAtEnd: Bool
    ) throws(SQLiteError) -> ChangeBatch? {
        var next = next
        let isFinished = settings.takesSnapshot ? next.pending(tables).isEmpty : true
        let endsSnapshot = isTakingSnapshot && isFinished
        if endsSnapshot { next.round &+= 1 }
        let sealed = try seal(batch, next, mustBeDurable: hasChunk)
        if sealed.changeCount > streamed { Self.snapshotChunk.reached() }
        if endsSnapshot { isTakingSnapshot = false }
        mayHaveMore = !isAtEnd || !isFinished
        progress = next
        return sealed
    }

    private func seal(
        _ batch: consuming ChangeBatchBuilder, _ progress: SourceProgress, mustBeDurable: Bool
    ) throws(SQLiteError) -> ChangeBatch {
        do {
            return try batch.seal(checkpoint: progress.checkpoint, mustBeDurableBeforeDelivery: mustBeDurable)
        } catch {
            throw SQLiteError(refusal: .batchTooLarge(connection.path))
        }
    }

    /// A snapshot of a table where nothing else happens gives all its rows one commit: begins another in time.
    private func makeRoomForOrdinals() throws(SQLiteError) {
        guard progress.chunkRows > Self.chunkRowsMax, progress.chunkSeq == progress.seq else { return }
        try ChangeLogTables.appendMark(connection)
    }
}
