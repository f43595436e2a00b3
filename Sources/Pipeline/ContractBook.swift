package import ChangeModel
package import ConnectorKit
package import EventFormat
package import Logging
package import SchemaRegistry

/// Under which contract a relation's changes go into the log, or why they do not.
package enum Contract: Sendable {
    /// The log's entry for the relation under its version, and what its rows have to be checked for: nothing when the
    /// types of the columns guarantee all that the version asks for.
    case accepted(RelationVersion, RowRules?)
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
    private let readsChangedTablesAgain: Bool
    private var known: [ObjectIdentifier: Entry] = [:]
    /// True while a refusal is remembered.
    package private(set) var hasRefusals = false

    /// The relation is kept beside its contract so that its object identity stays taken.
    private struct Entry {
        let relation: Relation
        let contract: Contract
        /// The state of the subject's files that the contract was chosen by.
        let stamp: Int
        var lookedAt = ContinuousClock.now
    }

    /// How many relations are remembered before the book starts over; each relation message of a source may be a new
    /// object.
    private static let entriesMax = 4096
    /// How often the files of a subject are looked at.
    package static let interval = Duration.seconds(1)

    /// An empty book. `logger` is told of each version that is registered, and how to have rows that a change of their
    /// table gave other values, unless the source reads them again.
    package init(
        pipelineName: String, schemas: SchemaFolder, log: any CaptureLog, policy: SchemaPolicy = SchemaPolicy(),
        logger: Logger? = nil, readsChangedTablesAgain: Bool = false
    ) {
        self.readsChangedTablesAgain = readsChangedTablesAgain
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

    /// `schema.table` behind a subject; nil for one of another pipeline.
    func tableName(of subject: String) -> String? {
        let prefix = pipelineName + "."
        return subject.hasPrefix(prefix) ? String(subject.dropFirst(prefix.count)) : nil
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

    /// Forgets what is known of a subject: its files are looked at again.
    mutating func forget(_ subject: String) {
        known = known.filter { Self.subject(of: $0.value.relation, in: pipelineName) != subject }
    }

    /// The state of a subject's files: another one when somebody registered, accepted or deleted something.
    func stamp(of subject: String) throws(ConnectorFailure) -> Int { try schemas.stamp(of: subject) }

    private mutating func contract(of relation: Relation) async throws(ConnectorFailure) -> Contract {
        let subject = Self.subject(of: relation, in: pipelineName)
        let identity = ObjectIdentifier(relation)
        let before = known[identity]
        if let before, try !hasNews(before, subject) { return before.contract }
        var stamp = 0
        let contract: Contract
        if relation.outbox != nil {
            // What an outbox holds is the application's own contract, and none that its columns could tell.
            contract = .accepted(try await log.register(relation, subject: subject, version: 0), nil)
        } else {
            // Taken first: what is written in this moment is noticed at the next look.
            stamp = try schemas.stamp(of: subject)
            contract = try await find(relation, subject)
            announce(contract, instead: before?.contract)
        }
        if known.count >= Self.entriesMax { known.removeAll() }
        known[identity] = Entry(relation: relation, contract: contract, stamp: stamp)
        return contract
    }

    /// True when somebody wrote a file of the subject since the contract was chosen.
    private mutating func hasNews(_ entry: Entry, _ subject: String) throws(ConnectorFailure) -> Bool {
        guard entry.relation.outbox == nil, ContinuousClock.now - entry.lookedAt >= Self.interval else { return false }
        known[ObjectIdentifier(entry.relation)]?.lookedAt = .now
        return try schemas.stamp(of: subject) != entry.stamp
    }

    /// A version that the log has events under, and of which the folder does not even know that it was deleted, may
    /// have said what must hold: which rows are valid, and what is sensitive.
    private func refuseLostVersions(of subject: String) async throws(ConnectorFailure) {
        let told = try await log.highestVersion(of: subject)
        let there = told == 0 ? 0 : try schemas.highestVersion(of: subject)
        guard there < told else { return }
        throw ConnectorFailure(
            "schema.version_gone", .stop,
            "the log has events under version \(told) of \(subject), and \(schemas.directory) has "
                + (there == 0 ? "no version of it" : "only versions up to \(there)"),
            setting: "schemas.directory",
            hint: "bring the folder back as it was (git checkout, a mount); a version that is not wanted any more is "
                + "taken away by: millrace schema delete \(subject)@\(told), which others can see",
            exitCode: 1)
    }

    private mutating func find(_ relation: Relation, _ subject: String) async throws(ConnectorFailure) -> Contract {
        if !relation.isWithoutTable { try await refuseLostVersions(of: subject) }
        switch try schemas.look(for: relation, subject: subject) {
        case .registered(let contract): return try await accept(contract, relation, subject)
        case .changed(let change) where isAllowed(change, relation):
            let contract = try schemas.settle(relation, subject: subject, after: try await former(change, relation))
            announce(change, registered: contract.version, relation)
            try warnOfSuspects(change)
            return try await accept(contract, relation, subject)
        case .changed(let change):
            guard let failure = try refusal(of: relation, change, after: try await former(change, relation)) else {
                // Somebody accepted it in this moment. Versions are never taken back, so it is found now.
                return try await find(relation, subject)
            }
            hasRefusals = true
            return .refused(try await log.register(relation, subject: subject, version: 0), failure)
        }
    }

    private func accept(
        _ contract: RegisteredContract, _ relation: Relation, _ subject: String
    ) async throws(ConnectorFailure) -> Contract {
        if let reason = contract.passedOver {
            logger?.warning(
                "a newer version of a contract is not used",
                metadata: ["subject": "\(subject)", "version": "\(contract.version)", "reason": "\(reason)"])
        }
        // What the program itself gives a form needs no check.
        if relation.isWithoutTable {
            return .accepted(
                try await log.register(relation, subject: subject, version: contract.version), nil)
        }
        let rules: RowRules
        do throws(RowRuleProblem) {
            rules = try RowRules(
                relation, schema: contract.schema, library: contract.library, derived: contract.derived)
        } catch {
            let file = try schemas.file(of: subject, version: contract.version)
            throw ConnectorFailure(
                "schema.unusable", .stop, "\(file) is no JSON Schema that rows can be checked by: \(error)",
                setting: "schemas.directory",
                hint: "mend the file, or take it from version control: git checkout -- '\(file)'")
        }
        let version = try await log.register(relation, subject: subject, version: contract.version)
        return .accepted(version, rules.isProved ? nil : rules)
    }

    /// Says that another version is in force than before.
    private func announce(_ contract: Contract, instead before: Contract?) {
        guard case .accepted(let now, let rules) = contract, case .accepted(let earlier, _) = before,
            now.version != earlier.version
        else { return }
        logger?.notice(
            "contract changed",
            metadata: [
                "subject": "\(now.subject)", "version": "\(now.version)", "from": "\(earlier.version)",
                "rows": rules == nil ? "valid by their types" : "checked one by one",
            ])
    }

    /// The subject of a table that is new by its name alone: its columns are as sensitive as they were.
    private func former(_ change: SchemaChange, _ relation: Relation) async throws(ConnectorFailure) -> String? {
        change.latest == nil ? try await log.formerSubject(of: relation, now: change.subject) : nil
    }

    /// Says which columns have a class only because they may be classified ones under another name.
    private func warnOfSuspects(_ change: SchemaChange) throws(ConnectorFailure) {
        guard let logger, change.latest != nil else { return }
        let suspected = try schemas.classes(of: change.subject).suspected
        if suspected.isEmpty { return }
        logger.warning(
            "a column came when a classified one went, and has that one's class until a version states its own",
            metadata: ["subject": "\(change.subject)", "columns": "\(suspected.joined(separator: ", "))"])
    }

    private func isAllowed(_ change: SchemaChange, _ relation: Relation) -> Bool {
        // Nobody need accept what the configuration asks for and the program itself gives a form.
        if relation.isWithoutTable { return true }
        if change.latest == nil { return policy.onNewTable == .register }
        return change.isSpellingOnly || (policy.onChange == .evolve && change.breaks.isEmpty)
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
        if !change.lostColumns.isEmpty {
            metadata["without_constraints"] = "\(change.lostColumns.joined(separator: ", "))"
        }
        if difference.mayChangeValues, !readsChangedTablesAgain {
            metadata["rows"] = "those that got other values by that: millrace snapshot \(relation.qualifiedName)"
        }
        // What the level does not ask for may break somebody all the same.
        let isHarmless = difference.breakage.isEmpty && change.lostColumns.isEmpty
        logger.log(level: isHarmless ? .notice : .warning, "table changed", metadata: metadata)
    }

    /// Writes the proposal that somebody may accept, and says what it is; nil when it is accepted by now.
    private func refusal(
        of relation: Relation, _ change: SchemaChange, after former: String?
    ) throws(ConnectorFailure) -> ConnectorFailure? {
        guard let proposal = try schemas.propose(derivedFrom: relation, subject: change.subject, after: former) else {
            return nil
        }
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
        if policy.onChange == .evolve, let first = change.breaks.first {
            let more = change.breaks.count > 1 ? ", and \(change.breaks.count - 1) more" : ""
            return ConnectorFailure(
                SchemaPolicy.incompatible, .stop,
                "table \(relation.qualifiedName) changed (\(difference.summary)), and level \(change.level ?? "") of "
                    + "\(change.subject) does not allow it: \(first)\(more); proposed is \(proposal.path)",
                setting: "schemas.on_incompatible",
                hint: "accept it all the same: millrace schema accept \(change.subject); or let such changes pass: "
                    + "millrace schema compatibility \(change.subject) NONE",
                exitCode: 1)
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
