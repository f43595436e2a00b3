import ByteKit
import CLinux
import ConnectorKit
import Glibc

/// One file that lines go to. Belongs to the sink's thread.
final class OutputFile {
    /// The path, as the template gave it.
    let path: String
    /// Open, or -1.
    private(set) var descriptor: Int32 = -1
    /// True for pipes, terminals and devices: they cannot be cut, synced or listed.
    private(set) var isStream = false
    /// Bytes of the file that we know and go on behind.
    private(set) var length = 0
    /// Bytes that the cursor of the last receipt covers.
    private(set) var coveredLength = 0
    private(set) var device: UInt64 = 0
    private(set) var inode: UInt64 = 0
    /// True when the stored state tells of this file, so that it may be written to.
    var isListed = false
    /// True when something was written that no fdatasync has followed.
    private(set) var isDirty = false
    /// Bytes before which the disk was told to begin writing, so that a sync finds little left to wait for.
    private var begunLength = 0
    /// So many bytes are told to it at a time: less would have it write pages that are not full yet.
    private static let begunBytesMin = 1 << 20
    /// So many bytes between two syncs are bulk. Whoever follows the file reads less than that from the page cache.
    private static let bulkBytesMin = 8 << 20
    /// Where the file ended at the last sync.
    private var syncedLength = 0
    /// Bytes before which the page cache need not hold what was written in bulk.
    private var forgottenLength = 0
    /// When the file was last written to, as the number of the batch.
    var lastUse: UInt64 = 0
    /// Places in the current batch that go to this file: whole lines, in order.
    var pending: [Range<Int>] = []
    /// True until the last byte was looked at: a torn line that somebody left must be ended first.
    private var mayBeTorn = true

    /// A file that the state says nothing about.
    init(path: String) { self.path = path }

    /// A file as the state tells it, after ``recover(_:)``.
    private init(_ entry: FileState.Entry) {
        path = entry.path
        length = entry.length
        coveredLength = entry.length
        (device, inode) = (entry.device, entry.inode)
        isListed = true
    }

    deinit { close() }

    /// What the state keeps of this file; nil for one that is not to be listed.
    var entry: FileState.Entry? {
        guard isListed, !isStream else { return nil }
        return FileState.Entry(path: path, length: coveredLength, device: device, inode: inode)
    }

    var isOpen: Bool { descriptor >= 0 }

    /// Cuts a file back to what the cursor covers: what lies behind will be written again.
    ///
    /// Nil when the file is not the one that was written: it is missing, another file has its name, or it is shorter
    /// than what was durable. Then somebody moved, rotated or cut it. What they left is theirs: it is not touched, and
    /// delivery goes on behind it, because stopping would not bring anything back.
    static func recover(_ entry: FileState.Entry) throws(ConnectorFailure) -> OutputFile? {
        var info = stat()
        guard unsafe stat(entry.path, &info) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw FileFailure.system("look at", entry.path, errno)
        }
        guard info.isRegular, UInt64(info.st_dev) == entry.device, UInt64(info.st_ino) == entry.inode,
            info.st_size >= entry.length
        else { return nil }
        if info.st_size > entry.length {
            guard unsafe truncate(entry.path, entry.length) == 0 else {
                throw FileFailure.system("cut back", entry.path, errno)
            }
        }
        return OutputFile(entry)
    }

    /// Opens the file, and makes it when it is missing. When it is not the file that the state tells of, it becomes an
    /// unlisted one with what is there as its front.
    func open() throws(ConnectorFailure) {
        guard descriptor < 0 else { return }
        isStream = isSpecial
        descriptor = isStream ? try openStream() : try openRegular()
        var info = stat()
        guard unsafe fstat(descriptor, &info) == 0 else { throw FileFailure.system("look at", path, errno) }
        if !info.isRegular { isStream = true }
        if isStream {
            mayBeTorn = false
            isListed = true
            return
        }
        try lock()
        let isSame = isListed && UInt64(info.st_dev) == device && UInt64(info.st_ino) == inode && info.st_size >= length
        if !isSame {
            isListed = false
            (device, inode) = (UInt64(info.st_dev), UInt64(info.st_ino))
            length = info.st_size
            coveredLength = info.st_size
            mayBeTorn = true
        }
        begunLength = length
        (syncedLength, forgottenLength) = (length, length)
    }

    /// Writes the pending lines of `body` behind each other, by as few calls as possible. After a failure the file may
    /// have a part of them; opening the sink again cuts that off.
    func writePending(of body: FrozenBytes, torn: HaltPoint) throws(ConnectorFailure) {
        var parts: [iovec] = unsafe []
        unsafe parts.reserveCapacity(pending.count + 1)
        if try needsLineFeed() { try write(bytes: [10]) }
        for range in pending {
            let bytes = unsafe body.unsafeBytes(range)
            unsafe parts.append(
                iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count))
        }
        if torn.isNext, let last = unsafe parts.indices.last {
            unsafe parts[last].iov_len -= min(8, parts[last].iov_len / 2)
            try unsafe write(&parts)
        }
        torn.reached()
        try unsafe write(&parts)
        pending.removeAll(keepingCapacity: true)
    }

    /// True when the open file no longer has its name: somebody moved it away, so the next lines belong into a new one.
    ///
    /// Throws `file.changed_outside` when it was deleted or cut: what no receipt covers yet must be written again,
    /// which opening the sink again does.
    func wasTakenAway() throws(ConnectorFailure) -> Bool {
        guard isOpen, !isStream else { return false }
        var here = stat()
        guard unsafe fstat(descriptor, &here) == 0 else { throw FileFailure.system("look at", path, errno) }
        guard here.st_nlink > 0, here.st_size >= length else { throw FileFailure.changedOutside(path) }
        var named = stat()
        if unsafe stat(path, &named) == 0 { return named.st_ino != here.st_ino || named.st_dev != here.st_dev }
        if errno == ENOENT || errno == ENOTDIR { return true }
        throw FileFailure.system("look at", path, errno)
    }

    /// Makes what was written durable.
    func sync() throws(ConnectorFailure) {
        guard isDirty, !isStream else { return }
        guard fdatasync(descriptor) == 0 else { throw FileFailure.system("sync", path, errno) }
        isDirty = false
        begunLength = length
        if length - syncedLength >= Self.bulkBytesMin { forgetCache(syncedLength..<length) }
        syncedLength = length
    }

    /// Lets go of the memory that holds what was written and is on the disk by now: else a snapshot
    /// or a backlog would push everything else out of the page cache, a database's pages among it, and each page taken
    /// anew costs more than what is copied there. What is still on its way stays until the next sync.
    private func forgetCache(_ range: Range<Int>) {
        _ = posix_fadvise(descriptor, range.lowerBound, range.count, POSIX_FADV_DONTNEED)
        forgottenLength = range.upperBound
    }

    /// What is durable is now covered: the next receipt says so.
    func cover() { coveredLength = length }

    /// Closes the descriptor, when it is open.
    func close() {
        if descriptor >= 0 { _ = Glibc.close(descriptor) }
        descriptor = -1
    }

    // MARK: Opening

    private var isSpecial: Bool {
        if path == "/dev/stdout" || path == "/dev/stderr" { return true }
        var info = stat()
        return unsafe stat(path, &info) == 0 && !info.isRegular && !info.isFolder
    }

    /// Standard output is taken as it is, since opening its path would begin at the front of a file behind it. A pipe
    /// is opened without waiting for its reader.
    private func openStream() throws(ConnectorFailure) -> Int32 {
        let opened =
            switch path {
            case "/dev/stdout": fcntl(1, F_DUPFD_CLOEXEC, 3)
            case "/dev/stderr": fcntl(2, F_DUPFD_CLOEXEC, 3)
            default: unsafe Glibc.open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
            }
        guard opened >= 0 else { throw FileFailure.system("open", path, errno) }
        return opened
    }

    private func openRegular() throws(ConnectorFailure) -> Int32 {
        let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY
        var opened = unsafe Glibc.open(path, flags, 0o666)
        if opened < 0 && errno == ENOENT {
            try FileFolders.make(for: path)
            opened = unsafe Glibc.open(path, flags, 0o666)
        }
        guard opened >= 0 else { throw FileFailure.system("open", path, errno) }
        return opened
    }

    /// Keeps other sinks out while the file is open; a file system without locks is taken as it is.
    private func lock() throws(ConnectorFailure) {
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK {
            close()
            throw FileFailure.inUse(path)
        }
    }

    // MARK: Writing

    /// True when the file ends in the middle of a line.
    private func needsLineFeed() throws(ConnectorFailure) -> Bool {
        guard mayBeTorn else { return false }
        guard length > 0 else { return false }
        var last: UInt8 = 0
        guard unsafe pread(descriptor, &last, 1, length - 1) == 1 else {
            throw FileFailure.system("read the end of", path, errno)
        }
        return last != 10
    }

    private func write(bytes: [UInt8]) throws(ConnectorFailure) {
        var bytes = bytes
        let failure: ConnectorFailure? = unsafe bytes.withUnsafeMutableBytes { bytes in
            var parts = unsafe [iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)]
            do throws(ConnectorFailure) { try unsafe write(&parts) } catch { return error }
            return nil
        }
        if let failure { throw failure }
    }

    /// Writes all parts; `length` moves only when all of them are there.
    private func write(_ parts: inout [iovec]) throws(ConnectorFailure) {
        isDirty = true
        var written = 0
        var next = 0
        while unsafe next < parts.count {
            let got = unsafe parts.withUnsafeBufferPointer { parts in
                let rest = unsafe UnsafeBufferPointer(rebasing: parts[next...].prefix(Self.partsMax))
                return isStream
                    ? unsafe writev(descriptor, rest.baseAddress, Int32(rest.count))
                    : unsafe pwritev(descriptor, rest.baseAddress, Int32(rest.count), length + written)
            }
            if got < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN {
                    waitUntilWritable()
                    continue
                }
                throw FileFailure.system("write to", path, errno)
            }
            guard got > 0 else { throw FileFailure.system("write to", path, EIO) }
            written += got
            unsafe Self.advance(&parts, &next, by: got)
        }
        mayBeTorn = false
        if isStream { return }
        length += written
        if length - begunLength >= Self.begunBytesMin { beginWriting() }
    }

    /// A hint: what comes of it is asked for by ``sync()``.
    private func beginWriting() {
        _ = sync_file_range(descriptor, begunLength, length - begunLength, UInt32(SYNC_FILE_RANGE_WRITE))
        begunLength = length
        let start = max(forgottenLength, syncedLength)
        let end = length - Self.bulkBytesMin / 2
        if end - start >= Self.bulkBytesMin / 2 { forgetCache(start..<end) }
    }

    /// Below IOV_MAX (writev(2)).
    private static let partsMax = 512

    /// Passes over `count` written bytes.
    private static func advance(_ parts: inout [iovec], _ next: inout Int, by count: Int) {
        var count = count
        while unsafe next < parts.count && count >= parts[next].iov_len {
            unsafe count -= parts[next].iov_len
            next += 1
        }
        if count > 0, unsafe next < parts.count {
            unsafe parts[next].iov_base = parts[next].iov_base.map { unsafe $0 + count }
            unsafe parts[next].iov_len -= count
        }
    }

    private func waitUntilWritable() {
        var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = unsafe Glibc.poll(&poll, 1, 1000)
    }
}

extension stat {
    var isRegular: Bool { st_mode & S_IFMT == S_IFREG }
    var isFolder: Bool { st_mode & S_IFMT == S_IFDIR }
}
