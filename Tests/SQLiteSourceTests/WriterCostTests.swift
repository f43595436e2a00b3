import Testing

@testable import SQLiteSource

/// What capture costs the application's writes. The bound is generous: a busy machine must not fail it, work for each
/// row that grows with the table must.
@Suite(.serialized) struct WriterCostTests {
    private static let statements = [
        "INSERT INTO t SELECT i, 'name ' || i, 'user' || i || '@example.com', i * 1.25, 'some note' FROM s",
        "UPDATE t SET amount = amount + 1, note = 'n' || id", "DELETE FROM t",
    ]

    @Test func captureCostsAWriterAFewTimesWhatMinimalTriggersDo() throws {
        var best = [[Duration]](repeating: Array(repeating: .seconds(1000), count: 3), count: 3)
        for _ in 0..<3 {
            for variant in 0..<3 {
                let times = try measure(variant)
                for index in times.indices { best[variant][index] = min(best[variant][index], times[index]) }
            }
        }
        for (index, name) in ["insert", "update", "delete"].enumerated() {
            let (none, minimal, ours) = (best[0][index], best[1][index], best[2][index])
            #expect(
                ours < minimal * 5,
                "\(name): \(none) without triggers, \(minimal) with minimal ones, \(ours) captured")
        }
    }

    private func measure(_ variant: Int) throws -> [Duration] {
        let database = try SourceDatabase(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, name, mail TEXT UNIQUE, amount REAL, note)",
            "CREATE TABLE s(i INTEGER)",
            "WITH RECURSIVE s0(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s0 WHERE i < 30000) "
                + "INSERT INTO s SELECT i FROM s0"
        )
        if variant == 1 { for sql in Self.minimalTriggers { try database.run(sql) } }
        if variant == 2 { _ = try database.open(["t"]) }
        return try Self.statements.map { sql in try ContinuousClock().measure { try database.run(sql) } }
    }

    private static let minimalTriggers: [String] = {
        let columns = ["id", "name", "mail", "amount", "note"]
        let (old, new) = (
            columns.map { "OLD." + $0 }.joined(separator: ", "), columns.map { "NEW." + $0 }.joined(separator: ", ")
        )
        let places = (1...5).map { "c\($0)" }.joined(separator: ", ")
        let all = (1...10).map { "c\($0)" }.joined(separator: ", ")
        let insert = "INSERT INTO l(capture, op, at, "
        return [
            "CREATE TABLE l(seq INTEGER PRIMARY KEY AUTOINCREMENT, capture, op, at, \(all))",
            "CREATE TRIGGER i AFTER INSERT ON t BEGIN \(insert)\(places)) VALUES(1, 1, julianday('now'), \(new)); END",
            "CREATE TRIGGER u AFTER UPDATE ON t BEGIN \(insert)\(all)) "
                + "VALUES(1, 2, julianday('now'), \(old), \(new)); END",
            "CREATE TRIGGER d AFTER DELETE ON t BEGIN \(insert)\(places)) VALUES(1, 3, julianday('now'), \(old)); END",
        ]
    }()
}
