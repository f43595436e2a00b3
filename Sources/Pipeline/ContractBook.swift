package import ChangeModel
package import ConnectorKit
package import Logging
package import SchemaRegistry

/// Under which contract a relation's changes go into the log, or why they do not.
package enum Contract: Sendable {
    /// The log's entry for the relation under its version.
    case accepted(RelationVersion)
    /// Nobody accepted the relation's form yet. The entry has version 0.
    case refused(RelationVersion, ConnectorFailure)
}

/// Knows the contract of each relation that was met: registers the derived schema where the policy lets it, and
/// remembers the log's entry for it. Used by one task.
package struct ContractBook {
    private let pipelineName: String
    private let schemas: SchemaFolder
    private let log: any CaptureLog
    private let policy: SchemaPolicy
    private let logger: Logger?
    private var known: [ObjectIdentifier: Entry] = [:]
    /// True while a refusal is remembered.
    package private(set) var hasRefusals = false

    /// The relation is kept beside its contract so that its object identity stays taken.
    private struct Entry {
        let relation: Relation
        let contract: Contract
    }

    /// How many relations are remembered before the book starts over; each relation message of a source may be a new
    /// object.
    private static let entriesMax = 4096

    /// An empty book. `logger` is told of each version that is registered.
    package init(
        pipelineName: String, schemas: SchemaFolder, log: any CaptureLog, policy: SchemaPolicy = SchemaPolicy(),
        logger: Logger? = nil
    ) {
        self.pipelineName = pipelineName
        self.schemas = schemas
        self.log = log
        self.policy = policy
        self.logger = logger
    }

    /// The subject of a relation: `NAME.schema.table`.
    package static func subject(of relation: Relation, in pipelineName: String) -> String {
        "\(pipelineName).\(relation.qualifiedName)"
    }

    /// The contracts of a batch's relations, in their order. The schema file is durable before the log names it.
    package mutating func contracts(of relations: [Relation]) async throws(ConnectorFailure) -> [Contract] {
        var contracts: [Contract] = []
        contracts.reserveCapacity(relations.count)
        for relation in relations { contracts.append(try await contract(of: relation)) }
        return contracts
    }

    /// The log's entry for a relation under no contract, for changes that are set aside whatever its contract is.
    func withoutContract(_ relation: Relation) async throws(ConnectorFailure) -> RelationVersion {
        try await log.register(relation, subject: Self.subject(of: relation, in: pipelineName), version: 0)
    }

    /// Forgets what was refused: somebody may have accepted it meanwhile.
    package mutating func forgetRefusals() {
        guard hasRefusals else { return }
        known = known.filter { if case .accepted = $0.value.contract { true } else { false } }
        hasRefusals = false
    }

    private mutating func contract(of relation: Relation) async throws(ConnectorFailure) -> Contract {
        if let entry = known[ObjectIdentifier(relation)] { return entry.contract }
        let subject = Self.subject(of: relation, in: pipelineName)
        let contract =
            if relation.outbox != nil {
                // What an outbox holds is the application's own contract, and none that its columns could tell.
                Contract.accepted(try await log.register(relation, subject: subject, version: 0))
            } else {
                try await find(relation, subject)
            }
        if known.count >= Self.entriesMax { known.removeAll() }
        known[ObjectIdentifier(relation)] = Entry(relation: relation, contract: contract)
        return contract
    }

    private mutating func find(_ relation: Relation, _ subject: String) async throws(ConnectorFailure) -> Contract {
        switch try schemas.look(for: relation, subject: subject) {
        case .registered(let number):
            return .accepted(try await log.register(relation, subject: subject, version: number))
        case .changed(let change) where isAllowed(change):
            let number = try schemas.register(derivedFrom: relation, subject: subject)
            announce(change, registered: number, relation)
            return .accepted(try await log.register(relation, subject: subject, version: number))
        case .changed(let change):
            guard let failure = try refusal(of: relation, change) else {
                // Somebody accepted it in this moment. Versions are never taken back, so it is found now.
                return try await find(relation, subject)
            }
            hasRefusals = true
            return .refused(try await log.register(relation, subject: subject, version: 0), failure)
        }
    }

    private func isAllowed(_ change: SchemaChange) -> Bool {
        if change.latest == nil { return policy.onNewTable == .register }
        return policy.onChange == .evolve || change.isSpellingOnly
    }

    private func announce(_ change: SchemaChange, registered number: Int, _ relation: Relation) {
        guard let logger else { return }
        var metadata: Logger.Metadata = ["subject": "\(change.subject)", "version": "\(number)"]
        guard let latest = change.latest, let difference = change.difference else {
            return logger.notice("table registered", metadata: metadata)
        }
        metadata["from"] = "\(latest)"
        if change.isSpellingOnly {
            return logger.info("schema is written in another way, the table is unchanged", metadata: metadata)
        }
        metadata["difference"] = "\(difference.summary)"
        metadata["verdict"] = "\(difference.verdict)"
        logger.notice("table changed", metadata: metadata)
    }

    /// Writes the proposal that somebody may accept, and says what it is; nil when it is accepted by now.
    private func refusal(
        of relation: Relation, _ change: SchemaChange
    ) throws(ConnectorFailure) -> ConnectorFailure? {
        guard let proposal = try schemas.propose(derivedFrom: relation, subject: change.subject) else { return nil }
        let accept = "accept it: millrace schema accept \(change.subject)"
        let next =
            policy.onChange == .quarantine
            ? "; what was set aside is delivered then" : "; then start again: capture goes on where it stopped"
        guard let latest = change.latest, let difference = change.difference else {
            return ConnectorFailure(
                "schema.unregistered", .stop,
                "table \(relation.qualifiedName) has no accepted schema (schemas.on_new_table is require); proposed is "
                    + proposal.path,
                setting: "schemas.on_new_table", hint: accept + next, exitCode: 1)
        }
        let file = try schemas.file(of: change.subject, version: latest)
        return ConnectorFailure(
            "schema.changed", .stop,
            "table \(relation.qualifiedName) is not as version \(latest) of \(change.subject) says: "
                + "\(difference.summary) (\(difference.verdict)); version \(latest) is \(file), proposed is "
                + proposal.path,
            setting: "schemas.on_change", hint: accept + next, exitCode: 1)
    }
}
