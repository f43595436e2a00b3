import ByteKit

/// What the server answered to a message that was published to a stream.
enum PublishAnswer: Equatable {
    /// It is stored under a sequence, now or since an earlier copy came.
    case stored(sequence: UInt64)
    /// The server refused it, with a code of JetStream's own.
    case refused(code: Int)
    /// Nobody listens on the subject: no stream takes it, or none has a leader now.
    case nobody
    /// Something that is no answer of JetStream's.
    case unreadable

    /// Reads an answer: one JSON object without white space that we would have to know of.
    init(_ json: RawSpan) {
        let bytes = JSONFields(json)
        if bytes.has("\"error\"") {
            self = bytes.number("\"err_code\"").map { .refused(code: Int(clamping: $0)) } ?? .unreadable
        } else if let sequence = bytes.number("\"seq\"") {
            self = .stored(sequence: sequence)
        } else {
            self = .unreadable
        }
    }
}

/// Finds fields of small JSON objects that JetStream's server writes, by their names with the quotes: inside of a
/// string these would be escaped.
struct JSONFields: ~Escapable {
    private let bytes: RawSpan

    @_lifetime(copy bytes)
    init(_ bytes: RawSpan) { self.bytes = bytes }

    func has(_ text: StaticString) -> Bool { end(of: text) != nil }

    /// The whole number behind a name.
    func number(_ name: StaticString) -> UInt64? {
        guard var place = valueStart(name), place < bytes.byteCount, isDigit(place) else { return nil }
        var number: UInt64 = 0
        while place < bytes.byteCount, isDigit(place) {
            let (product, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, isOver) = product.addingReportingOverflow(UInt64(byte(place) - 0x30))
            if isTooLarge || isOver { return nil }
            number = sum
            place += 1
        }
        return number
    }

    /// The bytes of the string behind a name, up to its closing quote; only for strings without escapes.
    func plainString(_ name: StaticString) -> [UInt8]? {
        guard var place = valueStart(name), place < bytes.byteCount, byte(place) == UInt8(ascii: "\"") else {
            return nil
        }
        var text: [UInt8] = []
        place += 1
        while place < bytes.byteCount, byte(place) != UInt8(ascii: "\"") {
            text.append(byte(place))
            place += 1
        }
        return text
    }

    private func byte(_ place: Int) -> UInt8 { unsafe bytes.unsafeLoad(fromByteOffset: place, as: UInt8.self) }

    private func isDigit(_ place: Int) -> Bool { byte(place) >= 0x30 && byte(place) <= 0x39 }

    private func valueStart(_ name: StaticString) -> Int? {
        guard var place = end(of: name) else { return nil }
        while place < bytes.byteCount, byte(place) == UInt8(ascii: ":") || byte(place) == 0x20 { place += 1 }
        return place
    }

    /// The place behind the first occurrence.
    private func end(of text: StaticString) -> Int? {
        let length = text.utf8CodeUnitCount
        var start = 0
        while start + length <= bytes.byteCount {
            var matched = 0
            while matched < length, unsafe byte(start + matched) == text.utf8Start[matched] { matched += 1 }
            if matched == length { return start + length }
            start += 1
        }
        return nil
    }
}
