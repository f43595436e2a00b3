package import ConnectorKit
internal import Glibc

/// The `server` section.
package struct ServerConfiguration: Sendable, Equatable {
    /// Where HTTP requests are answered. Default 127.0.0.1, port 8642.
    package var listen: ListenAddress
    /// What clients must show; nil when anybody on this machine may ask. Secret.
    package var token: String?
    /// What readers of events may see; nil for what commands show.
    package var clearance: Clearance?
    /// How many streams of events there may be at a time. Default 64.
    package var streamCountMax = 64
    /// How long a stream may be silent. Default 15 s.
    package var heartbeat = Duration.seconds(15)
    /// How long the reader of a stream may take nothing. Default 30 s.
    package var stallTime = Duration.seconds(30)
    /// How many subscriptions there may be. Default 100.
    package var subscriptionCountMax = 100

    /// A listener on 127.0.0.1:8642, for this machine only.
    package static let standard = ServerConfiguration(listen: .standard, token: nil)

    /// A section of its parts.
    package init(listen: ListenAddress, token: String?) {
        self.listen = listen
        self.token = token
    }
}

/// An address of this machine with a port, such as `127.0.0.1:8642` or `[::1]:8642`.
package struct ListenAddress: Sendable, Equatable, CustomStringConvertible {
    /// The address in numbers, without brackets.
    package let host: String
    /// The port; 0 for any that is free.
    package let port: Int

    /// Where the program listens when nothing else is said.
    package static let standard = ListenAddress(host: "127.0.0.1", port: 8642)

    private init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads an address; nil for text that is none. `localhost` is 127.0.0.1. Other names are not looked up: what they
    /// stand for may change, and with it who reaches the listener.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Self.port(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("[") && host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard Self.bytes(String(host), AF_INET6, count: 16) != nil else { return nil }
        } else if host == "localhost" {
            host = "127.0.0.1"
        } else {
            guard Self.bytes(String(host), AF_INET, count: 4) != nil else { return nil }
        }
        self.host = String(host)
        self.port = port
    }

    /// True when only this machine reaches it: 127.0.0.0/8 and ::1.
    package var isLoopback: Bool {
        if let bytes = Self.bytes(host, AF_INET, count: 4) { return bytes[0] == 127 }
        return Self.bytes(host, AF_INET6, count: 16) == [UInt8](repeating: 0, count: 15) + [1]
    }

    /// As it is written in the file.
    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    private static func port(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.count <= 5, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(text).flatMap { $0 <= 65535 ? $0 : nil }
    }

    /// The bytes of an address in numbers; nil for anything else.
    private static func bytes(_ text: String, _ family: Int32, count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        guard inet_pton(family, text, &bytes) == 1 else { return nil }
        return bytes
    }
}
