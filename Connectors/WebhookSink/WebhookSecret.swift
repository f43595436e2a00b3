internal import ByteKit

/// A key that requests are signed with, as Standard Webhooks writes keys.
struct WebhookSecret: Sendable, Equatable {
    /// What is done with it.
    enum Scheme: Sendable {
        /// HMAC-SHA-256: `v1`, written `whsec_` and base64.
        case shared
        /// Ed25519: `v1a`, written `whsk_` and base64 of the seed, or of seed and public key.
        case privateKey
    }

    var scheme: Scheme
    /// The key of the HMAC, or the seed of 32 bytes.
    var key: [UInt8]

    /// Why a text is no secret. Nothing of the text is in it.
    struct Malformed: Error {
        var reason: String
    }

    /// Reads a secret of 24 to 64 bytes, or a seed.
    init(_ text: String) throws(Malformed) {
        if text.hasPrefix("whsk_") {
            scheme = .privateKey
            let bytes = try Self.decoded(text.dropFirst("whsk_".count))
            guard bytes.count == 32 || bytes.count == 64 else {
                throw Malformed(reason: "has \(bytes.count) bytes where a private key has 32 or 64")
            }
            key = Array(bytes.prefix(32))
        } else if text.hasPrefix("whpk_") {
            throw Malformed(reason: "is a public key, which only checks signatures")
        } else if text.hasPrefix("whsec_") {
            scheme = .shared
            key = try Self.decoded(text.dropFirst("whsec_".count))
            guard (24...64).contains(key.count) else {
                throw Malformed(reason: "has \(key.count) bytes where 24 to 64 are wanted")
            }
        } else {
            throw Malformed(reason: "begins with neither whsec_ nor whsk_")
        }
    }

    private static func decoded(_ text: Substring) throws(Malformed) -> [UInt8] {
        guard let bytes = bytes(ofBase64: text), !bytes.isEmpty else { throw Malformed(reason: "is not base64") }
        return bytes
    }

    /// The bytes that base64 text stands for, with or without padding at its end (RFC 4648, section 4); nil for other
    /// text.
    static func bytes(ofBase64 text: Substring) -> [UInt8]? {
        var bytes: [UInt8] = []
        var (group, digits, padding) = (UInt32(0), 0, 0)
        for character in text.utf8 {
            if character == UInt8(ascii: "=") {
                padding += 1
                continue
            }
            guard padding == 0, let digit = digit(character) else { return nil }
            group = group << 6 | digit
            digits += 1
            if digits % 4 == 0 {
                bytes += [UInt8(group >> 16 & 0xFF), UInt8(group >> 8 & 0xFF), UInt8(group & 0xFF)]
                group = 0
            }
        }
        switch digits % 4 {
        case 0: return padding == 0 ? bytes : nil
        case 2 where padding == 0 || padding == 2: return bytes + [UInt8(group >> 4 & 0xFF)]
        case 3 where padding <= 1: return bytes + [UInt8(group >> 10 & 0xFF), UInt8(group >> 2 & 0xFF)]
        default: return nil
        }
    }

    private static func digit(_ character: UInt8) -> UInt32? {
        switch character {
        case 0x41...0x5A: UInt32(character) - 0x41
        case 0x61...0x7A: UInt32(character) - 0x61 + 26
        case 0x30...0x39: UInt32(character) - 0x30 + 52
        case 0x2B: 62
        case 0x2F: 63
        default: nil
        }
    }
}
