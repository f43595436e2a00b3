internal import ByteKit
package import ChangeModel
package import ConnectorKit

/// Makes rows of outbox tables events of the application: a batch in, a batch out, and no I/O.
///
/// The relation of an outbox gets its route, which the log keeps. What is no insert of an outbox is left out here, so
/// that it is not even stored; identities are those of the source, which counted it. Rows that can be no event are
/// named, and whoever stores the batch sets them aside.
package struct OutboxRouting: Sendable {
    /// Rows that make no event for one reason.
    package struct Rejection: Sendable {
        /// Their table, as a table like any other.
        package var relation: Relation
        /// Their places in the batch, ascending.
        package var indices: [Int]
        /// Why.
        package var failure: ConnectorFailure
    }

    /// A batch whose outbox tables are known as such.
    package struct Routed: Sendable {
        /// The batch.
        package var batch: ChangeBatch
        /// What of it makes no event.
        package var rejections: [Rejection] = []
    }

    private let rules: OutboxRules
    private var known: [ObjectIdentifier: Entry] = [:]
    /// What somebody should know, since it was last taken.
    private var warnings: [String] = []
    /// Tables whose updates were told of.
    private var updated: Set<String> = []

    /// The relation is kept so that its object identity stays taken.
    private struct Entry {
        let relation: Relation
        let plan: Plan?
    }

    /// What is done to the rows of an outbox.
    private struct Plan {
        /// The relation with its route; without one when columns are missing.
        var relation: Relation
        var check: OutboxRowCheck?
        /// Why none of its rows makes an event.
        var failure: ConnectorFailure?
    }

    /// How many relations are remembered before the memory starts over.
    private static let entriesMax = 4096

    /// A routing by these rules.
    package init(_ rules: OutboxRules) { self.rules = rules }

    /// The warnings since the last call: updates, each table once.
    package mutating func takeWarnings() -> [String] {
        defer { warnings = [] }
        return warnings
    }

    /// True when the table is an outbox by the rules.
    package func covers(_ relation: Relation) -> Bool { !rules.isEmpty && rules.covers(relation) }

    /// The batch as it may be stored.
    package mutating func apply(to batch: ChangeBatch) throws(ConnectorFailure) -> Routed {
        if rules.isEmpty || batch.relations.isEmpty { return Routed(batch: batch) }
        var plans: [Plan?] = []
        plans.reserveCapacity(batch.relations.count)
        for relation in batch.relations { plans.append(plan(for: relation)) }
        if plans.allSatisfy({ $0 == nil }) { return Routed(batch: batch) }
        var sorting = Sorting()
        for index in 0..<batch.changeCount { try sort(index, of: batch, plans, into: &sorting) }
        var routed = batch
        if sorting.kept.count < batch.changeCount {
            // What comes from the log has no checkpoint, and needs none.
            let checkpoint = batch.checkpoint ?? SourceCheckpoint(last: nil, resume: ResumePosition(0))
            guard let selected = try? batch.selecting(sorting.kept, checkpoint: checkpoint) else {
                throw OutboxFailure.damaged(batch.relations.first?.qualifiedName ?? "")
            }
            routed = selected
        }
        let replacements = Dictionary(
            zip(batch.relations, plans).compactMap { relation, plan in
                plan.map { (ObjectIdentifier(relation), $0.relation) }
            }, uniquingKeysWith: { first, _ in first })
        return Routed(
            batch: routed.replacingRelations { replacements[ObjectIdentifier($0)] ?? $0 },
            rejections: sorting.rejections(of: batch, plans.map { $0?.failure }))
    }

    private mutating func plan(for relation: Relation) -> Plan? {
        if let entry = known[ObjectIdentifier(relation)] { return entry.plan }
        var plan: Plan?
        if let rule = rules.rule(schema: relation.schema, table: relation.name) {
            switch rule.route(of: relation) {
            case .success(let route):
                plan = Plan(relation: relation.routed(by: route), check: OutboxRowCheck(route))
            case .failure(let missing):
                plan = Plan(
                    relation: relation.routed(by: nil),
                    failure: OutboxFailure.missingColumns(missing.names, of: relation.qualifiedName))
            }
        }
        if known.count >= Self.entriesMax { known.removeAll() }
        known[ObjectIdentifier(relation)] = Entry(relation: relation, plan: plan)
        return plan
    }
}

// MARK: - Sorting

extension OutboxRouting {
    /// The changes of a batch by what becomes of them.
    private struct Sorting {
        /// What stays in the batch, whether it makes an event or not.
        var kept: [Int] = []
        /// Places in the batch that is made of what is kept, by reason.
        var rejected: [(relation: Int, fault: OutboxRowCheck.Fault?, indices: [Int])] = []

        mutating func reject(_ relation: Int, _ fault: OutboxRowCheck.Fault?) {
            if let reason = rejected.firstIndex(where: { $0.relation == relation && $0.fault == fault }) {
                rejected[reason].indices.append(kept.count)
            } else {
                rejected.append((relation, fault, [kept.count]))
            }
        }

        func rejections(of batch: ChangeBatch, _ failures: [ConnectorFailure?]) -> [Rejection] {
            rejected.map { relation, fault, indices in
                let table = batch.relations[relation]
                let failure =
                    if let fault {
                        OutboxFailure.badRow(
                            fault.kind, column: table.columns[fault.column].name, of: table.qualifiedName)
                    } else {
                        failures[relation] ?? OutboxFailure.damaged(table.qualifiedName)
                    }
                return Rejection(relation: table.routed(by: nil), indices: indices, failure: failure)
            }
        }
    }

    private mutating func sort(
        _ index: Int, of batch: ChangeBatch, _ plans: [Plan?], into sorting: inout Sorting
    ) throws(ConnectorFailure) {
        let change = batch.change(at: index)
        let relation = Int(change.relation)
        if let plan = plans[relation] {
            switch change.operation {
            case .insert, .snapshot: break
            case .update:
                let table = plan.relation.qualifiedName
                if updated.insert(table).inserted {
                    warnings.append("rows of outbox table \(table) are updated: only their insert makes an event")
                }
                return
            case .delete, .truncate, .message, .begin, .commit: return
            }
            do throws(OutboxRowCheck.Damage) {
                if let check = plan.check {
                    if let fault = try check.fault(in: batch.tuple(change.after)) { sorting.reject(relation, fault) }
                } else {
                    sorting.reject(relation, nil)
                }
            } catch {
                throw OutboxFailure.damaged(plan.relation.qualifiedName)
            }
        }
        sorting.kept.append(index)
    }
}
