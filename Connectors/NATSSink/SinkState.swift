import ByteKit
import ConnectorKit

/// What the sink keeps beside its cursor: where in the stream to look for what was stored beyond the cursor.
struct SinkState: Equatable {
    /// The cursor that the state was stored with. Another one at the next opening means that somebody moved the cursor,
    /// to have events again: then nothing that is in the stream is passed over.
    var cursor: UInt64
    /// Whatever of the events behind the cursor is in the stream has a sequence above this one.
    var floor: UInt64
    /// When the stream was made, in nanoseconds since 1970: another one of the same name has other sequences.
    var streamCreated: Int64

    static let version: UInt8 = 1

    init(cursor: UInt64, floor: UInt64, streamCreated: Int64) {
        self.cursor = cursor
        self.floor = floor
        self.streamCreated = streamCreated
    }

    /// The state as bytes: version, then the numbers, most significant byte first.
    var encoded: [UInt8] {
        var bytes: [UInt8] = [Self.version]
        for value in [cursor, floor, UInt64(bitPattern: streamCreated)] {
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
            }
        }
        return bytes
    }

    /// Reads what ``encoded`` wrote.
    init(decoding bytes: [UInt8]) throws(ConnectorFailure) {
        var reader = ByteReader(bytes.rawBytes)
        guard reader.byte() == Self.version, let cursor = reader.bigEndian(UInt64.self),
            let floor = reader.bigEndian(UInt64.self), let created = reader.bigEndian(UInt64.self),
            reader.remaining == 0
        else { throw NATSFailure.unknownState }
        self.init(cursor: cursor, floor: floor, streamCreated: Int64(bitPattern: created))
    }
}
