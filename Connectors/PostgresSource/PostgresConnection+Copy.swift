internal import ByteKit
internal import CLibPQ
private import Glibc

extension PostgresConnection {
    /// What came of waiting for a row of COPY.
    enum CopyStep {
        /// The row was given to the caller.
        case row
        /// There are no more.
        case end
        /// The wait was given up.
        case stopped
    }

    /// Sends statements that may hold bytes which are no UTF-8, and takes their result; stops at the start of a COPY.
    func execute(
        bytes sql: [UInt8], within limit: Duration = .seconds(30), whileWaiting: (Duration) -> Bool = { _ in true }
    ) throws(ServerError) -> QueryResult {
        guard !isBroken else {
            throw ServerError(sqlState: nil, message: "the connection is lost", isConnectionLost: true)
        }
        let text = sql.map { CChar(bitPattern: $0) } + [0]
        guard unsafe PQsendQuery(libpq, text) == 1 else { throw lost() }
        try awaitAnswer(within: limit, whileWaiting: whileWaiting)
        return try collectResults()
    }

    /// The next row of a running `COPY … TO STDOUT`, given to `body` as the server sent it. Waits without limit for it,
    /// until `wakeUp` is readable and `mayWait` says no.
    func nextCopyRow(
        wakeUp: WakeUp, mayWait: () -> Bool, _ body: (RawSpan) -> Void
    ) throws(ServerError) -> CopyStep {
        while true {
            var row: UnsafeMutablePointer<CChar>?
            let length = unsafe PQgetCopyData(libpq, &row, 1)
            switch length {
            case 0:
                guard mayWait() else { return .stopped }
                wait(for: wakeUp)
                if unsafe PQconsumeInput(libpq) != 1 { throw lost() }
            case -1:
                _ = try collectResults()
                return .end
            case -2: throw lost()
            default:
                if let row = unsafe row {
                    body(unsafe RawSpan(_unsafeStart: UnsafeRawPointer(row), byteCount: Int(length)))
                    unsafe PQfreemem(row)
                }
                return .row
            }
        }
    }

    private func wait(for wakeUp: WakeUp) {
        var entries = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wakeUp.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        _ = unsafe poll(&entries, 2, 1000)
        if entries[1].revents != 0 { wakeUp.clear() }
    }
}
