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
struct JSONFields {
    private let bytes: [UInt8]

    init(_ span: RawSpan) {
        bytes = unsafe span.withUnsafeBytes { unsafe Array($0) }
    }

    func has(_ text: StaticString) -> Bool { end(of: text) != nil }

    /// The whole number behind a name.
    func number(_ name: StaticString) -> UInt64? {
        guard let value = valueStart(name) else { return nil }
        let digits = bytes[value...].prefix { $0 >= 0x30 && $0 <= 0x39 }
        return UInt64(String(decoding: digits, as: UTF8.self))
    }

    /// The bytes of the string behind a name, up to its closing quote; only for strings without escapes.
    func plainString(_ name: StaticString) -> ArraySlice<UInt8>? {
        guard let value = valueStart(name), value < bytes.count, bytes[value] == UInt8(ascii: "\"") else { return nil }
        return bytes[(value + 1)...].prefix { $0 != UInt8(ascii: "\"") }
    }

    private func valueStart(_ name: StaticString) -> Int? {
        guard var place = end(of: name) else { return nil }
        while place < bytes.count, bytes[place] == UInt8(ascii: ":") || bytes[place] == 0x20 { place += 1 }
        return place
    }

    /// The place behind the first occurrence.
    private func end(of text: StaticString) -> Int? {
        let length = text.utf8CodeUnitCount
        guard bytes.count >= length else { return nil }
        return text.withUTF8Buffer { wanted in
            for start in 0...(bytes.count - length) where unsafe bytes[start] == wanted[0] {
                var matched = 1
                while matched < length, unsafe bytes[start + matched] == wanted[matched] { matched += 1 }
                if matched == length { return start + length }
            }
            return nil
        }
    }
}
