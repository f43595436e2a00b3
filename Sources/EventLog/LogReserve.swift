import Glibc

/// Room on the disk that nobody else can take: a file of zeros whose blocks are really allocated.
///
/// It is given back to the file system piece by piece when upkeep (cursors, dead letters of sinks, retention) finds no
/// room, and made again once there is clearly room. The file is shorter meanwhile, down to nothing, so that the next
/// process knows. Belongs to the log's thread.
struct LogReserve {
    /// How many bytes of the disk the file takes; nil when it was never made.
    private(set) var held: Int?
    private let byteCount: Int
    private let path: String
    private let folder: String

    /// Looks at the reserve that an earlier process left. One that is larger than `byteCount` is cut, and with 0 it is
    /// removed; it is made by ``restore()``.
    init(_ directory: LogDirectory, byteCount: Int) {
        (path, folder) = (directory.reserve, directory.path)
        self.byteCount = byteCount
        if byteCount == 0 { unlink(path) }
        held = Self.size(path)
        if let size = held, size > byteCount, truncate(path, off_t(byteCount)) == 0 { held = byteCount }
    }

    /// What a reserve takes; nil when there is none.
    static func size(_ path: String) -> Int? {
        var info = stat()
        return stat(path, &info) == 0 ? Int(info.st_size) : nil
    }

    /// True from when some of it was given back until it is whole again.
    var isSpent: Bool { held.map { $0 < byteCount } ?? false }

    /// Pages in the write-ahead log after which they are moved into the database file. That may make the file grow by
    /// as much, for which the reserve must have room.
    var checkpointPages: Int {
        byteCount == 0
            ? LogConnection.checkpointPages
            : min(LogConnection.checkpointPages, max(64, journalBytes / LogConnection.pageSize))
    }

    /// What of the reserve the write-ahead log may take.
    var journalBytes: Int { byteCount / 2 }

    /// What is given back at a time, beside what there is a use for: other programs may take it first.
    var pieceBytes: Int { byteCount / 8 }

    /// Makes the reserve when there is clearly room: when as much again is free behind that. True when it is whole.
    mutating func restore() -> Bool {
        let former = held ?? 0
        if former >= byteCount { return byteCount > 0 }
        guard let free = LogDisk.freeByteCount(folder), free - (byteCount - former) >= byteCount else { return false }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        if posix_fallocate(descriptor, 0, off_t(byteCount)) == 0, fsync(descriptor) == 0 {
            held = byteCount
            return true
        }
        if held == nil { unlink(path) } else { _ = ftruncate(descriptor, off_t(former)) }
        return false
    }

    /// Gives a piece and so many bytes more back to the file system. False when there is nothing left to give.
    mutating func giveBack(_ byteCount: Int) -> Bool {
        guard let held, held > 0 else { return false }
        let rest = max(0, held - pieceBytes - byteCount)
        let isDone = truncate(path, off_t(rest)) == 0
        // Somebody may have removed it to make room.
        self.held = isDone ? rest : nil
        return isDone
    }
}

/// The disk that a log is on.
package struct LogDisk: Sendable, Equatable {
    /// How many bytes are free for this user; nil when that cannot be asked.
    package var freeByteCount: Int?
    /// How many bytes the log's reserve takes, fewer while the disk is full; nil without one.
    package var reserveByteCount: Int?

    /// With less than this, nothing can be written.
    private static let leastByteCount = 256 << 10

    init() {}

    init(_ directory: LogDirectory) {
        freeByteCount = Self.freeByteCount(directory.path)
        reserveByteCount = LogReserve.size(directory.reserve)
    }

    /// True when the log has no room to grow: some of its reserve, which is to have `reserve` bytes, is given back, or
    /// next to nothing is free.
    package func isFull(reserve: Int) -> Bool {
        isReserveSpent(of: reserve) || freeByteCount.map { $0 < Self.leastByteCount } ?? false
    }

    /// True while some of the log's reserve is given back.
    package func isReserveSpent(of reserve: Int) -> Bool { reserveByteCount.map { $0 < reserve } ?? false }

    /// How many bytes the file system of `path` has for this user.
    static func freeByteCount(_ path: String) -> Int? {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { return nil }
        return Int(clamping: UInt64(info.f_bavail) * UInt64(info.f_frsize))
    }
}
