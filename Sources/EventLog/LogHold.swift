package import ConnectorKit
import Glibc

/// Keeps every `millrace run` away from a log without opening it, as long as it lives.
package final class LogHold: Sendable {
    private let lock: LogLock?

    /// Takes the log's lock. A log that is not there is not made. Throws `log.in_use` while a process writes to it.
    package init(directory: String) throws(ConnectorFailure) {
        let folder = LogDirectory(directory)
        lock = access(folder.path, F_OK) == 0 ? try LogLock(folder) : nil
    }
}
