internal import CLibPQ
private import ConnectorKit
private import Glibc

/// A libpq connection: connects, runs short queries, and closes. Every wait has a limit.
///
/// One thread uses it at a time; it may be handed from one to another.
@safe final class PostgresConnection: @unchecked Sendable {
    /// What the connection is for.
    enum Purpose {
        /// Ordinary SQL.
        case catalogue
        /// A walsender bound to the database.
        case replication
        /// Short transactions that read rows.
        case snapshot
    }

    private let handle: OpaquePointer
    /// True when nothing more can be sent: the connection is lost, or an answer was given up.
    private(set) var isBroken = false

    /// Connects and sets the session up. Throws what the server or the network said. The server shows
    /// `applicationName` unless the user chose another.
    init(opening url: String, for purpose: Purpose, applicationName: String = "millrace") throws(ServerError) {
        unsafe handle = try ConnectionAttempt.connect(url, purpose, applicationName: applicationName)
        _ = try execute(Self.session(purpose))
    }

    deinit { unsafe PQfinish(handle) }

    /// The C handle, for the transports.
    @unsafe var libpq: OpaquePointer { unsafe handle }

    /// The socket.
    var descriptor: Int32 { unsafe PQsocket(handle) }
    /// True when TLS or GSS lies over the socket, so that only libpq can read it.
    var isEncrypted: Bool { unsafe PQsslInUse(handle) != 0 || PQgssEncInUse(handle) != 0 }
    /// Such as 150018.
    var serverVersion: Int { Int(unsafe PQserverVersion(handle)) }
    /// The backend's process id.
    var processID: Int { Int(unsafe PQbackendPID(handle)) }

    /// A parameter that the server reported, such as `server_encoding`.
    func parameter(_ name: String) -> String? {
        guard let text = unsafe PQparameterStatus(handle, name) else { return nil }
        return unsafe String(cString: text)
    }

    /// Runs SQL and waits for its result.
    ///
    /// With arguments it is one statement with `$1`, `$2` …; without, it may be several. `whileWaiting` is called now
    /// and then during a long wait; when it answers false, or the task is cancelled, the query is cancelled and an
    /// error is thrown.
    func execute(
        _ sql: String, _ arguments: [String] = [], within limit: Duration = .seconds(30),
        whileWaiting: (Duration) -> Bool = { _ in true }
    ) throws(ServerError) -> QueryResult {
        guard !isBroken else {
            throw ServerError(sqlState: nil, message: "the connection is lost", isConnectionLost: true)
        }
        try sendQuery(sql, arguments)
        try awaitAnswer(within: limit, whileWaiting: whileWaiting)
        return try collectResults()
    }

    /// Sends a query without waiting for its result.
    func sendQuery(_ sql: String, _ arguments: [String] = []) throws(ServerError) {
        let sent: Int32
        if arguments.isEmpty {
            sent = unsafe PQsendQuery(handle, sql)
        } else {
            sent = unsafe withCStrings(arguments) { values in
                unsafe PQsendQueryParams(handle, sql, Int32(arguments.count), nil, values, nil, nil, 0)
            }
        }
        if sent != 1 { throw lost() }
    }

    /// Waits until the next result can be had without blocking.
    func awaitAnswer(
        within limit: Duration, whileWaiting: (Duration) -> Bool = { _ in true }
    ) throws(ServerError) {
        let start = ContinuousClock.now
        while unsafe PQisBusy(handle) == 1 {
            let waited = start.duration(to: .now)
            let isTooLong = waited >= limit
            if isTooLong || Task.isCancelled || !whileWaiting(waited) {
                cancel()
                isBroken = true
                let reason = isTooLong ? "no answer within \(limit.text)" : "given up on request"
                throw ServerError(sqlState: nil, message: reason, isConnectionLost: true)
            }
            let milliseconds = min(250, (limit - waited).milliseconds + 1)
            _ = waitFor(descriptor, POLLIN, milliseconds: milliseconds)
            if unsafe PQconsumeInput(handle) != 1 { throw lost() }
        }
    }

    /// Takes the results of a query; the last one with rows counts, an error counts more.
    func collectResults() throws(ServerError) -> QueryResult {
        var answer = QueryResult(columns: [], rows: [])
        var failure: ServerError?
        while let result = unsafe PQgetResult(handle) {
            defer { unsafe PQclear(result) }
            switch unsafe PQresultStatus(result) {
            case PGRES_TUPLES_OK, PGRES_SINGLE_TUPLE: answer = unsafe rows(of: result)
            case PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: break
            case PGRES_COPY_BOTH, PGRES_COPY_IN, PGRES_COPY_OUT: return answer
            default: failure = unsafe failure ?? error(of: result)
            }
        }
        if let failure { throw failure }
        return answer
    }

    /// What libpq says about the broken connection.
    func lost() -> ServerError {
        isBroken = true
        var error = ServerError(libpqMessage: unsafe String(cString: PQerrorMessage(handle)))
        error.isConnectionLost = true
        return error
    }

    private func cancel() {
        guard let cancel = unsafe PQgetCancel(handle) else { return }
        var reason = [CChar](repeating: 0, count: 256)
        _ = unsafe PQcancel(cancel, &reason, 256)
        unsafe PQfreeCancel(cancel)
    }

    private func rows(of result: OpaquePointer) -> QueryResult {
        let width = unsafe PQnfields(result)
        let columns = (0..<width).map { unsafe String(cString: PQfname(result, $0)) }
        let rows = (0..<(unsafe PQntuples(result))).map { row in
            (0..<width).map { column -> String? in
                unsafe PQgetisnull(result, row, column) == 1 ? nil : String(cString: PQgetvalue(result, row, column))
            }
        }
        return QueryResult(columns: columns, rows: rows)
    }

    /// What the server said in a result.
    func error(of result: OpaquePointer) -> ServerError {
        let state = unsafe PQresultErrorField(result, Int32(UInt8(ascii: "C"))).map { unsafe String(cString: $0) }
        let message = unsafe PQresultErrorField(result, Int32(UInt8(ascii: "M"))).map { unsafe String(cString: $0) }
        let isLost = unsafe PQstatus(handle) != CONNECTION_OK
        if isLost { isBroken = true }
        return ServerError(
            sqlState: state, message: message ?? (unsafe String(cString: PQerrorMessage(handle))),
            isConnectionLost: isLost)
    }
}

extension PostgresConnection {
    /// Settings that decide how values are spelled: the same for the stream and for everything else that reads rows.
    ///
    /// They are set by SQL and not by start-up options, so that the user's own `options` stay, and poolers let them
    /// pass. An empty search_path makes the names of types and of `regclass` values the same for every role.
    private static func session(_ purpose: Purpose) -> String {
        let spelling = """
            SET DateStyle TO 'ISO'; SET IntervalStyle TO 'iso_8601'; SET TimeZone TO 'UTC'; SET extra_float_digits TO 3;
            SET bytea_output TO 'hex'; SET search_path TO ''; SET standard_conforming_strings TO on;
            """
        switch purpose {
        case .replication: return spelling
        case .snapshot: return spelling + reading
        case .catalogue: return spelling + " SET statement_timeout TO '20s'; SET lock_timeout TO '10s';"
        }
    }

    /// No statement of ours may be cut short or read less than all rows, and rows come in the order of the key without
    /// a sort. The time-outs are set by a query because not every version has all of them.
    private static let reading = """
         SET statement_timeout TO 0; SET lock_timeout TO '2s'; SET row_security TO off; SET enable_sort TO off;
        SET jit TO off; SET max_parallel_workers_per_gather TO 0; SET default_transaction_read_only TO off;
        SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name IN
            ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout');
        """
}

/// Waits for a descriptor; true when something happened before the time was over.
func waitFor(_ descriptor: Int32, _ events: Int32, milliseconds: Int) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(truncatingIfNeeded: events), revents: 0)
    return unsafe poll(&entry, 1, Int32(clamping: milliseconds)) > 0
}

/// Lends texts to C as an array of C strings with a null pointer behind the last.
func withCStrings<R>(
    _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> R
) -> R {
    let copies = unsafe texts.map { unsafe strdup($0) }
    defer { unsafe copies.forEach { unsafe free($0) } }
    var pointers = unsafe copies.map { unsafe UnsafePointer<CChar>($0) }
    unsafe pointers.append(nil)
    return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress) }
}

extension Duration {
    /// Whole seconds, or milliseconds below the first.
    fileprivate var text: String { self < .seconds(1) ? "\(milliseconds) ms" : "\(components.seconds) s" }
}
