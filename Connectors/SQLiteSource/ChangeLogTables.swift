private import ConnectorKit

/// What a row of the change log says; its numbers are stored, so they never change.
enum LogOperation: Int64 {
    /// c1 … cN hold the new row.
    case insert = 1
    /// c1 … cN hold the old row, the next N columns the new one.
    case update = 2
    /// c1 … cN hold the old row.
    case delete = 3
    /// No change: the first row, so that the log is never empty.
    case mark = 9
}

/// Our tables in the application's database: one change log for all tables, the shapes its rows were written under, and
/// what tells this database from every other.
///
/// The log has no constraint but its key, which SQLite fills by counting on from the newest row. That row is never
/// removed, so numbers are never used twice, and since a rollback takes its rows with it they have no gaps: a missing
/// number proves that somebody else removed rows. AUTOINCREMENT would add a write to sqlite_sequence to each of the
/// application's writes and protect against less.
enum ChangeLogTables {
    static let changes = "_millrace_changes"
    static let captures = "_millrace_captures"
    static let columns = "_millrace_columns"
    static let source = "_millrace_source"
    /// Raised when the tables change so that older programs could not read them.
    static let format: Int64 = 1

    /// What `_millrace_source` holds.
    struct Identity: Equatable {
        /// A random number, as hexadecimal digits, made with the tables.
        var database: String
        /// The life of the log: raised whenever numbers may be used again, so that identities are not.
        var epoch: UInt16
        /// The row after which this life begins.
        var start: Int64
        /// The newest row that was acknowledged in this life; nil before the first.
        var acknowledged: Int64?
    }

    /// True when the tables are there.
    static func exist(_ connection: SQLiteConnection) throws(SQLiteError) -> Bool {
        try connection.integer(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN"
                + " ('\(changes)', '\(captures)', '\(columns)', '\(source)')") == 4
    }

    /// Makes what is missing. Runs inside of the caller's transaction.
    static func create(_ connection: SQLiteConnection) throws(SQLiteError) {
        try connection.execute(
            "CREATE TABLE IF NOT EXISTS \(source)(id INTEGER PRIMARY KEY, database TEXT, epoch INTEGER,"
                + " format INTEGER, start INTEGER, acknowledged INTEGER)")
        try connection.execute(
            "CREATE TABLE IF NOT EXISTS \(captures)(id INTEGER PRIMARY KEY, table_name TEXT, since INTEGER,"
                + " active INTEGER)")
        try connection.execute(
            "CREATE TABLE IF NOT EXISTS \(columns)(capture INTEGER, position INTEGER, name TEXT, type TEXT,"
                + " key_position INTEGER, nullable INTEGER)")
        try connection.execute("CREATE TABLE IF NOT EXISTS \(changes)(seq INTEGER PRIMARY KEY, capture, op, at)")
        if try connection.integer("SELECT max(seq) FROM \(changes)") == nil { try appendMark(connection) }
        if try connection.integer("SELECT count(*) FROM \(source)") == 0 {
            let digits = String(UInt64.random(in: .min ... .max), radix: 16, uppercase: true)
            let database = String(repeating: "0", count: 16 - digits.count) + digits
            try connection.prepare("INSERT INTO \(source) SELECT 1, ?, 0, \(format), max(seq), NULL FROM \(changes)")
                .run(.text(Array(database.utf8)))
        }
    }

    /// Appends a row that says nothing.
    static func appendMark(_ connection: SQLiteConnection) throws(SQLiteError) {
        try connection.execute(
            "INSERT INTO \(changes)(op, at) VALUES(\(LogOperation.mark.rawValue), julianday('now'))")
    }

    /// Begins a new life at the newest row: identities of the earlier ones are not used again.
    static func beginLife(after identity: Identity, _ connection: SQLiteConnection) throws(SQLiteError) -> Identity {
        guard identity.epoch < .max else { throw SQLiteError(refusal: .epochsExhausted(connection.path)) }
        let next = Identity(
            database: identity.database, epoch: identity.epoch + 1, start: try newest(connection), acknowledged: nil)
        try connection.execute(
            "UPDATE \(source) SET epoch = \(next.epoch), start = \(next.start), acknowledged = NULL")
        return next
    }

    /// Reads `_millrace_source`.
    static func identity(_ connection: SQLiteConnection) throws(SQLiteError) -> Identity {
        let statement = try connection.prepare(
            "SELECT database, epoch, format, start, acknowledged FROM \(source)")
        guard try statement.step(), let database = statement.text(0),
            let epoch = UInt16(exactly: statement.int64(1))
        else { throw SQLiteError(refusal: .captureMissing(connection.path)) }
        guard statement.int64(2) == format else {
            throw SQLiteError(refusal: .newerFormat(connection.path, statement.int64(2)))
        }
        return Identity(
            database: database, epoch: epoch, start: statement.int64(3),
            acknowledged: statement.isNull(4) ? nil : statement.int64(4))
    }

    /// Makes the log wide enough for `width` values in a row.
    static func widen(to width: Int, _ connection: SQLiteConnection) throws(SQLiteError) {
        let present = try connection.integer(
            "SELECT count(*) FROM pragma_table_info('\(changes)', 'main') WHERE name GLOB 'c[0-9]*'")
        var next = Int(present ?? 0) + 1
        while next <= width {
            try connection.execute("ALTER TABLE \(changes) ADD COLUMN c\(next)")
            next += 1
        }
    }

    /// The newest number of the log; the log is never empty.
    static func newest(_ connection: SQLiteConnection) throws(SQLiteError) -> Int64 {
        guard let newest = try connection.integer("SELECT max(seq) FROM \(changes)") else {
            throw SQLiteError(refusal: .logWentBack(connection.path))
        }
        return newest
    }
}
