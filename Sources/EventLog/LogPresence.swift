import ConnectorKit
import Glibc

/// Knows the log's files again: what is written to a file that somebody removed or replaced is gone with the process,
/// however durable the disk says it is.
struct LogPresence {
    private let paths: [String]
    /// The files as they were seen first. The journal is there from the first write on, and stays while the log is
    /// open.
    private var known: [FileIdentity?]

    private struct FileIdentity: Equatable {
        var device: UInt
        var node: UInt

        init?(_ path: String) {
            var info = stat()
            guard stat(path, &info) == 0 else { return nil }
            (device, node) = (UInt(info.st_dev), UInt(info.st_ino))
        }
    }

    /// The files of a database that is open.
    init(database path: String) {
        paths = [path, path + "-wal"]
        known = paths.map { FileIdentity($0) }
    }

    /// Throws `log.replaced` when a file is not the one that was opened.
    mutating func check() throws(ConnectorFailure) {
        for (index, path) in paths.enumerated() {
            let found = FileIdentity(path)
            if known[index] == nil { known[index] = found }
            guard found == nil || known[index] != found else { continue }
            throw Self.failure(path, isRemoved: found == nil)
        }
    }

    /// Throws `log.replaced` when `path` is not the name of the open file any more.
    static func check(_ path: String, isNameOf descriptor: Int32) throws(ConnectorFailure) {
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { throw LogFailure.system("look at", path, errno) }
        var named = stat()
        guard stat(path, &named) == 0 else { throw failure(path, isRemoved: true) }
        if named.st_ino != info.st_ino || named.st_dev != info.st_dev { throw failure(path, isRemoved: false) }
    }

    private static func failure(_ path: String, isRemoved: Bool) -> ConnectorFailure {
        ConnectorFailure(
            "log.replaced", .stop,
            "\(path) was \(isRemoved ? "removed" : "replaced") while this process was writing to it",
            setting: "log.directory",
            hint: "put the whole folder back if it was only moved, and start again; nothing was confirmed to the "
                + "source since the last sync that found it in place. If it is lost, so is what it held: start "
                + "with an empty folder, and follow what `millrace doctor` says")
    }
}
