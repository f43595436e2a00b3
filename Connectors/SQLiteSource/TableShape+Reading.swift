/// Reads the shapes of tables from a database's schema (<https://www.sqlite.org/pragma.html>).
extension TableShape {
    /// What PRAGMA table_list says of a name.
    struct Listed: Equatable {
        var name: String
        /// `table`, `view`, `virtual` or `shadow`.
        var kind: String
        var hasRowid: Bool
    }

    /// Everything in the database that has rows, by name, without SQLite's own and our tables.
    static func list(_ connection: SQLiteConnection) throws(SQLiteError) -> [Listed] {
        let statement = try connection.prepare(
            "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' ORDER BY name")
        var result: [Listed] = []
        while try statement.step() {
            let name = statement.text(0) ?? ""
            let folded = SQLText.folded(name)
            if folded.hasPrefix("sqlite_") || folded.hasPrefix("_millrace_") { continue }
            result.append(Listed(name: name, kind: statement.text(1) ?? "", hasRowid: statement.int64(2) == 0))
        }
        return result
    }

    /// The shape of a listed table, or why it cannot be captured.
    static func read(
        _ table: Listed, from connection: SQLiteConnection
    ) throws(SQLiteError) -> Result<TableShape, TableRefusal> {
        guard table.kind == "table" else { return .failure(.notATable(table)) }
        let (columns, defaults) = try readColumns(of: table, connection)
        let shape = TableShape(
            name: table.name, columns: columns, replacementDefaults: defaults, uniqueKeys: [], identity: .key)
        guard !shape.keyColumns.isEmpty else { return .failure(.noPrimaryKey(table.name)) }
        let limit = columnCountMax(connection)
        guard columns.count <= limit else { return .failure(.tooManyColumns(table.name, columns.count, limit: limit)) }
        return try completed(shape, hasRowid: table.hasRowid, connection)
    }

    /// The change log holds a row twice, and four columns of its own.
    static func columnCountMax(_ connection: SQLiteConnection) -> Int { (connection.columnLimit - 4) / 2 }

    /// Adds keys and row identity to the columns.
    private static func completed(
        _ columnsOnly: TableShape, hasRowid: Bool, _ connection: SQLiteConnection
    ) throws(SQLiteError) -> Result<TableShape, TableRefusal> {
        var shape = columnsOnly
        var keys: [UniqueKey] = []
        var primary: UniqueKey?
        for index in try uniqueIndexes(of: shape.name, connection) {
            guard let key = try readKey(index, connection) else {
                return .failure(.unknownIndex(shape.name, index.name))
            }
            if index.isPrimary { primary = key } else { keys.append(key) }
        }
        let rowidName = hasRowid ? shape.freeRowidName(integerKey: primary == nil) : nil
        if let primary {
            keys.insert(primary, at: 0)
            if let rowidName { keys.append(UniqueKey(terms: [UniqueTerm(content: .rowid(rowidName))])) }
        } else if let column = shape.keyColumns.first {
            keys.insert(UniqueKey(terms: [UniqueTerm(content: .column(column))]), at: 0)
        }
        shape.uniqueKeys = keys
        shape.identity = rowidName.map { .rowid($0) } ?? .key
        if hasRowid && rowidName == nil && shape.keyColumns.contains(where: { shape.columns[$0].isNullable }) {
            return .failure(.hiddenRowid(shape.name))
        }
        return .success(shape)
    }

    /// A name for the rowid that means it and no column; nil when columns hide all three names.
    private func freeRowidName(integerKey: Bool) -> String? {
        if integerKey, let column = keyColumns.first { return SQLText.identifier(columns[column].name) }
        let taken = Set(columns.map { SQLText.folded($0.name) })
        return ["rowid", "_rowid_", "oid"].first { !taken.contains($0) }
    }

    private static func readColumns(
        of table: Listed, _ connection: SQLiteConnection
    ) throws(SQLiteError) -> ([ColumnShape], defaults: [Int: String]) {
        let statement = try connection.prepare(
            "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?, 'main') ORDER BY cid")
        try statement.bind(1, .text(Array(table.name.utf8)))
        var columns: [ColumnShape] = []
        var defaults: [Int: String] = [:]
        while try statement.step() {
            let key = statement.int64(4)
            let isNotNull = statement.int64(2) != 0 || (key > 0 && !table.hasRowid)
            columns.append(
                ColumnShape(
                    name: statement.text(0) ?? "", declaredType: statement.text(1) ?? "",
                    keyPosition: key > 0 ? Int(key) - 1 : nil, isNullable: !isNotNull,
                    isGenerated: statement.int64(5) >= 2))
            if isNotNull, let text = statement.text(3) { defaults[columns.count - 1] = defaultExpression(text) }
        }
        return (columns, defaults)
    }

    /// A default as the schema spells it, made safe for another place: a bare or double-quoted word is a text there.
    static func defaultExpression(_ text: String) -> String {
        let (tokens, _) = SQLTokenizer.tokens(text)
        guard tokens.count == 1, let only = tokens.first else { return "(\(text))" }
        let keywords = ["null", "true", "false", "current_time", "current_date", "current_timestamp"]
        switch only.kind {
        case .word where !keywords.contains(SQLText.folded(text)): return SQLText.literal(text)
        case .quotedName: return SQLText.literal(String(text.dropFirst().dropLast()))
        default: return "(\(text))"
        }
    }
}

extension UniqueKey {
    /// Places of the columns among the terms.
    var columns: [Int] {
        terms.compactMap { term in
            if case .column(let column) = term.content { column } else { nil }
        }
    }
}

/// A unique index as PRAGMA index_list has it.
private struct ListedIndex {
    var name: String
    var isPrimary: Bool
    var isPartial: Bool
}

private func uniqueIndexes(of table: String, _ connection: SQLiteConnection) throws(SQLiteError) -> [ListedIndex] {
    let statement = try connection.prepare(
        "SELECT name, origin, partial FROM pragma_index_list(?, 'main') WHERE \"unique\" = 1 ORDER BY name")
    try statement.bind(1, .text(Array(table.utf8)))
    var result: [ListedIndex] = []
    while try statement.step() {
        result.append(
            ListedIndex(
                name: statement.text(0) ?? "", isPrimary: statement.text(1) == "pk", isPartial: statement.int64(2) != 0)
        )
    }
    return result
}

/// The key that an index guards; nil when the index is of a form that this program does not know.
private func readKey(_ index: ListedIndex, _ connection: SQLiteConnection) throws(SQLiteError) -> UniqueKey? {
    let statement = try connection.prepare(
        "SELECT cid, coll FROM pragma_index_xinfo(?, 'main') WHERE \"key\" = 1 ORDER BY seqno")
    try statement.bind(1, .text(Array(index.name.utf8)))
    var terms: [UniqueTerm] = []
    var expressions: [Int] = []
    while try statement.step() {
        let column = Int(statement.int64(0))
        if column == -2 { expressions.append(terms.count) }
        guard column >= 0 || column == -2 else { return nil }
        terms.append(
            UniqueTerm(content: column == -2 ? .expression("") : .column(column), collation: statement.text(1)))
    }
    guard !expressions.isEmpty || index.isPartial else { return UniqueKey(index: index.name, terms: terms) }

    let lookup = try connection.prepare("SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?")
    try lookup.bind(1, .text(Array(index.name.utf8)))
    guard try lookup.step(), let sql = lookup.text(0), let definition = IndexDefinition(sql: sql),
        definition.terms.count == terms.count, (definition.predicate != nil) == index.isPartial
    else { return nil }
    for place in expressions {
        terms[place] = UniqueTerm(content: .expression(definition.terms[place]), collation: nil)
    }
    return UniqueKey(index: index.name, terms: terms, predicate: definition.predicate)
}

extension TableRefusal {
    static func notATable(_ table: TableShape.Listed) -> TableRefusal {
        let kind = table.kind == "shadow" ? "the shadow of a virtual table" : "a \(table.kind)"
        return TableRefusal(
            code: "sqlite.not_a_table",
            message: "\"\(table.name)\" is \(kind == "a virtual" ? "a virtual table" : kind), which has no triggers",
            hint: "name the ordinary tables behind it in source.sqlite.tables")
    }

    static func noPrimaryKey(_ name: String) -> TableRefusal {
        TableRefusal(
            code: "sqlite.no_primary_key",
            message: "table \"\(name)\" has no primary key, so its rows have no lasting name",
            hint: "rebuild the table with a PRIMARY KEY, or leave it out of source.sqlite.tables")
    }

    static func hiddenRowid(_ name: String) -> TableRefusal {
        TableRefusal(
            code: "sqlite.no_primary_key",
            message:
                "columns of table \"\(name)\" hide the rowid and its primary key may be NULL, so its rows have no name",
            hint: "declare the key's columns NOT NULL, or leave the table out of source.sqlite.tables")
    }

    static func tooManyColumns(_ name: String, _ count: Int, limit: Int) -> TableRefusal {
        TableRefusal(
            code: "sqlite.too_many_columns",
            message: "table \"\(name)\" has \(count) columns, and the change log can hold \(limit)",
            hint: "leave it out of source.sqlite.tables, or split the table")
    }

    static func unknownIndex(_ table: String, _ index: String) -> TableRefusal {
        TableRefusal(
            code: "sqlite.unique_index_unknown",
            message: "unique index \"\(index)\" of table \"\(table)\" has a form that capture cannot follow",
            hint: "leave the table out of source.sqlite.tables, or make the index on plain columns")
    }

    static func unusableTriggers(_ name: String, _ reason: String) -> TableRefusal {
        TableRefusal(
            code: "sqlite.table_unusable",
            message: "table \"\(name)\" cannot be captured: \(reason)",
            hint:
                "it may need functions or collations that only the application has; leave it out of"
                + " source.sqlite.tables"
        )
    }
}
