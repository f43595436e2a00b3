import ByteKit
import CSQLite
import ConnectorKit
import Glibc

/// Rows on disk, so that memory does not grow with tables: a SQLite file in a private folder that has no name any more
/// as soon as it is open, so that nothing of it stays behind, however the process ends.
final class FoldStore {
    private let handle: OpaquePointer
    private let directory: String
    private var tableCount = 0
    /// Pages that are kept in memory.
    private static let cacheKiB = 65536

    /// Makes a file in `directory`, which the temporary files of long sorts use too.
    init(directory: String) throws(ConnectorFailure) {
        self.directory = directory
        let path = "\(directory)/verify-\(getpid())-\(UInt64.random(in: 0...UInt64.max)).sqlite"
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw Self.failure(directory, String(cString: strerror(errno))) }
        Glibc.close(descriptor)
        var opened: OpaquePointer?
        let code = sqlite3_open_v2(path, &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nil)
        guard code == SQLITE_OK, let opened else {
            sqlite3_close_v2(opened)
            unlink(path)
            throw Self.failure(directory, "SQLite code \(code)")
        }
        handle = opened
        do throws(ConnectorFailure) {
            // Nothing of this outlives the process, so nothing waits for the disk.
            for pragma in [
                "locking_mode = EXCLUSIVE", "journal_mode = OFF", "synchronous = OFF", "page_size = 8192",
                "cache_size = -\(Self.cacheKiB)", "temp_store = MEMORY",
            ] { try run("PRAGMA \(pragma)") }
            try run("CREATE TABLE made (x)")
        } catch {
            unlink(path)
            throw error
        }
        unlink(path)
        try run("BEGIN")
    }

    deinit { sqlite3_close_v2(handle) }

    /// A number that no table of this store has.
    func nextTableNumber() -> Int {
        tableCount += 1
        return tableCount
    }

    /// Runs a statement without rows.
    func run(_ sql: String) throws(ConnectorFailure) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw failure(code) }
    }

    /// Compiles a statement.
    func prepare(_ sql: String) throws(ConnectorFailure) -> FoldStatement {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard code == SQLITE_OK, let statement else { throw failure(code) }
        return FoldStatement(statement, in: self)
    }

    /// How many rows the last statement changed.
    var changedCount: Int { Int(sqlite3_changes64(handle)) }

    func failure(_ code: Int32) -> ConnectorFailure {
        if code & 0xFF == SQLITE_FULL || code & 0xFF == SQLITE_IOERR {
            return ConnectorFailure(
                "verify.disk_full", .stop,
                "no room for the comparison in \(directory): \(String(cString: sqlite3_errmsg(handle)))",
                hint: "it takes about as much as the tables that are compared: make room, or name another folder by "
                    + "--scratch, or compare table by table")
        }
        return Self.failure(directory, String(cString: sqlite3_errmsg(handle)) + ", SQLite code \(code)")
    }

    private static func failure(_ directory: String, _ why: String) -> ConnectorFailure {
        ConnectorFailure(
            "verify.scratch", .stop, "cannot use a temporary file in \(directory): \(why)",
            hint: "name a folder that this user may write to by --scratch")
    }
}

/// A compiled statement of the store.
final class FoldStatement {
    private let handle: OpaquePointer
    private let store: FoldStore

    init(_ handle: OpaquePointer, in store: FoldStore) {
        self.handle = handle
        self.store = store
    }

    deinit { sqlite3_finalize(handle) }

    /// Binds a number to a parameter, counted from 1.
    func bind(_ index: Int32, _ number: Int64?) throws(ConnectorFailure) {
        let code = number.map { sqlite3_bind_int64(handle, index, $0) } ?? sqlite3_bind_null(handle, index)
        if code != SQLITE_OK { throw store.failure(code) }
    }

    /// Binds bytes, which are copied.
    func bind(_ index: Int32, _ bytes: borrowing RawSpan) throws(ConnectorFailure) {
        let code = bytes.withUnsafeBytes { buffer in
            buffer.isEmpty
                ? sqlite3_bind_zeroblob(handle, index, 0)
                : sqlite3_bind_blob64(
                    handle, index, buffer.baseAddress, UInt64(buffer.count),
                    unsafeBitCast(-1, to: sqlite3_destructor_type.self))
        }
        if code != SQLITE_OK { throw store.failure(code) }
    }

    /// Binds a list of bytes, which are copied.
    func bind(_ index: Int32, _ bytes: [UInt8]) throws(ConnectorFailure) { try bind(index, bytes.rawBytes) }

    /// Moves to the next row; false at the end, where the statement is reset.
    func step() throws(ConnectorFailure) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE:
            sqlite3_reset(handle)
            return false
        case let code:
            sqlite3_reset(handle)
            throw store.failure(code)
        }
    }

    /// Runs to the end.
    func run() throws(ConnectorFailure) { while try step() {} }

    /// Lets go of the row.
    func reset() { sqlite3_reset(handle) }

    /// A column as a number; 0 for NULL.
    func number(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    /// True for NULL.
    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    /// Lends the bytes of a column until the next step.
    func withBytes<R, E: Error>(_ column: Int32, _ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        let start = sqlite3_column_blob(handle, column)
        let count = Int(sqlite3_column_bytes(handle, column))
        return try body(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: start, count: count)))
    }

    /// A copy of the bytes of a column.
    func bytes(_ column: Int32) -> [UInt8] { withBytes(column) { $0.withUnsafeBytes { [UInt8]($0) } } }
}
