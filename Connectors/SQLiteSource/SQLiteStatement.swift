private import ByteKit
internal import CSQLite

/// A value as SQLite stores it, kept outside of a row: the keys between chunks of a snapshot.
enum SQLiteValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case real(Double)
    /// Bytes of text, which need not be UTF-8.
    case text([UInt8])
    case blob([UInt8])
}

/// A compiled statement, finalized when it is released.
@safe final class SQLiteStatement {
    let handle: OpaquePointer
    private let connection: SQLiteConnection

    init(adopting handle: OpaquePointer, of connection: SQLiteConnection) {
        unsafe self.handle = handle
        self.connection = connection
    }

    deinit { unsafe sqlite3_finalize(handle) }

    /// Moves to the next row; false at the end, where the statement is reset so that it holds no lock.
    func step() throws(SQLiteError) -> Bool {
        let code = unsafe sqlite3_step(handle)
        if code == SQLITE_ROW { return true }
        if code == SQLITE_DONE {
            unsafe sqlite3_reset(handle)
            return false
        }
        let error = connection.lastError(code)
        unsafe sqlite3_reset(handle)
        throw error
    }

    /// Lets go of the row and its locks; bindings stay.
    func reset() { unsafe sqlite3_reset(handle) }

    /// Runs to the end with these numbers and texts bound; for statements without rows.
    func run(_ values: SQLiteValue...) throws(SQLiteError) {
        for (index, value) in values.enumerated() { try bind(Int32(index + 1), value) }
        while try step() {}
    }

    /// Binds a value to a parameter, counted from 1. Text and BLOBs are copied.
    func bind(_ index: Int32, _ value: SQLiteValue) throws(SQLiteError) {
        let code: Int32 =
            switch value {
            case .null: unsafe sqlite3_bind_null(handle, index)
            case .integer(let number): unsafe sqlite3_bind_int64(handle, index, number)
            case .real(let number): unsafe sqlite3_bind_double(handle, index, number)
            case .text(let bytes): bindBytes(index, bytes, isText: true)
            case .blob(let bytes): bindBytes(index, bytes, isText: false)
            }
        if code != SQLITE_OK { throw connection.lastError(code) }
    }

    private func bindBytes(_ index: Int32, _ bytes: [UInt8], isText: Bool) -> Int32 {
        if bytes.isEmpty && !isText { return unsafe sqlite3_bind_zeroblob(handle, index, 0) }
        let copied = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        return unsafe bytes.withUnsafeBytes { buffer in
            guard isText else {
                return unsafe sqlite3_bind_blob64(handle, index, buffer.baseAddress, UInt64(buffer.count), copied)
            }
            guard let start = unsafe buffer.bindMemory(to: CChar.self).baseAddress else {
                return unsafe sqlite3_bind_text(handle, index, "", 0, copied)
            }
            return unsafe sqlite3_bind_text64(
                handle, index, start, UInt64(buffer.count), copied, UInt8(SQLITE_UTF8))
        }
    }

    /// How many columns the row has.
    var columnCount: Int { Int(unsafe sqlite3_column_count(handle)) }

    /// True when the column is NULL.
    func isNull(_ column: Int32) -> Bool { unsafe sqlite3_column_type(handle, column) == SQLITE_NULL }

    /// The column as a 64-bit number.
    func int64(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(handle, column) }

    /// The column as a double.
    func double(_ column: Int32) -> Double { unsafe sqlite3_column_double(handle, column) }

    /// The column as text, malformed bytes replaced; nil for NULL. For names and settings, not for rows.
    func text(_ column: Int32) -> String? {
        guard let bytes = unsafe sqlite3_column_text(handle, column) else { return nil }
        let count = Int(unsafe sqlite3_column_bytes(handle, column))
        return unsafe String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    /// A copy of the column's value.
    func value(_ column: Int32) -> SQLiteValue {
        switch unsafe sqlite3_column_type(handle, column) {
        case SQLITE_INTEGER: .integer(int64(column))
        case SQLITE_FLOAT: .real(double(column))
        case SQLITE_TEXT: unsafe .text([UInt8](textBuffer(column)))
        case SQLITE_BLOB: unsafe .blob([UInt8](blobBuffer(column)))
        default: .null
        }
    }

    /// The column's text, valid until the next step or reset.
    @unsafe func textBuffer(_ column: Int32) -> UnsafeRawBufferPointer {
        let start = unsafe UnsafeRawPointer(sqlite3_column_text(handle, column))
        return unsafe UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column)))
    }

    /// The column's BLOB, valid until the next step or reset.
    @unsafe func blobBuffer(_ column: Int32) -> UnsafeRawBufferPointer {
        let start = unsafe sqlite3_column_blob(handle, column)
        return unsafe UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column)))
    }
}
