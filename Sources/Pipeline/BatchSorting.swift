import ChangeModel
import ConnectorKit
import EventFormat
import EventLog

/// Where the changes of one batch go: into the log, or aside.
///
/// Of a table that is refused, everything is set aside. Of any other one, a change whose row is not valid, and every
/// later change of the same row.
struct BatchSorting {
    /// A relation of the batch.
    struct Table {
        var version: RelationVersion
        /// Why everything of the table is set aside; nil when only rows may be.
        var refusal: ConnectorFailure?
        /// True when nobody accepted its form.
        var isRefused = false
        /// What rows have to be checked for.
        var rules: RowRules?
        /// True for a table whose rows have contracts.
        var hasRows: Bool
    }

    /// Changes of one subject that are set aside, with the reason of the first one.
    struct Aside {
        var subject: String
        var reason: ConnectorFailure
        var indices: [Int]
    }

    /// What goes into the log, once something does not; nil while everything does.
    private(set) var kept: [Int]?
    private(set) var asides: [Aside] = []
    /// Rows that wait in addition, by subject.
    private(set) var added: [String: RowHolds] = [:]

    private let batch: ChangeBatch
    private let tables: [Table]
    private let holds: [String: RowHolds]
    private let checker: RowChecker
    /// True to throw the failure of a row instead of setting it aside.
    private let halts: Bool

    /// A sorting of nothing yet. `holds` are the rows that wait, by the subject of their table.
    init(
        _ batch: ChangeBatch, _ tables: [Table], holds: [String: RowHolds], checker: RowChecker, halts: Bool
    ) {
        (self.batch, self.tables, self.holds) = (batch, tables, holds)
        (self.checker, self.halts) = (checker, halts)
    }

    /// Sorts all changes.
    mutating func run() throws(ConnectorFailure) {
        let isQuiet = tables.allSatisfy { $0.refusal == nil && holds[$0.version.subject]?.isEmpty ?? true }
        var index = isQuiet ? firstInvalid() : 0
        while index < batch.changeCount {
            try sort(index)
            index += 1
        }
    }

    /// The first change whose row is not valid, where nothing waits: most often there is none.
    private func firstInvalid() -> Int {
        let rules = tables.map(\.rules)
        if rules.allSatisfy({ $0 == nil }) { return batch.changeCount }
        for index in 0..<batch.changeCount {
            let change = batch.change(at: index)
            let number = Int(change.relation)
            guard let rules = rules[number] else { continue }
            if !checker.accepts(change, of: batch, batch.relations[number], rules) { return index }
        }
        return batch.changeCount
    }

    private mutating func sort(_ index: Int) throws(ConnectorFailure) {
        let change = batch.change(at: index)
        let table = tables[Int(change.relation)]
        let subject = table.version.subject
        if let refusal = table.refusal ?? (isRefused(subject) ? Quarantine.waiting(subject) : nil) {
            return setAside(index, subject, refusal)
        }
        guard table.hasRows else { return keep(index) }
        let relation = table.version.relation
        if isHolding(subject) {
            let keys = checker.keys(change, of: batch, relation)
            if holds[subject]?.holds(keys, relation) ?? false || added[subject]?.holds(keys, relation) ?? false {
                return setAside(index, keys, table, Quarantine.waitingRow(subject))
            }
        }
        if let rules = table.rules, !checker.accepts(change, of: batch, relation, rules) {
            let reasons = checker.reasons(change, of: batch, relation, rules)
            let failure = InvalidRow.failure(table.version, batch.identity(at: index), reasons)
            if halts { throw failure }
            return setAside(index, checker.keys(change, of: batch, relation), table, failure)
        }
        keep(index)
    }

    /// True when a change of the subject was refused in this batch: those behind it follow, also under another form.
    private func isRefused(_ subject: String) -> Bool { asides.contains { $0.subject == subject } }

    private func isHolding(_ subject: String) -> Bool {
        !(holds[subject]?.isEmpty ?? true) || !(added[subject]?.isEmpty ?? true)
    }

    private mutating func keep(_ index: Int) { kept?.append(index) }

    private mutating func setAside(
        _ index: Int, _ keys: RowKeys, _ table: Table, _ reason: ConnectorFailure
    ) {
        added[table.version.subject, default: RowHolds()].add(keys, table.version.relation)
        setAside(index, table.version.subject + Quarantine.rejectedSuffix, reason)
    }

    private mutating func setAside(_ index: Int, _ subject: String, _ reason: ConnectorFailure) {
        if kept == nil { kept = Array(0..<index) }
        if let place = asides.firstIndex(where: { $0.subject == subject }) {
            asides[place].indices.append(index)
        } else {
            asides.append(Aside(subject: subject, reason: reason, indices: [index]))
        }
    }
}
