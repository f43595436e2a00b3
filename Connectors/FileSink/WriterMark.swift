import CLinux
import ConnectorKit
import Glibc

/// Who writes to a file, as an extended attribute on the file itself (xattr(7)): sinks of other logs have no other way
/// to know of each other, and what another sink wrote must never be cut off.
///
/// A sink marks a file once its durable state tells of it. Where the file system has no such attributes, no file
/// belongs to anybody else, and only the locks of running sinks keep them apart.
struct WriterMark: Equatable {
    /// Whose mark a file has.
    enum Owner { case ours, nobody, other }

    private static let name = "user.millrace.writer"
    /// A longer one is somebody else's.
    private static let readMax = 1024

    private let text: [UInt8]

    /// The mark of a sink of a log. The names alone would not do: a configuration is soon copied.
    init(log: String, pipeline: String, sink: String) {
        text = Array("\(log) \(pipeline)/\(sink)".utf8.prefix(Self.readMax))
    }

    /// Whose mark an open file has.
    func owner(of descriptor: Int32) -> Owner {
        var found = [UInt8](repeating: 0, count: Self.readMax)
        return owner(unsafe fgetxattr(descriptor, Self.name, &found, UInt(found.count)), found)
    }

    /// Whose mark a file has that is not opened.
    func owner(ofPath path: String) -> Owner {
        var found = [UInt8](repeating: 0, count: Self.readMax)
        return owner(unsafe getxattr(path, Self.name, &found, UInt(found.count)), found)
    }

    private func owner(_ length: Int, _ found: [UInt8]) -> Owner {
        guard length >= 0 else { return errno == ERANGE ? .other : .nobody }
        return found.prefix(length).elementsEqual(text) ? .ours : .other
    }

    /// Marks an open file as ours. A file system that has no marks is taken as it is.
    func put(on descriptor: Int32) { _ = unsafe fsetxattr(descriptor, Self.name, text, UInt(text.count), 0) }
}
