internal import ByteKit
internal import ChangeModel

/// Reads rows that existed before, chunk by chunk, into batches.
struct SnapshotReader {
    let connection: SQLiteConnection
    /// The time that the rows of this chunk carry, in microseconds since 1970-01-01 00:00 UTC.
    let now: Int64

    /// Appends rows of the pending tables until the batch holds `byteCountMax` bytes, and moves `progress`. Runs in the
    /// read transaction in which `progress.seq` is the log's newest row, so the rows are the tables as of that row.
    func read(
        _ pending: [CapturedTable], into batch: inout ChangeBatchBuilder, byteCountMax: Int,
        _ progress: inout SourceProgress
    ) throws(SQLiteError) {
        if progress.chunkSeq != progress.seq {
            progress.chunkSeq = progress.seq
            progress.chunkRows = 0
        }
        let transaction = batch.begin(
            TransactionInfo(commit: progress.commit(progress.seq), id: 0, committedAt: now))
        for table in pending {
            let isFinished = try read(
                table, into: &batch, transaction: transaction, byteCountMax: byteCountMax, &progress)
            guard isFinished else { return }
            progress.finished[table.shape.name] = table.since
            progress.current = nil
            if batch.byteCount >= byteCountMax { break }
        }
    }

    /// True when the last row of the table was read.
    private func read(
        _ table: CapturedTable, into batch: inout ChangeBatchBuilder, transaction: UInt32, byteCountMax: Int,
        _ progress: inout SourceProgress
    ) throws(SQLiteError) -> Bool {
        let pages = SnapshotPages(table.shape)
        let relation = batch.index(of: table.shape.relation(capture: table.capture))
        var key = progress.isCurrent(table) ? progress.current?.key : nil
        var isBehindRows = false
        repeat {
            isBehindRows = false
            for page in pages.next(after: key) {
                let statement = try connection.prepare(page.sql)
                for (index, value) in page.bindings.enumerated() { try statement.bind(Int32(index + 1), value) }
                var rowCount = 0
                while try statement.step() {
                    append(statement, pages.columnCount, relation, transaction, &batch, &progress)
                    rowCount += 1
                    if batch.byteCount >= byteCountMax {
                        progress.current = .init(
                            table: table.shape.name, since: table.since, key: pages.key(of: statement))
                        return false
                    }
                    if rowCount == SnapshotPages.rowCountMax { key = pages.key(of: statement) }
                }
                if rowCount == SnapshotPages.rowCountMax {
                    isBehindRows = true
                    break
                }
            }
        } while isBehindRows
        return true
    }

    private func append(
        _ statement: SQLiteStatement, _ columnCount: Int, _ relation: UInt32, _ transaction: UInt32,
        _ batch: inout ChangeBatchBuilder, _ progress: inout SourceProgress
    ) {
        let after = batch.appendTuple(columnCount: columnCount) { buffer in
            statement.appendValues(of: 0..<Int32(columnCount), to: &buffer)
        }
        let ordinal = ChangeIdentity.snapshotOrdinalMin &+ progress.chunkRows
        batch.append(
            RowChange(
                operation: .snapshot, relation: relation, transaction: transaction, ordinal: ordinal, after: after))
        progress.chunkRows &+= 1
        progress.lastChange = ChangeIdentity(commit: progress.commit(progress.seq), ordinal: ordinal)
    }
}
