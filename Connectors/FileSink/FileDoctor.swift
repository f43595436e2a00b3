package import ConnectorKit
import Glibc

/// What `millrace doctor` looks at for a file sink.
package enum FileDoctor {
    /// Free bytes below which a file system counts as nearly full.
    static let freeBytesMin: UInt64 = 1 << 30

    /// Whether files can be made where the sink makes them, tried with one that is removed at once, and how much room
    /// there is; and whether the files are newer than what the log knows of the sink, where there is a log.
    package static func findings(_ settings: FileSettings, _ known: KnownSink? = nil) -> [Finding] {
        var findings = findings(about: settings)
        do throws(ConnectorFailure) {
            if let known { try checkLife(settings, known) }
        } catch {
            findings.append(finding(error))
        }
        return findings
    }

    /// Throws what opening the sink, or writing to its only file, would throw.
    private static func checkLife(_ settings: FileSettings, _ known: KnownSink) throws(ConnectorFailure) {
        let state = try FileState(stored: known.state)
        let mark = WriterMark(
            log: known.log, pipeline: settings.pipelineName, sink: known.name, life: .max, state: known.state, state)
        var newer = mark.newerPaths(state)
        let path = settings.path.text
        var info = stat()
        if newer.isEmpty, unsafe stat(path, &info) == 0, info.st_size > 0, mark.isNewer(atPath: path) { newer = [path] }
        if let path = newer.first { throw FileFailure.newerThanLog(path, others: newer.count - 1) }
    }

    private static func findings(about settings: FileSettings) -> [Finding] {
        let wanted = settings.path.literalFolder
        let folder = nearestExisting(wanted)
        var info = stat()
        guard unsafe stat(folder, &info) == 0, info.isFolder else {
            return [
                Finding(.problem, "file.not_a_directory", "\(folder) is no folder", fix: "move it away, or change path")
            ]
        }
        if let known = lookAtFile(settings.path.text) { return known }
        var room = statvfs()
        guard unsafe statvfs(folder, &room) == 0 else { return [finding(errno, folder)] }
        if let number = trial(in: folder, makesFolder: folder != wanted) { return [finding(number, folder)] }
        let free = UInt64(room.f_bavail) * UInt64(room.f_frsize)
        var findings = [Finding(.ok, "file.folder", "files can be made in \(wanted)")]
        let text = "\(free >> 20) MiB are free for \(wanted)"
        if free < freeBytesMin {
            findings.append(Finding(.warning, "file.disk_full", text, fix: "make room on the file system of \(folder)"))
        } else {
            findings.append(Finding(.ok, "file.free_space", text))
        }
        return findings
    }

    /// What there is to say about a path that is there already, when the sink would not make it: a device or a pipe,
    /// or what cannot be written to.
    private static func lookAtFile(_ path: String) -> [Finding]? {
        var info = stat()
        guard unsafe stat(path, &info) == 0 else { return nil }
        if info.isFolder { return [finding(EISDIR, path)] }
        guard unsafe access(path, W_OK) == 0 else { return [finding(errno, path)] }
        if info.isRegular { return isDatabase(path) ? [finding(FileFailure.isDatabase(path))] : nil }
        return [Finding(.ok, "file.folder", "\(path) can be written to, without any promise across crashes")]
    }

    /// Makes a file, or where folders are missing a folder, and removes it: rights, quotas and file systems that take
    /// nothing are told by nothing else. The errno of what failed; nil when all went well.
    private static func trial(in folder: String, makesFolder: Bool) -> Int32? {
        let path = "\(folder)/.millrace-doctor-\(getpid())"
        if makesFolder {
            guard unsafe mkdir(path, 0o700) == 0 else { return errno }
            return unsafe rmdir(path) == 0 ? nil : errno
        }
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return errno }
        var byte: UInt8 = 0
        let number = unsafe write(descriptor, &byte, 1) == 1 ? nil : errno
        close(descriptor)
        return unsafe unlink(path) == 0 ? number : errno
    }

    private static func isDatabase(_ path: String) -> Bool {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return FileNames.isDatabase(descriptor)
    }

    private static func finding(_ number: Int32, _ folder: String) -> Finding {
        finding(FileFailure.system("write to", folder, number))
    }

    private static func finding(_ failure: ConnectorFailure) -> Finding {
        Finding(.problem, failure.code, failure.message, fix: failure.hint)
    }

    /// The folder itself, or the one above it in which the missing folders will be made.
    private static func nearestExisting(_ folder: String) -> String {
        for candidate in [folder] + FileFolders.folders(of: folder) where unsafe access(candidate, F_OK) == 0 {
            return candidate
        }
        return "."
    }
}
