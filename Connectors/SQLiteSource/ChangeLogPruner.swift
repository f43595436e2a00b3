private import ConnectorKit

/// Removes acknowledged rows from the change log, little by little, so that the application never waits noticeably.
struct ChangeLogPruner {
    /// Rows in one transaction: a few milliseconds of the write lock.
    static let rowCountMax: Int64 = 2000
    /// The pause between two transactions while less than that is to be removed.
    static let pause: Duration = .seconds(1)

    private static let beforePrune = HaltPoint("sqlite.before_prune")

    private let connection: SQLiteConnection
    /// The row up to which (not including it) everything was removed, as far as is known.
    private var pruned: Int64 = 0
    private var last: ContinuousClock.Instant?

    init(_ connection: SQLiteConnection) { self.connection = connection }

    /// Removes rows before `seq` in one short transaction when enough came together or time passed. A lock of somebody
    /// else puts it off. The row `seq` itself stays: the next open compares it.
    mutating func prune(upTo seq: Int64, captures: [Int64], isClosing: Bool) throws(SQLiteError) {
        guard seq > pruned else { return }
        let now = ContinuousClock.now
        let isDue = isClosing || seq - pruned >= Self.rowCountMax || last.map { now - $0 >= Self.pause } ?? true
        guard isDue else { return }
        last = now
        Self.beforePrune.reached()
        do {
            pruned = try connection.transaction("IMMEDIATE") { () throws(SQLiteError) in
                try remove(before: seq, captures: captures)
            }
        } catch  where error.isBusy {
            connection.rollBack()
        }
    }

    /// Returns the row up to which everything is gone.
    private func remove(before seq: Int64, captures: [Int64]) throws(SQLiteError) -> Int64 {
        let log = ChangeLogTables.changes
        let oldest = try connection.integer("SELECT min(seq) FROM \(log)") ?? seq
        let end = min(seq, oldest + Self.rowCountMax)
        try connection.execute("DELETE FROM \(log) WHERE seq < \(end)")
        // A pipeline that starts with an older state may acknowledge less than was acknowledged before.
        try connection.execute(
            "UPDATE \(ChangeLogTables.source) SET acknowledged = max(ifnull(acknowledged, \(seq)), \(seq))")
        for capture in captures {
            let records = TriggerGenerator.conflictsTable(capture: capture)
            if try connection.integer("SELECT 1 FROM \(records) LIMIT 1") != nil {
                try connection.execute("DELETE FROM \(records)")
            }
        }
        return end
    }
}
