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
    /// The server tells the start together with the first rows, which may take hours to find.
    func execute(
        bytes sql: [UInt8], whileWaiting: (Duration) -> Bool
    ) throws(ServerError) -> QueryResult {
        guard !isBroken else {
            throw ServerError(sqlState: nil, message: "the connection is lost", isConnectionLost: true)
        }
        let text = sql.map { CChar(bitPattern: $0) } + [0]
        guard unsafe PQsendQuery(libpq, text) == 1 else { throw lost() }
        try awaitAnswer(within: .seconds(1 << 40), whileWaiting: whileWaiting)
        return try collectResults()
    }

    /// The next row of a running `COPY … TO STDOUT`, given to `body` as the server sent it. Waits without limit for it,
    /// until `wakeUp` is readable or a second has passed, and `mayWait`, told how long it has been waited, says no.
    func nextCopyRow(
        wakeUp: WakeUp, mayWait: (Duration) -> Bool, _ body: (RawSpan) -> Void
    ) throws(ServerError) -> CopyStep {
        var start: ContinuousClock.Instant?
        var looks = 0
        while true {
            var row: UnsafeMutablePointer<CChar>?
            let length = unsafe PQgetCopyData(libpq, &row, 1)
            switch length {
            case 0:
                let begin = start ?? .now
                start = begin
                guard mayWait(begin.duration(to: .now)) else { return .stopped }
                // The server sends a few rows at a time. To be woken for each of these makes both sides slow, so it is
                // looked for more first, and looked for again after a pause in which some gather.
                if looks == 1 { rest() } else if looks > 1 { wait(for: wakeUp) }
                looks += 1
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

    /// Long enough for more than one piece, and short enough for the socket's buffer to have room.
    private func rest() {
        var time = timespec(tv_sec: 0, tv_nsec: 300_000)
        unsafe nanosleep(&time, nil)
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
