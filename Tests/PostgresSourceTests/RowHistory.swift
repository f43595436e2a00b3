import ChangeModel
import Testing

@testable import PostgresSource

/// What a consumer knows after events of a table whose first column is its key and whose second is a version that every
/// write of a row raises.
struct RowHistory {
    /// Rows by key.
    private(set) var rows: [String: [String?]] = [:]
    /// What no consumer should ever see.
    private(set) var contradictions: [String] = []
    private var versions: [String: Int] = [:]
    private var last: ChangeIdentity?
    private(set) var snapshotCount = 0

    mutating func apply(_ change: SeenChange) {
        if let last, change.identity <= last { contradictions.append("\(change) comes after \(last)") }
        last = change.identity
        switch change.operation {
        case .truncate: rows = [:]
        case .delete:
            if let key = change.before.first ?? nil { rows[key] = nil }
        default: put(change)
        }
    }

    private mutating func put(_ change: SeenChange) {
        guard let key = change.after.first ?? nil, let version = Int(change.after[1] ?? "") else {
            contradictions.append("\(change) has no key or version")
            return
        }
        if change.operation == .snapshot {
            snapshotCount += 1
            if change.after.contains("~") { contradictions.append("\(change) is a row with values missing") }
        }
        if version < versions[key, default: 0] {
            contradictions.append("\(change) is older than version \(versions[key, default: 0])")
        }
        versions[key] = version
        let previousKey = (change.before.first ?? nil) ?? key
        let before = rows[previousKey]
        if previousKey != key { rows[previousKey] = nil }
        rows[key] = change.after.enumerated().map { index, value in
            guard value == "~" else { return value }
            return before.map { $0[index] } ?? "never told"
        }
    }

    /// How the rows differ from those of the table, a few lines at most.
    func differences(from table: [[String?]]) -> [String] {
        var left = rows
        var lines: [String] = []
        for row in table {
            let key = (row.first ?? nil) ?? ""
            let told = left.removeValue(forKey: key)
            if told != row { lines.append("\(key): \(Self.short(told)), in the table \(Self.short(row))") }
        }
        lines += left.map { "\($0.key): \(Self.short($0.value)), not in the table" }
        return Array(lines.prefix(5))
    }

    private static func short(_ row: [String?]?) -> String {
        guard let row else { return "never told" }
        return row.map { ($0 ?? "NULL").prefix(20) }.joined(separator: ",")
    }
}
