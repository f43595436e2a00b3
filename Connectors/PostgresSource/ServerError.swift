/// What the server or libpq said when something did not work, before it is known what that means for the pipeline.
struct ServerError: Error, Equatable {
    /// The five characters of "PostgreSQL Error Codes"; nil when no server had a say (network, time-out).
    var sqlState: String?
    /// The primary message, one line. Detail, context and statement are left out: they may quote data.
    var message: String
    /// True when the connection cannot be used any more.
    var isConnectionLost: Bool
    /// The file that a refused password was taken from.
    var passwordFile: String?

    init(sqlState: String?, message: String, isConnectionLost: Bool = false) {
        self.sqlState = sqlState
        self.message = Self.firstLine(of: message)
        self.isConnectionLost = isConnectionLost
    }

    /// Reads a libpq message that was made with verbosity "verbose", such as `FATAL:  28P01: password … failed`.
    ///
    /// libpq gives the SQLSTATE of a failed connection attempt in no other way. The last one counts: with several hosts
    /// the messages of all attempts stand one below the other. But where libpq, refused under TLS, tried again without,
    /// the first refusal tells more.
    init(libpqMessage text: String) {
        let lines = text.split(separator: "\n").map(String.init)
        if let line = Self.tellingLine(of: lines) {
            if let (state, rest) = Self.state(in: line) {
                self.init(sqlState: state, message: rest, isConnectionLost: true)
            } else {
                self.init(sqlState: nil, message: line, isConnectionLost: true)
            }
            passwordFile = Self.passwordFile(in: lines)
            return
        }
        // Lines that begin with a tab are libpq's advice.
        let words = lines.filter { !$0.hasPrefix("\t") }.joined(separator: "; ")
        self.init(sqlState: nil, message: words.isEmpty ? "no answer" : words, isConnectionLost: true)
    }

    /// Finds `: XXXXX: ` in a line, in any language of the server.
    private static func state(in line: String) -> (String, String)? {
        let parts = line.split(separator: ": ", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() where index > 0 && index + 1 < parts.count {
            let candidate = part.drop { $0 == " " }
            // A digit tells a state from the word "FATAL".
            guard candidate.utf8.count == 5, candidate.utf8.allSatisfy(isStateByte),
                candidate.contains(where: \.isNumber)
            else { continue }
            return (String(candidate), parts[(index + 1)...].joined(separator: ": "))
        }
        return nil
    }

    /// The line with the state that counts, or the one that says why TLS did not come about before it. Nil when no
    /// server had a say.
    private static func tellingLine(of lines: [String]) -> String? {
        guard let last = lines.lastIndex(where: { state(in: $0) != nil }) else { return nil }
        guard lines[last].hasSuffix("no encryption"), let place = place(of: lines[last]) else { return lines[last] }
        return lines[..<last].last { self.place(of: $0) == place } ?? lines[last]
    }

    /// What stands before `failed:`, which names host and port.
    private static func place(of line: String) -> Substring? {
        let parts = line.split(separator: " failed: ", maxSplits: 1)
        return parts.count == 2 ? parts[0] : nil
    }

    /// What libpq says below a refused password that was not in the connection string.
    private static func passwordFile(in lines: [String]) -> String? {
        guard let line = lines.last(where: { $0.hasPrefix("password retrieved from file") }) else { return nil }
        return line.split(separator: "\"").dropFirst().first.map(String.init)
    }

    private static func isStateByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }

    private static func firstLine(of text: String) -> String {
        String(text.split(separator: "\n").first ?? "no message")
    }
}
