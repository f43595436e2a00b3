import Glibc

/// A system call that changes something, for tests that make the n-th one fail.
package enum FileCall: Sendable, CaseIterable {
    case open, write, sync, syncFolder, rename, cut
}

/// What tests put before system calls: the number of an error (errno), or 0 for none. The program has none.
package typealias FileFault = @Sendable (FileCall) -> Int32

extension FileFault? {
    /// True when the call is to fail; `errno` says why then.
    func strikes(_ call: FileCall) -> Bool {
        guard let number = self?(call), number != 0 else { return false }
        errno = number
        return true
    }
}
