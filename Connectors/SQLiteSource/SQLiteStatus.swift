package import ChangeModel
package import ConnectorKit

/// What `millrace status` says of a SQLite source: read without a write and without the running source.
package struct SQLiteStatus: Sendable, Equatable {
    /// The database's own number.
    package var database: String
    /// The newest row of the change log.
    package var newest: Int64
    /// Changes that were committed and not taken yet.
    package var waiting: Int64
    /// When the oldest change that waits was committed, in microseconds since 1970-01-01 00:00 UTC; nil when none
    /// waits.
    package var waitingSince: Int64?
    /// Rows of the log that are still in the database, taken or not.
    package var stored: Int64
    /// Tables with our triggers.
    package var capturedTables: [String]
    /// The table whose rows are being read as snapshot events; nil between tables and when there is nothing to read.
    package var snapshotTable: String?
    /// How many tables were read to the end.
    package var snapshotTablesFinished: Int

    /// Reads the status beside `checkpoint`, the last that the event log holds. Nil when nothing was installed yet.
    package static func read(
        _ settings: SQLiteSettings, checkpoint: SourceCheckpoint?
    ) throws(ConnectorFailure) -> SQLiteStatus? {
        do throws(SQLiteError) {
            guard DatabaseFileWatch.exists(settings.path) else {
                throw SQLiteError(refusal: .fileMissing(settings.path))
            }
            let connection = try SQLiteConnection(path: settings.path, reading: true)
            connection.setBusyTimeout(milliseconds: 1000)
            return try connection.transaction("DEFERRED") { () throws(SQLiteError) in
                try read(connection, checkpoint)
            }
        } catch {
            throw ConnectorFailure(error, path: settings.path, while: "reading the status")
        }
    }

    private static func read(
        _ connection: SQLiteConnection, _ checkpoint: SourceCheckpoint?
    ) throws(SQLiteError) -> SQLiteStatus? {
        guard try ChangeLogTables.exist(connection) else { return nil }
        let identity = try ChangeLogTables.identity(connection)
        let log = ChangeLogTables.changes
        let newest = try ChangeLogTables.newest(connection)
        let oldest = try connection.integer("SELECT min(seq) FROM \(log)") ?? newest
        let progress = checkpoint.flatMap { SourceProgress($0) }
        let taken = min(progress?.seq ?? identity.start, newest)
        let next = try connection.prepare("SELECT at FROM \(log) WHERE seq > ? ORDER BY seq LIMIT 1")
        try next.bind(1, .integer(taken))
        let waitingSince = try next.step() ? ChangeLogReader.microseconds(julianDay: next.double(0)) : nil
        var tables: [String] = []
        for capture in try StoredCapture.active(connection) {
            if let stored = try StoredCapture.read(capture, connection) { tables.append(stored.tableName) }
        }
        return SQLiteStatus(
            database: identity.database, newest: newest, waiting: newest - taken, waitingSince: waitingSince,
            stored: newest - oldest + 1, capturedTables: tables.sorted(), snapshotTable: progress?.current?.table,
            snapshotTablesFinished: progress?.finished.count ?? 0)
    }
}
