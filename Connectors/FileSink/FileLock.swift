import Glibc

/// The lock that a sink has on a file it writes to (flock(2)). It goes when the descriptor is closed.
enum FileLock {
    /// Keeps other sinks and processes out of an open file; false when somebody has it. A file system without locks is
    /// taken as it is.
    ///
    /// A process that is just ending, or that was just forked from this one, may have the lock for a moment.
    static func take(_ descriptor: Int32) -> Bool {
        for _ in 0..<25 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK { return true }
            usleep(20_000)
        }
        return false
    }
}
