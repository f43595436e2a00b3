/// Who may ask for what.
///
/// With a token, whoever shows it. Without one, the listener is on a loopback address, and whoever may connect there
/// may ask; only browsers are kept from asking on behalf of a page from somewhere else, which could reach this machine
/// under a name of its own (DNS rebinding) or send a request that it cannot read the answer of.
struct AccessRule: Sendable {
    private let token: [UInt8]?

    /// The header fields that decide.
    struct Credentials: Sendable {
        var authorization: String?
        /// The host that the client believes to speak to, maybe with a port.
        var host: String?
        /// Where the page comes from whose script asks; only browsers send it.
        var origin: String?
    }

    /// Without a token everybody on this machine may ask.
    init(token: String?) { self.token = token.map { Array($0.utf8) } }

    /// Throws 401 or 403 for a request that is not to be answered.
    func check(_ method: APIRequest.Method, _ credentials: Credentials) throws(HTTPProblem) {
        if method != .get, let origin = credentials.origin, !isSame(origin, as: credentials.host) {
            throw HTTPProblem(403, "a page of another origin may not change anything here")
        }
        guard let token else {
            guard isLoopbackName(credentials.host) else {
                throw HTTPProblem(
                    403, "without server.token only requests to localhost, 127.0.0.1 or [::1] are answered")
            }
            return
        }
        guard let shown = Self.secret(in: credentials.authorization), Self.isEqual(shown, token) else {
            throw HTTPProblem(
                401, "the token is missing or wrong",
                fields: [APIReply.Field("WWW-Authenticate", "Basic realm=\"millrace\", charset=\"UTF-8\", Bearer")])
        }
    }

    /// The token of `Bearer` (RFC 6750), or the password of `Basic` (RFC 7617).
    private static func secret(in authorization: String?) -> [UInt8]? {
        guard let words = authorization?.split(separator: " "), words.count == 2 else { return nil }
        switch words[0].lowercased() {
        case "bearer": return Array(words[1].utf8)
        case "basic":
            guard let pair = base64Decoded(words[1]), let colon = pair.firstIndex(of: UInt8(ascii: ":")) else {
                return nil
            }
            return Array(pair[(colon + 1)...])
        default: return nil
        }
    }

    /// Compares in a time that depends on the length of what the client shows, and on nothing else.
    private static func isEqual(_ shown: [UInt8], _ token: [UInt8]) -> Bool {
        var difference = UInt(bitPattern: shown.count) ^ UInt(bitPattern: token.count)
        for index in shown.indices { difference |= UInt(shown[index] ^ token[index % token.count]) }
        return difference == 0
    }

    private func isLoopbackName(_ host: String?) -> Bool {
        guard let host else { return true }
        let name = host.hasPrefix("[") ? host.prefix { $0 != "]" } + "]" : host.prefix { $0 != ":" }
        return name.lowercased() == "localhost" || name == "[::1]"
            || name.hasPrefix("127.")
                && name.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }
    }

    private func isSame(_ origin: String, as host: String?) -> Bool {
        guard let host, let place = origin.firstRange(of: "://") else { return false }
        return origin[place.upperBound...].lowercased() == host.lowercased()
    }
}

/// The bytes of base64 text (RFC 4648, section 4), with or without padding; nil for anything else.
private func base64Decoded(_ text: Substring) -> [UInt8]? {
    var bytes: [UInt8] = []
    var (bits, bitCount): (UInt32, Int) = (0, 0)
    let digits = text.utf8.prefix { $0 != UInt8(ascii: "=") }
    guard text.utf8.count - digits.count <= 2, text.utf8.dropFirst(digits.count).allSatisfy({ $0 == 0x3D }) else {
        return nil
    }
    for digit in digits {
        let value: UInt8
        switch digit {
        case 0x41...0x5A: value = digit - 0x41
        case 0x61...0x7A: value = digit - 0x61 + 26
        case 0x30...0x39: value = digit - 0x30 + 52
        case UInt8(ascii: "+"): value = 62
        case UInt8(ascii: "/"): value = 63
        default: return nil
        }
        bits = (bits << 6 | UInt32(value)) & 0xFFFF
        bitCount += 6
        if bitCount >= 8 {
            bitCount -= 8
            bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
        }
    }
    return bytes
}
