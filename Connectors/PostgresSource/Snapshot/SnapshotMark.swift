internal import ByteKit

/// A watermark of a snapshot in the stream: a transactional logical message that says which chunk of which run begins
/// or ends here.
///
/// A message needs no table and no privilege. It is transactional, because its commit has a place in the stream that
/// no change shares; the position of a message without a transaction may be that of the commit that follows it.
struct SnapshotMark: Equatable {
    /// Tells these messages from those of applications.
    static let prefix = "millrace.snapshot"

    /// Which end of the chunk's window.
    enum Bound: String {
        /// Changes from here on are compared with the chunk.
        case low
        /// The chunk takes its place here.
        case high
    }

    /// Tells one session of one pipeline from every other.
    var run: String
    /// The chunk.
    var number: UInt64
    var bound: Bound

    init(run: String, number: UInt64, bound: Bound) {
        self.run = run
        self.number = number
        self.bound = bound
    }

    /// The message's content.
    var text: String { "\(run) \(number) \(bound.rawValue)" }

    /// Reads a message's content; nil when it is something else.
    init?(_ content: RawSpan) {
        guard content.byteCount <= 200, let text = String(validatingUTF8: content) else { return nil }
        let parts = text.split(separator: " ")
        guard parts.count == 3, let number = UInt64(parts[1]), let bound = Bound(rawValue: String(parts[2])) else {
            return nil
        }
        self.init(run: String(parts[0]), number: number, bound: bound)
    }
}
