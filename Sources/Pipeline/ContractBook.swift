package import ChangeModel
package import ConnectorKit
package import SchemaRegistry

/// Knows the contract of each relation that was met: registers the derived schema when a relation is new, and
/// remembers the log's entry for it. Used by one task.
package struct ContractBook {
    private let pipelineName: String
    private let schemas: SchemaFolder
    private let log: any CaptureLog
    private var known: [ObjectIdentifier: Entry] = [:]

    /// The relation is kept beside its version so that its object identity stays taken.
    private struct Entry {
        let relation: Relation
        let version: RelationVersion
    }

    /// How many relations are remembered before the book starts over; each relation message of a source may be a new
    /// object.
    private static let entriesMax = 4096

    /// An empty book.
    package init(pipelineName: String, schemas: SchemaFolder, log: any CaptureLog) {
        self.pipelineName = pipelineName
        self.schemas = schemas
        self.log = log
    }

    /// The subject of a relation: `NAME.schema.table`.
    package static func subject(of relation: Relation, in pipelineName: String) -> String {
        "\(pipelineName).\(relation.qualifiedName)"
    }

    /// The versions of a batch's relations, in their order. The schema file is durable before the log names it.
    package mutating func versions(of relations: [Relation]) async throws(ConnectorFailure) -> [RelationVersion] {
        var versions: [RelationVersion] = []
        versions.reserveCapacity(relations.count)
        for relation in relations { versions.append(try await version(of: relation)) }
        return versions
    }

    private mutating func version(of relation: Relation) async throws(ConnectorFailure) -> RelationVersion {
        if let entry = known[ObjectIdentifier(relation)] { return entry.version }
        let subject = Self.subject(of: relation, in: pipelineName)
        let number = try schemas.register(derivedFrom: relation, subject: subject)
        let version = try await log.register(relation, subject: subject, version: number)
        if known.count >= Self.entriesMax { known.removeAll() }
        known[ObjectIdentifier(relation)] = Entry(relation: relation, version: version)
        return version
    }
}
