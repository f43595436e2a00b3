/// Which database a checkpoint belongs to. A checkpoint is only ever continued on a source with an equal fingerprint.
public struct SourceIdentity: Hashable, Sendable {
    /// The kind of connector: `postgres` or `sqlite`.
    public var kind: String
    /// What tells this database from every other, in named parts, such as the system identifier and the slot.
    /// Compared as a whole; the names make a refusal readable.
    public var fingerprint: [String: String]

    /// An identity of its parts.
    public init(kind: String, fingerprint: [String: String]) {
        self.kind = kind
        self.fingerprint = fingerprint
    }

    /// The parts that differ, as "name: this, not that", sorted; empty for equal identities.
    public func differences(from other: SourceIdentity) -> [String] {
        var lines = kind == other.kind ? [] : ["kind: \(kind), not \(other.kind)"]
        for name in Set(fingerprint.keys).union(other.fingerprint.keys).sorted() {
            let (here, there) = (fingerprint[name] ?? "none", other.fingerprint[name] ?? "none")
            if here != there { lines.append("\(name): \(here), not \(there)") }
        }
        return lines
    }
}

/// How far a source was read, committed to the event log together with the events that it covers.
public struct SourceCheckpoint: Equatable, Sendable {
    /// The last change that is in the log; nil before the first one. Changes up to it are not taken again.
    public var last: ChangeIdentity?
    /// What may be confirmed to the source once this checkpoint is durable.
    public var resume: ResumePosition
    /// The connector's own notes, such as the progress of a snapshot. The pipeline stores and returns them unread.
    public var notes: [UInt8]

    /// A checkpoint of its parts.
    public init(last: ChangeIdentity?, resume: ResumePosition, notes: [UInt8] = []) {
        self.last = last
        self.resume = resume
        self.notes = notes
    }
}
