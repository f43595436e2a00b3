import ConnectorKit
import Glibc

/// Names that files may take.
enum FileNames {
    /// What names of unfinished files end with.
    static let unfinishedSuffix = ".part"
    /// More names than this are not tried for one file.
    static let attemptsMax = 10_000

    /// A path with `-2` and so on behind its name, before all its extensions; the first attempt is the path itself.
    static func path(_ path: String, attempt: Int) -> String {
        guard attempt > 1 else { return path }
        let name = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path.utf8.index(after: $0) } ?? path.startIndex
        let start = path[name...].hasPrefix(".") ? path.index(after: name) : name
        let dot = path[start...].firstIndex(of: ".") ?? path.endIndex
        return "\(path[..<dot])-\(attempt)\(path[dot...])"
    }

    /// True when nothing has the name, not even a link that leads nowhere.
    static func isFree(_ path: String) throws(ConnectorFailure) -> Bool {
        var info = stat()
        if unsafe lstat(path, &info) == 0 { return false }
        if errno == ENOENT || errno == ENOTDIR { return true }
        throw FileFailure.system("look at", path, errno)
    }

    /// True also for an empty file: one that a crash left before it was written to.
    static func isFreeOrEmpty(_ path: String) throws(ConnectorFailure) -> Bool {
        var info = stat()
        if unsafe lstat(path, &info) == 0 { return info.isRegular && info.st_size == 0 }
        if errno == ENOENT || errno == ENOTDIR { return true }
        throw FileFailure.system("look at", path, errno)
    }

    /// True when a file is missing or empty, is no ordinary file, or begins with a line. Of a compressed file it is not
    /// known, so it does not.
    static func begins(
        _ path: String, with line: [UInt8], isCompressed: Bool
    ) throws(ConnectorFailure) -> Bool {
        var info = stat()
        guard unsafe stat(path, &info) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return true }
            throw FileFailure.system("look at", path, errno)
        }
        if !info.isRegular || info.st_size == 0 { return true }
        if isCompressed { return false }
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { throw FileFailure.system("open", path, errno) }
        defer { close(descriptor) }
        var front = [UInt8](repeating: 0, count: line.count)
        let count = unsafe pread(descriptor, &front, front.count, 0)
        return count == line.count && front == line
    }

    /// What a database, its journal and its write-ahead log begin with (https://www.sqlite.org/fileformat2.html).
    private static let databaseFronts: [[UInt8]] = [
        Array("SQLite format 3\0".utf8), [0xD9, 0xD5, 0x05, 0xF9, 0x20, 0xA1, 0x63, 0xD7], [0x37, 0x7F, 0x06, 0x82],
        [0x37, 0x7F, 0x06, 0x83],
    ]

    /// True for an open file of an SQLite database.
    static func isDatabase(_ descriptor: Int32) -> Bool {
        var front = [UInt8](repeating: 0, count: 16)
        let count = unsafe pread(descriptor, &front, front.count, 0)
        return databaseFronts.contains { count >= $0.count && front.starts(with: $0) }
    }
}
