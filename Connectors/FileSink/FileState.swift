import ByteKit
import ConnectorKit
import Glibc

/// What the sink keeps beside its cursor: for each of its files, how much of it is covered by the cursor.
struct FileState: Equatable {
    /// A file and its covered part.
    struct Entry: Equatable {
        /// The path that the file has, or had when this was stored.
        var path: String
        /// What is covered: delivered records, or what was there before us.
        var extent = Extent()
        /// Which file it is (stat(2), `st_dev` and `st_ino`): a file of the same name that was put in its place
        /// differs.
        var device: UInt64
        var inode: UInt64
        /// The checksum of the line that the file begins with; 0 for none.
        var header: UInt32 = 0
        /// What a file has that will be finished; nil for one that is appended to for ever.
        var part: RotatedPart?

        /// True when the file itself has a name.
        func isThere(at path: String) -> Bool {
            var info = stat()
            guard unsafe lstat(path, &info) == 0 else { return false }
            return UInt64(info.st_dev) == device && UInt64(info.st_ino) == inode
        }
    }

    /// A manifest that lines are about to be put into.
    struct Manifest: Equatable {
        var path: String
        /// Bytes of it before these lines.
        var length: Int
        var device: UInt64
        var inode: UInt64
    }

    /// Written when files are neither rotated nor compressed: earlier versions of Millrace read it.
    static let plainVersion: UInt8 = 1
    static let version: UInt8 = 2

    var entries: [Entry] = []
    var manifests: [Manifest] = []
    /// The log offset that the last receipt covered: a cursor before it was moved back. 0 when it is not known.
    var coveredBefore: UInt64 = 0
    /// The sink's life that this is of: a number that grows each time the sink is opened; 0 when none was told.
    var life: UInt64 = 0

    /// The life as an entry of a file without a name, which versions that know of no lives pass over.
    private var lifeEntry: [Entry] { life == 0 ? [] : [Entry(path: "", device: 0, inode: life)] }

    private var isPlain: Bool {
        manifests.isEmpty
            && entries.allSatisfy { $0.part == nil && $0.header == 0 && $0.extent.isPlain }
    }

    /// The state as bytes: version, then lists, each as its count and its entries; numbers most significant byte first.
    var encoded: [UInt8] {
        let isPlain = isPlain
        let entries = entries + lifeEntry
        var writer = StateWriter()
        writer.bytes = [isPlain ? Self.plainVersion : Self.version]
        if !isPlain { writer.append(coveredBefore) }
        writer.append(UInt64(entries.count))
        for entry in entries {
            writer.append(UInt64(entry.extent.length))
            writer.append(entry.device)
            writer.append(entry.inode)
            writer.append(entry.path)
            if !isPlain { writer.appendRest(of: entry) }
        }
        if isPlain { return writer.bytes }
        writer.append(UInt64(manifests.count))
        for manifest in manifests {
            writer.append(UInt64(manifest.length))
            writer.append(manifest.device)
            writer.append(manifest.inode)
            writer.append(manifest.path)
        }
        return writer.bytes
    }

    /// No files.
    init() {}

    /// What is stored of a sink; no files for one that stored nothing.
    init(stored bytes: [UInt8]?) throws(ConnectorFailure) {
        if let bytes { try self.init(decoding: bytes) } else { self.init() }
    }

    /// Reads what ``encoded`` wrote, now or in an earlier version.
    init(decoding bytes: [UInt8]) throws(ConnectorFailure) {
        var reader = ByteReader(bytes.rawBytes)
        guard let version = reader.byte(), version == Self.plainVersion || version == Self.version else {
            throw FileFailure.unknownState
        }
        if version == Self.version { coveredBefore = try reader.number() }
        for _ in 0..<(try reader.number()) {
            let length = try reader.length()
            let (device, inode) = (try reader.number(), try reader.number())
            var entry = Entry(path: try reader.text(), device: device, inode: inode)
            entry.extent.length = length
            if version == Self.version { try reader.readRest(of: &entry) }
            if entry == Entry(path: "", device: 0, inode: entry.inode) {
                life = entry.inode
            } else {
                entries.append(entry)
            }
        }
        if version == Self.version {
            for _ in 0..<(try reader.number()) {
                let length = try reader.length()
                let (device, inode) = (try reader.number(), try reader.number())
                manifests.append(
                    Manifest(path: try reader.text(), length: length, device: device, inode: inode))
            }
        }
        guard reader.remaining == 0 else { throw FileFailure.unknownState }
    }
}

/// How far a file is written, and what is in it.
struct Extent: Equatable {
    /// Bytes of the file.
    var length = 0
    /// The last bytes of a compressed file that is whole, which are written over when its stream goes on.
    var ending: [UInt8] = []
    /// The checksum of the bytes before ``ending``. Kept for files that will be finished.
    var checksum: UInt32 = 0
    /// Counted for files that will be finished.
    var recordCount: UInt64 = 0
    /// Log offsets of the first and the last record, while there is one.
    var firstOffset: UInt64 = 0
    var lastOffset: UInt64 = 0

    /// True for what the first version of the state could tell.
    var isPlain: Bool { self == Extent(length: length) }

    /// The checksum of the whole file.
    var wholeChecksum: UInt32 { Checksum.crc32(ending, after: checksum) }
}

/// What is known of a file that will be finished.
struct RotatedPart: Equatable {
    /// The name that it will have; another when that is taken by then.
    var finalPath: String
    /// The path with ``PathTemplate/offsetMark`` where the offset belongs: what files of one kind have in common.
    var lane: String
    /// The settings that it was begun under.
    var signature: String
    /// When, by the clock, its first record was written, in microseconds since 1970-01-01 00:00 UTC.
    var begunAt: Int64
    /// When the day or the hour is over that its name tells; nil when it tells none.
    var periodEnd: Int64?
    /// When it was finished; nil before. Stored before anything is done about it.
    var finishedAt: Int64?
    /// When something was written to it, by the steady clock. Not stored.
    var lastWrite: Int64 = 0
}

private struct StateWriter {
    var bytes: [UInt8] = []

    mutating func append(_ value: UInt64) {
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
        }
    }

    mutating func append(_ text: String) {
        append(UInt64(text.utf8.count))
        bytes += Array(text.utf8)
    }

    mutating func append(_ time: Int64?) {
        bytes.append(time == nil ? 0 : 1)
        append(UInt64(bitPattern: time ?? 0))
    }

    mutating func appendRest(of entry: FileState.Entry) {
        append(UInt64(entry.header))
        bytes.append(UInt8(truncatingIfNeeded: entry.extent.ending.count))
        bytes += entry.extent.ending
        append(UInt64(entry.extent.checksum))
        append(entry.extent.recordCount)
        append(entry.extent.firstOffset)
        append(entry.extent.lastOffset)
        bytes.append(entry.part == nil ? 0 : 1)
        guard let part = entry.part else { return }
        append(part.finalPath)
        append(part.lane)
        append(part.signature)
        append(UInt64(bitPattern: part.begunAt))
        append(part.periodEnd)
        append(part.finishedAt)
    }
}

extension ByteReader {
    @_lifetime(self: copy self)
    fileprivate mutating func number() throws(ConnectorFailure) -> UInt64 {
        guard let number = bigEndian(UInt64.self) else { throw FileFailure.unknownState }
        return number
    }

    @_lifetime(self: copy self)
    fileprivate mutating func length() throws(ConnectorFailure) -> Int {
        guard let length = Int(exactly: try number()) else { throw FileFailure.unknownState }
        return length
    }

    @_lifetime(self: copy self)
    fileprivate mutating func checksum() throws(ConnectorFailure) -> UInt32 {
        guard let checksum = UInt32(exactly: try number()) else { throw FileFailure.unknownState }
        return checksum
    }

    @_lifetime(self: copy self)
    fileprivate mutating func text() throws(ConnectorFailure) -> String {
        guard let bytes = take(try length()), let text = String(validatingUTF8: bytes) else {
            throw FileFailure.unknownState
        }
        return text
    }

    @_lifetime(self: copy self)
    fileprivate mutating func flag() throws(ConnectorFailure) -> Bool {
        guard let flag = byte(), flag < 2 else { throw FileFailure.unknownState }
        return flag == 1
    }

    @_lifetime(self: copy self)
    fileprivate mutating func time() throws(ConnectorFailure) -> Int64? {
        let isThere = try flag()
        let time = Int64(bitPattern: try number())
        return isThere ? time : nil
    }

    @_lifetime(self: copy self)
    fileprivate mutating func readRest(of entry: inout FileState.Entry) throws(ConnectorFailure) {
        entry.header = try checksum()
        guard let endingLength = byte(), Int(endingLength) <= entry.extent.length else {
            throw FileFailure.unknownState
        }
        for _ in 0..<endingLength {
            guard let byte = byte() else { throw FileFailure.unknownState }
            entry.extent.ending.append(byte)
        }
        entry.extent.checksum = try checksum()
        entry.extent.recordCount = try number()
        entry.extent.firstOffset = try number()
        entry.extent.lastOffset = try number()
        guard try flag() else { return }
        entry.part = RotatedPart(
            finalPath: try text(), lane: try text(), signature: try text(), begunAt: Int64(bitPattern: try number()),
            periodEnd: try time(), finishedAt: try time())
    }
}
