import ChangeModel
import ConnectorKit
import Glibc
import GRDB

/// Every failure of the log, in one place: the code, the remedy and what to do next.
enum LogFailure {
    /// What went wrong in SQLite, while `action` was done ("append a batch"). Never holds statement arguments.
    static func of(_ error: any Error, while action: String, at path: String) -> ConnectorFailure {
        if let failure = error as? ConnectorFailure { return failure }
        if let missing = error as? MissingBody { return damaged("\(missing.path) is missing") }
        guard let error = error as? DatabaseError else {
            return ConnectorFailure("log.failed", .stop, "cannot \(action) (\(path)): \(type(of: error))")
        }
        let detail = "\(error.message ?? "no message"), SQLite code \(error.extendedResultCode.rawValue)"
        switch error.extendedResultCode {
        case .SQLITE_IOERR_FSYNC, .SQLITE_IOERR_DIR_FSYNC: return syncFailed(path, detail)
        case .SQLITE_IOERR_SHMSIZE: return diskFull(action, path, detail)
        default: break
        }
        switch error.resultCode {
        case .SQLITE_FULL: return diskFull(action, path, detail)
        case .SQLITE_IOERR where isFull(path): return diskFull(action, path, detail)
        case .SQLITE_IOERR:
            return ConnectorFailure(
                "log.io_error", .retry, "cannot \(action) (\(path)): \(detail)", setting: "log.directory",
                hint: "check the disk and its mount (dmesg, df)")
        case .SQLITE_NOTADB: return unknownFormat(path, "it is no SQLite database")
        case .SQLITE_CORRUPT:
            return damaged("cannot \(action) (\(path)): \(detail)")
        case .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_PROTOCOL:
            return ConnectorFailure(
                "log.busy", .retry, "cannot \(action) (\(path)): another program holds the database: \(detail)",
                hint: "close other programs that write to it; reading with `millrace tail` or `status` never blocks")
        case .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_READONLY, .SQLITE_AUTH:
            return directory(path, "cannot \(action): \(detail)")
        default:
            return ConnectorFailure("log.failed", .stop, "cannot \(action) (\(path)): \(detail)")
        }
    }

    /// A sync that failed: what the disk has is not known.
    static func syncFailed(_ path: String, _ detail: String) -> ConnectorFailure {
        ConnectorFailure(
            "log.sync_failed", .stop, "the disk did not take the log's data (\(path)): \(detail)",
            setting: "log.directory",
            hint: "check the disk (dmesg); nothing after the last sync was confirmed to the source, "
                + "so a start on a sound disk reads it again")
    }

    /// The log takes more than the configuration gives it.
    static func full(_ used: Int, _ limit: Int) -> ConnectorFailure {
        ConnectorFailure(
            EventLog.fullCode, .retry,
            "the log takes \(used) bytes and may take \(limit): capture waits, and the database keeps its changes",
            setting: "log.limit",
            hint:
                "millrace status says which sink does not take its events: mend it, or take it out and reload "
                + "(SIGHUP); read on or delete a subscription that holds events; retry or discard what waits "
                + "as dead letters; or raise log.limit. What all sinks have is "
                + "removed, and capture goes on, by itself; nothing is lost")
    }

    /// No room for the log.
    static func diskFull(_ action: String, _ path: String, _ detail: String) -> ConnectorFailure {
        ConnectorFailure(
            EventLog.diskFullCode, .retry, "no room to \(action) (\(path)): \(detail)", setting: "log.directory",
            hint: "make room on that file system; while log.reserve lasts, sinks and retention go on, and capture too "
                + "once enough was removed (a lower log.retention removes more); nothing is lost")
    }

    /// Events that a sink's receiver refused have no room on the disk.
    static func noRoomForLetters(_ failure: ConnectorFailure, _ subject: String) -> ConnectorFailure {
        var failure = failure
        failure.hint =
            "millrace deadletters retry \(subject) once the receiver takes them, or millrace deadletters discard "
            + "\(subject), or make room on that file system; the sink waits meanwhile, nothing is lost"
        return failure
    }

    /// A sink that never ran here.
    static func unknownSink(_ sink: String) -> ConnectorFailure {
        ConnectorFailure(
            "log.unknown_sink", .stop, "the log has no cursor for the sink \(sink)",
            hint: "start it once with millrace run; the sink's setting from says where it begins")
    }

    /// A place to deliver from that the log does not have.
    static func notInLog(_ offset: UInt64, _ range: ClosedRange<UInt64>) -> ConnectorFailure {
        ConnectorFailure(
            "replay.not_in_log", .stop,
            "the log has no offset \(offset): it reaches from \(range.lowerBound) to \(range.upperBound)",
            hint: offset > range.upperBound
                ? "millrace status shows where the log ends; --from latest is there"
                : "--from earliest is what is left; older rows come again with millrace snapshot", exitCode: 2)
    }

    /// A place to deliver from that lies ahead.
    static func wouldSkip(_ sink: String, _ cursor: UInt64, _ offset: UInt64) -> ConnectorFailure {
        ConnectorFailure(
            "replay.would_skip", .stop,
            "\(sink) has everything before offset \(cursor); from \(offset) on, it would never get what lies between",
            hint: "add --skip if that is what you want", exitCode: 2)
    }

    static func losesLetters(_ sink: String, _ tables: [String]) -> ConnectorFailure {
        ConnectorFailure(
            "replay.loses_letters", .stop,
            "dead letters of \(sink) are of tables that it does not take any more (\(tables.joined(separator: ", "))): "
                + "a replay would take them back, and not deliver them",
            hint: "first millrace deadletters retry @\(sink), or discard; or name the tables again in "
                + "sinks.\(sink).tables",
            exitCode: 2)
    }

    /// A subscription that was removed or moved meanwhile.
    static func unknownSubscription(_ name: String) -> ConnectorFailure {
        ConnectorFailure(
            EventLog.unknownSubscriptionCode, .stop, "the subscription \(name) was removed or moved meanwhile",
            hint: "PUT /v1/subscriptions/\(name) makes it anew if it was removed; otherwise pull again")
    }

    /// Stored data that cannot be what was written.
    static func damaged(_ what: String) -> ConnectorFailure {
        ConnectorFailure(
            "log.damaged", .stop, what, setting: "log.directory",
            hint: "check the disk; `sqlite3 log.sqlite 'PRAGMA integrity_check'` tells how much is affected")
    }

    /// No log where one should be read.
    static func notFound(_ path: String) -> ConnectorFailure {
        ConnectorFailure(
            "log.not_found", .stop, "there is no event log at \(path)", setting: "log.directory",
            hint: "`millrace run` makes it; check log.directory, which is relative to the configuration file")
    }

    /// An offset that retention has removed.
    static func retainedAway(_ offset: UInt64, first: UInt64) -> ConnectorFailure {
        ConnectorFailure(
            LogReader.retainedAwayCode, .stop, "offset \(offset) is no longer in the log, which begins at \(first)",
            setting: "log.retention",
            hint: "begin at \(first) or later (a sink: millrace replay SINK --from earliest --skip), or take a new "
                + "snapshot")
    }

    /// A file that this program must not touch.
    static func unknownFormat(_ path: String, _ why: String) -> ConnectorFailure {
        ConnectorFailure(
            "log.unknown_format", .stop, "\(path) is no event log that this version can use: \(why)",
            setting: "log.directory", hint: "use the version of Millrace that wrote it, or another log.directory",
            exitCode: 2)
    }

    /// A folder or file that cannot be made, opened or written.
    static func directory(_ path: String, _ what: String) -> ConnectorFailure {
        ConnectorFailure(
            "log.directory", .stop, "\(path): \(what)", setting: "log.directory",
            hint: "give this user read and write access to log.directory, or choose another one")
    }

    /// A system call that failed on `path`.
    static func system(_ action: String, _ path: String, _ number: Int32) -> ConnectorFailure {
        let reason = String(cString: strerror(number))
        if number == ENOSPC || number == EDQUOT { return diskFull(action, path, reason) }
        return directory(path, "cannot \(action): \(reason)")
    }

    /// True when the file system of `path` has less than a page group free: then an I/O error means that.
    private static func isFull(_ path: String) -> Bool {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { return false }
        return info.f_bavail * info.f_frsize < 256 << 10
    }
}
