import CLinux
import ConnectorKit
import Glibc

/// The write-ahead log of the database, as a file. SQLite holds no lock on it, so it may be opened and closed here.
enum LogJournal {
    /// Pieces that are too small to be worth asking for.
    private static let leastBytes = 64 << 10

    /// Has the file system allocate so many bytes for it, or a half, a quarter and so on when there is no room for
    /// them. They are the journal's from then on, although its length stays what it is. With `isBehindEnd`, they come
    /// behind what it has.
    static func allocate(_ byteCount: Int, isBehindEnd: Bool = false, in directory: LogDirectory) {
        let descriptor = open(directory.journal, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { return }
        var wanted = byteCount
        while wanted >= leastBytes {
            if fallocate(descriptor, Int32(FALLOCATE_KEEP_SIZE), isBehindEnd ? info.st_size : 0, wanted) == 0 {
                return
            }
            wanted /= 2
        }
    }

    /// True when there is no room for the index of the journal (`-shm`), which SQLite makes anew where nobody has the
    /// database open. It writes a byte of every 4 KiB only: where blocks are smaller, the others may not be had later.
    static func lacksRoomForIndex(_ directory: LogDirectory) -> Bool {
        LogDisk.freeByteCount(directory.path).map { $0 < 2 * indexBytes } ?? false
    }

    /// True when somebody has made the index. It is never opened here: closing it would take SQLite's locks on it away
    /// from this process (fcntl(2)), and the next process would cut it under our feet.
    static func hasIndex(_ directory: LogDirectory) -> Bool { access(directory.index, F_OK) == 0 }

    /// Bytes of the index as long as the journal has no more than 4096 pages (wal.c, WALINDEX_PGSZ).
    private static let indexBytes = 32 << 10

    /// How many bytes of the disk it has.
    static func allocatedByteCount(in directory: LogDirectory) -> Int {
        var info = stat()
        guard stat(directory.journal, &info) == 0 else { return 0 }
        return Int(info.st_blocks) * 512
    }

    /// Makes every commit durable that is in it. Needs no room, as a commit that waits for the disk does.
    static func sync(in directory: LogDirectory) throws(ConnectorFailure) {
        let descriptor = open(directory.journal, O_RDONLY | O_CLOEXEC)
        // Without a journal, everything is in the database file, and was synced there.
        if descriptor < 0, errno == ENOENT { return }
        guard descriptor >= 0 else { throw LogFailure.system("open", directory.journal, errno) }
        defer { close(descriptor) }
        guard fdatasync(descriptor) == 0 else {
            throw LogFailure.syncFailed(directory.journal, String(cString: strerror(errno)))
        }
        try directory.syncNames()
    }
}
