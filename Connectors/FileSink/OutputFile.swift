import ByteKit
import CLinux
import ConnectorKit
import Glibc

/// One file that records go to. Belongs to the sink's thread.
final class OutputFile {
    /// The path that the file has now.
    let path: String
    /// Where compressors come from; nil for files that are not compressed.
    let pool: CompressorPool?
    /// Whose file it is once the state tells of it.
    let mark: WriterMark
    let fault: FileFault?
    /// Open, or -1.
    var descriptor: Int32 = -1
    /// True for pipes, terminals and devices: they cannot be cut, synced or listed.
    private(set) var isStream = false
    /// True once the file was marked in this life.
    private var isMarked = false
    /// How far the file is written.
    var extent = Extent()
    /// How far the cursor of the last receipt covers it.
    private(set) var covered = Extent()
    private(set) var device: UInt64 = 0
    private(set) var inode: UInt64 = 0
    /// True when the stored state tells of this file, so that it may be written to.
    var isListed = false
    /// True when something was taken that no fdatasync has followed.
    var isDirty = false
    /// Bytes before which the disk was told to begin writing, so that a sync finds little left to wait for.
    var begunLength = 0
    /// Where the file ended at the last sync.
    var syncedLength = 0
    /// Bytes before which the page cache need not hold what was written in bulk.
    var forgottenLength = 0
    /// When the file was last written to, as the number of the batch.
    var lastUse: UInt64 = 0
    /// Places in the current batch that go to this file: whole lines, in order.
    var pending: [Range<Int>] = []
    /// How many bytes these are, where files are rotated.
    var pendingCount = 0
    /// True until the last byte was looked at: a torn line that somebody left must be ended first.
    var mayBeTorn = true
    /// The line that the file begins with, and its line feed; empty for none.
    var headerLine: [UInt8] = []
    /// The checksum of that line, also while the line itself is not known.
    let header: UInt32
    /// The compressor in the middle of this file's stream.
    var compressor: Compressor?
    /// What a file has that will be finished; nil for one that is appended to for ever.
    var part: RotatedPart?
    /// True when nothing more comes to the file: it is finished as soon as the cursor covers it.
    var isSealed = false

    /// A file that the state says nothing about.
    init(
        path: String, header: UInt32 = 0, part: RotatedPart? = nil, _ mark: WriterMark, _ pool: CompressorPool?,
        _ fault: FileFault?
    ) {
        self.path = path
        self.header = header
        self.part = part
        self.mark = mark
        self.pool = pool
        self.fault = fault
    }

    /// A file as the state tells it, after ``recover(_:_:_:_:)``.
    private init(_ entry: FileState.Entry, _ mark: WriterMark, _ pool: CompressorPool?, _ fault: FileFault?) {
        path = entry.path
        header = entry.header
        part = entry.part
        (extent, covered) = (entry.extent, entry.extent)
        (device, inode) = (entry.device, entry.inode)
        isListed = true
        self.mark = mark
        self.pool = pool
        self.fault = fault
    }

    deinit { close() }

    /// What the state keeps of this file; nil for one that is not to be listed.
    var entry: FileState.Entry? {
        guard isListed, !isStream else { return nil }
        return FileState.Entry(
            path: path, extent: covered, device: device, inode: inode, header: header, part: part)
    }

    var isOpen: Bool { descriptor >= 0 }

    /// True when the last receipt covers all that the file was given.
    var isCovered: Bool { !isDirty && pending.isEmpty && covered == extent }

    /// What is durable is now covered: the next receipt says so.
    func cover() { covered = extent }

    /// Closes the descriptor, when it is open. A stream that was not ended is left where the last flush ended it.
    func close() {
        if let compressor { pool?.takeBack(compressor, from: self) }
        compressor = nil
        if descriptor >= 0 { _ = Glibc.close(descriptor) }
        descriptor = -1
    }

    /// True when the open file no longer has its name: somebody moved it away, so the next lines belong into a new one.
    ///
    /// Throws `file.changed_outside` when it was deleted or cut, or when it is one that is to be finished: what no
    /// receipt covers yet must be written again, which opening the sink again does.
    func wasTakenAway() throws(ConnectorFailure) -> Bool {
        guard isOpen, !isStream else { return false }
        var here = stat()
        guard unsafe fstat(descriptor, &here) == 0 else { throw FileFailure.system("look at", path, errno) }
        guard here.st_nlink > 0, here.st_size >= extent.length else { throw FileFailure.changedOutside(path) }
        var named = stat()
        let isNamed = unsafe stat(path, &named) == 0
        guard isNamed || errno == ENOENT || errno == ENOTDIR else {
            throw FileFailure.system("look at", path, errno)
        }
        let isOurs = isNamed && named.st_ino == here.st_ino && named.st_dev == here.st_dev
        if !isOurs, part != nil { throw FileFailure.changedOutside(path) }
        return !isOurs
    }

    /// Removes a file that was made and that no state came to tell of, so that nothing was written to it.
    func removeUnlisted() {
        guard part != nil, !isListed, inode != 0 else { return }
        var info = stat()
        guard unsafe lstat(path, &info) == 0, UInt64(info.st_ino) == inode, info.st_size == 0 else { return }
        _ = unsafe unlink(path)
    }

    // MARK: Recovery

    /// Cuts a file back to what the cursor covers: what lies behind will be written again.
    ///
    /// Nil when the file is not the one that was written: it is missing, another file has its name, it is shorter than
    /// what was durable, or another sink took it up. Then somebody moved, rotated or cut it. What they left is theirs:
    /// it is not touched, and delivery goes on behind it, because stopping would not bring anything back. Nil too for a
    /// file to be finished of which nothing is covered: it is removed.
    ///
    /// Throws `file.in_use` when it would have to be cut while somebody else has it, `file.newer_than_log` when this
    /// sink wrote to it in a life that the state does not know.
    static func recover(
        _ entry: FileState.Entry, _ mark: WriterMark, _ pool: CompressorPool?, _ fault: FileFault?
    ) throws(ConnectorFailure) -> OutputFile? {
        var info = stat()
        guard unsafe stat(entry.path, &info) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw FileFailure.system("look at", entry.path, errno)
        }
        guard entry.isTold(by: info), mark.owner(ofPath: entry.path) != .other else { return nil }
        let file = OutputFile(entry, mark, pool, fault)
        let isEmptyPart = entry.part != nil && entry.extent.recordCount == 0
        if !isEmptyPart, info.st_size == entry.extent.length, entry.extent.ending.isEmpty { return file }
        return try file.restore(entry, isEmptyPart) ? file : nil
    }

    /// Has the file end as the state tells, while nobody else may write to it. False when it is not ours any more, or
    /// was removed.
    private func restore(_ entry: FileState.Entry, _ isEmptyPart: Bool) throws(ConnectorFailure) -> Bool {
        let opened = unsafe Glibc.open(path, O_RDWR | O_CLOEXEC | O_NOCTTY)
        guard opened >= 0 else { throw FileFailure.system("open", path, errno) }
        defer { _ = Glibc.close(opened) }
        guard FileLock.take(opened) else { throw FileFailure.inUse(path) }
        var info = stat()
        guard unsafe fstat(opened, &info) == 0 else { throw FileFailure.system("look at", path, errno) }
        // Somebody may have had it until now.
        guard entry.isTold(by: info), mark.owner(of: opened) != .other else { return false }
        guard !mark.isNewer(opened) else { throw FileFailure.newerThanLog(path) }
        if isEmptyPart {
            guard !fault.strikes(.cut), unsafe unlink(path) == 0 || errno == ENOENT else {
                throw FileFailure.system("remove", path, errno)
            }
            return false
        }
        if info.st_size > extent.length {
            putMark(on: opened)
            guard !fault.strikes(.cut), ftruncate(opened, extent.length) == 0 else {
                throw FileFailure.system("cut back", path, errno)
            }
        }
        try restoreEnding(opened)
        return true
    }

    /// Puts back the ending of a compressed stream, which was being written over.
    private func restoreEnding(_ opened: Int32) throws(ConnectorFailure) {
        let ending = extent.ending
        guard !ending.isEmpty else { return }
        var found = [UInt8](repeating: 0, count: ending.count)
        let place = extent.length - ending.count
        guard unsafe pread(opened, &found, found.count, place) == found.count else {
            throw FileFailure.system("read the end of", path, errno)
        }
        if found == ending { return }
        putMark(on: opened)
        guard !fault.strikes(.write), unsafe pwrite(opened, ending, ending.count, place) == ending.count else {
            throw FileFailure.system("write to", path, errno)
        }
        guard !fault.strikes(.sync), fdatasync(opened) == 0 else {
            throw FileFailure.system("sync", path, errno)
        }
    }

    // MARK: Opening

    /// Opens the file, and makes it when it is missing. When it is not the file that the state tells of, it becomes an
    /// unlisted one with what is there as its front; a file that is to be finished has no such front.
    func open() throws(ConnectorFailure) {
        guard descriptor < 0 else { return }
        isStream = isSpecial
        guard !fault.strikes(.open) else { throw FileFailure.system("open", path, errno) }
        descriptor = isStream ? try openStream() : try openRegular()
        var info = stat()
        guard unsafe fstat(descriptor, &info) == 0 else { throw FileFailure.system("look at", path, errno) }
        if !info.isRegular { isStream = true }
        if isStream {
            mayBeTorn = false
            isListed = true
            return
        }
        guard isListed || !FileNames.isDatabase(descriptor) else {
            // Left open: closing it would take the locks of a connection of this process (fcntl(2)).
            descriptor = -1
            throw FileFailure.isDatabase(path)
        }
        guard FileLock.take(descriptor) else {
            close()
            throw FileFailure.inUse(path)
        }
        // Whoever had it until now may have written to it.
        guard unsafe fstat(descriptor, &info) == 0 else { throw FileFailure.system("look at", path, errno) }
        let owner = mark.owner(of: descriptor)
        guard info.st_size == 0 || !mark.isNewer(descriptor) else {
            close()
            throw FileFailure.newerThanLog(path)
        }
        let isSame =
            isListed && owner != .other && UInt64(info.st_dev) == device && UInt64(info.st_ino) == inode
            && info.st_size == extent.length
        if isSame, owner == .nobody || !isMarked { putMark(on: descriptor) }
        if !isSame {
            if part != nil, isListed || info.st_size > 0 { throw FileFailure.changedOutside(path) }
            isListed = false
            (device, inode) = (UInt64(info.st_dev), UInt64(info.st_ino))
            // A file that is to be finished counts its records before it is there.
            if part == nil { extent = Extent(length: info.st_size) }
            covered = Extent(length: info.st_size)
            mayBeTorn = true
        }
        if pool != nil {
            // Compressed streams follow each other without anything between them.
            mayBeTorn = false
        } else if !extent.ending.isEmpty {
            extent.checksum = extent.wholeChecksum
            extent.ending = []
        }
        begunLength = extent.length
        (syncedLength, forgottenLength) = (extent.length, extent.length)
    }

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

    /// Marks the file as ours, once the state tells of it; it may have been closed again by then.
    func putMark() {
        if isStream { return }
        if isOpen { return putMark(on: descriptor) }
        let opened = unsafe Glibc.open(path, O_RDWR | O_CLOEXEC | O_NOCTTY)
        guard opened >= 0 else { return }
        var info = stat()
        if unsafe fstat(opened, &info) == 0, UInt64(info.st_dev) == device, UInt64(info.st_ino) == inode {
            putMark(on: opened)
        }
        _ = Glibc.close(opened)
    }

    private func putMark(on descriptor: Int32) { isMarked = mark.put(on: descriptor) }
}

extension FileState.Entry {
    /// True when a file is the one that this tells of, with all that was durable in it.
    fileprivate func isTold(by info: stat) -> Bool {
        info.isRegular && UInt64(info.st_dev) == device && UInt64(info.st_ino) == inode
            && info.st_size >= extent.length
    }
}

extension stat {
    var isRegular: Bool { st_mode & S_IFMT == S_IFREG }
    var isFolder: Bool { st_mode & S_IFMT == S_IFDIR }
}
