internal import ByteKit
internal import ChangeModel
private import Glibc

/// The head of an XLogData message (`w`); the payload follows it.
///
/// See "Streaming Replication Protocol" in the PostgreSQL manual.
struct XLogData: Equatable {
    /// The start of the WAL data.
    var walStart: LSN
    /// The end of WAL on the server.
    var walEnd: LSN
    /// The server's clock, in microseconds since 2000-01-01 00:00 UTC.
    var sendTime: Int64

    /// How long the head is, the kind byte included.
    static let headLength = 25

    /// Reads the head at the front of a CopyData body.
    init(_ body: RawSpan) throws(WireError) {
        var reader = ByteReader(body)
        guard reader.skip(1), let start = reader.bigEndian(UInt64.self), let end = reader.bigEndian(UInt64.self),
            let time = reader.bigEndian(Int64.self)
        else { throw .truncated("XLogData") }
        (walStart, walEnd, sendTime) = (LSN(start), LSN(end), time)
    }
}

/// A primary keepalive message (`k`).
struct PrimaryKeepalive: Equatable {
    /// Everything before it was sent.
    var walEnd: LSN
    /// The server's clock, in microseconds since 2000-01-01 00:00 UTC.
    var sendTime: Int64
    /// True when the server wants to hear from us at once.
    var replyRequested: Bool

    /// Reads a CopyData body.
    init(_ body: RawSpan) throws(WireError) {
        var reader = ByteReader(body)
        guard reader.skip(1), let end = reader.bigEndian(UInt64.self), let time = reader.bigEndian(Int64.self),
            let reply = reader.byte()
        else { throw .truncated("keepalive") }
        guard reader.remaining == 0 else { throw .trailingBytes("keepalive") }
        (walEnd, sendTime, replyRequested) = (LSN(end), time, reply != 0)
    }
}

/// A standby status update (`r`): what the server may forget.
struct StandbyStatusUpdate: Equatable {
    /// Received up to here.
    var written: LSN
    /// Durable up to here.
    var flushed: LSN
    /// Applied up to here.
    var applied: LSN
    /// Our clock, in microseconds since 2000-01-01 00:00 UTC.
    var time: Int64
    /// True to make the server answer at once.
    var replyRequested: Bool

    /// Appends the body of the CopyData message.
    func encode(into output: inout OutputBuffer) {
        output.append(UInt8(ascii: "r"))
        output.append(bigEndian: written.value)
        output.append(bigEndian: flushed.value)
        output.append(bigEndian: applied.value)
        output.append(bigEndian: time)
        output.append(replyRequested ? 1 : 0)
    }
}

/// PostgreSQL counts time from 2000-01-01 00:00 UTC.
enum ServerClock {
    /// 1970 to 2000 in microseconds.
    static let epoch: Int64 = 946_684_800_000_000

    /// Our clock as the server counts.
    static var now: Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000 - epoch
    }

    /// Microseconds since 1970 for the server's microseconds since 2000; stays at the end of the range on overflow.
    static func sinceUnixEpoch(_ time: Int64) -> Int64 {
        let (sum, overflow) = time.addingReportingOverflow(epoch)
        return overflow ? .max : sum
    }
}
