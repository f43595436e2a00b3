import ByteKit
import CLinux
import ConnectorKit
import Glibc

/// Where the body of a batch stands that is not in the database.
struct BodyPlace: Equatable, Sendable {
    /// The number of its file.
    var file: Int64
    /// The first byte's place in the file.
    var offset: Int
    /// How many bytes.
    var length: Int
}

/// A file of bodies is not there. Whoever reads looks once more: retention may have removed the batch meanwhile.
struct MissingBody: Error {
    let path: String
}

/// Writes the bodies of large batches into files beside the database, so that each byte goes to the disk once and not
/// twice, as through a write-ahead log.
///
/// A body is durable when ``store(_:)`` returns, before any row can tell its place. Nothing that was stored is written
/// over: what no row came to tell of goes with its file. Belongs to the log's thread.
final class BodyFiles {
    /// Smaller bodies are better off in the database.
    static let bodyBytesMin = 256 << 10
    /// A file that has so many bytes is followed by another one.
    static let fileBytesMax = 64 << 20
    private static let storedPoint = HaltPoint("log.body_stored")

    private let directory: LogDirectory
    /// The files that are there.
    private(set) var numbers: Set<Int64>
    private var nextNumber: Int64
    private var current: BodyFile?
    /// The body that was stored last, until a row tells its place: an append that is tried again finds it there.
    private var untold: (body: FrozenBytes, place: BodyPlace)?

    /// Takes over the files of earlier processes; what is written goes into new ones.
    init(_ directory: LogDirectory) throws(ConnectorFailure) {
        self.directory = directory
        numbers = try directory.bodyFileNumbers()
        nextNumber = (numbers.max() ?? 0) + 1
    }

    /// Writes a body and waits until it is durable. After a failure nothing counts as written.
    func store(_ body: FrozenBytes) throws(ConnectorFailure) -> BodyPlace {
        if let untold, untold.body === body { return untold.place }
        let file = try room()
        let place = BodyPlace(file: file.number, offset: file.length, length: body.count)
        do throws(ConnectorFailure) {
            try file.append(body)
            try file.sync()
            // The name of a file must be as durable as what is in it.
            if place.offset == 0 { try directory.syncNames() }
        } catch {
            // What became of the bytes is not known for sure, so none of them is built on.
            if !file.cutBack() { current = nil }
            throw error
        }
        untold = (body, place)
        Self.storedPoint.reached()
        return place
    }

    /// A row tells the place of what was stored last.
    func wasTold() { untold = nil }

    /// No longer appends to a file of which no row tells, so that it may go.
    func letGo(besides used: [Int64: Int]) {
        guard let current, used[current.number] == nil else { return }
        self.current = nil
        untold = nil
    }

    /// The files that may go when rows tell of no other files than `used`.
    func unused(besides used: Set<Int64>) -> Set<Int64> {
        numbers.subtracting(used).filter { $0 != current?.number }
    }

    /// Removes files. Call it only when no row tells of them, durably.
    func remove(_ unused: Set<Int64>) {
        for number in unused where unlink(directory.bodyFile(number)) == 0 || errno == ENOENT { numbers.remove(number) }
    }

    /// Gives the blocks before a place in each file back to the file system. Call it only when no row tells of anything
    /// there, durably.
    func empty(before starts: [Int64: Int]) {
        for (number, start) in starts where start > 0 {
            let descriptor = open(directory.bodyFile(number), O_WRONLY | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            _ = fallocate(descriptor, Int32(FALLOCATE_KEEP_SIZE | FALLOCATE_PUNCH_HOLE), 0, start)
            close(descriptor)
        }
    }

    private func room() throws(ConnectorFailure) -> BodyFile {
        if let current, current.length < Self.fileBytesMax { return current }
        current = nil
        let file = try BodyFile(nextNumber, directory)
        nextNumber += 1
        numbers.insert(file.number)
        current = file
        return file
    }
}

extension BodyFiles {
    /// Reads a body. Its checksum, which the caller compares, tells whether the bytes are those that were written.
    ///
    /// Throws ``MissingBody`` when the file is not there.
    static func read(_ place: BodyPlace, in directory: LogDirectory) throws -> FrozenBytes {
        let path = directory.bodyFile(place.file)
        let damage = LogFailure.damaged("\(path) does not have the \(place.length) bytes at \(place.offset)")
        guard place.offset >= 0, (1...EventLog.batchBytesMax).contains(place.length) else { throw damage }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { throw MissingBody(path: path) }
        guard descriptor >= 0 else { throw LogFailure.system("open", path, errno) }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { throw LogFailure.system("look at", path, errno) }
        // Asked first, so that a wrong length does not ask for memory.
        guard info.st_size >= place.offset, info.st_size - place.offset >= place.length else { throw damage }
        var bytes = OutputBuffer(capacity: place.length)
        while bytes.count < place.length {
            let done = bytes.count
            let got = bytes.appendUninitialized(room: place.length - done) { room in
                pread(descriptor, room.baseAddress, room.count, place.offset + done)
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw LogFailure.system("read", path, errno) }
            guard got > 0 else { throw damage }
        }
        return bytes.freeze()
    }
}

/// The file that bodies are appended to.
private final class BodyFile {
    let number: Int64
    /// Bytes that are durable.
    private(set) var length = 0
    /// Bytes behind them that are not yet.
    private var pending = 0
    private let path: String
    private let descriptor: Int32
    /// A piece of a body on its way, where the disk can take it from.
    private let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: blockBytes)

    /// What disks and file systems ask of writes that go around the page cache: place, length and memory in whole
    /// blocks (open(2), "O_DIRECT"). Bodies begin with a block.
    private static let blockBytes = 4096
    private static let pieceBytes = 1 << 20

    init(_ number: Int64, _ directory: LogDirectory) throws(ConnectorFailure) {
        self.number = number
        path = directory.bodyFile(number)
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LogFailure.system("make", path, errno) }
        // Where that is not to be had, the page cache is in between, and the result is the same.
        _ = fcntl(descriptor, F_SETFL, Int32(OPEN_DIRECT))
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        piece.deallocate()
    }

    /// Writes behind what is there; the bytes count only after ``sync()``.
    func append(_ body: FrozenBytes) throws(ConnectorFailure) {
        var done = 0
        pending = 0
        while done < body.count {
            let count = min(body.count - done, piece.count)
            piece.copyMemory(from: body.unsafeBytes(done..<done + count))
            let whole = (count + Self.blockBytes - 1) / Self.blockBytes * Self.blockBytes
            for place in count..<whole { piece[place] = 0 }
            try writePiece(whole)
            done += count
        }
    }

    private func writePiece(_ count: Int) throws(ConnectorFailure) {
        var written = 0
        while written < count {
            let got = pwrite(
                descriptor, piece.baseAddress.map { $0 + written }, count - written, length + pending + written)
            if got < 0, errno == EINTR { continue }
            // A disk with larger blocks, or a write that was cut short in the middle of one.
            if got < 0, errno == EINVAL, fcntl(descriptor, F_GETFL) & Int32(OPEN_DIRECT) != 0 {
                _ = fcntl(descriptor, F_SETFL, 0)
                continue
            }
            guard got > 0 else { throw LogFailure.system("write to", path, got < 0 ? errno : EIO) }
            written += got
        }
        pending += count
    }

    /// Makes what was appended durable, under the name that rows tell.
    func sync() throws(ConnectorFailure) {
        guard fdatasync(descriptor) == 0 else { throw LogFailure.syncFailed(path, String(cString: strerror(errno))) }
        try LogPresence.check(path, isNameOf: descriptor)
        length += pending
        pending = 0
    }

    /// Takes back what was appended and did not become durable. False when that cannot be done.
    func cutBack() -> Bool {
        pending = 0
        return ftruncate(descriptor, length) == 0
    }
}
