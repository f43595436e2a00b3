private import CSQLite
internal import ChangeModel
internal import ConnectorKit

extension ConnectorFailure {
    /// What SQLite's result code means to whoever runs Millrace (<https://www.sqlite.org/rescode.html>).
    init(_ error: SQLiteError, path: String, while action: String) {
        if let refusal = error.refusal {
            self = refusal
            return
        }
        let what = "\(path): \(action): \(error.message)"
        self =
            switch error.primaryCode {
            case SQLITE_BUSY, SQLITE_LOCKED: .sqlite("sqlite.locked", .retry, what, hint: .waitForLock)
            case SQLITE_CANTOPEN: .sqlite("sqlite.cannot_open", .stop, what, hint: .checkPath)
            case SQLITE_PERM, SQLITE_AUTH: .sqlite("sqlite.permission_denied", .stop, what, hint: .grantAccess)
            case SQLITE_READONLY: .sqlite("sqlite.read_only", .stop, what, hint: .grantAccess)
            case SQLITE_NOTADB: .sqlite("sqlite.not_a_database", .stop, what, hint: .checkPath)
            case SQLITE_CORRUPT: .sqlite("sqlite.corrupt", .stop, what, hint: .checkIntegrity(path))
            case SQLITE_FULL: .sqlite("sqlite.disk_full", .retry, what, hint: .makeRoom)
            case SQLITE_IOERR, SQLITE_PROTOCOL: .sqlite("sqlite.io_error", .retry, what, hint: .lookAtDisk)
            case SQLITE_NOMEM, SQLITE_TOOBIG: .sqlite("sqlite.out_of_memory", .stop, what, hint: .lookAtMemory)
            case SQLITE_SCHEMA: .sqlite("sqlite.schema_changed", .retry, what, hint: nil)
            default: .sqlite("sqlite.query_failed", .stop, what, hint: .reportIt)
            }
    }

    fileprivate static func sqlite(
        _ code: String, _ remedy: Remedy, _ message: String, hint: Hint?
    ) -> ConnectorFailure {
        ConnectorFailure(code, remedy, message, setting: "source.sqlite.path", hint: hint?.text)
    }

    static func fileMissing(_ path: String) -> ConnectorFailure {
        .sqlite("sqlite.file_missing", .stop, "there is no file \(path)", hint: .checkPath)
    }

    static func readOnly(_ path: String) -> ConnectorFailure {
        .sqlite("sqlite.read_only", .stop, "\(path) cannot be written", hint: .grantAccess)
    }

    static func fileReplaced(_ path: String) -> ConnectorFailure {
        .sqlite(
            "sqlite.file_replaced", .retry, "\(path) was moved away or replaced while it was read",
            hint: .words("Millrace opens the new file and goes on if it continues the same change log"))
    }

    static func captureMissing(_ path: String) -> ConnectorFailure {
        .sqlite(
            "sqlite.capture_missing", .stop,
            "\(path) was captured before, but the tables named _millrace_ that hold its changes are gone, or it is"
                + " another file",
            hint: .startAnew)
    }

    static func otherKind(_ path: String, _ kind: String) -> ConnectorFailure {
        .sqlite(
            "sqlite.other_database", .stop, "the log was made from a source of the kind \(kind), not from \(path)",
            hint: .useOwnFolder)
    }

    static func otherDatabase(
        _ path: String, _ found: SourceIdentity, _ expected: SourceIdentity
    ) -> ConnectorFailure {
        .sqlite(
            "sqlite.other_database", .stop,
            "the log was made from another database than \(path)"
                + " (\(found.differences(from: expected).joined(separator: "; ")))",
            hint: .useOwnFolder)
    }

    static func logWentBack(_ path: String) -> ConnectorFailure {
        .sqlite(
            "sqlite.log_went_back", .stop,
            "the change log of \(path) does not contain the last change that was read: the file was restored from a"
                + " copy,"
                + " or the log was emptied", hint: .startAnew)
    }

    static func changesMissing(_ path: String, after seq: Int64, next: Int64?) -> ConnectorFailure {
        let found = next.map { "the next one is \($0)" } ?? "none follows"
        return .sqlite(
            "sqlite.changes_missing", .stop,
            "changes after number \(seq) are missing from the change log of \(path): \(found)", hint: .startAnew)
    }

    static func newerFormat(_ path: String, _ format: Int64) -> ConnectorFailure {
        .sqlite(
            "sqlite.newer_format", .stop,
            "the change log of \(path) has format \(format), which this program does not know",
            hint: .words("use the Millrace that made it, or a newer one"))
    }

    static func damagedLog(_ path: String, seq: Int64) -> ConnectorFailure {
        .sqlite(
            "sqlite.log_damaged", .stop, "change \(seq) in the change log of \(path) has an unknown form",
            hint: .startAnew)
    }

    static func badCheckpoint(_ path: String) -> ConnectorFailure {
        .sqlite(
            "sqlite.checkpoint_unknown", .stop, "the checkpoint for \(path) was not written by this kind of source",
            hint: .startAnew)
    }

    static func epochsExhausted(_ path: String) -> ConnectorFailure {
        .sqlite("sqlite.epochs_exhausted", .stop, "\(path) was captured anew too often", hint: .reportIt)
    }

    static func noTables(_ path: String) -> ConnectorFailure {
        ConnectorFailure(
            "sqlite.no_tables", .stop, "\(path) has no table that fits source.sqlite.tables and can be captured",
            setting: "source.sqlite.tables", hint: "name tables that have a primary key", exitCode: 2)
    }

    static func snapshotsOff(_ path: String) -> ConnectorFailure {
        ConnectorFailure(
            "sqlite.snapshots_off", .stop, "rows of \(path) are not read, as source.sqlite.snapshot says never",
            setting: "source.sqlite.snapshot", hint: "set it to initial and start again", exitCode: 2)
    }

    static func notCaptured(_ path: String, table: String = "the tables of the request") -> ConnectorFailure {
        ConnectorFailure(
            "sqlite.not_captured", .stop, "no captured table of \(path) fits \(table)",
            setting: "source.sqlite.tables", hint: "name tables that source.sqlite.tables covers", exitCode: 2)
    }

    static func tableMissing(_ name: String, _ path: String, similar: String?) -> ConnectorFailure {
        ConnectorFailure(
            "sqlite.table_missing", .stop, "\(path) has no table \"\(name)\"", setting: "source.sqlite.tables",
            hint: similar.map { "the database spells it \"\($0)\"" }
                ?? "list the tables with: sqlite3 \(path) .tables", exitCode: 2)
    }

    static func refused(_ refusal: TableRefusal) -> ConnectorFailure {
        ConnectorFailure(
            refusal.code, .stop, refusal.message, setting: "source.sqlite.tables", hint: refusal.hint, exitCode: 2)
    }

    static func batchTooLarge(_ path: String) -> ConnectorFailure {
        .sqlite(
            "sqlite.row_too_large", .stop, "a change in \(path) needs more than 4 GiB", hint: .reportIt)
    }
}

/// What to do next, in one place so that equal advice reads equally.
private enum Hint {
    case waitForLock, checkPath, grantAccess, makeRoom, lookAtDisk, lookAtMemory, reportIt, startAnew, useOwnFolder
    case checkIntegrity(String)
    case words(String)

    var text: String {
        switch self {
        case .waitForLock: "end the transaction that keeps the database locked; Millrace tries again by itself"
        case .checkPath: "set source.sqlite.path to an existing SQLite database file"
        case .grantAccess:
            "give the user that runs Millrace write permission on the file and on its folder: triggers and the"
                + " change log"
                + " live in the database"
        case .makeRoom: "make room on the disk of the database"
        case .lookAtDisk: "look at the disk and the file system of the database"
        case .lookAtMemory: "give the process more memory"
        case .reportIt: "please report this as a bug of Millrace"
        case .startAnew:
            "changes may be lost to this pipeline: move the state folder away and start again, which reads all rows"
                + " anew as"
                + " snapshot events"
        case .useOwnFolder:
            "name the file that the log belongs to, or give this one a state folder of its own (log.directory)"
        case .checkIntegrity(let path): "check it with: sqlite3 \(path) 'PRAGMA integrity_check'"
        case .words(let text): text
        }
    }
}
