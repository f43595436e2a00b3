import ConnectorTesting
@testable import SQLiteSource

/// A table to be written to at random, with all that makes writes hard to capture.
struct WorkloadTable {
    var name: String
    var columns: [String]
    var key: [String]
    /// Columns of each unique key, for upserts.
    var conflictTargets: [String]
    var sql: [String]
    /// True when triggers of the application write the same table, so that images may be intermediate.
    var hasNestedWrites = false
    /// True when the key is never NULL and equal only to itself, so that a fold by key gives the table.
    var hasPlainKey: Bool { key == ["id"] }

    static let all: [WorkloadTable] = [
        WorkloadTable(
            name: "plain", columns: ["id", "a", "b", "c"], key: ["id"], conflictTargets: ["(id)", "(a)", "(b, c)"],
            sql: ["CREATE TABLE plain(id INTEGER PRIMARY KEY, a TEXT UNIQUE, b INT, c, UNIQUE(b, c))"]),
        WorkloadTable(
            name: "without rowid", columns: ["a", "b", "u", "v"], key: ["a", "b"], conflictTargets: ["(a, b)", "(u)"],
            sql: [
                "CREATE TABLE \"without rowid\"(a TEXT COLLATE NOCASE, b INT, u UNIQUE, v REAL, PRIMARY KEY(b, a))"
                    + " WITHOUT ROWID"
            ]),
        WorkloadTable(
            name: "texty\"key", columns: ["k", "x", "y"], key: ["k"], conflictTargets: ["(k)", "(x)"],
            sql: [
                "CREATE TABLE \"texty\"\"key\"(k TEXT PRIMARY KEY, x TEXT, y BLOB, UNIQUE(x COLLATE NOCASE))"
            ]),
        WorkloadTable(
            name: "indexed", columns: ["id", "d", "e", "f"], key: ["id"], conflictTargets: ["(id)", "(d)"],
            sql: [
                "CREATE TABLE indexed(id INTEGER PRIMARY KEY, d TEXT NOT NULL DEFAULT 'a' UNIQUE, e INT, f TEXT,"
                    + " g GENERATED ALWAYS AS (e + 1))",
                "CREATE UNIQUE INDEX part ON indexed(e) WHERE f IS NOT NULL AND f <> 'b' -- not all",
                "CREATE UNIQUE INDEX expr ON indexed(lower(f) || ',' || e DESC)",
                "CREATE UNIQUE INDEX gen ON indexed(g, f)",
            ]),
        WorkloadTable(
            name: "triggered", columns: ["id", "a", "b", "c"], key: ["id"], conflictTargets: ["(id)", "(a)"],
            sql: [
                "CREATE TABLE triggered(id INTEGER PRIMARY KEY, a UNIQUE, b, c)",
                "CREATE TRIGGER app1 AFTER INSERT ON triggered WHEN NEW.c IS NULL BEGIN"
                    + " UPDATE triggered SET c = 'touched' WHERE id = NEW.id; END",
                "CREATE TRIGGER app2 AFTER UPDATE OF a ON triggered BEGIN"
                    + " UPDATE triggered SET b = ifnull(b, 0) || '+' WHERE id = NEW.id; END",
                "CREATE TRIGGER app3 AFTER DELETE ON triggered WHEN OLD.b = 3 BEGIN"
                    + " INSERT OR IGNORE INTO triggered(id, a) VALUES(OLD.id + 100, 'moved'); END",
                "CREATE TRIGGER app4 BEFORE INSERT ON triggered WHEN NEW.b = 2 BEGIN"
                    + " DELETE FROM triggered WHERE a = NEW.a; END",
            ], hasNestedWrites: true),
        WorkloadTable(
            name: "tree", columns: ["id", "parent", "tag"], key: ["id"], conflictTargets: ["(id)", "(tag)"],
            sql: [
                "CREATE TABLE tree(id INTEGER PRIMARY KEY, parent REFERENCES tree(id) ON DELETE SET NULL ON UPDATE"
                    + " CASCADE"
                    + " DEFERRABLE INITIALLY DEFERRED, tag UNIQUE)"
            ], hasNestedWrites: true),
    ]
}

/// Statements as an application might run them, drawn from a seed. Values come from a small set, so that keys collide.
struct RandomWorkload {
    var random: SeededGenerator
    let tables: [WorkloadTable]
    private var savepoints = 0

    init(seed: UInt64, tables: [WorkloadTable]) {
        random = SeededGenerator(seed: seed)
        self.tables = tables
    }

    mutating func next() -> String {
        let table = pick(tables)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<45: return insert(into: table)
        case 45..<72: return update(table)
        case 72..<86: return "DELETE FROM \(quoted(table.name)) WHERE \(condition(table))"
        case 86..<88: return "BEGIN"
        case 88..<91: return "COMMIT"
        case 91..<92: return "ROLLBACK"
        case 92..<95: return "SAVEPOINT s"
        case 95..<97: return "ROLLBACK TO s"
        case 97..<99: return "RELEASE s"
        default: return "DELETE FROM \(quoted(table.name))"
        }
    }

    private mutating func insert(into table: WorkloadTable) -> String {
        let columns = table.columns.filter { _ in Int.random(in: 0..<8, using: &random) > 0 }
        guard !columns.isEmpty else { return "INSERT INTO \(quoted(table.name)) DEFAULT VALUES" }
        let rows = (0..<Int.random(in: 1...3, using: &random)).map { _ in
            "(" + columns.map { value(for: $0) }.joined(separator: ", ") + ")"
        }
        let policy = pick(["", "", " OR REPLACE", " OR REPLACE", " OR IGNORE", " OR FAIL", " OR ROLLBACK", " OR ABORT"])
        let upsert =
            switch Int.random(in: 0..<4, using: &random) {
            case 0: " ON CONFLICT DO NOTHING"
            case 1:
                " ON CONFLICT\(pick(table.conflictTargets)) DO UPDATE SET \(assignment(table)), \(assignment(table))"
            default: ""
            }
        return "INSERT\(policy) INTO \(quoted(table.name))(\(columns.map(quoted).joined(separator: ", "))) VALUES "
            + rows.joined(separator: ", ") + upsert
    }

    private mutating func update(_ table: WorkloadTable) -> String {
        let policy = pick(["", "", " OR REPLACE", " OR REPLACE", " OR IGNORE", " OR FAIL"])
        let extra = Bool.random(using: &random) ? ", \(assignment(table))" : ""
        return "UPDATE\(policy) \(quoted(table.name)) SET \(assignment(table))\(extra) WHERE \(condition(table))"
    }

    private mutating func assignment(_ table: WorkloadTable) -> String {
        let column = pick(table.columns)
        if table.key.contains(column), Bool.random(using: &random) {
            return "\(quoted(column)) = \(quoted(column)) + 1"
        }
        return "\(quoted(column)) = \(value(for: column))"
    }

    private mutating func condition(_ table: WorkloadTable) -> String {
        let column = pick(table.columns)
        return Int.random(in: 0..<5, using: &random) == 0
            ? "\(quoted(column)) > \(value(for: column))" : "\(quoted(column)) = \(value(for: column))"
    }

    private mutating func value(for column: String) -> String {
        if column == "id" || column == "parent" {
            return Int.random(in: 0..<9, using: &random) == 0 ? "NULL" : "\(Int.random(in: 1...6, using: &random))"
        }
        return pick([
            "NULL", "0", "1", "2", "3", "'a'", "'A'", "'b'", "'B'", "'2'", "1.0", "-0.0", "9e999", "1.0 / 3", "x'00ff'",
            "'x' || char(0) || 'y'", "9223372036854775807", "-9223372036854775808", "CAST(x'ff41' AS TEXT)", "''",
        ])
    }

    private mutating func pick<T>(_ list: [T]) -> T { list[Int.random(in: 0..<list.count, using: &random)] }

    private func quoted(_ name: String) -> String { SQLText.identifier(name) }
}
