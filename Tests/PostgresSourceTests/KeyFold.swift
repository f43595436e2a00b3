import ChangeModel

/// Rows by the names and values of the key that their events have, and by nothing else. A row without a key is all of
/// its values.
struct KeyFold {
    private(set) var rows: [String: [String?]] = [:]

    init(_ changes: [SeenChange]) { for change in changes { apply(change) } }

    static func key(_ row: [String?], _ columns: [String], _ key: [String]) -> String {
        if key.isEmpty { return "\(row)" }
        return key.map { name in
            "\(name)=\(columns.firstIndex(of: name).flatMap { row[$0] } ?? "")"
        }.joined(separator: ",")
    }

    private mutating func apply(_ change: SeenChange) {
        if change.operation == .truncate { return rows = [:] }
        let columns = change.relation.columns.map(\.name)
        let names = change.relation.keyColumns.map { columns[$0] }
        let before = change.before.isEmpty ? nil : Self.key(change.before, columns, names)
        if change.operation == .delete {
            if let before { rows[before] = nil }
            return
        }
        let old = rows[before ?? Self.key(change.after, columns, names)]
        let whole = change.after.enumerated().map { index, value in
            guard value == "~" else { return value }
            let known = change.beforeImage == .full ? change.before : old
            return known.flatMap { index < $0.count ? $0[index] : nil }
        }
        if let before { rows[before] = nil }
        rows[Self.key(whole, columns, names)] = whole
    }
}
