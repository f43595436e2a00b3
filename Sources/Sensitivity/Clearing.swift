package import ChangeModel
package import ConnectorKit
package import EventLog
internal import Masking
package import SchemaRegistry

/// Changes of the log without what somebody may not see. Only ``Clearing`` makes one, and only one of these is encoded:
/// so nothing that shows events can forget to ask.
package struct ClearedBatch: Sendable {
    /// The changes that may be seen, at their places in the log.
    package let logged: LoggedBatch

    fileprivate init(_ logged: LoggedBatch) { self.logged = logged }
}

/// Takes out of what is read from the log what somebody may not see. Used by one task at a time.
///
/// The classes of a table are those of the event's own version of the contract and of all later ones, whichever is
/// strictest, as the schema folder has them now. A batch in which nothing is hidden passes as it is.
package struct Clearing: Sendable {
    private let clearance: Clearance
    private let rules: SensitivityRules
    private let rewriting: BatchRewriting
    private var book: ClassBook
    private var known: [ObjectIdentifier: Entry] = [:]

    /// What is seen of a relation. The source's object is kept so that its identity stays taken.
    private struct Entry {
        let source: RelationVersion
        let edition: Int
        let plan: MaskPlan?
        let cleared: RelationVersion
    }

    /// How many relations are remembered before the memory starts over.
    private let entryCountMax: Int

    /// What somebody with a clearance sees, by the classes that the contracts in a folder state. `entryCountMax`
    /// relations are remembered.
    package init(
        _ clearance: Clearance, rules: SensitivityRules, schemas: SchemaFolder, entryCountMax: Int = 4096
    ) throws(ConnectorFailure) {
        self.entryCountMax = entryCountMax
        self.clearance = clearance
        self.rules = rules
        book = ClassBook(schemas)
        rewriting = try BatchRewriting(salt: rules.salt)
    }

    /// What may be seen of a batch.
    ///
    /// Throws `sensitivity.classes_unknown` when the contract of a table cannot be looked at, and
    /// `sensitivity.salt_missing` when a key must be hashed and there is no salt.
    package mutating func apply(to logged: LoggedBatch) throws(ConnectorFailure) -> ClearedBatch {
        if clearance == .everything { return ClearedBatch(logged) }
        var entries: [Entry] = []
        entries.reserveCapacity(logged.versions.count)
        for version in logged.versions { entries.append(try entry(for: version)) }
        // What an application said about a transaction has no class of its own.
        let hidesContexts = !clearance.allows(rules.unclassified) && Self.hasContexts(logged.batch)
        if !hidesContexts && entries.allSatisfy({ $0.plan == nil }) { return ClearedBatch(logged) }
        let checkpoint = logged.batch.checkpoint ?? SourceCheckpoint(last: nil, resume: ResumePosition(0))
        let batch = try rewriting.rewrite(
            logged.batch, entries.map(\.plan), checkpoint: checkpoint, keepsContexts: !hidesContexts)
        // Two relations of the source may be one in the log, and are one relation of the new batch then.
        var versions: [RelationVersion] = []
        for relation in batch.relations {
            let place = zip(logged.batch.relations, entries).first { source, entry in
                (entry.plan?.relation ?? source) === relation
            }
            if let version = place?.1.cleared { versions.append(version) }
        }
        guard versions.count == batch.relations.count else { throw SensitivityFailure.confused() }
        return ClearedBatch(LoggedBatch(firstOffset: logged.firstOffset, batch: batch, versions: versions))
    }

    /// What may be seen of dead letters.
    package mutating func apply(to letter: DeadLetter) throws(ConnectorFailure) -> ClearedBatch {
        try apply(to: LoggedBatch(firstOffset: 0, batch: letter.batch, versions: letter.versions))
    }

    /// The columns of a relation that may not be seen, by their indices.
    package mutating func hiddenColumns(of relation: Relation, subject: String) throws(ConnectorFailure) -> Set<Int> {
        let columns = relation.columns.map(\.name)
        guard
            let classes = try classes(of: subject).classes.classes(
                of: columns, under: 0, unclassified: rules.unclassified)
        else { return Set(columns.indices) }
        return Set(columns.indices.filter { !clearance.allows(classes[$0]) })
    }

    private static func hasContexts(_ batch: ChangeBatch) -> Bool {
        (0..<batch.transactionCount).contains { !batch.transaction(at: $0).context.isEmpty }
    }

    /// A file that is damaged may be one that somebody writes in this moment: nothing is shown meanwhile, and nobody is
    /// stopped for good.
    private mutating func classes(of subject: String) throws(ConnectorFailure) -> ClassBook.Known {
        do throws(ConnectorFailure) {
            return try book.classes(of: subject)
        } catch {
            var failure = error
            failure.remedy = .retry
            throw failure
        }
    }

    private mutating func entry(for version: RelationVersion) throws(ConnectorFailure) -> Entry {
        var found = try classes(of: version.subject)
        if found.classes.latest ?? 0 < version.version {
            // Where a folder's times come late, its files may be there all the same.
            book.forget(version.subject)
            found = try classes(of: version.subject)
        }
        let identity = ObjectIdentifier(version)
        if let entry = known[identity], entry.edition == found.edition { return entry }
        let relation = version.relation
        guard
            let classes = found.classes.classes(
                of: relation.columns.map(\.name), under: version.version, unclassified: rules.unclassified)
        else { throw SensitivityFailure.classesUnknown(version, latest: found.classes.latest) }
        let plan = MaskPlan(relation, classes, clearance, rules)
        if let plan, rules.salt == nil, let column = plan.actions.firstIndex(of: .hash) {
            throw SensitivityFailure.saltMissing(relation.columns[column].name, of: relation)
        }
        let cleared =
            plan.map {
                RelationVersion(
                    id: version.id, relation: $0.relation, subject: version.subject, version: version.version)
            } ?? version
        let entry = Entry(source: version, edition: found.edition, plan: plan, cleared: cleared)
        if known.count >= entryCountMax { known.removeAll() }
        known[identity] = entry
        return entry
    }
}
