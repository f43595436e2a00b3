import ConnectorKit
import Glibc

/// Every failure of the file sink, in one place: which errno has which code and remedy.
enum FileFailure {
    /// A system call that failed with `number` while `action` was done to `path`. See errno(3).
    static func system(_ action: String, _ path: String, _ number: Int32) -> ConnectorFailure {
        let (code, remedy, hint) = policy(number)
        let reason = unsafe String(cString: strerror(number))
        return ConnectorFailure(code, remedy, "cannot \(action) \(path): \(reason)", setting: "path", hint: hint)
    }

    /// Another sink or process has the file.
    static func inUse(_ path: String) -> ConnectorFailure {
        ConnectorFailure(
            "file.in_use", .stop, "another sink or process is writing to \(path)", setting: "path",
            hint: "give each sink its own path; two writers would destroy each other's lines")
    }

    /// Files that the sink wrote to in lives that its state does not know.
    static func newerThanLog(_ path: String, others: Int = 0) -> ConnectorFailure {
        let files = others == 0 ? path : "\(path) and \(others) more of the sink's files"
        return ConnectorFailure(
            "file.newer_than_log", .stop,
            "the log's folder is an older copy: it does not know of runs that wrote to \(files)",
            hint: "put the newer folder of the log back; if there is none, move all files of the sink away and start "
                + "again: delivery goes on in new ones")
    }

    /// A file that is a database, or a journal of one.
    static func isDatabase(_ path: String) -> ConnectorFailure {
        ConnectorFailure(
            "file.is_a_database", .stop, "\(path) is a file of an SQLite database: nothing was written to it",
            setting: "path", hint: "choose a path that nothing else uses")
    }

    /// A path by which a name from the database leads to what is Millrace's own.
    static func reserved(_ path: String, _ owner: String) -> ConnectorFailure {
        ConnectorFailure(
            "file.reserved", .stop, "\(path) is that of \(owner): nothing was written to it", setting: "path",
            hint: "choose a path under which no table's name leads there, such as a folder of the sink's own")
    }

    /// A file that was exchanged between two looks at it.
    static func changedOutside(_ path: String) -> ConnectorFailure {
        ConnectorFailure(
            "file.changed_outside", .retry, "\(path) was replaced or cut while it was written to", setting: "path",
            hint:
                "let nothing else change the files of a running sink; delivery goes on with the file that is there now")
    }

    /// A compressor could not be made.
    static let noMemory = ConnectorFailure(
        "file.no_memory", .retry, "there is no memory to compress a file",
        hint: "give the process more memory, or write without compress")

    /// No name is left for a finished file.
    static func noFreeName(_ path: String) -> ConnectorFailure {
        ConnectorFailure(
            "file.no_free_name", .stop, "\(path) and all names like it are taken", setting: "path",
            hint: "move the files of earlier runs away")
    }

    /// A state that this version cannot read.
    static let unknownState = ConnectorFailure(
        "file.unknown_state", .stop, "the stored state of the file sink is of another version or damaged",
        hint: "use the version of Millrace that wrote it")

    /// A batch whose records do not lie in its bytes.
    static let badBatch = ConnectorFailure(
        "file.bad_batch", .stop, "a batch of records does not have the form that sinks are promised",
        hint: "this is a fault of the encoder: please report it; nothing of the batch was written")

    private static func policy(_ number: Int32) -> (code: String, remedy: Remedy, hint: String) {
        switch number {
        case EACCES, EPERM:
            (
                "file.permission_denied", .stop,
                "give the user that Millrace runs as the right to write there (chown, chmod)"
            )
        case ENOSPC, EDQUOT:
            ("file.disk_full", .retry, "make room on that file system; delivery goes on by itself, nothing is lost")
        case EISDIR: ("file.is_a_directory", .stop, "choose a path that is no folder, or move the folder away")
        case ENOTDIR, EEXIST:
            ("file.not_a_directory", .stop, "a part of the path is a file: move it away, or change path")
        case ENAMETOOLONG:
            ("file.path_too_long", .stop, "shorten path, or rename the table: a file name has at most 255 bytes")
        case EROFS: ("file.read_only", .stop, "mount the file system for writing, or choose another path")
        case EFBIG:
            (
                "file.too_large", .stop,
                "the file system or the limit (ulimit -f) allows no larger file: use rotate, or {date}"
            )
        case EMFILE, ENFILE: ("file.too_many_open", .retry, "raise the limit of open files (ulimit -n)")
        case ENXIO, EPIPE: ("file.no_reader", .retry, "start the program that reads from the pipe")
        default: ("file.io_error", .retry, "check the disk and its mount (dmesg, df)")
        }
    }
}
