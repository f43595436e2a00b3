internal import ChangeModel

/// A shape of a table under which rows of the change log were written, as our tables keep it.
struct StoredCapture: Equatable {
    var id: Int64
    var tableName: String
    /// The capture since which nothing was missed.
    var since: Int64
    /// True while our triggers write under it.
    var isActive: Bool
    var columns: [ColumnShape]

    /// True when rows of `shape` decode under this capture.
    func describes(_ shape: TableShape) -> Bool {
        columns == Self.storable(shape.columns)
    }

    /// True when `shape` differs in names of columns only: SQLite rewrites triggers when a column is renamed.
    func isRenaming(of shape: TableShape) -> Bool {
        var renamed = columns
        guard renamed.count == shape.columns.count else { return false }
        for index in renamed.indices { renamed[index].name = shape.columns[index].name }
        return renamed == Self.storable(shape.columns)
    }

    /// The relation that events of this capture point to.
    var relation: Relation {
        TableShape(name: tableName, columns: columns, uniqueKeys: [], identity: .key).relation(capture: id)
    }

    private static func storable(_ columns: [ColumnShape]) -> [ColumnShape] {
        columns.map { column in
            var column = column
            column.isGenerated = false
            return column
        }
    }
}

extension StoredCapture {
    /// Numbers of the captures that our triggers write under.
    static func active(_ connection: SQLiteConnection) throws(SQLiteError) -> [Int64] {
        let statement = try connection.prepare(
            "SELECT id FROM \(ChangeLogTables.captures) WHERE active = 1 ORDER BY id")
        var result: [Int64] = []
        while try statement.step() { result.append(statement.int64(0)) }
        return result
    }

    /// The newest capture of each table, by table name.
    static func latest(_ connection: SQLiteConnection) throws(SQLiteError) -> [String: StoredCapture] {
        let statement = try connection.prepare("SELECT max(id) FROM \(ChangeLogTables.captures) GROUP BY table_name")
        var result: [String: StoredCapture] = [:]
        while try statement.step() {
            if let capture = try read(statement.int64(0), connection) { result[capture.tableName] = capture }
        }
        return result
    }

    /// The capture with this number; nil when there is none.
    static func read(_ id: Int64, _ connection: SQLiteConnection) throws(SQLiteError) -> StoredCapture? {
        let head = try connection.prepare(
            "SELECT table_name, since, active FROM \(ChangeLogTables.captures) WHERE id = ?")
        try head.bind(1, .integer(id))
        guard try head.step() else { return nil }
        var capture = StoredCapture(
            id: id, tableName: head.text(0) ?? "", since: head.int64(1), isActive: head.int64(2) != 0, columns: [])
        let statement = try connection.prepare(
            "SELECT name, type, key_position, nullable FROM \(ChangeLogTables.columns) WHERE capture = ?"
                + " ORDER BY position")
        try statement.bind(1, .integer(id))
        while try statement.step() {
            capture.columns.append(
                ColumnShape(
                    name: statement.text(0) ?? "", declaredType: statement.text(1) ?? "",
                    keyPosition: statement.isNull(2) ? nil : Int(statement.int64(2)),
                    isNullable: statement.int64(3) != 0))
        }
        return capture
    }

    /// Stores a shape under a new number, which is returned. Without `since` the new number stands for itself.
    static func store(
        _ shape: TableShape, since: Int64?, _ connection: SQLiteConnection
    ) throws(SQLiteError) -> Int64 {
        let id = (try connection.integer("SELECT max(id) FROM \(ChangeLogTables.captures)") ?? 0) + 1
        try connection.prepare("INSERT INTO \(ChangeLogTables.captures) VALUES(?, ?, ?, 1)")
            .run(.integer(id), .text(Array(shape.name.utf8)), .integer(since ?? id))
        let insert = try connection.prepare("INSERT INTO \(ChangeLogTables.columns) VALUES(?, ?, ?, ?, ?, ?)")
        for (position, column) in shape.columns.enumerated() {
            try insert.run(
                .integer(id), .integer(Int64(position)), .text(Array(column.name.utf8)),
                .text(Array(column.declaredType.utf8)), column.keyPosition.map { .integer(Int64($0)) } ?? .null,
                .integer(column.isNullable ? 1 : 0))
        }
        return id
    }
}

/// A trigger in the database, ours or the application's.
struct InstalledTrigger: Equatable {
    var name: String
    var table: String
    var sql: String
    /// Its place in sqlite_schema: of two triggers for one event the one with the greater place fires first.
    var rowid: Int64

    /// True when it fires for writes to this table.
    func isOn(_ name: String) -> Bool { SQLText.folded(table) == SQLText.folded(name) }

    /// True for triggers that this program made.
    var isOurs: Bool { name.hasPrefix(TriggerGenerator.triggerPrefix) }
    /// True for one of ours that logs.
    var isAfter: Bool { !name.contains("_before_") }

    /// True for a trigger that writes under this capture.
    func belongs(to capture: Int64) -> Bool { name.hasPrefix("\(TriggerGenerator.triggerPrefix)\(capture)_") }

    /// All triggers of the database.
    static func all(_ connection: SQLiteConnection) throws(SQLiteError) -> [InstalledTrigger] {
        let statement = try connection.prepare(
            "SELECT name, tbl_name, sql, rowid FROM sqlite_schema WHERE type = 'trigger'")
        var result: [InstalledTrigger] = []
        while try statement.step() {
            result.append(
                InstalledTrigger(
                    name: statement.text(0) ?? "", table: statement.text(1) ?? "", sql: statement.text(2) ?? "",
                    rowid: statement.int64(3)))
        }
        return result
    }
}
