internal import ChangeModel
internal import ConnectorKit

extension CaptureSession {
    /// How long installing waits for a writer, and how long each look waits.
    private static let installWait: Int32 = 5000
    private static let lookWait: Int32 = 50

    /// Connects, checks that the database is the one of `checkpoint` and `expected` and that its log goes on where the
    /// checkpoint ends, and installs tables and triggers. What is refused is left as it was.
    static func open(
        _ settings: SQLiteSettings, resumingAfter checkpoint: SourceCheckpoint?, of expected: SourceIdentity?,
        notice: @escaping @Sendable (String) -> Void
    ) throws(SQLiteError) -> CaptureSession {
        let connection = try connect(settings.path)
        let usesWAL = try connection.text("PRAGMA journal_mode") == "wal"
        guard let watch = DatabaseFileWatch(path: settings.path, usesWAL: usesWAL) else {
            throw SQLiteError(refusal: .fileMissing(settings.path))
        }
        if usesWAL { try connection.execute("PRAGMA synchronous = NORMAL") }
        if let expected { try checkIsSame(expected, connection) }
        var resumed: SourceProgress?
        if let checkpoint { resumed = try readBack(checkpoint, connection) }
        let installer = CaptureInstaller(connection: connection, patterns: settings.tables)
        let (installed, progress) = try connection.transaction("IMMEDIATE") { () throws(SQLiteError) in
            if let resumed { try checkContinues(resumed, connection) }
            let installed = try installer.install()
            if let resumed { return (installed, resumed) }
            return (installed, try firstProgress(connection))
        }
        for line in installed.notices { notice(line) }
        connection.setBusyTimeout(milliseconds: lookWait)
        return try CaptureSession(connection, settings, progress, installed, watch, notice: notice)
    }

    /// Opens the file for writing; the first statement tells whether it is a database.
    static func connect(_ path: String) throws(SQLiteError) -> SQLiteConnection {
        guard DatabaseFileWatch.exists(path) else { throw SQLiteError(refusal: .fileMissing(path)) }
        let connection = try SQLiteConnection(path: path)
        connection.setBusyTimeout(milliseconds: installWait)
        _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
        guard !connection.isReadOnly else { throw SQLiteError(refusal: .readOnly(path)) }
        return connection
    }

    /// Throws what ``open(_:resumingAfter:of:notice:)`` would refuse because of the past; changes nothing.
    static func checkResumes(
        after checkpoint: SourceCheckpoint?, of expected: SourceIdentity, _ connection: SQLiteConnection
    ) throws(SQLiteError) {
        try checkIsSame(expected, connection)
        guard let checkpoint else { return }
        try checkContinues(try readBack(checkpoint, connection), connection)
    }

    private static func readBack(
        _ checkpoint: SourceCheckpoint, _ connection: SQLiteConnection
    ) throws(SQLiteError) -> SourceProgress {
        guard let progress = SourceProgress(checkpoint) else {
            throw SQLiteError(refusal: .badCheckpoint(connection.path))
        }
        guard try ChangeLogTables.exist(connection) else {
            throw SQLiteError(refusal: .captureMissing(connection.path))
        }
        try checkIsSame(CaptureSession.identity(progress.database), connection)
        return progress
    }

    /// Throws when the database is another one than a log was made from. One that was never captured is another one
    /// too, or has lost its capture.
    static func checkIsSame(
        _ expected: SourceIdentity, _ connection: SQLiteConnection
    ) throws(SQLiteError) {
        guard expected.kind == CaptureSession.kind else {
            throw SQLiteError(refusal: .otherKind(connection.path, expected.kind))
        }
        guard try ChangeLogTables.exist(connection) else {
            throw SQLiteError(refusal: .captureMissing(connection.path))
        }
        let found = CaptureSession.identity(try ChangeLogTables.identity(connection).database)
        if found != expected { throw SQLiteError(refusal: .otherDatabase(connection.path, found, expected)) }
    }

    /// Throws when changes between the checkpoint and now are gone, or the file is an older copy.
    private static func checkContinues(
        _ progress: SourceProgress, _ connection: SQLiteConnection
    ) throws(SQLiteError) {
        guard try ChangeLogTables.identity(connection).epoch >= progress.epoch else {
            throw SQLiteError(refusal: .logWentBack(connection.path))
        }
        try ChangeLogReader(connection).checkAnchor(progress)
    }

    /// Where a source that was never read begins. When an earlier pipeline acknowledged changes, a new life of the log
    /// begins, so that no identity of that pipeline is used again.
    private static func firstProgress(_ connection: SQLiteConnection) throws(SQLiteError) -> SourceProgress {
        var identity = try ChangeLogTables.identity(connection)
        if identity.acknowledged != nil { identity = try ChangeLogTables.beginLife(after: identity, connection) }
        guard let anchor = try ChangeLogReader(connection).anchor(of: identity.start) else {
            identity = try ChangeLogTables.beginLife(after: identity, connection)
            let anchor = try ChangeLogReader(connection).anchor(of: identity.start)
            return SourceProgress(
                database: identity.database, epoch: identity.epoch, seq: identity.start, anchor: anchor ?? 0)
        }
        return SourceProgress(
            database: identity.database, epoch: identity.epoch, seq: identity.start, anchor: anchor)
    }
}
