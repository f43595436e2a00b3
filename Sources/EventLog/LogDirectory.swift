import ConnectorKit
import Foundation
import Glibc

/// The log's folder: where its files lie, and the lock that keeps a second writer out.
struct LogDirectory: Sendable {
    /// The folder's path.
    let path: String
    /// The database file.
    var database: String { path + "/log.sqlite" }
    /// The file whose flock(2) the writing process holds.
    var lock: String { path + "/lock" }
    /// What tells this log from all others (``identity()``).
    var identityFile: String { path + "/identity" }
    /// Room on the disk that is kept for upkeep (``LogReserve``).
    var reserve: String { path + "/reserve" }
    /// The write-ahead log of the database.
    var journal: String { database + "-wal" }
    /// SQLite's index of the write-ahead log, which processes share.
    var index: String { database + "-shm" }
    /// A file of bodies that are not in the database.
    func bodyFile(_ number: Int64) -> String { path + "/" + Self.bodyFilePrefix + String(number) }

    static let bodyFilePrefix = "bodies-"

    init(_ path: String) {
        self.path = path.isEmpty ? "." : path
    }

    /// Makes the folder when it is missing, with mode 0700, and its parents with the usual mode.
    func make() throws(ConnectorFailure) {
        for end in path.indices.dropFirst() where path[end] == "/" { try make(String(path[..<end]), mode: 0o777) }
        try make(path, mode: 0o700)
    }

    /// Some letters and digits that no other log has, made with the log; empty when there was no room for them yet.
    func identity() -> String {
        if let known = knownIdentity { return known }
        let made =
            String(UInt64.random(in: .min ... .max), radix: 36) + String(UInt64.random(in: .min ... .max), radix: 36)
        let descriptor = open(identityFile, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        let bytes = Array(made.utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
            unlink(identityFile)
            return ""
        }
        return made
    }

    /// What ``identity()`` made; nil when it made nothing yet.
    var knownIdentity: String? {
        guard let known = try? String(contentsOfFile: identityFile, encoding: .utf8), !known.isEmpty else { return nil }
        return known
    }

    /// The numbers of the files of bodies in the folder.
    func bodyFileNumbers() throws(ConnectorFailure) -> Set<Int64> {
        guard let folder = opendir(path) else { throw LogFailure.system("read the folder", path, errno) }
        defer { closedir(folder) }
        var numbers: Set<Int64> = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.hasPrefix(Self.bodyFilePrefix), let number = Int64(name.dropFirst(Self.bodyFilePrefix.count)),
                number > 0, Self.bodyFilePrefix + String(number) == name
            else { continue }
            numbers.insert(number)
        }
        return numbers
    }

    /// Makes the names in the folder durable, and the name of the folder itself (fsync(2), "Description"). Folders
    /// above that this user may not read were not made here.
    func syncNames() throws(ConnectorFailure) {
        var folders = [path]
        for end in path.indices.reversed() where path[end] == "/" {
            folders.append(end == path.startIndex ? "/" : String(path[..<end]))
        }
        if !path.hasPrefix("/") { folders.append(".") }
        for folder in folders {
            let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            if descriptor < 0 && errno == EACCES { continue }
            guard descriptor >= 0 else { throw LogFailure.system("open the folder", folder, errno) }
            defer { close(descriptor) }
            guard fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS else {
                throw LogFailure.system("sync the folder", folder, errno)
            }
        }
    }

    private func make(_ folder: String, mode: mode_t) throws(ConnectorFailure) {
        if folder.isEmpty || mkdir(folder, mode) == 0 { return }
        let number = errno
        var info = stat()
        if number == EEXIST || stat(folder, &info) == 0 {
            guard stat(folder, &info) == 0, info.st_mode & S_IFMT == S_IFDIR else {
                throw LogFailure.directory(folder, "is no folder")
            }
            return
        }
        throw LogFailure.system("make the folder", folder, number)
    }
}

/// The right to write to a log, held by an open descriptor: it ends with the process at the latest.
final class LogLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock, or throws `log.in_use` naming the process that has it.
    init(_ directory: LogDirectory) throws(ConnectorFailure) {
        let path = directory.lock
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LogFailure.system("open the lock", path, errno) }
        let number = Self.take(descriptor)
        guard number == 0 else {
            let holder = Self.content(of: descriptor)
            guard number == EWOULDBLOCK else { throw LogFailure.system("lock the log", path, number) }
            throw ConnectorFailure(
                "log.in_use", .stop,
                "another process\(holder.isEmpty ? "" : ", pid \(holder),") is writing to the log in \(directory.path)",
                setting: "log.directory",
                hint:
                    "stop it\(holder.isEmpty ? "" : " (kill \(holder))"), or give this pipeline its own log.directory"
            )
        }
        write(pid: getpid())
    }

    /// Takes the lock; the system's error when it cannot be had. Whoever looks (``isHeld(_:)``) is waited for.
    private static func take(_ descriptor: Int32) -> Int32 {
        var number: Int32 = 0
        for _ in 0..<looksMax {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return 0 }
            number = errno
            // Beside one that writes, nobody can look.
            guard number == EWOULDBLOCK, flock(descriptor, LOCK_SH | LOCK_NB) == 0 else { return number }
            flock(descriptor, LOCK_UN)
            poll(nil, 0, 1)
        }
        return number
    }

    /// How many milliseconds those that look are waited for, each of which takes some microseconds.
    private static let looksMax = 5000

    /// Runs also when ``init(_:)`` throws behind the opening.
    deinit { if descriptor >= 0 { close(descriptor) } }

    /// True while a process has the lock. Whoever looks holds it for a moment, beside others that look.
    static func isHeld(_ directory: LogDirectory) -> Bool {
        let descriptor = open(directory.lock, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    /// The pid is for people; when it cannot be written (a full disk), the lock holds all the same.
    private func write(pid: pid_t) {
        let text = Array(String(pid).utf8)
        _ = ftruncate(descriptor, 0)
        _ = pwrite(descriptor, text, text.count, 0)
    }

    private static func content(of descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 20)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).filter(\.isNumber)
    }
}

extension EventLog {
    /// The files that a log always has in its folder, there or not.
    package static func files(in directory: String) -> [String] {
        let folder = LogDirectory(directory)
        // SQLite would take a rollback journal beside the database for its own, though it has none in this mode.
        return [
            folder.database, folder.journal, folder.index, folder.database + "-journal", folder.lock,
            folder.identityFile, folder.reserve,
        ]
    }

    /// What the paths of all files of bodies begin with.
    package static func bodyFilesFront(in directory: String) -> String {
        directory + "/" + LogDirectory.bodyFilePrefix
    }
}
