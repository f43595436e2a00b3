internal import ByteKit
package import ChangeModel
package import ConnectorKit

/// Reads captured tables of a SQLite database, and the changes that no log has yet, in one read transaction.
///
/// The tables and our change log lie in the same file: a view has exactly the changes up to the newest row of the
/// change log, and whatever the event log lacks is still there to be read.
package actor SQLiteTableReader: TableReader {
    private let settings: SQLiteSettings
    private let thread = BlockingThread(name: "sqlite-verify")
    /// The reader's own thread.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    private var connection: SQLiteConnection?
    private var shapes: [TableShape] = []
    private var unlogged: (reader: ChangeLogReader, progress: SourceProgress)?
    private var rows: SQLiteStatement?
    private var relation: Relation?

    /// A reader that is not connected.
    package init(_ settings: SQLiteSettings) { self.settings = settings }

    /// See ``TableReader/open(of:wanted:)``.
    package func open(
        of expected: SourceIdentity?, wanted: @escaping @Sendable (Relation) -> Bool
    ) async throws(ConnectorFailure) -> TableView {
        do throws(SQLiteError) {
            guard DatabaseFileWatch.exists(settings.path) else {
                throw SQLiteError(refusal: .fileMissing(settings.path))
            }
            let opened = try SQLiteConnection(path: settings.path, reading: true)
            opened.setBusyTimeout(milliseconds: 5000)
            connection = opened
            try opened.execute("BEGIN")
            if let expected { try CaptureSession.checkIsSame(expected, opened) }
            return try view(opened, wanted)
        } catch {
            throw ConnectorFailure(error, path: settings.path, while: "taking a view of the tables")
        }
    }

    private func view(
        _ connection: SQLiteConnection, _ wanted: (Relation) -> Bool
    ) throws(SQLiteError) -> TableView {
        let identity = try ChangeLogTables.identity(connection)
        let newest = try ChangeLogTables.newest(connection)
        var since: [String: Int64] = [:]
        for id in try StoredCapture.active(connection) {
            if let capture = try StoredCapture.read(id, connection) { since[capture.tableName] = capture.since }
        }
        var tables: [ViewedTable] = []
        for listed in try TableShape.list(connection) {
            guard since[listed.name] != nil, settings.tables.contains(where: { $0.matches(listed.name) }),
                case .success(let shape) = try TableShape.read(listed, from: connection)
            else { continue }
            let relation = shape.relation(capture: 0)
            guard wanted(relation) else { continue }
            tables.append(ViewedTable(relation: relation))
            shapes.append(shape)
        }
        let last = UInt64(identity.epoch) << 48 | UInt64(bitPattern: newest) & SourceProgress.seqMask
        let (takesSnapshot, begun) = (settings.takesSnapshot, since)
        return TableView(
            tables: tables, end: SourceProgress.position(round: .max, seq: newest), numbersOutliveNames: false,
            snapshotsForgetOldKeys: false,
            contains: { _, identity in identity.commit <= last },
            coverage: { table, checkpoint in
                guard takesSnapshot else { return .changed(why: "source.sqlite.snapshot is never") }
                let finished = checkpoint.flatMap { SourceProgress($0) }?.finished[table.relation.name]
                return finished != nil && finished == begun[table.relation.name]
                    ? .all : .changed(why: "the table's snapshot is being taken")
            })
    }

    /// The changes behind the checkpoint; a log without one takes them from the start of the capture.
    package func beginUnlogged(after checkpoint: SourceCheckpoint?) async throws(ConnectorFailure) -> Bool {
        do throws(SQLiteError) {
            guard let connection else { throw SQLiteError(refusal: .captureMissing(settings.path)) }
            guard let checkpoint, let progress = SourceProgress(checkpoint) else {
                throw SQLiteError(refusal: .badCheckpoint(settings.path))
            }
            let reader = try ChangeLogReader(connection)
            // A run may have logged more, since the view was taken, than the view has.
            if try reader.newest() > progress.seq {
                try reader.checkAnchor(progress)
                unlogged = (reader, progress)
            }
            return true
        } catch {
            throw ConnectorFailure(error, path: settings.path, while: "reading changes")
        }
    }

    /// The next of those changes.
    package func nextUnlogged() async throws(ConnectorFailure) -> ChangeBatch? {
        guard var (reader, progress) = unlogged else { return nil }
        do throws(SQLiteError) {
            let limit = settings.batchByteCountMax
            var batch = ChangeBatchBuilder(capacity: limit + limit / 8)
            let isAtEnd = try reader.read(into: &batch, byteCountMax: limit, &progress)
            unlogged = isAtEnd ? nil : (reader, progress)
            return try seal(batch)
        } catch {
            throw ConnectorFailure(error, path: settings.path, while: "reading changes")
        }
    }

    /// Begins to read a table.
    package func beginRows(ofTable index: Int) async throws(ConnectorFailure) {
        do throws(SQLiteError) {
            guard let connection, index < shapes.count else {
                throw SQLiteError(refusal: .captureMissing(settings.path))
            }
            let columns = shapes[index].columns.map { SQLText.identifier($0.name) }.joined(separator: ", ")
            rows = try connection.prepare("SELECT \(columns) FROM \(SQLText.identifier(shapes[index].name))")
            relation = shapes[index].relation(capture: 0)
        } catch {
            throw ConnectorFailure(error, path: settings.path, while: "reading a table")
        }
    }

    /// The next rows.
    package func nextRows() async throws(ConnectorFailure) -> ChangeBatch? {
        guard let rows, let relation else { return nil }
        do throws(SQLiteError) {
            let limit = settings.batchByteCountMax
            var batch = ChangeBatchBuilder(capacity: limit + limit / 8)
            let index = batch.index(of: relation)
            let transaction = batch.begin(TransactionInfo(commit: 0, id: 0, committedAt: 0))
            let count = relation.columns.count
            while batch.byteCount < limit {
                guard try rows.step() else {
                    self.rows = nil
                    break
                }
                let tuple = batch.appendTuple(columnCount: count) { buffer in
                    rows.appendValues(of: 0..<Int32(count), to: &buffer)
                }
                batch.append(
                    RowChange(
                        operation: .snapshot, relation: index, transaction: transaction,
                        ordinal: ChangeIdentity.snapshotOrdinalMin, after: tuple))
            }
            return try seal(batch)
        } catch {
            throw ConnectorFailure(error, path: settings.path, while: "reading a table")
        }
    }

    private func seal(_ batch: consuming ChangeBatchBuilder) throws(SQLiteError) -> ChangeBatch {
        do {
            return try batch.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(0)))
        } catch {
            throw SQLiteError(refusal: .batchTooLarge(settings.path))
        }
    }

    /// Ends the view.
    package func close() async { (rows, unlogged, connection) = (nil, nil, nil) }
}
