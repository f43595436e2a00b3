internal import ByteKit
internal import ConnectorKit

/// What the checkpoint of this source says beyond its position; kept in ``SourceCheckpoint/notes``, so that it is
/// committed to the log together with the changes that it speaks of.
///
/// The bytes are a version, then any number of sections: a number, a length, and the section's own bytes. A section
/// that this program does not know was written by a newer one and is refused, because leaving it out would lose what it
/// remembers. No bytes at all are the notes of a version that had none.
struct SourceNotes: Equatable {
    /// What kinds of notes there are. Numbers are for ever; a new kind takes the next one.
    private enum Section: UInt32 {
        case snapshot = 1
        case publication = 2
        case timeline = 3
        case standby = 4
        case keys = 5
    }

    /// The progress of snapshots; nil when an older version read this source.
    var snapshot: SnapshotNotes?
    /// The tables that were published at the last look; nil before the first.
    var publication: PublicationMemory?
    /// The line of the server's history that was read; nil before the first start that wrote it down.
    var timeline: TimelineMemory?
    /// When the server that was read was started, if it was a standby then: as long as it runs on, it may change its
    /// timeline under the stream, and nothing is passed over. Nil for a primary.
    var standby: String?

    /// Under which keys the rows of tables were told.
    var keys = KeyMemory()

    /// Notes that say nothing yet.
    init() {}
}

// MARK: - Bytes

extension SourceNotes {
    private static let formatVersion: UInt8 = 1

    /// The bytes for the checkpoint.
    var encoded: [UInt8] {
        var out = NoteWriter()
        out.byte(Self.formatVersion)
        if let snapshot { out.section(Section.snapshot.rawValue, snapshot.encoded) }
        if let publication { out.section(Section.publication.rawValue, publication.encoded) }
        if let timeline { out.section(Section.timeline.rawValue, timeline.encoded) }
        if let standby { out.section(Section.standby.rawValue, Array(standby.utf8)) }
        if !keys.isEmpty { out.section(Section.keys.rawValue, keys.encoded) }
        return out.bytes
    }

    /// Reads a checkpoint's notes back.
    init(decoding bytes: [UInt8]) throws(ConnectorFailure) {
        if bytes.isEmpty { return }
        var reader = NoteReader(bytes.rawBytes)
        guard reader.byte() == Self.formatVersion else { throw PostgresFailure.notesUnreadable("their version") }
        while !reader.isAtEnd {
            guard let number = reader.number32(), let content = reader.list() else {
                throw PostgresFailure.notesUnreadable("a section that is cut off")
            }
            switch Section(rawValue: number) {
            case .snapshot:
                guard let notes = SnapshotNotes(decoding: content) else {
                    throw PostgresFailure.notesUnreadable("the snapshot's progress")
                }
                snapshot = notes
            case .publication:
                guard let memory = PublicationMemory(decoding: content) else {
                    throw PostgresFailure.notesUnreadable("what was published")
                }
                publication = memory
            case .timeline:
                guard let memory = TimelineMemory(decoding: content) else {
                    throw PostgresFailure.notesUnreadable("the timeline")
                }
                timeline = memory
            case .standby: standby = String(decoding: content, as: UTF8.self)
            case .keys:
                guard let memory = KeyMemory(decoding: content) else {
                    throw PostgresFailure.notesUnreadable("the keys of tables")
                }
                keys = memory
            case nil: throw PostgresFailure.notesUnreadable("section \(number)")
            }
        }
    }
}
