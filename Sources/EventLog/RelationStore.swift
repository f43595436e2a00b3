import ChangeModel
import Foundation
import GRDB
import Synchronization

/// The log's relations by number: one object for each, shared by the writer and the readers of a process, so that
/// identity may serve as a cache key.
final class RelationStore: Sendable {
    private struct Known {
        var byID: [Int64: RelationVersion] = [:]
        var byRelation: [Relation: [RelationVersion]] = [:]
    }
    private let known = Mutex(Known())

    /// All relations that were read or registered so far, by number.
    var all: [RelationVersion] { known.withLock { known in known.byID.values.sorted { $0.id < $1.id } } }

    /// The object of a number; nil when it was not loaded yet.
    subscript(id: Int64) -> RelationVersion? { known.withLock { $0.byID[id] } }

    /// The registered object that equals these parts.
    func find(_ relation: Relation, subject: String, version: Int) -> RelationVersion? {
        known.withLock { known in
            known.byRelation[relation]?.first { $0.version == version && $0.subject == subject }
        }
    }

    /// Keeps an object, unless one of that number is there already; returns the one that counts.
    func keep(_ version: RelationVersion) -> RelationVersion {
        known.withLock { known in
            if let earlier = known.byID[version.id] { return earlier }
            known.byID[version.id] = version
            known.byRelation[version.relation, default: []].append(version)
            return version
        }
    }

    /// Reads the relations that were registered since the last load.
    func load(_ db: Database) throws {
        let newest = known.withLock { $0.byID.keys.max() ?? 0 }
        let rows = try Row.fetchCursor(
            db, sql: "SELECT id, subject, version, body FROM relation WHERE id > ? ORDER BY id", arguments: [newest])
        while let row = try rows.next() {
            guard let id = row[0] as Int64?, let subject = row[1] as String?, let version = row[2] as Int?,
                let body = row[3] as Data?, let relation = try? JSONDecoder().decode(Relation.self, from: body)
            else { throw LogFailure.damaged("relation \(row[0] as Int64? ?? -1) of the log cannot be read") }
            _ = keep(RelationVersion(id: id, relation: relation, subject: subject, version: version))
        }
    }

    /// Stores a new pair; call it inside of a transaction, and ``keep(_:)`` the result once that was committed.
    static func insert(
        _ relation: Relation, subject: String, version: Int, _ db: Database
    ) throws -> RelationVersion {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try db.execute(
            sql: "INSERT INTO relation (subject, version, body) VALUES (?, ?, ?)",
            arguments: [subject, version, try encoder.encode(relation)])
        return RelationVersion(id: db.lastInsertedRowID, relation: relation, subject: subject, version: version)
    }
}
