package import ChangeModel

/// One change as an event tells it: enough to fold a table's history into its state.
package struct FoldedChange: Sendable, Equatable {
    /// The table, such as `public.orders`.
    package var table: String
    /// What happened.
    package var operation: Operation
    /// The row's key after the change, as text; of the row that is gone for a delete; empty for a truncate.
    package var key: String
    /// The key before the change, when an update changed it.
    package var previousKey: String?
    /// Column texts after the change, without those that are listed as unchanged.
    package var after: [String: String]
    /// Columns whose values did not change and were not sent.
    package var unchanged: [String]

    /// A change of its parts.
    package init(
        table: String, operation: Operation, key: String, previousKey: String? = nil, after: [String: String] = [:],
        unchanged: [String] = []
    ) {
        self.table = table
        self.operation = operation
        self.key = key
        self.previousKey = previousKey
        self.after = after
        self.unchanged = unchanged
    }
}

/// The state of tables that follows from their changes.
package struct RowFold: Sendable, Equatable {
    /// Rows by table and key; a row is its column texts by column name.
    package private(set) var tables: [String: [String: [String: String]]] = [:]

    /// No rows.
    package init() {}

    /// Takes one change into the state. A change that comes again in the same order leads to the same state.
    package mutating func apply(_ change: FoldedChange) {
        switch change.operation {
        case .truncate: tables[change.table] = [:]
        case .delete: tables[change.table]?[change.key] = nil
        case .message, .begin, .commit: break
        case .insert, .update, .snapshot:
            let old = tables[change.table]?[change.previousKey ?? change.key]
            if let previous = change.previousKey { tables[change.table]?[previous] = nil }
            var row = change.after
            for column in change.unchanged { row[column] = old?[column] }
            tables[change.table, default: [:]][change.key] = row
        }
    }

    /// Takes a change of a source into the state; false when its tuples cannot be read.
    package mutating func apply(_ change: ReadChange) -> Bool {
        guard let folded = FoldedChange(change) else { return false }
        apply(folded)
        return true
    }

    /// The rows as `table/key` with `column=value` texts in the order of column names: what
    /// ``SourceUnderTest/tableState`` returns too.
    package var texts: [String: String] {
        var texts: [String: String] = [:]
        for (table, rows) in tables {
            for (key, row) in rows { texts["\(table)/\(key)"] = Self.text(of: row) }
        }
        return texts
    }

    /// A row as text.
    package static func text(of row: [String: String]) -> String {
        row.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: "|")
    }

    /// Keys that are only here, only there, or hold different rows, one sentence each and at most five of each kind.
    package static func differences(_ here: [String: String], _ there: [String: String]) -> [String] {
        func sentence(_ what: String, _ keys: [String]) -> [String] {
            keys.isEmpty ? [] : ["\(keys.count) \(what): \(keys.sorted().prefix(5).joined(separator: ", "))"]
        }
        return sentence("rows only in the fold", here.keys.filter { there[$0] == nil })
            + sentence("rows only in the table", there.keys.filter { here[$0] == nil })
            + sentence("rows differ", here.filter { there[$0.key] != nil && there[$0.key] != $0.value }.map(\.key))
    }
}

extension FoldedChange {
    /// The change as an event would tell it; nil when a tuple is not there or cannot be read.
    package init?(_ change: ReadChange) {
        self.init(table: change.relation.qualifiedName, operation: change.operation, key: "")
        if change.operation == .truncate { return }
        let columns = change.relation.columns
        let before = ReadChange.values(of: change.before)?.values
        let after = ReadChange.values(of: change.after)?.values
        guard let row = change.operation == .delete ? before : after, row.count == columns.count else { return nil }
        func key(_ values: [ReadValue]) -> String {
            change.relation.keyColumns.map { values[$0].text }.joined(separator: "|")
        }
        self.key = key(row)
        guard change.operation != .delete else { return }
        if let before, before.count == columns.count, key(before) != self.key { previousKey = key(before) }
        for (column, value) in zip(columns, row) {
            if value.kind == ValueKind.unchanged {
                unchanged.append(column.name)
            } else {
                self.after[column.name] = value.text
            }
        }
    }
}
