import ConnectorKit

/// Where a NATS server listens.
struct ServerAddress: Sendable, Equatable {
    /// A host name or an IP address, without brackets: what the server's certificate must be for.
    var host: String
    var port: UInt16
    /// True when the address itself asks for TLS.
    var isSecure: Bool

    /// The port of a server that says none.
    static let usualPort: UInt16 = 4222

    /// Reads `nats://host:port`, `tls://host:port`, or `host:port`. A user or password in it is refused: they have
    /// settings of their own, which are never printed.
    init(_ text: String, setting: String) throws(SettingProblem) {
        var rest = text[...]
        isSecure = false
        if let end = text.firstRange(of: "://") {
            let scheme = text[..<end.lowerBound]
            guard scheme == "nats" || scheme == "tls" else {
                throw SettingProblem(setting, "the address begins with neither nats:// nor tls://", hint: Self.example)
            }
            isSecure = scheme == "tls"
            rest = text[end.upperBound...]
        }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard !rest.contains("@") else {
            throw SettingProblem(
                setting, "the address has a user or token in it",
                hint: "take it out and write user: and password:, or token:, beside servers")
        }
        guard let (host, port) = Self.parts(rest) else {
            throw SettingProblem(setting, "\(text) is no address of a server", hint: Self.example)
        }
        (self.host, self.port) = (host, port)
    }

    /// `host:port`, for messages and for the client.
    var name: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }

    private static let example = "write nats://nats.example:4222, or tls:// for TLS"

    private static func parts(_ text: Substring) -> (String, UInt16)? {
        var host = text
        var port: UInt16? = usualPort
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<close]
            let rest = text[text.index(after: close)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            if !rest.isEmpty { port = UInt16(rest.dropFirst()) }
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = UInt16(text[text.index(after: colon)...])
        }
        let isName = host.utf8.allSatisfy {
            $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ",")
        }
        guard let port, port > 0, !host.isEmpty, isName else { return nil }
        return (String(host), port)
    }
}
