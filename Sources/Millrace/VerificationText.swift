import ConnectorKit
import JSONText
import Synchronization
import Verification

/// What `verify` found, as text and as JSON.
struct VerificationText {
    let report: VerificationReport
    /// Keys are data of rows: only those who asked for them see them.
    let showsKeys: Bool

    /// The lines for people.
    var lines: [String] {
        var lines = report.tables.flatMap(lines)
        let count = report.tables.reduce(0) { $0 + $1.differenceCount }
        let tables = report.tables.count { $0.obstacle == nil }
        let offsets = "offsets \(report.offsets.lowerBound) to \(report.offsets.upperBound)"
        let more =
            report.unloggedCount > 0
            ? " and \(counted(report.unloggedCount, "change")) that the log does not have yet" : ""
        lines.append(
            count == 0
                ? "no difference in \(counted(tables, "table")) (\(offsets)\(more))"
                : "\(counted(count, "difference")) in \(counted(tables, "table")) (\(offsets)\(more))")
        return lines
    }

    private func lines(_ table: TableReport) -> [String] {
        if let obstacle = table.obstacle {
            return ["\(table.isEqual ? "skipped  " : "DIFFERENT") \(table.name): \(obstacle)"] + remarks(table)
        }
        let word = table.isEqual ? (table.isComplete ? "equal     " : "no diff.  ") : "DIFFERENT "
        var counts = ["\(table.equalCount) equal"]
        for (count, what) in [
            (table.partlyEqualCount, "equal in part"), (table.unjudgedCount, "without an event"),
            (table.differentCount, "different"), (table.onlyInTableCount, "only in the table"),
            (table.onlyInLogCount, "only in the log"), (table.oldKeyCount, "under an old key"),
        ] where count > 0 { counts.append("\(count) \(what)") }
        return ["\(word)\(table.name): \(counted(table.rowCount, "row")): \(counts.joined(separator: ", "))"]
            + remarks(table)
            + table.differences.map(line)
    }

    private func remarks(_ table: TableReport) -> [String] { table.remarks.map { "          \($0)" } }

    private func line(_ difference: RowDifference) -> String {
        var text = "          \(difference.kind.rawValue.replacing("_", with: " "))"
        if let offset = difference.offset { text += ", last event at offset \(offset)" }
        if !difference.columns.isEmpty { text += ", in \(difference.columns.joined(separator: ", "))" }
        return showsKeys ? text + ": \(difference.key)" : text
    }

    /// The object for programs.
    var json: JSONValue {
        [
            "equal": .bool(report.isEqual), "complete": .bool(report.isComplete),
            "first_offset": .number(JSONNumber(report.offsets.lowerBound)),
            "next_offset": .number(JSONNumber(report.offsets.upperBound)),
            "unlogged_changes": .number(JSONNumber(report.unloggedCount)),
            "tables": .array(report.tables.map(json)),
        ]
    }

    private func json(_ table: TableReport) -> JSONValue {
        func number(_ count: Int) -> JSONValue { .number(JSONNumber(count)) }
        return [
            "table": .string(table.name), "equal": .bool(table.isEqual), "complete": .bool(table.isComplete),
            "skipped": table.obstacle.map { .string($0) } ?? .null, "rows": number(table.rowCount),
            "events": number(table.eventCount), "rows_equal": number(table.equalCount),
            "rows_equal_in_part": number(table.partlyEqualCount), "rows_without_event": number(table.unjudgedCount),
            "rows_different": number(table.differentCount), "rows_only_in_table": number(table.onlyInTableCount),
            "rows_only_in_log": number(table.onlyInLogCount), "rows_under_old_key": number(table.oldKeyCount),
            "remarks": .array(table.remarks.map { .string($0) }),
            "differences": .array(table.differences.map(json)),
        ]
    }

    private func json(_ difference: RowDifference) -> JSONValue {
        var members = [
            JSONObject.Member(name: "kind", value: .string(difference.kind.rawValue)),
            JSONObject.Member(name: "offset", value: difference.offset.map { .number(JSONNumber($0)) } ?? .null),
            JSONObject.Member(name: "columns", value: .array(difference.columns.map { .string($0) })),
        ]
        if showsKeys { members.append(JSONObject.Member(name: "key", value: .string(difference.key))) }
        return .object(JSONObject(members))
    }
}

/// The line at the foot of a terminal while `verify` works.
final class VerificationDisplay: Sendable {
    private let shown = Mutex(ContinuousClock.now)

    /// Shows what is being done, a few times a second.
    func show(_ progress: Verifier.Progress) {
        guard Terminal.showsProgress else { return }
        let isDue = shown.withLock { last in
            guard last.duration(to: .now) > .milliseconds(200) else { return false }
            last = .now
            return true
        }
        guard isDue else { return }
        switch progress {
        case .waiting(let behind): Terminal.showProgress("waiting for the log, \(behind) behind")
        case .folding(let done, let all):
            let part = all == 0 ? 100 : done * 100 / all
            Terminal.showProgress("folding events \(Self.bar(part)) \(part) %  \(done) of \(all)")
        case .comparing(let table, let rows): Terminal.showProgress("comparing \(table): \(counted(rows, "row"))")
        }
    }

    /// Clears the line.
    func finish() { Terminal.showProgress("") }

    private static func bar(_ percent: UInt64) -> String {
        let full = Int(percent / 5)
        return String(repeating: "█", count: full) + String(repeating: "░", count: 20 - min(20, full))
    }
}
