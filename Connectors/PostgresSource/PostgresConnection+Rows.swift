internal import CLibPQ

/// Results of any size, row by row ("Retrieving Query Results Row-by-Row").
extension PostgresConnection {
    /// Sends a query whose rows are taken by ``nextRow(within:_:)``. `isBinary` asks for values in their binary form.
    func beginRows(_ sql: String, isBinary: Bool = false) throws(ServerError) {
        guard unsafe PQsendQueryParams(libpq, sql, 0, nil, nil, nil, nil, isBinary ? 1 : 0) == 1,
            unsafe PQsetSingleRowMode(libpq) == 1
        else { throw lost() }
    }

    /// Lends the next row to `body`; nil at the end. Must be called until then, or until it throws.
    func nextRow<R>(
        within limit: Duration = .seconds(3600), _ body: (RowOfResult) -> R
    ) throws(ServerError) -> R? {
        while true {
            try awaitAnswer(within: limit)
            guard let result = unsafe PQgetResult(libpq) else { return nil }
            defer { unsafe PQclear(result) }
            switch unsafe PQresultStatus(result) {
            case PGRES_SINGLE_TUPLE: return unsafe body(RowOfResult(result))
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK: continue
            default:
                let error = unsafe error(of: result)
                while let rest = unsafe PQgetResult(libpq) { unsafe PQclear(rest) }
                throw error
            }
        }
    }
}

/// One row while it is lent.
@safe struct RowOfResult {
    private let result: OpaquePointer

    init(_ result: OpaquePointer) { unsafe self.result = result }

    /// How many values it has.
    var count: Int { Int(unsafe PQnfields(result)) }

    /// True for NULL.
    func isNull(_ column: Int) -> Bool { unsafe PQgetisnull(result, 0, Int32(column)) == 1 }

    /// Lends the bytes of a value.
    func withBytes<R>(_ column: Int, _ body: (RawSpan) -> R) -> R {
        let start = unsafe UnsafeRawPointer(PQgetvalue(result, 0, Int32(column)))
        let count = Int(unsafe PQgetlength(result, 0, Int32(column)))
        return unsafe body(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: start, count: count)))
    }
}
