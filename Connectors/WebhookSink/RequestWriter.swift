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

    /// The request of a record.
    func content(of source: ParcelRecord) throws(ConnectorFailure) -> RequestContent {
        if mode == .batch { return try content(ofBatch: [source]) }
        let (record, batch) = (source.record, source.batch)
        return RequestContent(
            id: .event(record.id, batch), bytes: batch.body, body: record.payload.indices, source: source)
    }

    /// The array of some events.
    func content(ofBatch records: [ParcelRecord]) throws(ConnectorFailure) -> RequestContent {
        var body = OutputBuffer(capacity: records.reduce(2) { $0 + Int($1.record.payload.length) + 1 })
        for (place, each) in records.enumerated() {
            body.append(UInt8(ascii: place == 0 ? "[" : ","))
            body.append(each.batch.payload(of: each.record))
        }
        body.append(UInt8(ascii: "]"))
        let bytes = body.freeze()
        return RequestContent(id: try .of(records), bytes: bytes, body: 0..<bytes.count)
    }

    /// Headers of a request that are its own, beside the three of Standard Webhooks: `name: value` each.
    func headers(of content: RequestContent) -> [[UInt8]] {
        guard let source = content.source else { return [] }
        switch mode {
        case .structured: return recordHeaders?.headers(of: source.record, in: source.batch) ?? []
        case .binary: return Self.headers(ofAttributes: source.batch.bytes(source.record.attributes))
        case .batch: return []
        }
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
