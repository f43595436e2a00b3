package import ConnectorKit
import Glibc

/// What `millrace doctor` looks at for a file sink.
package enum FileDoctor {
    /// Free bytes below which a file system counts as nearly full.
    static let freeBytesMin: UInt64 = 1 << 30

    /// Whether the folder can be written to, and how much room it has. Makes and changes nothing.
    package static func findings(_ settings: FileSettings) -> [Finding] {
        let wanted = settings.path.literalFolder
        let folder = nearestExisting(wanted)
        var info = stat()
        guard unsafe stat(folder, &info) == 0, info.isFolder else {
            return [
                Finding(.problem, "file.not_a_directory", "\(folder) is no folder", fix: "move it away, or change path")
            ]
        }
        var room = statvfs()
        guard unsafe statvfs(folder, &room) == 0 else {
            return [finding(errno, folder)]
        }
        if room.f_flag & UInt(ST_RDONLY) != 0 { return [finding(EROFS, folder)] }
        guard unsafe access(folder, W_OK | X_OK) == 0 else { return [finding(errno, folder)] }
        let free = UInt64(room.f_bavail) * UInt64(room.f_frsize)
        var findings = [Finding(.ok, "file.folder", "\(wanted) can be written to")]
        let text = "\(free >> 20) MiB are free for \(wanted)"
        if free < freeBytesMin {
            findings.append(Finding(.warning, "file.disk_full", text, fix: "make room on the file system of \(folder)"))
        } else {
            findings.append(Finding(.ok, "file.free_space", text))
        }
        return findings
    }

    private static func finding(_ number: Int32, _ folder: String) -> Finding {
        let failure = FileFailure.system("write to", folder, number)
        return Finding(.problem, failure.code, failure.message, fix: failure.hint)
    }

    /// The folder itself, or the one above it in which the missing folders will be made.
    private static func nearestExisting(_ folder: String) -> String {
        for candidate in [folder] + FileFolders.folders(of: folder) where unsafe access(candidate, F_OK) == 0 {
            return candidate
        }
        return "."
    }
}
