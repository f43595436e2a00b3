internal import ConnectorKit
internal import Glibc

/// An open folder, and what is done with files in it. The lock ends when the value does.
struct Folder: ~Copyable {
    private let descriptor: Int32
    private let path: String

    /// Larger files are no schemas.
    private static let fileBytesMax = 16 << 20
    private static let lockSecondsMax = 10

    /// Opens a folder that is there.
    init(opening path: String) throws(ConnectorFailure) {
        descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        self.path = path
        guard descriptor >= 0 else { throw SchemaFailure.directory(path, errnoText()) }
    }

    deinit { close(descriptor) }

    /// A folder that is made when it is not there, opened and locked.
    static func held(_ path: String) throws(ConnectorFailure) -> Folder {
        try make(path)
        let folder = try Folder(opening: path)
        try folder.lock()
        return folder
    }

    /// Makes a folder and the folders above it, durably. One that is there is left alone.
    static func make(_ path: String) throws(ConnectorFailure) {
        let above = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        var result = mkdir(path, 0o777)
        if result != 0 && errno == ENOENT && !above.isEmpty {
            try make(above)
            result = mkdir(path, 0o777)
        }
        guard result == 0 || errno == EEXIST else { throw SchemaFailure.directory(path, errnoText()) }
        if result == 0 { try Folder(opening: above.isEmpty ? (path.hasPrefix("/") ? "/" : ".") : above).sync() }
    }

    /// The names of everything in a folder, or of the folders in it; empty when the folder is not there.
    static func names(in path: String, foldersOnly: Bool = false) throws(ConnectorFailure) -> [String] {
        guard let stream = opendir(path) else {
            if errno == ENOENT { return [] }
            throw SchemaFailure.directory(path, errnoText())
        }
        defer { closedir(stream) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: name.pointee)) {
                    String(cString: $0)
                }
            }
            let isWanted = !foldersOnly || isFolder(path + "/" + name, Int32(entry.pointee.d_type))
            if name != "." && name != ".." && isWanted { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw SchemaFailure.directory(path, errnoText()) }
        return names
    }

    /// A hash of what is said about the files in a folder, without reading them.
    static func stamp(of path: String) throws(ConnectorFailure) -> Int {
        var hasher = Hasher()
        for name in try names(in: path).sorted() {
            hasher.combine(name)
            hasher.combine(try FileStamp(path + "/" + name))
        }
        return hasher.finalize()
    }

    private static func isFolder(_ path: String, _ type: Int32) -> Bool {
        if type == Int32(DT_DIR) { return true }
        // Some file systems do not say what an entry is, and a link may lead to a folder.
        guard type == Int32(DT_UNKNOWN) || type == Int32(DT_LNK) else { return false }
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// The bytes of a file; nil when it is not there.
    static func contents(of path: String) throws(ConnectorFailure) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw SchemaFailure.read(path, errno)
        }
        defer { close(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 65536)
        while true {
            let got = read(file, &block, block.count)
            if got == 0 { return bytes }
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else { throw SchemaFailure.read(path, errno) }
            bytes += block.prefix(got)
            guard bytes.count <= fileBytesMax else { throw SchemaFailure.read(path, EFBIG) }
        }
    }

    /// Runs something while the folder, and with it its lock, is certainly held.
    func whileOpen<Value>(_ body: () throws(RegistryFailure) -> Value) -> Result<Value, RegistryFailure> {
        Result(catching: body)
    }

    /// Waits until no other process or thread holds the folder.
    func lock() throws(ConnectorFailure) {
        let end = ContinuousClock.now + .seconds(Self.lockSecondsMax)
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { throw SchemaFailure.directory(path, errnoText()) }
            guard ContinuousClock.now < end else { throw SchemaFailure.locked(path) }
            usleep(2000)
        }
    }

    /// Writes a new file: first under another name, then, when it is whole and durable, under its own, which
    /// ``sync()`` makes durable too. False when there is a file of that name by now. The folder must be locked.
    func write(
        _ text: String, as name: String, beforeRename: () -> Void
    ) throws(ConnectorFailure) -> Bool {
        let temporary = "." + name + ".tmp"
        let target = path + "/" + name
        try removeLeftovers()
        do {
            let file = openat(descriptor, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
            guard file >= 0 else { throw SchemaFailure.write(target, errno) }
            defer { close(file) }
            try writeAll(Array(text.utf8), to: file, target)
        }
        beforeRename()
        return try rename(temporary, to: name)
    }

    /// Writes a file anew, or for the first time: whoever reads sees the old one or the new one, whole. ``sync()``
    /// makes it durable. The folder must be locked.
    func replace(_ name: String, with text: String, beforeRename: () -> Void) throws(ConnectorFailure) {
        let temporary = "." + name + ".tmp"
        let target = path + "/" + name
        unlinkat(descriptor, temporary, 0)
        do {
            let file = openat(descriptor, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
            guard file >= 0 else { throw SchemaFailure.write(target, errno) }
            defer { close(file) }
            try writeAll(Array(text.utf8), to: file, target)
        }
        beforeRename()
        guard renameat(descriptor, temporary, descriptor, name) == 0 else {
            throw SchemaFailure.write(target, errno)
        }
    }

    /// Removes temporary files of processes that died: under the lock, nobody alive has one.
    private func removeLeftovers() throws(ConnectorFailure) {
        for name in try Self.names(in: path)
        where name.hasSuffix(".schema.json.tmp") && (name.hasPrefix(".v") || name.hasPrefix(".proposed-"))
            || name == "." + SubjectRecord.fileName + ".tmp"
        {
            unlinkat(descriptor, name, 0)
        }
    }

    /// Removes a file; one that is gone already is as well.
    func remove(_ name: String) throws(ConnectorFailure) {
        guard unlinkat(descriptor, name, 0) == 0 || errno == ENOENT else {
            throw SchemaFailure.write(path + "/" + name, errno)
        }
    }

    /// Makes names in the folder durable, where the file system lets folders be synced.
    func sync() throws(ConnectorFailure) {
        guard fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS else {
            throw SchemaFailure.write(path, errno)
        }
    }

    private func writeAll(_ bytes: [UInt8], to file: Int32, _ target: String) throws(ConnectorFailure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { throw SchemaFailure.write(target, errno) }
            rest = rest.dropFirst(written)
        }
        guard fsync(file) == 0 else { throw SchemaFailure.write(target, errno) }
    }

    /// Gives a file its name, unless the name is taken. A hard link refuses that on every file system that has hard
    /// links; where there are none, the lock alone keeps two writers apart.
    private func rename(_ temporary: String, to name: String) throws(ConnectorFailure) -> Bool {
        if linkat(descriptor, temporary, descriptor, name, 0) == 0 {
            unlinkat(descriptor, temporary, 0)
            return true
        }
        switch errno {
        case EEXIST:
            unlinkat(descriptor, temporary, 0)
            return false
        case EPERM, ENOTSUP, ENOSYS, EMLINK:
            guard faccessat(descriptor, name, F_OK, 0) != 0 else { return false }
            guard renameat(descriptor, temporary, descriptor, name) == 0 else {
                throw SchemaFailure.write(path + "/" + name, errno)
            }
            return true
        default: throw SchemaFailure.write(path + "/" + name, errno)
        }
    }
}

private func errnoText() -> String { String(cString: strerror(errno)) }
