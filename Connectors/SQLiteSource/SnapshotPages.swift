/// How far the rows of a table were read.
struct SnapshotKey: Equatable, Sendable {
    /// The last row's primary key, in the order of the key.
    var values: [SQLiteValue]
    /// The last row's rowid, where a NULL in the key lets several rows have the same.
    var rowid: Int64?
}

/// Queries that read a table in the order of its primary key from any row on, each by a range of one index.
///
/// For a key (a, b) the rows after (1, 2) are those with a = 1 and b > 2, then those with a > 1: one query each, so
/// that NULLs, which SQLite allows in keys and sorts first, and several collations need no special comparison.
struct SnapshotPages {
    /// A query and what to bind.
    struct Page: Equatable {
        var sql: String
        var bindings: [SQLiteValue]
    }

    /// The most rows that one query gives; fewer come when the table ends.
    static let rowCountMax = 8192

    private let shape: TableShape
    private let keyColumns: [Int]
    /// The rowid's name, where rows need it to be told apart.
    private let rowid: String?

    init(_ shape: TableShape) {
        self.shape = shape
        keyColumns = shape.keyColumns
        let mayBeNull = shape.keyColumns.contains { shape.columns[$0].isNullable && shape.keyCollation(of: $0) != nil }
        if case .rowid(let name) = shape.identity, mayBeNull { rowid = name } else { rowid = nil }
    }

    /// How many columns of a page's rows are the table's; the rowid may follow.
    var columnCount: Int { shape.columns.count }

    /// The queries for the rows behind `key`, to be run one after another; all rows for nil. As soon as rows came, a
    /// new list begins at the last of them.
    func next(after key: SnapshotKey?) -> [Page] {
        guard let key, key.values.count == keyColumns.count else { return [page(equal: [], beyond: nil, place: 0)] }
        var pages: [Page] = []
        if let last = key.rowid, rowid != nil, key.values.contains(.null) {
            pages.append(page(equal: key.values, beyond: .integer(last), place: keyColumns.count))
        }
        for place in keyColumns.indices.reversed() {
            pages.append(page(equal: Array(key.values[..<place]), beyond: key.values[place], place: place))
        }
        return pages
    }

    /// The place of the row that `statement` is at.
    func key(of statement: SQLiteStatement) -> SnapshotKey {
        SnapshotKey(
            values: keyColumns.map { statement.value(Int32($0)) },
            rowid: rowid == nil ? nil : statement.int64(Int32(columnCount)))
    }

    /// Rows whose first key columns equal `equal` and whose next one, at `place`, is beyond a value.
    private func page(equal: [SQLiteValue], beyond: SQLiteValue?, place: Int) -> Page {
        var conditions = equal.indices.map { "\(term($0)) \(equal[$0] == .null ? "IS NULL" : "= ?")" }
        var bindings = equal.filter { $0 != .null }
        switch beyond {
        case nil: break
        case .null?: conditions.append("\(term(place)) IS NOT NULL")
        case let value?:
            conditions.append("\(term(place)) > ?")
            bindings.append(value)
        }
        let condition = conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND ")
        let count = keyColumns.count + (rowid == nil ? 0 : 1)
        let order = (place..<count).map { term($0) }.joined(separator: ", ")
        return Page(
            sql: "SELECT \(columns) FROM \(SQLText.identifier(shape.name))\(indexHint)\(condition)"
                + " ORDER BY \(order) LIMIT \(Self.rowCountMax)",
            bindings: bindings)
    }

    private var columns: String {
        (shape.columns.map { SQLText.identifier($0.name) } + (rowid.map { [$0] } ?? [])).joined(separator: ", ")
    }

    /// The key's column at `place`, or the rowid behind the last one.
    private func term(_ place: Int) -> String {
        guard place < keyColumns.count else { return rowid ?? "rowid" }
        let column = keyColumns[place]
        let collation = shape.keyCollation(of: column).map { " COLLATE " + SQLText.identifier($0) } ?? ""
        return SQLText.identifier(shape.columns[column].name) + collation
    }

    /// Holds the planner to the key's own index, so that it never sorts a whole table.
    private var indexHint: String {
        guard case .rowid = shape.identity, let index = shape.uniqueKeys.first?.index else { return "" }
        return " INDEXED BY " + SQLText.identifier(index)
    }
}
