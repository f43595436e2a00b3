import Testing

@testable import SQLiteSource

@Suite struct RandomWorkloadTests {
    /// Runs the same statements on a captured database and on a twin whose triggers do nothing: every statement has the
    /// same outcome on both, and the events give the tables. (SQLite itself treats some statements differently as soon
    /// as a table has any trigger: it then checks a deferred foreign key that it overlooks otherwise.)
    @Test(arguments: 0..<6, [false, true])
    func foldedEventsEqualTheTablesAndNoStatementFailsBecauseOfCapture(tableIndex: Int, recursive: Bool) throws {
        let table = WorkloadTable.all[tableIndex]
        for round in 0..<6 {
            let seed = UInt64(round) * 7919 + UInt64(tableIndex) * 31 + (recursive ? 1 : 0)
            try run([table], seed: seed, recursive: recursive, statements: 250)
        }
    }

    @Test func severalTablesShareOneLog() throws {
        for seed in 1...6 { try run(WorkloadTable.all, seed: UInt64(seed), recursive: seed % 2 == 0, statements: 500) }
    }

    private func idleTriggers(on table: String) -> [String] {
        ["BEFORE INSERT", "BEFORE UPDATE", "AFTER INSERT", "AFTER UPDATE", "AFTER DELETE"].enumerated().map {
            let name = SQLText.identifier("idle \($0.offset) \(table)")
            return "CREATE TRIGGER \(name) \($0.element) ON \(SQLText.identifier(table)) BEGIN SELECT 1; END"
        }
    }

    /// Commits; a commit that a deferred foreign key refuses is rolled back.
    private func endTransaction(of database: SourceDatabase) {
        do { try database.run("COMMIT") } catch { database.writer.rollBack() }
    }

    private func run(_ tables: [WorkloadTable], seed: UInt64, recursive: Bool, statements: Int) throws {
        let captured = try SourceDatabase()
        let twin = try SourceDatabase()
        for database in [captured, twin] {
            for table in tables { for sql in table.sql { try database.run(sql) } }
            try database.run("PRAGMA recursive_triggers = \(recursive)", "PRAGMA foreign_keys = ON")
        }
        for table in tables { for sql in idleTriggers(on: table.name) { try twin.run(sql) } }
        let session = try captured.open()
        var strict = StrictFold()
        var lax = KeyFold()
        var workload = RandomWorkload(seed: seed, tables: tables)
        var history: [String] = []
        for step in 0..<statements {
            let sql = workload.next()
            let outcomes = [captured, twin].map { database -> String in
                do {
                    try database.run(sql)
                    return "ok"
                } catch { return "\(error)" }
            }
            history.append("\(sql)  -- \(outcomes[0])")
            try #require(outcomes[0] == outcomes[1], "seed \(seed), step \(step): \(sql)")
            guard step % 10 == 9 || step == statements - 1 else { continue }
            if step == statements - 1 { for database in [captured, twin] { endTransaction(of: database) } }
            for event in try session.drainEvents() {
                strict.apply(event)
                lax.apply(event)
            }
        }
        for table in tables {
            let rows = try captured.rows(table.name)
            let expected = try twin.rows(table.name)
            #expect(rows == expected, "seed \(seed): the tables differ")
            if !table.hasNestedWrites {
                #expect(strict.rows(table.name) == rows, "seed \(seed), recursive \(recursive), table \(table.name)")
            }
            if table.hasPlainKey {
                let folded = lax.rows(table.name)
                #expect(
                    folded == rows,
                    """
                    seed \(seed), recursive \(recursive), table \(table.name), the last statements:
                    \(history.suffix(40).joined(separator: "\n"))
                    """)
            }
        }
        if !tables.contains(where: \.hasNestedWrites) {
            #expect(strict.faults.isEmpty, "seed \(seed), recursive \(recursive): \(strict.faults.prefix(3))")
        }
    }
}
