/// The SQL that reads the rows of a chunk, as bytes: keys of a database that checks no encoding may be any bytes.
struct SnapshotQuery {
    private let shape: TableShape

    init(_ shape: TableShape) { self.shape = shape }

    /// The table as it stands behind FROM and LOCK TABLE, without the tables that inherit from it: those are published
    /// by themselves.
    static func source(schema: String, table: String, isPartitioned: Bool) -> String {
        (isPartitioned ? "" : "ONLY ") + SQLText.identifier(schema: schema, table: table)
    }

    /// All rows, in any order.
    func whole() -> [UInt8] { copy([], tail: "") }

    /// At most `limit` rows of a part, in the order of the key. Nil when a bound is no key of this table.
    func part(_ part: SnapshotNotes.Part, limit: Int) -> [UInt8]? {
        var conditions: [[UInt8]] = []
        if let bound = part.after {
            guard let values = literals(bound) else { return nil }
            conditions.append(behind(values))
        }
        if let bound = part.through {
            guard let values = literals(bound) else { return nil }
            conditions.append(notBehind(values))
        }
        return copy(conditions, tail: " ORDER BY \(order) LIMIT \(limit)")
    }

    /// The rows with these keys. Nil when one is no key of this table.
    func rows(_ keys: [[UInt8]]) -> [UInt8]? {
        var alternatives: [[UInt8]] = []
        for key in keys {
            guard let values = literals(key) else { return nil }
            alternatives.append(joined(zip(shape.key, values).map { Self.compare($0.name, $0.equal, $1) }, " AND "))
        }
        return copy([joined(alternatives.map { [UInt8]("(".utf8) + $0 + [UInt8](")".utf8) }, " OR ")], tail: "")
    }

    /// The keys of about `blocks` pages, in their order: for bounds of parts.
    func sample(percent: Double) -> [UInt8] {
        let columns = shape.keyColumns.map { SQLText.identifier(shape.columns[$0]) }
        let source = Self.source(schema: shape.schema, table: shape.name, isPartitioned: shape.isPartitioned)
        return Array(
            ("COPY (SELECT \(columns.joined(separator: ", ")) FROM \(source) TABLESAMPLE SYSTEM (\(percent)) "
                + "ORDER BY \(order)) TO STDOUT").utf8)
    }

    private var order: String {
        shape.key.map { "\(SQLText.identifier($0.name)) USING \($0.less)" }.joined(separator: ", ")
    }

    private func copy(_ conditions: [[UInt8]], tail: String) -> [UInt8] {
        let columns = shape.columns.map { SQLText.identifier($0) }.joined(separator: ", ")
        let source = Self.source(schema: shape.schema, table: shape.name, isPartitioned: shape.isPartitioned)
        var all = conditions
        if let filter = shape.filter { all.append(Array(filter.utf8)) }
        var sql = Array("COPY (SELECT \(columns) FROM \(source)".utf8)
        if !all.isEmpty { sql += Array(" WHERE ".utf8) + joined(all.map { [0x28] + $0 + [0x29] }, " AND ") }
        return sql + Array("\(tail)) TO STDOUT".utf8)
    }
}

// MARK: - Bounds

extension SnapshotQuery {
    /// The values of a key as literals, in the order of the index.
    private func literals(_ key: [UInt8]) -> [[UInt8]]? {
        let columns = shape.keyColumns
        guard let values = RowKey.values(key, columnCount: columns.count) else { return nil }
        return shape.key.map { column in
            let place = columns.firstIndex(of: column.column) ?? 0
            return Self.literal(values[place], type: column.type)
        }
    }

    private static func literal(_ text: [UInt8], type: String) -> [UInt8] {
        var literal: [UInt8] = [UInt8(ascii: "'")]
        for byte in text {
            if byte == UInt8(ascii: "'") { literal.append(byte) }
            literal.append(byte)
        }
        return literal + Array("'::\(type)".utf8)
    }

    /// Larger than a key. With operators of one schema it is a row comparison, which a btree finds at once.
    private func behind(_ values: [[UInt8]]) -> [UInt8] {
        if isRowComparable { return rowComparison(shape.key.map(\.greater), values) }
        guard let first = shape.key.first else { return [] }
        let start = Self.compare(first.name, first.greaterOrEqual, values[0])
        return joined([start, expanded(shape.key.map(\.greater), shape.key.map(\.greater), values)], " AND ")
    }

    private func notBehind(_ values: [[UInt8]]) -> [UInt8] {
        if isRowComparable { return rowComparison(shape.key.map(\.lessOrEqual), values) }
        guard let first = shape.key.first else { return [] }
        let end = Self.compare(first.name, first.lessOrEqual, values[0])
        return joined([end, expanded(shape.key.map(\.less), shape.key.map(\.lessOrEqual), values)], " AND ")
    }

    private var isRowComparable: Bool {
        Set(shape.key.map(\.greater)).count == 1 && Set(shape.key.map(\.lessOrEqual)).count == 1
    }

    private func rowComparison(_ operators: [String], _ values: [[UInt8]]) -> [UInt8] {
        guard let name = operators.first else { return [] }
        let columns = shape.key.map { SQLText.identifier($0.name) }.joined(separator: ", ")
        if shape.key.count == 1 { return Array("\(columns) \(name) ".utf8) + values[0] }
        return Array("ROW(\(columns)) \(name) ROW(".utf8) + joined(values, ", ") + Array(")".utf8)
    }

    /// `a > x OR (a = x AND (b > y OR …))`; the last column is compared by `last`.
    private func expanded(_ strict: [String], _ last: [String], _ values: [[UInt8]]) -> [UInt8] {
        var text: [UInt8] = []
        for index in shape.key.indices.reversed() {
            let column = shape.key[index]
            if text.isEmpty {
                text = Self.compare(column.name, last[index], values[index])
            } else {
                let equal = Self.compare(column.name, column.equal, values[index])
                text =
                    Array("(".utf8) + Self.compare(column.name, strict[index], values[index]) + Array(" OR ".utf8)
                    + equal + Array(" AND ".utf8) + text + Array(")".utf8)
            }
        }
        return text
    }

    private static func compare(_ column: String, _ name: String, _ value: [UInt8]) -> [UInt8] {
        Array("\(SQLText.identifier(column)) \(name) ".utf8) + value
    }

    private func joined(_ parts: [[UInt8]], _ separator: String) -> [UInt8] {
        Array(parts.joined(separator: Array(separator.utf8)))
    }
}
