private import Foundation

/// A file system of a few megabytes in memory, for tests of full disks. Needs the right to mount (root).
package final class SmallDisk: Sendable {
    /// Where it is mounted.
    package let path: String
    private let folder: TemporaryFolder

    /// Mounts a file system of `bytes`. Throws when that is not allowed here.
    package init(bytes: Int) throws {
        folder = try TemporaryFolder()
        path = folder.path("disk")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let result = try Self.mountCommand(["mount", "-t", "tmpfs", "-o", "size=\(bytes)", "tmpfs", path])
        guard result.exitCode == 0 else {
            throw ChildFailure(description: "a test of full disks needs to mount a tmpfs: \(result.errors)")
        }
        _ = try Self.mountCommand(["chmod", "777", path])
    }

    deinit { _ = try? Self.mountCommand(["umount", "-l", path]) }

    private static func mountCommand(_ words: [String]) throws -> ChildResult {
        geteuid() == 0 ? try runProgram("/usr/bin/env", words) : try runProgram("/usr/bin/sudo", ["-n"] + words)
    }
}
