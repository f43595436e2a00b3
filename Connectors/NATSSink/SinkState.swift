import ByteKit
import ConnectorKit

/// What the sink keeps beside its cursor: where in the stream to look for what was stored beyond the cursor.
struct SinkState: Equatable {
    /// The cursor that the state was stored with. One before it at the next opening means that somebody moved the
    /// cursor, to have events again: then nothing that is in the stream is passed over. One behind it was moved without
    /// the sink, up to an event that it refused.
    var cursor: UInt64
    /// Whatever of the events behind the cursor is in the stream has a sequence above this one.
    var floor: UInt64
    /// When the stream was made, in nanoseconds since 1970: another one of the same name has other sequences.
    var streamCreated: Int64
    /// True when events behind the cursor may be in the stream although earlier ones were not sent, because they were
    /// refused or wait behind refused ones.
    var hasSkips: Bool
    /// The beginning that the ids of messages name (``MessageID``); 0 while they are those of the events.
    var beginning: UInt64

    /// The latest version that ``encoded`` writes. The first one had no skips, the second one no beginning.
    static let version: UInt8 = 3

    init(cursor: UInt64, floor: UInt64, streamCreated: Int64, hasSkips: Bool = false, beginning: UInt64 = 0) {
        self.cursor = cursor
        self.floor = floor
        self.streamCreated = streamCreated
        self.hasSkips = hasSkips
        self.beginning = beginning
    }

    /// True when the state still says where to look for events that lie behind a cursor.
    func goesOn(at cursor: UInt64) -> Bool { self.cursor <= cursor }

    /// True when the stream had messages of the events before a cursor. A cursor that was moved back (`millrace
    /// replay`) is a decision about what is gone.
    func hadMessages(before cursor: UInt64) -> Bool { goesOn(at: cursor) && floor > 0 }

    /// The state as bytes: version, whether there are skips, then the numbers, most significant byte first. Without a
    /// beginning it is of the version before, which programs of that time read.
    var encoded: [UInt8] {
        var numbers = [cursor, floor, UInt64(bitPattern: streamCreated)]
        if beginning > 0 { numbers.append(beginning) }
        var bytes: [UInt8] = [beginning > 0 ? Self.version : Self.version - 1, hasSkips ? 1 : 0]
        for value in numbers {
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
            }
        }
        return bytes
    }

    /// Reads what ``encoded`` wrote, in this version or an earlier one. Of what the first one left nobody knows whether
    /// there were skips.
    init(decoding bytes: [UInt8]) throws(ConnectorFailure) {
        var reader = ByteReader(bytes.rawBytes)
        let version = reader.byte()
        let skips: UInt8? = if version == 1 { 1 } else { reader.byte() }
        guard let version, (1...Self.version).contains(version), let skips, skips < 2,
            let cursor = reader.bigEndian(UInt64.self), let floor = reader.bigEndian(UInt64.self),
            let created = reader.bigEndian(UInt64.self),
            let beginning = version < 3 ? 0 : reader.bigEndian(UInt64.self), reader.remaining == 0
        else { throw NATSFailure.unknownState }
        self.init(
            cursor: cursor, floor: floor, streamCreated: Int64(bitPattern: created), hasSkips: skips == 1,
            beginning: beginning)
    }
}
