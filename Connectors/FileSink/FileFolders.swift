import ConnectorKit
import Glibc

/// The folders that files lie in.
enum FileFolders {
    /// Makes the folders of `path` that are missing.
    static func make(for path: String) throws(ConnectorFailure) {
        for folder in folders(of: path).reversed() where folder != "." && folder != "/" {
            if unsafe mkdir(folder, 0o777) == 0 || errno == EEXIST { continue }
            let number = errno
            var info = stat()
            // Parts that are there may be on a read-only file system or not ours.
            if unsafe stat(folder, &info) == 0 && info.isFolder { continue }
            throw FileFailure.system("make the folder", folder, number)
        }
    }

    /// Makes the names in a folder durable.
    static func sync(_ folder: String, _ fault: FileFault?) throws(ConnectorFailure) {
        let descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFailure.system("open the folder", folder, errno) }
        defer { close(descriptor) }
        // Some file systems know no sync of folders, and say so by EINVAL (fsync(2)).
        guard !fault.strikes(.syncFolder), fsync(descriptor) == 0 || errno == EINVAL else {
            throw FileFailure.system("sync the folder", folder, errno)
        }
    }

    /// The folders that lead to `path`, the innermost first, down to "." or "/".
    static func folders(of path: String) -> [String] {
        var folders: [String] = []
        var rest = path[...]
        while let slash = rest.utf8.lastIndex(of: UInt8(ascii: "/")) {
            rest = rest[..<slash]
            if rest.isEmpty { return folders + ["/"] }
            if !rest.hasSuffix("/") { folders.append(String(rest)) }
        }
        return folders + ["."]
    }
}
