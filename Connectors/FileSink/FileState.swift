import ByteKit
import ConnectorKit

/// What the sink keeps beside its cursor: for each of its files, how much of it is covered by the cursor.
struct FileState: Equatable {
    /// A file and its covered part.
    struct Entry: Equatable {
        /// The path, as the template gave it.
        var path: String
        /// Bytes at the front of the file that hold delivered lines, or were there before us.
        var length: Int
        /// Which file it is (stat(2), `st_dev` and `st_ino`): a file of the same name that was put in its place
        /// differs.
        var device: UInt64
        var inode: UInt64
    }

    static let version: UInt8 = 1

    var entries: [Entry] = []

    /// The state as bytes: version, count, then each entry; numbers most significant byte first.
    var encoded: [UInt8] {
        var bytes: [UInt8] = [Self.version]
        Self.append(UInt64(entries.count), to: &bytes)
        for entry in entries {
            Self.append(UInt64(entry.length), to: &bytes)
            Self.append(entry.device, to: &bytes)
            Self.append(entry.inode, to: &bytes)
            Self.append(UInt64(entry.path.utf8.count), to: &bytes)
            bytes += Array(entry.path.utf8)
        }
        return bytes
    }

    /// No files.
    init() {}

    /// Reads what ``encoded`` wrote.
    init(decoding bytes: [UInt8]) throws(ConnectorFailure) {
        var reader = ByteReader(bytes.rawBytes)
        guard reader.byte() == Self.version, let count = reader.bigEndian(UInt64.self) else {
            throw FileFailure.unknownState
        }
        for _ in 0..<count {
            guard let length = reader.bigEndian(UInt64.self), length <= UInt64(Int.max),
                let device = reader.bigEndian(UInt64.self), let inode = reader.bigEndian(UInt64.self),
                let pathLength = reader.bigEndian(UInt64.self), let name = reader.take(Int(clamping: pathLength)),
                let path = String(validatingUTF8: name)
            else { throw FileFailure.unknownState }
            entries.append(Entry(path: path, length: Int(length), device: device, inode: inode))
        }
        guard reader.remaining == 0 else { throw FileFailure.unknownState }
    }

    private static func append(_ value: UInt64, to bytes: inout [UInt8]) {
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
        }
    }
}
