internal import ConnectorKit
internal import Glibc

/// By what a file is known to be the one that was read before.
struct FileStamp: Hashable {
    private let changed: timespec
    private let modified: timespec
    private let byteCount: Int
    private let inode: UInt64
    /// False for a file that changed a moment ago: another change in the same tick of the clock would leave the same
    /// stamp.
    let isSettled: Bool

    private static let settledSeconds = 2

    /// The stamp of a file or folder as it is now; nil when it is not there.
    init?(_ path: String) throws(ConnectorFailure) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw SchemaFailure.read(path, errno)
        }
        changed = status.st_ctim
        modified = status.st_mtim
        byteCount = Int(status.st_size)
        inode = UInt64(status.st_ino)
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        isSettled = now.tv_sec - max(status.st_ctim.tv_sec, status.st_mtim.tv_sec) >= Self.settledSeconds
    }

    /// True when nothing was changed in between; `later` was taken after this one.
    func holds(_ later: FileStamp) -> Bool { isSettled && self == later }

    func hash(into hasher: inout Hasher) {
        hasher.combine(inode)
        hasher.combine(byteCount)
        for time in [changed, modified] {
            hasher.combine(time.tv_sec)
            hasher.combine(time.tv_nsec)
        }
    }

    static func == (a: FileStamp, b: FileStamp) -> Bool {
        a.inode == b.inode && a.byteCount == b.byteCount && a.changed.tv_sec == b.changed.tv_sec
            && a.changed.tv_nsec == b.changed.tv_nsec && a.modified.tv_sec == b.modified.tv_sec
            && a.modified.tv_nsec == b.modified.tv_nsec
    }
}
