/// What is done to the values of a column before they are stored anywhere.
package enum ColumnMask: Sendable, Hashable {
    /// The first characters stay.
    case truncate(Int)
    /// A keyed hash stands for the value, the same for the same value.
    case hash
    /// A fixed text stands for every value.
    case redact
    /// The column is left out.
    case drop

    /// The most characters that ``truncate`` may keep.
    package static let lengthMax = 1_000_000

    /// Reads `drop`, `redact`, `hash` or `truncate(N)`; nil for anything else.
    package init?(_ text: String) {
        switch text {
        case "drop": self = .drop
        case "redact": self = .redact
        case "hash": self = .hash
        default:
            guard text.hasPrefix("truncate("), text.hasSuffix(")"),
                let length = Int(text.dropFirst("truncate(".count).dropLast()), (1...Self.lengthMax).contains(length)
            else { return nil }
            self = .truncate(length)
        }
    }

    /// The word for it, without a number.
    package var name: String {
        switch self {
        case .truncate: "truncate"
        case .hash: "hash"
        case .redact: "redact"
        case .drop: "drop"
        }
    }

    /// How much it hides; of several masks for a column the strongest holds.
    package func isStronger(than other: ColumnMask) -> Bool {
        if case .truncate(let here) = self, case .truncate(let there) = other { return here < there }
        return rank > other.rank
    }

    private var rank: Int {
        switch self {
        case .truncate: 0
        case .hash: 1
        case .redact: 2
        case .drop: 3
        }
    }
}
