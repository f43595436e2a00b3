private import CSQLite
internal import ConnectorKit
private import Glibc

/// What SQLite said when a call failed.
struct SQLiteError: Error, Equatable {
    /// The extended result code (<https://www.sqlite.org/rescode.html>).
    var code: Int32
    /// SQLite's own words: names of tables and columns, never values of rows.
    var message: String

    /// Set when not SQLite but a check of ours refused: the failure to report as it is.
    var refusal: ConnectorFailure?

    /// A call that failed.
    init(code: Int32, message: String) {
        self.code = code
        self.message = message
    }

    /// A check that failed inside of a transaction, which then rolls back.
    init(refusal: ConnectorFailure) {
        code = SQLITE_ERROR
        message = refusal.message
        self.refusal = refusal
    }

    /// The primary result code.
    var primaryCode: Int32 { code & 0xFF }
    /// True when another connection holds a lock and the same call may succeed later.
    var isBusy: Bool { primaryCode == SQLITE_BUSY || primaryCode == SQLITE_LOCKED }
}

/// One connection to a database file: opened, used and closed by one owner on one thread at a time.
///
/// It never changes the journal mode and never creates a file.
@safe final class SQLiteConnection {
    private let handle: OpaquePointer
    /// The file's path as the configuration has it.
    let path: String

    /// Opens an existing database file, for writing too unless only `reading`.
    init(path: String, reading: Bool = false) throws(SQLiteError) {
        let access = reading ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE
        let flags = access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        var opened: OpaquePointer?
        let code = unsafe sqlite3_open_v2(path, &opened, flags, nil)
        guard code == SQLITE_OK, let database = unsafe opened else {
            var message = "cannot open the file"
            if let database = unsafe opened {
                let systemError = unsafe sqlite3_system_errno(database)
                message = unsafe String(cString: sqlite3_errmsg(database))
                if systemError != 0 { message += unsafe ": " + String(cString: strerror(systemError)) }
                unsafe sqlite3_close_v2(database)
            }
            throw SQLiteError(code: code, message: message)
        }
        unsafe handle = database
        self.path = path
    }

    deinit { unsafe sqlite3_close_v2(handle) }

    /// True when the file may not be written.
    var isReadOnly: Bool { unsafe sqlite3_db_readonly(handle, "main") == 1 }

    /// How long a call waits for another connection's lock before it fails as busy.
    func setBusyTimeout(milliseconds: Int32) { unsafe sqlite3_busy_timeout(handle, milliseconds) }

    /// Compiles one statement.
    func prepare(_ sql: String) throws(SQLiteError) -> SQLiteStatement {
        var statement: OpaquePointer?
        let code = unsafe sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard code == SQLITE_OK, let statement = unsafe statement else { throw lastError(code) }
        return unsafe SQLiteStatement(adopting: statement, of: self)
    }

    /// Runs one statement to its end; rows are passed over.
    func execute(_ sql: String) throws(SQLiteError) {
        let statement = try prepare(sql)
        while try statement.step() {}
    }

    /// The first column of the first row as a number; nil without a row or for NULL.
    func integer(_ sql: String) throws(SQLiteError) -> Int64? {
        let statement = try prepare(sql)
        guard try statement.step(), !statement.isNull(0) else { return nil }
        return statement.int64(0)
    }

    /// The first column of the first row as text; nil without a row or for NULL.
    func text(_ sql: String) throws(SQLiteError) -> String? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.text(0) : nil
    }

    /// Runs `body` inside of a transaction and commits; any failure rolls back. `mode` is DEFERRED or IMMEDIATE.
    func transaction<Result>(
        _ mode: StaticString, _ body: () throws(SQLiteError) -> Result
    ) throws(SQLiteError) -> Result {
        try execute("BEGIN \(mode)")
        do {
            let result = try body()
            try execute("COMMIT")
            return result
        } catch {
            rollBack()
            throw error
        }
    }

    /// Ends a transaction without its changes. Outside of a transaction nothing happens.
    func rollBack() {
        if unsafe sqlite3_get_autocommit(handle) == 0 { try? execute("ROLLBACK") }
    }

    /// How many rows the last statement changed.
    var changedRows: Int { Int(unsafe sqlite3_changes64(handle)) }

    /// The largest number of columns that a table may have in this library.
    var columnLimit: Int { Int(unsafe sqlite3_limit(handle, SQLITE_LIMIT_COLUMN, -1)) }

    /// What SQLite says about the call that just failed with `code`.
    func lastError(_ code: Int32) -> SQLiteError {
        SQLiteError(code: code, message: unsafe String(cString: sqlite3_errmsg(handle)))
    }

    /// Version number of the SQLite library in this process, such as 3.40.1.
    static var libraryVersion: String { unsafe String(cString: sqlite3_libversion()) }
}
