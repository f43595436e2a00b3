package import ConnectorKit
internal import Glibc
internal import JSONText

extension SchemaFolder {
    /// How sensitive the columns of a subject's table are.
    package func classes(of subject: String) throws(ConnectorFailure) -> TableClasses {
        var versions: [(version: Int, schema: JSONValue)] = []
        for version in try self.versions(of: subject) {
            if let schema = try schema(of: subject, version: version) { versions.append((version, schema)) }
        }
        return TableClasses(versions)
    }

    /// What tells that a subject's folder has other entries than before; nil for one that is not there.
    func folderStamp(of subject: String) throws(ConnectorFailure) -> FileStamp? {
        try FileStamp(path(of: subject))
    }

    /// What tells that one of a subject's versions was changed, written or removed.
    func versionStamps(of subject: String) throws(ConnectorFailure) -> [FileStamp] {
        var stamps: [FileStamp] = []
        for version in try versions(of: subject) {
            if let stamp = try FileStamp(file(of: subject, version: version)) { stamps.append(stamp) }
        }
        return stamps
    }
}

/// What tells a file or folder from what it was: another file under its name, or other times.
struct FileStamp: Equatable {
    private var device: UInt
    private var file: UInt
    private var size: Int
    private var changed: [Int]
    private var modified: [Int]

    /// Nil when nothing is there.
    init?(_ path: String) throws(ConnectorFailure) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw SchemaFailure.read(path, errno)
        }
        device = UInt(status.st_dev)
        file = UInt(status.st_ino)
        size = Int(status.st_size)
        changed = [status.st_ctim.tv_sec, status.st_ctim.tv_nsec]
        modified = [status.st_mtim.tv_sec, status.st_mtim.tv_nsec]
    }

    /// True when it changed so long ago that a change after it has another time: clocks of file systems are coarse.
    var isSettled: Bool { Int(time(nil)) - max(changed[0], modified[0]) >= 2 }
}
