import ConnectorKit
import Glibc

/// What Millrace itself reads and keeps. No name that a placeholder gets leads a sink there.
package struct ReservedPaths: Sendable {
    /// Files, with what they are.
    private let files: [(path: String, what: String)]
    /// What the paths of reserved files begin with, as the file system takes them, with what they are.
    private let fronts: [(path: String, what: String)]

    /// Nothing.
    package static let none = ReservedPaths(files: [], folders: [])

    /// These files, everything in and below these folders, and files whose paths begin with one of `fronts`.
    package init(
        files: [(path: String, what: String)], folders: [(path: String, what: String)],
        fronts: [(path: String, what: String)] = []
    ) {
        self.files = files
        self.fronts =
            folders.map { (FileSettings.resolved($0.path) + "/", $0.what) }
            + fronts.map { (FileSettings.resolved($0.path), $0.what) }
    }

    /// What a path leads to, by whatever name or link; nil for a file that a sink may have. Only looks at names: the
    /// file may be a database that this process has open.
    func owner(of path: String) -> String? {
        if files.isEmpty, fronts.isEmpty { return nil }
        let resolved = FileSettings.resolved(path)
        if let front = fronts.first(where: { resolved.hasPrefix($0.path) }) { return front.what }
        var ours = stat()
        let isThere = unsafe stat(path, &ours) == 0
        return files.first { file in
            if FileSettings.resolved(file.path) == resolved { return true }
            var theirs = stat()
            let isItThere = unsafe stat(file.path, &theirs) == 0
            return isThere && isItThere && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino
        }?.what
    }

    /// Throws `file.reserved` for a path that no sink may have.
    func check(_ path: String) throws(ConnectorFailure) {
        if let owner = owner(of: path) { throw FileFailure.reserved(path, owner) }
    }
}
