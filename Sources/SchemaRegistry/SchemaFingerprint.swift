private import CLibCrypto
internal import ConnectorKit
internal import JSONText

/// What tells one schema from another: a hash of its content and of what it refers to. The order of members, white
/// space and the spelling of numbers do not matter.
struct SchemaFingerprint: Sendable, Hashable {
    private let bytes: [UInt8]

    /// The fingerprint of a schema with its references in any order.
    init(of schema: JSONValue, _ references: [SchemaReference]) throws(ConnectorFailure) {
        var content = schema.canonicalBytes
        let sorted = references.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        for reference in sorted { content += [0] + reference.key }
        var digest = [UInt8](repeating: 0, count: 32)
        guard EVP_Digest(content, content.count, &digest, nil, EVP_sha256(), nil) == 1 else {
            throw SchemaFailure.hashUnavailable()
        }
        bytes = digest
    }

    /// The id of a schema when nothing else holds: from 2³⁰ to 2³¹ − 1, so that small ones are left to imported
    /// schemas. `attempt` counts the ids before it that other schemas have.
    func id(attempt: Int = 0) -> Int {
        let start = attempt * 4 % (bytes.count - 3)
        let word = bytes[start..<(start + 4)].reduce(0) { $0 << 8 | Int($1) }
        return (word + attempt / 8) & 0x3FFF_FFFF | 0x4000_0000
    }

    /// A UUID of version 8 (RFC 9562), in lower case.
    var guid: String { GUID(self).text }

    /// True when this is its GUID.
    func has(_ guid: GUID) -> Bool { GUID(self) == guid }

    /// The part of a fingerprint that goes around as a UUID.
    struct GUID: Equatable {
        private let bytes: [UInt8]

        init(_ fingerprint: SchemaFingerprint) {
            var id = Array(fingerprint.bytes.prefix(16))
            id[6] = id[6] & 0x0F | 0x80
            id[8] = id[8] & 0x3F | 0x80
            bytes = id
        }

        /// A UUID of its text; nil for other text.
        init?(_ text: String) {
            let groups = text.split(separator: "-", omittingEmptySubsequences: false)
            guard groups.map(\.utf8.count) == [8, 4, 4, 4, 12] else { return nil }
            let digits = groups.joined().compactMap(\.hexDigitValue)
            guard digits.count == 32 else { return nil }
            bytes = stride(from: 0, to: 32, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
        }

        var text: String {
            let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
            return [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { digits[$0].joined() }.joined(separator: "-")
        }
    }
}

extension SchemaReference {
    /// All of it as bytes that no other reference has.
    fileprivate var key: [UInt8] { Array(name.utf8) + [0] + Array(subject.utf8) + [0] + Array(String(version).utf8) }
}
