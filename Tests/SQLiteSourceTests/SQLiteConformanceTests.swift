import ChangeModel
import ConnectorKit
import ConnectorTesting
import Synchronization
import Testing

@testable import SQLiteSource

/// The rules of every source, each on a database of its own.
struct SQLiteConformanceTests {
    @Test(arguments: SourceRule.allCases, ["wal", "delete"])
    func keeps(rule: SourceRule, journal: String) async throws {
        let subject = try Application(journal: journal).subject
        #expect(await SourceConformance.violations(of: rule, by: subject) == [])
    }
}

/// The application that writes to the captured table.
private final class Application: Sendable {
    private let database: Mutex<SourceDatabase>
    private let path: String

    init(journal: String) throws {
        let database = try SourceDatabase(
            journal: journal,
            "CREATE TABLE items(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, price REAL,"
                + " picture BLOB, note)"
        )
        path = database.path
        self.database = Mutex(database)
    }

    /// A batch is full after one to three rows.
    private static let batchByteCountMax = 400

    var subject: SourceUnderTest {
        SourceUnderTest(
            batchBytesMax: 1200, hasTransactions: false,
            makeSource: {
                var settings = SQLiteSettings(
                    path: self.path, tables: ["items"], takesSnapshot: false, pollInterval: .milliseconds(5))
                settings.batchByteCountMax = Self.batchByteCountMax
                return SQLiteSource(settings) { _ in }
            },
            apply: { try self.apply($0) }, tableState: { try self.tableState() },
            confirmedPosition: { try self.confirmedPosition() })
    }

    private func apply(_ step: WorkloadStep) throws {
        try database.withLock { database in try database.run("BEGIN", Self.statement(step), "COMMIT") }
    }

    private static func statement(_ step: WorkloadStep) -> String {
        switch step {
        case .insert(let rows):
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(rows))
            INSERT INTO items(name, price, picture, note)
            SELECT 'nämé ' || i, i * 1.25, CASE i % 3 WHEN 0 THEN NULL ELSE randomblob(i % 20) END,
                CASE i % 4 WHEN 0 THEN 'text' WHEN 1 THEN i WHEN 2 THEN i + 0.5 END FROM n
            """
        case .update(let rows):
            "UPDATE items SET price = price + 1, note = 'changed' WHERE id IN (\(some(rows)))"
        case .delete(let rows): "DELETE FROM items WHERE id IN (\(some(rows)))"
        }
    }

    /// Rows from all over the table, the same ones for the same table.
    private static func some(_ rows: Int) -> String {
        "SELECT id FROM items ORDER BY id * 7919 % 101, id LIMIT \(rows)"
    }

    /// The table as folded events show it: bytes as `x'…'`, other values as their texts.
    private func tableState() throws -> [String: String] {
        try database.withLock { database in
            let columns = ["id", "name", "price", "picture", "note"]
            let texts = columns.map { column in
                "CASE typeof(\(column)) WHEN 'null' THEN 'NULL' WHEN 'blob' THEN 'x''' || lower(hex(\(column))) || ''''"
                    + " ELSE CAST(\(column) AS TEXT) END"
            }
            let statement = try database.writer.prepare("SELECT \(texts.joined(separator: ", ")) FROM items")
            var state: [String: String] = [:]
            while try statement.step() {
                let values = (0..<Int32(columns.count)).map { statement.text($0) ?? "none" }
                state["main.items/\(values[0])"] = RowFold.text(
                    of: Dictionary(zip(columns, values), uniquingKeysWith: { first, _ in first }))
            }
            return state
        }
    }

    /// The change log's own note, or its first row before there is one.
    private func confirmedPosition() throws -> ResumePosition {
        try database.withLock { database in
            let identity = try ChangeLogTables.identity(database.writer)
            return SourceProgress.position(round: 0, seq: identity.acknowledged ?? identity.start)
        }
    }
}
