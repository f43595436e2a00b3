package import ChangeModel
package import ConnectorKit

/// Masks batches between the source and everything that stores them: a batch in, a batch out, and no I/O.
///
/// A batch without masked relations passes as it is. The others are written anew: identities, transactions and the
/// order of changes stay, every tuple of a masked relation is masked alike, before images and old keys too.
package struct BatchMasking: Sendable {
    private let rules: MaskRules
    private let rewriting: BatchRewriting
    private var known: [ObjectIdentifier: Entry] = [:]
    /// What somebody should know, since it was last taken.
    private var warnings: [String] = []

    /// The relation is kept so that its object identity stays taken.
    private struct Entry {
        let relation: Relation
        let plan: MaskPlan?
    }

    /// How many relations are remembered before the memory starts over.
    private static let entriesMax = 4096

    /// A masking by these rules.
    package init(_ rules: MaskRules) throws(ConnectorFailure) {
        self.rules = rules
        let hashes = rules.rules.contains { $0.columns.values.contains(.hash) }
        rewriting = try BatchRewriting(salt: hashes ? rules.salt : nil)
    }

    /// The batch as it may be stored.
    package mutating func apply(to batch: ChangeBatch) throws(ConnectorFailure) -> ChangeBatch {
        if rules.isEmpty || batch.relations.isEmpty { return batch }
        var plans: [MaskPlan?] = []
        plans.reserveCapacity(batch.relations.count)
        for relation in batch.relations { plans.append(try plan(for: relation)) }
        if plans.allSatisfy({ $0 == nil }) { return batch }
        guard let checkpoint = batch.checkpoint else { throw MaskFailure.withoutPosition() }
        return try rewriting.rewrite(batch, plans, checkpoint: checkpoint)
    }

    /// The warnings since the last call: columns that rules name and a table does not have.
    package mutating func takeWarnings() -> [String] {
        defer { warnings = [] }
        return warnings
    }

    private mutating func plan(for relation: Relation) throws(ConnectorFailure) -> MaskPlan? {
        if let entry = known[ObjectIdentifier(relation)] { return entry.plan }
        let plan = try MaskPlan(relation, rules)
        let missing = rules.missingColumns(
            in: relation.columns.map(\.name), schema: relation.schema, table: relation.name)
        if !missing.isEmpty {
            warnings.append("\(relation.qualifiedName) has no column \(missing.joined(separator: ", ")) to mask")
        }
        if known.count >= Self.entriesMax { known.removeAll() }
        known[ObjectIdentifier(relation)] = Entry(relation: relation, plan: plan)
        return plan
    }
}
