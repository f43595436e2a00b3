internal import ByteKit
private import ChangeModel
internal import ConnectorKit

/// Makes requests of records: their ids, bodies and headers.
struct RequestWriter: Sendable {
    private let mode: WebhookSettings.Mode
    /// How keys and headers of records are sent; nil when they are not.
    private let recordHeaders: RecordHeaders?

    init(_ settings: WebhookSettings) {
        mode = settings.mode
        recordHeaders = settings.sendsRecordHeaders ? settings.recordHeaders : nil
    }

    /// One record with the batch that it is in.
    struct Part {
        var ticket: LaneSchedule.Ticket
        var batch: RecordBatch
        var record: Record
    }

    /// Ids beyond this length are replaced by a hash of them, because receivers bound their headers.
    private static let idBytesMax = 256

    /// The request for these records, which is one except in batch mode.
    func delivery(of parts: [Part]) throws(ConnectorFailure) -> Delivery? {
        guard let first = parts.first else { return nil }
        switch mode {
        case .structured:
            return Delivery(
                tickets: [first.ticket], id: try Self.id(first), content: first.batch.body,
                body: first.record.payload.indices,
                headers: recordHeaders?.headers(of: first.record, in: first.batch) ?? [])
        case .binary:
            return Delivery(
                tickets: [first.ticket], id: try Self.id(first), content: first.batch.body,
                body: first.record.payload.indices,
                headers: Self.headers(ofAttributes: first.batch.bytes(first.record.attributes)))
        case .batch:
            return try array(of: parts)
        }
    }

    /// The array of the events. Its id follows from theirs: the same events give the same id.
    private func array(of parts: [Part]) throws(ConnectorFailure) -> Delivery {
        let byteCount = parts.reduce(2) { $0 + Int($1.record.payload.length) + 1 }
        var body = OutputBuffer(capacity: byteCount)
        var ids = OutputBuffer(capacity: parts.count * 48)
        for (place, part) in parts.enumerated() {
            body.append(UInt8(ascii: place == 0 ? "[" : ","))
            body.append(part.batch.payload(of: part.record))
            ids.append(part.batch.id(of: part.record))
            ids.append(UInt8(ascii: "\n"))
        }
        body.append(UInt8(ascii: "]"))
        var id = OutputBuffer(capacity: 64)
        id.append("batch_")
        try Signer.append(digestOf: ids.bytes, to: &id)
        let content = body.freeze()
        return Delivery(
            tickets: parts.map(\.ticket), id: id.list, content: content, body: 0..<content.count)
    }

    /// The event's id in the form of a header: without dots, which part what is signed.
    static func id(_ part: Part) throws(ConnectorFailure) -> [UInt8] {
        let text = part.batch.id(of: part.record)
        var id = OutputBuffer(capacity: 64)
        if text.byteCount > idBytesMax {
            id.append("event_")
            try Signer.append(digestOf: text, to: &id)
        } else {
            append(percentEncoding: text, encodesDot: true, to: &id)
        }
        return id.list
    }

    /// Attributes as CloudEvents' HTTP binding has them in headers; `attributes` holds a line `name:value` for each.
    static func headers(ofAttributes attributes: RawSpan) -> [[UInt8]] {
        var headers: [[UInt8]] = []
        attributes.forEachAttribute { headers.append(header($0, $1)) }
        return headers
    }

    private static func header(_ name: RawSpan, _ value: RawSpan) -> [UInt8] {
        var header = OutputBuffer(capacity: name.byteCount + value.byteCount + 8)
        if name.hasSameBytes(as: contentTypeName.rawBytes) {
            header.append("content-type: ")
            for place in 0..<value.byteCount where (0x20...0x7E).contains(value.byte(place)) {
                header.append(value.byte(place))
            }
        } else {
            header.append("ce-")
            header.append(name)
            header.append(": ")
            append(percentEncoding: value, encodesDot: false, to: &header)
        }
        return header.list
    }

    private static let contentTypeName = Array("datacontenttype".utf8)

    /// Writes printable ASCII as it is, and the rest, quotes and percent signs as `%XX`.
    private static func append(percentEncoding text: RawSpan, encodesDot: Bool, to output: inout OutputBuffer) {
        var start = 0
        for place in 0..<text.byteCount {
            let byte = text.byte(place)
            let isPlain =
                (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "%")
                && !(encodesDot && byte == UInt8(ascii: "."))
            if isPlain { continue }
            output.append(text.extracting(start..<place))
            output.append(UInt8(ascii: "%"))
            output.append(hex: UInt64(byte), width: 2)
            start = place + 1
        }
        output.append(text.extracting(start..<text.byteCount))
    }
}
