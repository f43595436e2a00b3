internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

/// Reads rows of the change log, in order, into batches.
struct ChangeLogReader {
    private let connection: SQLiteConnection
    private let rows: SQLiteStatement
    private let newestRow: SQLiteStatement
    private let anchorRow: SQLiteStatement
    /// Relations by capture number, read when a capture is first met.
    private var relations: [Int64: Relation] = [:]

    init(_ connection: SQLiteConnection) throws(SQLiteError) {
        self.connection = connection
        rows = try connection.prepare("SELECT * FROM \(ChangeLogTables.changes) WHERE seq > ? ORDER BY seq")
        newestRow = try connection.prepare("SELECT max(seq) FROM \(ChangeLogTables.changes)")
        anchorRow = try connection.prepare("SELECT at FROM \(ChangeLogTables.changes) WHERE seq = ?")
    }

    /// The newest number of the log.
    func newest() throws(SQLiteError) -> Int64 {
        defer { newestRow.reset() }
        guard try newestRow.step(), !newestRow.isNull(0) else {
            throw SQLiteError(refusal: .logWentBack(connection.path))
        }
        return newestRow.int64(0)
    }

    /// The time in a row of the log; nil when the row is not there.
    func anchor(of seq: Int64) throws(SQLiteError) -> Double? {
        defer { anchorRow.reset() }
        try anchorRow.bind(1, .integer(seq))
        return try anchorRow.step() ? anchorRow.double(0) : nil
    }

    /// Throws unless the row that `progress` stands at is still the one that was read.
    func checkAnchor(_ progress: SourceProgress) throws(SQLiteError) {
        let found = try anchor(of: progress.seq)
        if found == progress.anchor { return }
        let newest = try newest()
        guard found == nil, newest > progress.seq else { throw SQLiteError(refusal: .logWentBack(connection.path)) }
        let next = try connection.integer("SELECT min(seq) FROM \(ChangeLogTables.changes) WHERE seq > \(progress.seq)")
        throw SQLiteError(refusal: .changesMissing(connection.path, after: progress.seq, next: next))
    }

    /// Appends the changes behind `progress`, moves it, and stops when the batch holds `byteCountMax` bytes or the log
    /// ends. True at the end of the log.
    mutating func read(
        into batch: inout ChangeBatchBuilder, byteCountMax: Int, _ progress: inout SourceProgress
    ) throws(SQLiteError) -> Bool {
        defer { rows.reset() }
        try rows.bind(1, .integer(progress.seq))
        var current = Current(capture: -1, relation: 0, columnCount: 0)
        while try rows.step() {
            let seq = rows.int64(0)
            guard seq == progress.seq &+ 1 else {
                throw SQLiteError(refusal: .changesMissing(connection.path, after: progress.seq, next: seq))
            }
            guard let operation = LogOperation(rawValue: rows.int64(2)) else { throw damaged(seq) }
            let at = rows.double(3)
            if operation != .mark {
                let capture = rows.int64(1)
                if capture != current.capture { current = try enter(capture, seq, &batch) }
                let commit = progress.commit(seq)
                append(operation, current, at: at, commit: commit, to: &batch)
                progress.lastChange = ChangeIdentity(commit: commit, ordinal: 0)
            }
            progress.seq = seq
            progress.anchor = at
            if batch.byteCount >= byteCountMax { return false }
        }
        return true
    }

    /// What rows of one capture have in common.
    private struct Current {
        var capture: Int64
        var relation: UInt32
        var columnCount: Int
    }

    private mutating func enter(
        _ capture: Int64, _ seq: Int64, _ batch: inout ChangeBatchBuilder
    ) throws(SQLiteError) -> Current {
        if relations[capture] == nil { relations[capture] = try StoredCapture.read(capture, connection)?.relation }
        guard let relation = relations[capture], !relation.columns.isEmpty,
            4 + 2 * relation.columns.count <= rows.columnCount
        else { throw damaged(seq) }
        return Current(capture: capture, relation: batch.index(of: relation), columnCount: relation.columns.count)
    }

    private func append(
        _ operation: LogOperation, _ current: Current, at: Double, commit: UInt64, to batch: inout ChangeBatchBuilder
    ) {
        let count = Int32(current.columnCount)
        let first: Range<Int32> = 4..<(4 + count)
        let transaction = batch.begin(
            TransactionInfo(commit: commit, id: 0, committedAt: Self.microseconds(julianDay: at)))
        let firstTuple = appendTuple(first, to: &batch)
        let change =
            switch operation {
            case .insert, .mark:
                RowChange(
                    operation: .insert, relation: current.relation, transaction: transaction, ordinal: 0,
                    after: firstTuple)
            case .delete:
                RowChange(
                    operation: .delete, relation: current.relation, transaction: transaction, ordinal: 0,
                    beforeImage: .full, before: firstTuple)
            case .update:
                RowChange(
                    operation: .update, relation: current.relation, transaction: transaction, ordinal: 0,
                    beforeImage: .full, before: firstTuple,
                    after: appendTuple((4 + count)..<(4 + 2 * count), to: &batch))
            }
        batch.append(change)
    }

    private func appendTuple(_ columns: Range<Int32>, to batch: inout ChangeBatchBuilder) -> ByteRange {
        let rows = rows
        return batch.appendTuple(columnCount: columns.count) { buffer in
            rows.appendValues(of: columns, to: &buffer)
        }
    }

    private func damaged(_ seq: Int64) -> SQLiteError { SQLiteError(refusal: .damagedLog(connection.path, seq: seq)) }

    /// SQLite's clock counts whole milliseconds, as a Julian day. Outside of years that fit the result is 0.
    static func microseconds(julianDay: Double) -> Int64 {
        let milliseconds = ((julianDay - 2_440_587.5) * 86_400_000).rounded()
        guard milliseconds.magnitude < 1e15 else { return 0 }
        return Int64(milliseconds) * 1000
    }
}
