import Glibc

/// Room on the disk that nobody else can take: a file of zeros whose blocks are really allocated.
///
/// It is given back to the file system piece by piece when upkeep (cursors, retention, discards) finds no room, and
/// made again once there is clearly room. The file is shorter meanwhile, so that the next process knows. The last of
/// it is for requests (``giveBackForRequest(_:)``): their files are written by other processes, which cut it under a
/// lock. Otherwise it belongs to the log's thread.
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

    /// True while no more was given back than requests took.
    var isNearlyWhole: Bool { held.map { $0 > byteCount - pieceBytes } ?? false }

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

    /// What dead letters of sinks leave for all other upkeep, beside what moving the write-ahead log takes.
    var upkeepBytes: Int { byteCount / 4 }

    /// What is not given back for upkeep, of a reserve of so many bytes: what requests need.
    static func lastBytes(of byteCount: Int) -> Int { min(4 * requestBytes, byteCount / 16) }

    /// A request and its answer take two blocks at least, and folders may grow.
    private static let requestBytes = 64 << 10

    /// Makes the reserve when there is clearly room: when as much again is free behind that. True when it is whole.
    mutating func restore() -> Bool {
        // Requests may have taken some of it.
        if let held, let size = Self.size(path), size < held { self.held = size }
        let former = held ?? 0
        if former >= byteCount { return byteCount > 0 }
        guard let free = LogDisk.freeByteCount(folder), free - (byteCount - former) >= byteCount else { return false }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        flock(descriptor, LOCK_EX)
        if posix_fallocate(descriptor, 0, off_t(byteCount)) == 0, fsync(descriptor) == 0 {
            held = byteCount
            return true
        }
        if held == nil { unlink(path) } else { _ = ftruncate(descriptor, off_t(former)) }
        return false
    }

    /// Gives a piece and so many bytes more back to the file system, but for what is kept for requests. False when
    /// there is nothing left to give.
    mutating func giveBack(_ byteCount: Int) -> Bool {
        let last = Self.lastBytes(of: self.byteCount)
        guard let held, held > last else { return false }
        let wanted = pieceBytes + byteCount
        let sizes = Self.cut(path) { size in max(min(size, last), size - wanted) }
        // Somebody may have removed it to make room.
        self.held = sizes?.now
        return sizes.map { $0.now < $0.former } ?? false
    }

    /// Gives back what a file of a few blocks takes, down to nothing. Any process may call this. False when there is
    /// nothing left to give.
    static func giveBackForRequest(_ directory: LogDirectory) -> Bool {
        cut(directory.reserve) { max(0, $0 - requestBytes) }.map { $0.now < $0.former } ?? false
    }

    /// Makes the file as short as `rest` says for what it has; nil when that cannot be done.
    private static func cut(_ path: String, to rest: (Int) -> Int) -> (former: Int, now: Int)? {
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var info = stat()
        guard flock(descriptor, LOCK_EX) == 0, fstat(descriptor, &info) == 0 else { return nil }
        let former = Int(info.st_size)
        let now = rest(former)
        if now < former, ftruncate(descriptor, off_t(now)) != 0 { return nil }
        return (former, now)
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

    /// True when upkeep has nothing left of the log's reserve, which is to have `reserve` bytes.
    package func isReserveUsedUp(of reserve: Int) -> Bool {
        reserveByteCount.map { reserve > 0 && $0 <= LogReserve.lastBytes(of: reserve) } ?? false
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
