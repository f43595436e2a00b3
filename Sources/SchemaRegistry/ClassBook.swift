package import ConnectorKit

/// Remembers the classes of tables, and notices when their contracts change. Used by one task at a time.
///
/// A version that is added or taken away is noticed at the next question, a file that somebody changes in its place
/// within a second.
package struct ClassBook: Sendable {
    /// The classes of a table as of some moment.
    package struct Known: Sendable {
        /// What the versions say.
        package var classes: TableClasses
        /// Another number each time that they say something else.
        package var edition: Int
    }

    private struct Entry {
        var known: Known
        var folder: FileStamp?
        var versions: [FileStamp]
        var lookedAt: ContinuousClock.Instant
        var isSettled: Bool
    }

    private let schemas: SchemaFolder
    private var entries: [String: Entry] = [:]
    private var edition = 0

    /// How often files are looked at whose folder did not change.
    private static let interval = Duration.seconds(1)
    /// How many tables are remembered before the memory starts over.
    private static let entriesMax = 4096

    /// An empty book.
    package init(_ schemas: SchemaFolder) { self.schemas = schemas }

    /// Looks at everything anew the next time.
    package mutating func forget(_ subject: String) { entries[subject] = nil }

    /// The classes of a subject's table as its files are now.
    package mutating func classes(of subject: String) throws(ConnectorFailure) -> Known {
        let folder = try schemas.folderStamp(of: subject)
        if var entry = entries[subject], entry.folder == folder {
            if entry.isSettled, ContinuousClock.now - entry.lookedAt < Self.interval { return entry.known }
            if entry.isSettled, try schemas.versionStamps(of: subject) == entry.versions {
                entry.lookedAt = .now
                entries[subject] = entry
                return entry.known
            }
        }
        // The stamps are older than what is read, so that a change in between is noticed the next time.
        let versions = try schemas.versionStamps(of: subject)
        let classes = try schemas.classes(of: subject)
        var known = Known(classes: classes, edition: edition + 1)
        if let before = entries[subject]?.known, before.classes == classes { known = before }
        edition = max(edition, known.edition)
        if entries.count >= Self.entriesMax { entries.removeAll() }
        entries[subject] = Entry(
            known: known, folder: folder, versions: versions, lookedAt: .now,
            isSettled: (folder?.isSettled ?? true) && versions.allSatisfy(\.isSettled))
        return known
    }
}
