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

    /// The request for a record.
    func delivery(of part: Part) throws(ConnectorFailure) -> Delivery {
        switch mode {
        case .structured: delivery(of: part, headers: recordHeaders?.headers(of: part.record, in: part.batch) ?? [])
        case .binary: delivery(of: part, headers: Self.headers(ofAttributes: part.batch.bytes(part.record.attributes)))
        case .batch: try delivery(ofBatch: part, [])
        }
    }

    private func delivery(of part: Part, headers: [[UInt8]]) -> Delivery {
        Delivery(
            part.ticket, id: .event(part.record, part.batch), content: part.batch.body,
            body: part.record.payload.indices, headers: headers)
    }

    /// The array of some events.
    func delivery(ofBatch first: Part, _ followers: [Part]) throws(ConnectorFailure) -> Delivery {
        let parts = [first] + followers
        var body = OutputBuffer(capacity: parts.reduce(2) { $0 + Int($1.record.payload.length) + 1 })
        for (place, part) in parts.enumerated() {
            body.append(UInt8(ascii: place == 0 ? "[" : ","))
            body.append(part.batch.payload(of: part.record))
        }
        body.append(UInt8(ascii: "]"))
        let content = body.freeze()
        return Delivery(
            first.ticket, followers.map(\.ticket), id: try .of(parts), content: content, body: 0..<content.count)
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
            header.append(percentEncoding: value, encodesDot: false)
        }
        return header.list
    }

    private static let contentTypeName = Array("datacontenttype".utf8)
}

extension OutputBuffer {
    /// Appends printable ASCII as it is, and the rest, quotes and percent signs as `%XX`; dots too with `encodesDot`.
    mutating func append(percentEncoding text: RawSpan, encodesDot: Bool) {
        var (start, place) = (0, 0)
        while place < text.byteCount {
            if place &+ 8 <= text.byteCount {
                let word = unsafe text.unsafeLoadUnaligned(fromUncheckedByteOffset: place, as: UInt64.self)
                if isPlain(word, encodesDot) {
                    place &+= 8
                    continue
                }
            }
            let byte = text.byte(place)
            let isPlain =
                (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "%")
                && !(encodesDot && byte == UInt8(ascii: "."))
            if !isPlain {
                append(text.extracting(start..<place))
                append(UInt8(ascii: "%"))
                append(hex: UInt64(byte), width: 2)
                start = place &+ 1
            }
            place &+= 1
        }
        append(text.extracting(start..<text.byteCount))
    }
}

/// True when all eight bytes are printable ASCII that stands as it is. False may be wrong: the bytes are looked at one
/// by one then.
@inline(__always)
private func isPlain(_ word: UInt64, _ encodesDot: Bool) -> Bool {
    let (ones, high): (UInt64, UInt64) = (0x0101_0101_0101_0101, 0x8080_8080_8080_8080)
    /// The upper bit of each byte that is below `limit`, and perhaps of others behind one.
    func below(_ limit: UInt64, _ word: UInt64) -> UInt64 { (word &- ones &* limit) & ~word & high }
    func equal(_ byte: UInt8) -> UInt64 { below(1, word ^ ones &* UInt64(byte)) }
    let others = equal(UInt8(ascii: "\"")) | equal(UInt8(ascii: "%")) | equal(0x7F)
    return word & high == 0 && below(0x21, word) | others == 0 && (!encodesDot || equal(UInt8(ascii: ".")) == 0)
}
