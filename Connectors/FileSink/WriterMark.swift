import CLinux
import ConnectorKit
import Glibc

/// Who writes to a file, as an extended attribute on the file itself (xattr(7)): sinks of other logs have no other way
/// to know of each other, and what another sink wrote must never be cut off.
///
/// A sink marks a file once its durable state tells of it, and says beside it in which of its lives it did: a sink
/// whose log was put back to an older copy sees so that the file is newer than all that it knows. Where the file system
/// has no such attributes, no file belongs to anybody else, and only the locks of running sinks keep them apart.
struct WriterMark: Equatable {
    /// Whose mark a file has.
    enum Owner { case ours, nobody, other }

    private static let name = "user.millrace.writer"
    /// An attribute of its own: versions that know of no lives read the other one.
    private static let lifeName = "user.millrace.life"
    /// A longer one is somebody else's.
    private static let readMax = 1024

    private let text: [UInt8]
    /// The mark and the sink's present life.
    private let lifeText: [UInt8]
    private let life: UInt64
    /// The last life that the state tells of, 0 for a sink that has no state yet: it wrote to no file. Nil for such a
    /// sink where nothing tells its log from others.
    private let knownLife: UInt64?

    /// The mark of a sink of a log. The names alone would not do: a configuration is soon copied.
    init(log: String, pipeline: String, sink: String, life: UInt64 = 0, knownLife: UInt64? = nil) {
        text = Array("\(log) \(pipeline)/\(sink)".utf8.prefix(Self.readMax / 2))
        lifeText = text + Array(" \(life)".utf8)
        (self.life, self.knownLife) = (life, knownLife)
    }

    /// The mark of a sink that opens in a life with a state.
    init(log: String, pipeline: String, sink: String, life: UInt64, state: [UInt8]?, _ decoded: FileState) {
        let isUnknown = state == nil && log.isEmpty
        self.init(log: log, pipeline: pipeline, sink: sink, life: life, knownLife: isUnknown ? nil : decoded.life)
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

    /// True for a file that this sink marked in a life that its state knows nothing of: the state is of an older copy
    /// of the log.
    func isNewer(_ descriptor: Int32) -> Bool {
        guard owner(of: descriptor) == .ours else { return false }
        var found = [UInt8](repeating: 0, count: Self.readMax)
        return isNewer(unsafe fgetxattr(descriptor, Self.lifeName, &found, UInt(found.count)), found)
    }

    /// The same of a file that is not opened.
    func isNewer(atPath path: String) -> Bool {
        guard owner(ofPath: path) == .ours else { return false }
        var found = [UInt8](repeating: 0, count: Self.readMax)
        return isNewer(unsafe getxattr(path, Self.lifeName, &found, UInt(found.count)), found)
    }

    /// What a state tells of and this sink wrote to in a life that the state does not know, also under the name that it
    /// got in that life.
    func newerPaths(_ state: FileState) -> [String] {
        let finished = state.entries.compactMap { entry in
            entry.part.flatMap { entry.isThere(at: $0.finalPath) ? $0.finalPath : nil }
        }
        let paths = state.entries.map(\.path) + finished + state.manifests.map(\.path)
        return paths.filter { isNewer(atPath: $0) }
    }

    private func isNewer(_ length: Int, _ found: [UInt8]) -> Bool {
        guard let knownLife, length > text.count, found.starts(with: text), found[text.count] == UInt8(ascii: " "),
            let marked = UInt64(String(decoding: found[(text.count + 1)..<length], as: UTF8.self))
        else { return false }
        return marked > knownLife && marked != life
    }

    /// Marks an open file as ours, in the present life; true when that could be done. A file system that has no marks
    /// is taken as it is.
    @discardableResult
    func put(on descriptor: Int32) -> Bool {
        let hasLife = unsafe fsetxattr(descriptor, Self.lifeName, lifeText, UInt(lifeText.count), 0) == 0
        return unsafe fsetxattr(descriptor, Self.name, text, UInt(text.count), 0) == 0 && hasLife
    }
}
