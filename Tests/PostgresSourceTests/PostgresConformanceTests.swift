import ChangeModel
import ConnectorKit
import ConnectorTesting
import Testing

@testable import PostgresSource

/// The rules of every source, each on a database and a slot of its own.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct PostgresConformanceTests {
    @Test(arguments: SourceRule.allCases) func keeps(rule: SourceRule) async throws {
        let subject = try Application().subject()
        #expect(await SourceConformance.violations(of: rule, by: subject) == [])
    }

    /// Under TLS libpq reads the stream.
    @Test(arguments: SourceRule.allCases) func keepsThroughLibPQ(rule: SourceRule) async throws {
        let subject = try Application().subject(throughLibPQ: true)
        #expect(await SourceConformance.violations(of: rule, by: subject) == [])
    }
}

/// The application that writes to the captured table.
private final class Application: Sendable {
    private let database: TestDatabase

    /// A picture is stored out of line, so that updates leave it out.
    init() throws {
        database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE items (id bigserial PRIMARY KEY, name text NOT NULL, price numeric(12,2), isold boolean,
                added timestamptz DEFAULT now(), tags text[], picture bytea);
            ALTER TABLE items ALTER picture SET STORAGE EXTERNAL
            """)
    }

    /// A batch is full after one to three rows; the largest row has 9 KB.
    private static let batchBytes = 400

    func subject(throughLibPQ: Bool = false) -> SourceUnderTest {
        SourceUnderTest(
            batchBytesMax: 10_000,
            makeSource: {
                let values = SettingValues([
                    "snapshot": .text("never"),
                    "url": .text(self.database.url), "tables": .list(["public.items"]),
                    "slot": .text(self.database.name), "publication": .text("items"),
                ])
                var settings = try PostgresSettings(values: values, pipelineName: self.database.name)
                settings.batchBytes = Self.batchBytes
                settings.readsThroughLibPQ = throughLibPQ
                return PostgresSource(settings: settings)
            },
            apply: { try self.apply($0) }, tableState: { try self.tableState() },
            confirmedPosition: { try self.confirmedPosition() })
    }

    private func apply(_ step: WorkloadStep) throws {
        switch step {
        case .insert(let rows):
            try database.run(
                """
                INSERT INTO items (name, price, isold, tags, picture)
                SELECT 'nämé ' || i, i * 1.25, CASE i % 3 WHEN 0 THEN NULL ELSE i % 2 = 0 END, ARRAY['a,b', i::text],
                    CASE WHEN i % 100 = 3 THEN convert_to(repeat('picture', 600), 'UTF8') END
                FROM generate_series(1, \(rows)) i
                """)
        case .update(let rows):
            try database.run("UPDATE items SET price = price + 1, isold = true WHERE id IN (\(Self.some(rows)))")
        case .delete(let rows): try database.run("DELETE FROM items WHERE id IN (\(Self.some(rows)))")
        }
    }

    /// Rows from all over the table, the same ones for the same table.
    private static func some(_ rows: Int) -> String {
        "SELECT id FROM items ORDER BY id * 7919 % 101, id LIMIT \(rows)"
    }

    private func tableState() throws -> [String: String] {
        let result = try database.run("SELECT * FROM items")
        var state: [String: String] = [:]
        for row in result.rows {
            let values = zip(result.columns, row).map { ($0, $1 ?? "NULL") }
            state["public.items/\(row[0] ?? "none")"] = RowFold.text(
                of: Dictionary(values, uniquingKeysWith: { first, _ in first }))
        }
        return state
    }

    private func confirmedPosition() throws -> ResumePosition {
        let text = try database.value(
            "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '\(database.name)'")
        return ResumePosition(try #require(text.flatMap { LSN($0) }).value)
    }
}
