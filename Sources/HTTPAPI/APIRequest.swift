/// A request as the routes see it: path and query decoded, the body whole.
package struct APIRequest: Sendable, Equatable {
    /// The methods that some route has.
    package enum Method: String, Sendable, CaseIterable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case delete = "DELETE"
    }

    /// What is to be done. HEAD asks as GET does.
    package var method: Method
    /// The parts of the path between slashes, each decoded by itself: a part may hold a slash.
    package var path: [String]
    /// The parameters behind the question mark; of several with a name the first.
    package var query: [String: String] = [:]
    /// The parameters that came more than once.
    package var repeated: Set<String> = []
    /// True when there were parameters with escapes that are none or that are no UTF-8.
    package var hasUnreadableParameters = false
    /// The body.
    package var body: [UInt8] = []
    /// The kinds of content that the client takes, as it says them.
    package var accept = ""
    /// What an `EventSource` says when it connects again: the id of the last event that it has.
    package var lastEventID: String?
    /// True when the client says that members which it does not know do it no harm.
    package var acceptsMore = false

    /// A request of its parts.
    package init(_ method: Method, path: [String], query: [String: String] = [:], body: [UInt8] = []) {
        self.method = method
        self.path = path
        self.query = query
        self.body = body
    }

    /// Reads a request's target (RFC 9112, section 3.2.1), such as `/subjects/a%2Fb/versions?deleted=true`. One slash
    /// at the end is passed over.
    ///
    /// Throws 400 for a path with escapes that are none or that are no UTF-8. Parameters with such escapes are left
    /// out, and ``hasUnreadableParameters`` says so.
    package init(_ method: Method, target: String) throws(HTTPProblem) {
        self.method = method
        let halves = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = halves.first, path.hasPrefix("/") else {
            throw HTTPProblem(400, "the request names no path")
        }
        var parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        if parts.last?.isEmpty == true { parts.removeLast() }
        self.path = []
        for part in parts {
            guard let decoded = percentDecoded(part, plusIsSpace: false) else {
                throw HTTPProblem(400, "the path holds a % that begins no escape of UTF-8 text")
            }
            self.path.append(decoded)
        }
        guard halves.count == 2 else { return }
        for pair in halves[1].split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = percentDecoded(sides[0], plusIsSpace: true) else {
                hasUnreadableParameters = true
                continue
            }
            guard query[name] == nil else {
                repeated.insert(name)
                continue
            }
            guard let value = percentDecoded(sides.count == 2 ? sides[1] : "", plusIsSpace: true) else {
                hasUnreadableParameters = true
                continue
            }
            query[name] = value
        }
    }

    /// True for a parameter that is `true` in any case; anything else is false, as clients of registries expect.
    package func flag(_ name: String) -> Bool { query[name]?.lowercased() == "true" }

    /// A parameter that is a whole number; nil for anything else.
    package func number(_ name: String) -> Int? { query[name].flatMap { Int($0) } }
}

/// Text whose `%XX` are put back into bytes (RFC 3986, section 2.1); nil when they are none, or no UTF-8.
private func percentDecoded(_ text: Substring, plusIsSpace: Bool) -> String? {
    var bytes: [UInt8] = []
    var rest = text.utf8
    while let byte = rest.popFirst() {
        switch byte {
        case UInt8(ascii: "%"):
            guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                return nil
            }
            bytes.append(high << 4 | low)
        case UInt8(ascii: "+") where plusIsSpace: bytes.append(0x20)
        default: bytes.append(byte)
        }
    }
    return String(validating: bytes, as: UTF8.self)
}

private func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
}
