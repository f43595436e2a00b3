import ChangeModel
package import ConnectorKit
import EventFormat
package import EventLog
package import SchemaRegistry

/// Says why single changes that were set aside wait, by the versions that are in force now.
package struct RowReasons {
    private let schemas: SchemaFolder
    private let checker = RowChecker()
    private var known: [ObjectIdentifier: Entry] = [:]

    /// The relation is kept so that its object identity stays taken.
    private struct Entry {
        let relation: Relation
        let version: Int
        let rules: RowRules?
    }

    /// Reasons by the contracts of a folder.
    package init(schemas: SchemaFolder) { self.schemas = schemas }

    /// Why the change at `index` waits; without values.
    package mutating func reason(_ index: Int, of letter: DeadLetter) throws(ConnectorFailure) -> String {
        guard letter.subject.hasSuffix(Quarantine.rejectedSuffix), letter.code.hasPrefix("schema.") else {
            return letter.code
        }
        let change = letter.batch.change(at: index)
        let relation = letter.batch.relations[Int(change.relation)]
        guard let entry = try entry(for: relation, Quarantine.table(of: letter.subject)) else {
            return "the table's present form has no accepted version"
        }
        let reasons = entry.rules.map { checker.reasons(change, of: letter.batch, relation, $0) } ?? []
        return reasons.isEmpty
            ? "valid under version \(entry.version)"
            : "not valid under version \(entry.version): " + reasons.joined(separator: "; ")
    }

    private mutating func entry(
        for relation: Relation, _ subject: String
    ) throws(ConnectorFailure) -> Entry? {
        if let entry = known[ObjectIdentifier(relation)] { return entry }
        guard case .registered(let contract) = try schemas.look(for: relation, subject: subject) else { return nil }
        let rules = try? RowRules(
            relation, schema: contract.schema, library: contract.library, derived: contract.derived)
        let entry = Entry(relation: relation, version: contract.version, rules: rules)
        known[ObjectIdentifier(relation)] = entry
        return entry
    }
}
