private import Glibc

/// Looks at the database's file from outside, without a lock.
///
/// With a rollback journal, every look through SQLite takes a lock for a moment, and an application without a busy
/// time-out could meet it. So there the file's time and size are looked at first. With a write-ahead log readers
/// disturb nobody.
struct DatabaseFileWatch {
    enum Sight: Equatable {
        /// Surely nothing was committed since the last look.
        case unchanged
        /// Something may have been committed.
        case maybeChanged
        /// The path names another file now, or none.
        case replaced
    }

    private struct Signature: Equatable {
        var seconds: Int
        var nanoseconds: Int
        var size: Int64
    }

    private let path: String
    private let usesWAL: Bool
    private let device: UInt
    private let inode: UInt
    private var last: Signature?
    private var lastMaybe: ContinuousClock.Instant?

    /// Nil when there is no such file.
    init?(path: String, usesWAL: Bool) {
        guard let status = Self.status(path) else { return nil }
        self.path = path
        self.usesWAL = usesWAL
        device = UInt(status.st_dev)
        inode = UInt(status.st_ino)
    }

    /// What can be told without a lock. Says "maybe" twice a second in any case, and for a moment after each change,
    /// since a file's clock ticks in milliseconds.
    mutating func look() -> Sight {
        guard let status = Self.status(path), UInt(status.st_dev) == device, UInt(status.st_ino) == inode else {
            return .replaced
        }
        if usesWAL { return .maybeChanged }
        let signature = Signature(
            seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec, size: Int64(status.st_size))
        let now = ContinuousClock.now
        let isOverdue = lastMaybe.map { now - $0 >= .milliseconds(500) } ?? true
        guard signature != last || isOverdue || isRecent(signature) else { return .unchanged }
        last = signature
        lastMaybe = now
        return .maybeChanged
    }

    private func isRecent(_ signature: Signature) -> Bool {
        let now = Self.wallClockMicroseconds()
        let changed = Int64(signature.seconds) * 1_000_000 + Int64(signature.nanoseconds) / 1000
        return (now - changed).magnitude < 50_000
    }

    private static func status(_ path: String) -> stat? {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? status : nil
    }

    /// Microseconds since 1970-01-01 00:00 UTC.
    static func wallClockMicroseconds() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }

    /// True when there is a file, of any kind, at the path.
    static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    /// True when this user may write the file and its folder, where SQLite makes the journal.
    static func isWritable(_ path: String) -> Bool {
        let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let place = folder.isEmpty ? (path.hasPrefix("/") ? "/" : ".") : folder
        return unsafe access(path, W_OK) == 0 && access(place, W_OK) == 0
    }
}
