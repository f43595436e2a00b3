internal import ConnectorKit

/// Why a message with the context prefix is not the context of its transaction.
enum ContextProblem: CaseIterable {
    case outsideOfTransaction, behindRows, tooLong, notText

    /// What is wrong, for people.
    var text: String {
        switch self {
        case .outsideOfTransaction: "it is not transactional"
        case .behindRows: "it comes behind the first row of its transaction"
        case .tooLong: "it is longer than \(MessageChoice.contextBytesMax) bytes"
        case .notText: "its content is not UTF-8"
        }
    }
}

/// What becomes of logical messages, and whether the ends of transactions are told.
struct MessageChoice: Sendable {
    /// The prefix of messages that carry the context of their transaction, unless the configuration names another.
    static let defaultContextPrefix = "millrace.context"
    /// The prefix of the marks that Millrace itself writes into the stream. It and all that begin with it and a dot are
    /// kept for Millrace.
    static let ownPrefix = "millrace"

    /// A longer context is not taken, because every batch of its transaction has it.
    static let contextBytesMax = 4096

    /// Which messages become events, by prefix.
    var prefixes: [TablePattern] = []
    /// The prefix of messages that carry the context of their transaction.
    var contextPrefix = MessageChoice.defaultContextPrefix
    /// True when begin and end of transactions become events.
    var marksTransactions = false

    /// True when messages with this prefix become events.
    func captures(_ prefix: String) -> Bool {
        prefix != contextPrefix && !Self.isOwn(prefix) && prefixes.contains { $0.matches(prefix) }
    }

    /// True for prefixes that are kept for Millrace.
    static func isOwn(_ prefix: String) -> Bool { prefix == ownPrefix || prefix.hasPrefix(ownPrefix + ".") }
}
