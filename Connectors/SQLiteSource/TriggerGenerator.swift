/// A trigger of ours.
struct Trigger: Equatable, Sendable {
    var name: String
    var sql: String
}

/// Writes the triggers that capture one table into the change log.
///
/// They run inside of the application's writes and so must never fail: they put values into untyped columns as they
/// are, insert only into tables without a constraint, and call nothing but `julianday`, `ifnull` and `max`.
///
/// INSERT OR REPLACE and UPDATE OR REPLACE remove rows without any DELETE trigger, unless the writer has
/// recursive_triggers on. So the BEFORE triggers record each row that shares a unique key with the new one. A record
/// *follows* its row: an update rewrites it, a delete that fires a trigger removes it. A record whose row is gone
/// therefore tells of a removal that no trigger saw, and the AFTER trigger of the new row logs it. A record that stays
/// behind, because the insert was ignored or became an update, says nothing as long as its row is there; only the
/// newest ``recordCountMax`` are kept.
///
/// New values are read from the table and not from NEW: when a trigger of the application fires before ours and writes
/// the same row, both log the row as it is, and the last entry for a key is always the table's state.
struct TriggerGenerator {
    /// How many records a table keeps. Only those matter whose statement has not come to its AFTER trigger: one per
    /// unique key and level of nesting.
    static let recordCountMax = 64

    let shape: TableShape
    let capture: Int64

    /// The name of the table with the records of rows that a write may remove.
    var conflictsTable: String { Self.conflictsTable(capture: capture) }
    /// The name of the records' table of a capture.
    static func conflictsTable(capture: Int64) -> String { "_millrace_conflicts_\(capture)" }
    /// What all names of triggers begin with.
    static let triggerPrefix = "_millrace_capture_"

    /// The statement that makes the table of records. Its columns have no type, so values stay as they are.
    var conflictsTableSQL: String {
        "CREATE TABLE \(conflictsTable)(id INTEGER PRIMARY KEY, rid, \(places(0)))"
    }

    /// All triggers of the table.
    var triggers: [Trigger] {
        [
            trigger("before_insert", "BEFORE INSERT", when: anyConflict(""), recordConflicts("")),
            trigger(
                "before_update", "BEFORE UPDATE\(updatedColumns)", when: anyConflict(notOld), recordConflicts(notOld)),
            trigger("insert", "AFTER INSERT", afterInsert),
            trigger("update", "AFTER UPDATE", afterUpdate),
            trigger("delete", "AFTER DELETE", afterDelete),
        ]
    }

    private func trigger(_ name: String, _ event: String, when: String? = nil, _ body: [String]) -> Trigger {
        let name = "\(Self.triggerPrefix)\(capture)_\(name)"
        let condition = when.map { " WHEN \($0)" } ?? ""
        let statements = body.map { "\n  \($0);" }.joined()
        return Trigger(
            name: name, sql: "CREATE TRIGGER \(name) \(event) ON \(table)\(condition) BEGIN\(statements)\nEND")
    }
}

// MARK: - Bodies

extension TriggerGenerator {
    /// True when a row other than the one that is left out shares a unique key with NEW.
    private func anyConflict(_ leftOut: String) -> String {
        shape.uniqueKeys.map { "EXISTS(SELECT 1 FROM \(table) AS t WHERE \(conflict($0))\(leftOut))" }
            .joined(separator: "\n    OR ")
    }

    private func recordConflicts(_ leftOut: String) -> [String] {
        var body: [String] = []
        for key in shape.uniqueKeys {
            let rows = "FROM \(table) AS t WHERE \(conflict(key))\(leftOut)"
            body.append(
                "DELETE FROM \(conflictsTable) WHERE EXISTS(SELECT 1 \(rows) AND \(row("t", is: conflictsTable)))")
            body.append(
                "INSERT INTO \(conflictsTable)(rid, \(places(0))) SELECT \(rowName("t")), \(values("t")) \(rows)")
        }
        let newest = "(SELECT max(id) FROM \(conflictsTable))"
        body.append("DELETE FROM \(conflictsTable) WHERE id <= \(newest) - \(Self.recordCountMax)")
        return body
    }

    /// Rows that NEW replaced: a row with the same primary key makes an update, any other a delete.
    private var afterInsert: [String] {
        let sameKey = "(\(key(of: "r", equals: "NEW"))) IS 1"
        let newRow = "\(table) AS t WHERE \(row("t", is: "NEW"))"
        return [
            log(.delete, places(0), recorded("r"), "\(conflictsTable) AS r WHERE \(gone("r")) AND NOT (\(sameKey))"),
            log(
                .update, "\(places(0)), \(places(1))", "\(recorded("r")), \(values("t"))",
                "\(conflictsTable) AS r, \(newRow) AND \(sameKey)"),
            log(
                .insert, places(0), values("t"),
                "\(newRow) AND NOT EXISTS(SELECT 1 FROM \(conflictsTable) AS r WHERE \(sameKey))"),
            "DELETE FROM \(conflictsTable) WHERE \(gone(conflictsTable))"
                + " OR (\(key(of: conflictsTable, equals: "NEW"))) IS 1",
        ]
    }

    /// Rows that NEW replaced make deletes; a row that a nested trigger took away makes a delete of what was.
    private var afterUpdate: [String] {
        let other = "NOT (\(row("OLD", isRecord: "r")))"
        let otherRecord = "NOT (\(row("OLD", isRecord: conflictsTable)))"
        let operation =
            "CASE WHEN \(rowPresence) IS NULL THEN \(LogOperation.delete.rawValue)"
            + " ELSE \(LogOperation.update.rawValue) END"
        let moved = shape.columns.indices.map { "c\($0 + 1) = NEW.\(name($0))" }.joined(separator: ", ")
        return [
            log(.delete, places(0), recorded("r"), "\(conflictsTable) AS r WHERE \(other) AND \(gone("r"))"),
            "DELETE FROM \(conflictsTable) WHERE \(otherRecord) AND \(gone(conflictsTable))",
            log(
                operation, "\(places(0)), \(places(1))", "\(values("OLD")), \(values("t"))",
                "(SELECT 1) LEFT JOIN \(table) AS t ON \(row("t", is: "NEW"))"),
            "UPDATE \(conflictsTable) SET rid = \(rowName("NEW")), \(moved)"
                + " WHERE \(row("OLD", isRecord: conflictsTable))",
        ]
    }

    /// A row that is there again was put back by a nested trigger, whose insert is logged already.
    private var afterDelete: [String] {
        [
            "INSERT INTO \(ChangeLogTables.changes)(capture, op, at, \(places(0)))"
                + " SELECT \(capture), \(LogOperation.delete.rawValue), julianday('now'), \(values("OLD"))"
                + " WHERE NOT EXISTS(SELECT 1 FROM \(table) AS t WHERE \(key(ofTable: "t", equals: "OLD")))",
            "DELETE FROM \(conflictsTable) WHERE \(row("OLD", isRecord: conflictsTable))",
        ]
    }

    private func log(_ operation: LogOperation, _ places: String, _ values: String, _ rows: String) -> String {
        log("\(operation.rawValue)", places, values, rows)
    }

    private func log(_ operation: String, _ places: String, _ values: String, _ rows: String) -> String {
        "INSERT INTO \(ChangeLogTables.changes)(capture, op, at, \(places))"
            + " SELECT \(capture), \(operation), julianday('now'), \(values) FROM \(rows)"
    }
}

// MARK: - Conditions

extension TriggerGenerator {
    /// Row `t` of the table shares the unique key with NEW. A NULL never does.
    private func conflict(_ key: UniqueKey) -> String {
        var conditions: [String] = []
        if let predicate = key.predicate {
            conditions.append("(SELECT (\(predicate)) FROM (\(newRow)) AS n)")
            conditions.append("(\(predicate))")
        }
        for term in key.terms {
            switch term.content {
            case .column(let column):
                conditions.append("t.\(name(column))\(collate(term.collation)) = \(newValue(column))")
            case .rowid(let name):
                conditions.append("t.\(name) = NEW.\(name)")
            case .expression(let text):
                conditions.append("(\(text)) = (SELECT (\(text)) FROM (\(newRow)) AS n)")
            }
        }
        return conditions.joined(separator: " AND ")
    }

    /// The values of NEW under the columns' own names, for expressions that name columns.
    private var newRow: String {
        "SELECT " + shape.columns.indices.map { "\(newValue($0)) AS \(name($0))" }.joined(separator: ", ")
    }

    /// The value that NEW will have: OR REPLACE puts the default in the place of NULL in a NOT NULL column.
    private func newValue(_ column: Int) -> String {
        guard let replacement = shape.replacementDefaults[column] else { return "NEW.\(name(column))" }
        return "ifnull(NEW.\(name(column)), \(replacement))"
    }

    /// The record shares a unique key with NEW, and its row was removed without a trigger: NEW has its place, or
    /// nobody.
    private func gone(_ record: String) -> String {
        let absent = "NOT EXISTS(SELECT 1 FROM \(table) AS t WHERE \(row("t", is: record)))"
        return "(\(sharesKey(record))) AND (\(row("NEW", isRecord: record)) OR \(absent))"
    }

    /// The record shares a unique key with NEW, so far as columns tell; it only spares looking for rows that are there.
    private func sharesKey(_ record: String) -> String {
        var keys: [String] = []
        for key in shape.uniqueKeys {
            var terms: [String] = []
            for term in key.terms {
                switch term.content {
                case .column(let column):
                    terms.append("\(record).c\(column + 1)\(collate(term.collation)) = NEW.\(name(column))")
                case .rowid(let name): terms.append("\(record).rid = NEW.\(name)")
                case .expression: return "1"
                }
            }
            keys.append("(\(terms.joined(separator: " AND ")))")
        }
        return keys.joined(separator: " OR ")
    }

    /// Row `a` of the table is the row of a record, or the row that NEW or OLD stands for.
    private func row(_ a: String, is b: String) -> String {
        b == "NEW" || b == "OLD" ? equal(a, b) : row(a, isRecord: b)
    }

    private func row(_ a: String, isRecord record: String) -> String {
        switch shape.identity {
        case .rowid(let name): "\(record).rid = \(a).\(name)"
        case .key: key(of: record, equals: a)
        }
    }

    private func equal(_ a: String, _ b: String) -> String {
        switch shape.identity {
        case .rowid(let rowid): "\(a).\(rowid) = \(b).\(rowid)"
        case .key: key(ofTable: a, equals: b)
        }
    }

    /// The primary key of a record equals that of NEW or OLD, or of a row of the table.
    private func key(of record: String, equals row: String) -> String {
        shape.keyColumns.map { "\(record).c\($0 + 1)\(collate(shape.keyCollation(of: $0))) = \(row).\(name($0))" }
            .joined(separator: " AND ")
    }

    private func key(ofTable a: String, equals b: String) -> String {
        shape.keyColumns.map { "\(a).\(name($0))\(collate(shape.keyCollation(of: $0))) = \(b).\(name($0))" }
            .joined(separator: " AND ")
    }

    private var notOld: String { " AND NOT (\(equal("t", "OLD")))" }

    /// A value of row `t` that is NULL only when the row is not there.
    private var rowPresence: String {
        switch shape.identity {
        case .rowid(let name): "t.\(name)"
        case .key: "t.\(name(shape.keyColumns.first ?? 0))"
        }
    }

    /// The columns whose update can make a conflict; empty (any column) when an expression, a condition or a generated
    /// column makes that hard to say.
    private var updatedColumns: String {
        var columns = Set<Int>()
        for key in shape.uniqueKeys {
            if key.predicate != nil { return "" }
            for term in key.terms {
                switch term.content {
                case .expression: return ""
                case .rowid: break
                case .column(let column):
                    if shape.columns[column].isGenerated { return "" }
                    columns.insert(column)
                }
            }
        }
        var names = columns.sorted().map(name)
        if case .rowid = shape.identity {
            let taken = Set(shape.columns.map { SQLText.folded($0.name) })
            names += ["rowid", "_rowid_", "oid"].filter { !taken.contains($0) }
        }
        return " OF " + names.joined(separator: ", ")
    }
}

// MARK: - Names

extension TriggerGenerator {
    private var table: String { SQLText.identifier(shape.name) }

    private func name(_ column: Int) -> String { SQLText.identifier(shape.columns[column].name) }

    private func collate(_ collation: String?) -> String {
        collation.map { " COLLATE " + SQLText.identifier($0) } ?? ""
    }

    /// The log's columns for one row: `part` 0 is the first row of a change, 1 the second.
    private func places(_ part: Int) -> String {
        let count = shape.columns.count
        return (1...count).map { "c\(part * count + $0)" }.joined(separator: ", ")
    }

    private func values(_ row: String) -> String {
        shape.columns.indices.map { "\(row).\(name($0))" }.joined(separator: ", ")
    }

    private func recorded(_ record: String) -> String {
        shape.columns.indices.map { "\(record).c\($0 + 1)" }.joined(separator: ", ")
    }

    /// What a record keeps beside the values: the rowid, or nothing where the key names the row.
    private func rowName(_ row: String) -> String {
        switch shape.identity {
        case .rowid(let name): "\(row).\(name)"
        case .key: "NULL"
        }
    }
}
