/// What the server or libpq said when something did not work, before it is known what that means for the pipeline.
struct ServerError: Error, Equatable {
    /// The five characters of "PostgreSQL Error Codes"; nil when no server had a say (network, time-out).
    var sqlState: String?
    /// The primary message, one line. Detail, context and statement are left out: they may quote data.
    var message: String
    /// True when the connection cannot be used any more.
    var isConnectionLost: Bool

    init(sqlState: String?, message: String, isConnectionLost: Bool = false) {
        self.sqlState = sqlState
        self.message = Self.firstLine(of: message)
        self.isConnectionLost = isConnectionLost
    }

    /// Reads a libpq message that was made with verbosity "verbose", such as `FATAL:  28P01: password … failed`.
    ///
    /// libpq gives the SQLSTATE of a failed connection attempt in no other way. The last one counts: with several hosts
    /// the messages of all attempts stand one below the other.
    init(libpqMessage text: String) {
        let lines = text.split(separator: "\n").map(String.init)
        for line in lines.reversed() {
            guard let (state, rest) = Self.state(in: line) else { continue }
            self.init(sqlState: state, message: rest, isConnectionLost: true)
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

    private static func isStateByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }

    private static func firstLine(of text: String) -> String {
        String(text.split(separator: "\n").first ?? "no message")
    }
}
