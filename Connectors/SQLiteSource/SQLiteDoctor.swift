package import ChangeModel
package import ConnectorKit

/// Looks at everything that capture of a SQLite database needs, and changes nothing.
package struct SQLiteDoctor: Sendable {
    /// What an event log remembers of its source.
    package struct LogMemory: Sendable {
        /// The source that the log was made from.
        package var identity: SourceIdentity
        /// How far it was read.
        package var checkpoint: SourceCheckpoint?

        /// A memory of its parts.
        package init(identity: SourceIdentity, checkpoint: SourceCheckpoint?) {
            self.identity = identity
            self.checkpoint = checkpoint
        }
    }

    private let settings: SQLiteSettings
    private let log: LogMemory?

    /// A doctor for these settings, who compares the file with what the `log` remembers, if there is one.
    package init(_ settings: SQLiteSettings, log: LogMemory? = nil) {
        self.settings = settings
        self.log = log
    }

    /// One finding for each thing that was looked at, in the order in which they depend on each other.
    package func findings() -> [Finding] {
        do throws(SQLiteError) {
            guard DatabaseFileWatch.exists(settings.path) else {
                throw SQLiteError(refusal: .fileMissing(settings.path))
            }
            let connection = try SQLiteConnection(path: settings.path, reading: true)
            connection.setBusyTimeout(milliseconds: 1000)
            _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
            var findings = [
                Finding(
                    .ok, "sqlite.file",
                    "\(settings.path) is a database (SQLite \(SQLiteConnection.libraryVersion) reads it)")
            ]
            findings.append(writable())
            findings.append(try journal(connection))
            findings += try tables(connection)
            if let log { findings.append(try past(log, connection)) }
            return findings
        } catch {
            let failure = ConnectorFailure(error, path: settings.path, while: "looking at the database")
            return [Finding(.problem, failure.code, failure.message, fix: failure.hint)]
        }
    }

    /// The captured tables with their columns; nil when the database cannot be read.
    package func tables() -> [TableColumns]? {
        guard DatabaseFileWatch.exists(settings.path) else { return nil }
        do throws(SQLiteError) {
            let connection = try SQLiteConnection(path: settings.path, reading: true)
            connection.setBusyTimeout(milliseconds: 1000)
            var notices: [String] = []
            return try CaptureInstaller(connection: connection, patterns: settings.tables).chooseTables(&notices).map {
                shape in
                TableColumns(
                    schema: "main", table: shape.name, columns: shape.columns.map(\.name),
                    key: Set(shape.keyColumns.map { shape.columns[$0].name }))
            }
        } catch {
            return nil
        }
    }

    /// The captured tables as a run that starts now would know them, before it has read anything of them.
    package func relations() throws(ConnectorFailure) -> [Relation] {
        do throws(SQLiteError) {
            guard DatabaseFileWatch.exists(settings.path) else {
                throw SQLiteError(refusal: .fileMissing(settings.path))
            }
            let connection = try SQLiteConnection(path: settings.path, reading: true)
            connection.setBusyTimeout(milliseconds: 1000)
            var notices: [String] = []
            let installer = CaptureInstaller(connection: connection, patterns: settings.tables)
            return try installer.chooseTables(&notices).map { $0.relation(capture: 0) }
        } catch {
            throw ConnectorFailure(error, path: settings.path, while: "looking at the tables")
        }
    }

    /// Whether the file goes on where the log ends, or is an older copy or another database.
    private func past(_ log: LogMemory, _ connection: SQLiteConnection) throws(SQLiteError) -> Finding {
        try CaptureSession.checkResumes(after: log.checkpoint, of: log.identity, connection)
        return Finding(.ok, "sqlite.log_went_back", "the file goes on where the log ends")
    }

    private func writable() -> Finding {
        guard DatabaseFileWatch.isWritable(settings.path) else {
            let failure = ConnectorFailure.readOnly(settings.path)
            return Finding(
                .problem, failure.code, "\(settings.path) or its folder cannot be written", fix: failure.hint)
        }
        return Finding(.ok, "sqlite.writable", "the file and its folder can be written")
    }

    private func journal(_ connection: SQLiteConnection) throws(SQLiteError) -> Finding {
        let mode = try connection.text("PRAGMA journal_mode") ?? ""
        if mode == "wal" {
            return Finding(
                .ok, "sqlite.journal_mode", "journal_mode is wal: readers and writers do not wait for each other")
        }
        return Finding(
            .warning, "sqlite.journal_mode",
            "journal_mode is \(mode): a writer waits while Millrace reads, for milliseconds, and fails at once when"
                + " it has no"
                + " busy time-out",
            fix:
                "PRAGMA journal_mode = WAL; once in the database, or PRAGMA busy_timeout = 1000; in each connection"
                + " of the"
                + " application")
    }

    private func tables(_ connection: SQLiteConnection) throws(SQLiteError) -> [Finding] {
        let installer = CaptureInstaller(connection: connection, patterns: settings.tables)
        var notices: [String] = []
        let shapes = try installer.chooseTables(&notices)
        var findings = notices.map { Finding(.warning, "sqlite.table_not_captured", $0) }
        if shapes.isEmpty {
            let failure = ConnectorFailure.noTables(settings.path)
            findings.append(Finding(.problem, failure.code, failure.message, fix: failure.hint))
        }
        let triggers = try InstalledTrigger.all(connection)
        for shape in shapes { findings.append(table(shape, triggers)) }
        return findings
    }

    private func table(_ shape: TableShape, _ triggers: [InstalledTrigger]) -> Finding {
        let ours = triggers.filter { $0.isOn(shape.name) && $0.isOurs }
        let theirs = triggers.filter { $0.isOn(shape.name) && !$0.isOurs }
        let key = shape.keyColumns.map { shape.columns[$0].name }.joined(separator: ", ")
        let what = "table \"\(shape.name)\" has the key (\(key))"
        if ours.isEmpty { return Finding(.ok, "sqlite.table", what + "; the first run installs its triggers") }
        let oldestOfOurs = ours.filter(\.isAfter).map(\.rowid).min() ?? 0
        if let newer = theirs.first(where: { $0.rowid > oldestOfOurs }) {
            return Finding(
                .warning, "sqlite.trigger_order",
                what + "; trigger \"\(newer.name)\" is newer than ours and fires before them",
                fix: "millrace run, which makes its triggers anew")
        }
        return Finding(.ok, "sqlite.table", what + " and our triggers")
    }
}
