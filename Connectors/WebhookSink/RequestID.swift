internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

/// The `webhook-id` of a request: the same at every attempt, and after a restart.
enum RequestID {
    /// The event's id in the form of a header: without dots, which part what is signed.
    case event(ByteRange, RecordBatch)
    /// The id of several events, which follows from theirs.
    case made(FrozenBytes)

    /// Ids beyond this length are replaced by a hash of them, because receivers bound their headers.
    private static let bytesMax = 256

    /// The id of the events of these records: the same events give the same one.
    static func of(_ records: [ParcelRecord]) throws(ConnectorFailure) -> RequestID {
        var ids = OutputBuffer(capacity: records.count * 48)
        for each in records {
            ids.append(each.batch.id(of: each.record))
            ids.append(UInt8(ascii: "\n"))
        }
        var id = OutputBuffer(capacity: 64)
        id.append("batch_")
        try Signer.append(digestOf: ids.bytes, to: &id)
        return .made(id.freeze())
    }

    /// Appends the id.
    func append(to output: inout OutputBuffer) throws(ConnectorFailure) {
        switch self {
        case .event(let range, let batch):
            let text = batch.bytes(range)
            if text.byteCount <= Self.bytesMax {
                output.append(percentEncoding: text, encodesDot: true)
            } else {
                output.append("event_")
                try Signer.append(digestOf: text, to: &output)
            }
        case .made(let id): output.append(id.bytes)
        }
    }
}
