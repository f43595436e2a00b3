import Foundation

/// A CloudEvents line as a consumer reads it.
package struct Event: @unchecked Sendable {
    /// The event's id without the pipeline's name: `COMMIT-ORDINAL`.
    package var sequence: String
    /// The event's id.
    package var id: String
    /// The contract: `/subjects/SUBJECT/versions/N`.
    package var dataschema: String
    /// `insert`, `update` …
    package var operation: String
    /// `schema.table`
    package var table: String
    /// The key's values in the key's order as one text; nil for none.
    package var key: String?
    /// The key before an update that changed it.
    package var previousKey: String?
    /// The row after the change: column to value.
    package var after: [String: AnyHashable]?
    /// The row before the change, when it is known.
    package var before: [String: AnyHashable]?
    /// Columns that were not sent because they did not change.
    package var unchanged: [String]

    /// Reads a file of lines; an unfinished or invalid line is an error.
    package static func parse(lines: String) throws -> [Event] {
        guard lines.isEmpty || lines.hasSuffix("\n") else {
            throw ChildFailure(description: "the last line has no end: \(lines.suffix(200))")
        }
        return try lines.split(separator: "\n").map { try Event(line: String($0)) }
    }

    /// The version of the contract.
    package var version: Int { dataschema.split(separator: "/").last.flatMap { Int($0) } ?? 0 }

    init(line: String) throws {
        guard let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
            let id = object["id"] as? String, let sequence = object["sequence"] as? String,
            let data = object["data"] as? [String: Any], let operation = data["op"] as? String,
            let schema = data["schema"] as? String, let table = data["table"] as? String
        else { throw ChildFailure(description: "no event: \(line.prefix(300))") }
        self.id = id
        self.sequence = sequence
        self.operation = operation
        dataschema = object["dataschema"] as? String ?? ""
        self.table = "\(schema).\(table)"
        key = Self.keyText(data["key"])
        previousKey = Self.keyText(data["previous_key"])
        after = (data["after"] as? [String: Any]).map(plainRow)
        before = (data["before"] as? [String: Any]).map(plainRow)
        unchanged = data["unchanged"] as? [String] ?? []
    }

    private static func keyText(_ value: Any?) -> String? {
        guard let object = value as? [String: Any] else { return nil }
        return object.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    }
}

/// A row whose values compare by what they say: whole numbers as Int, others as Double, text as String, and NSNull.
package func plainRow(_ row: [String: Any]) -> [String: AnyHashable] {
    row.mapValues { value in
        if let text = value as? String { return text }
        guard let number = value as? NSNumber else { return NSNull() }
        return floor(number.doubleValue) == number.doubleValue ? number.intValue : number.doubleValue
    }
}

/// Tables as their events tell them: for each table and key the row.
package struct FoldedTables {
    /// Rows by table, then by key text.
    package private(set) var rows: [String: [String: [String: AnyHashable]]] = [:]
    /// What does not fit together, such as an update of a row that is not there.
    package private(set) var contradictions: [String] = []

    /// Plays the events in order. As long as snapshot rows are still to come, a change may speak of a row that is not
    /// there yet.
    package init(_ events: [Event]) {
        let lastSnapshot = events.lastIndex { $0.operation == "snapshot" } ?? -1
        for (index, event) in events.enumerated() { apply(event, mayPrecedeSnapshot: index < lastSnapshot) }
    }

    /// The rows of one table by key.
    package func table(_ name: String) -> [String: [String: AnyHashable]] { rows[name] ?? [:] }

    private mutating func apply(_ event: Event, mayPrecedeSnapshot: Bool) {
        if event.operation == "truncate" {
            rows[event.table] = [:]
            return
        }
        guard let key = event.key else {
            contradictions.append("\(event.id) has no key")
            return
        }
        let old = rows[event.table, default: [:]][event.previousKey ?? key]
        switch event.operation {
        case "delete":
            if old == nil, !mayPrecedeSnapshot { contradictions.append("\(event.id) deletes a row that is not there") }
            rows[event.table]?[key] = nil
        default:
            if event.operation == "insert", old != nil { contradictions.append("\(event.id) inserts a row again") }
            if event.operation == "update", old == nil, !mayPrecedeSnapshot {
                contradictions.append("\(event.id) updates no row")
            }
            var row = event.after ?? [:]
            for column in event.unchanged { row[column] = old?[column] }
            if let previous = event.previousKey { rows[event.table]?[previous] = nil }
            rows[event.table, default: [:]][key] = row
        }
    }
}
