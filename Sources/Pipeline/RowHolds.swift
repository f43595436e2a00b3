import ChangeModel
import EventFormat

/// Which rows of a table wait because an earlier change of them does, by hashes of their keys.
///
/// Two keys with one hash wait for each other without need; no key is ever missed.
struct RowHolds: Sendable {
    private var keys: Set<UInt64> = []
    /// The names of the columns that the hashes are made of.
    private var keyNames: [String] = []
    /// True when every change of the table waits: it cannot be told any more which rows do.
    private(set) var isWhole = false

    /// More rows than this, and the whole table waits, so that memory has a bound.
    private static let keysMax = 1_000_000

    /// True when no row waits.
    var isEmpty: Bool { keys.isEmpty && !isWhole }

    /// True when a change has to wait for an earlier one.
    func holds(_ change: RowKeys, _ relation: Relation) -> Bool {
        if isWhole { return true }
        if keys.isEmpty { return false }
        if change.isUnknown || keyNames != Self.keyNames(of: relation) { return true }
        return [change.after, change.before].contains { $0.map(keys.contains) ?? false }
    }

    /// Lets later changes wait for this one.
    mutating func add(_ change: RowKeys, _ relation: Relation) {
        let names = Self.keyNames(of: relation)
        if keys.isEmpty { keyNames = names }
        if change.isUnknown || keyNames != names || keys.count >= Self.keysMax {
            (isWhole, keys) = (true, [])
            return
        }
        if isWhole { return }
        for key in [change.after, change.before] { if let key { keys.insert(key) } }
    }

    /// Adds all of another one.
    mutating func add(_ other: RowHolds) {
        if other.isEmpty { return }
        if keys.isEmpty { keyNames = other.keyNames }
        if isWhole || other.isWhole || keyNames != other.keyNames {
            (isWhole, keys) = (true, [])
        } else {
            keys.formUnion(other.keys)
        }
    }

    private static func keyNames(of relation: Relation) -> [String] {
        relation.keyColumns.map { relation.columns[$0].name }
    }
}
