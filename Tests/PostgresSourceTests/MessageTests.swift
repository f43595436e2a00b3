import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

@Suite(.serialized, .timeLimit(.minutes(5)))
struct MessageTests {
    private func database() throws -> TestDatabase {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY, v text)")
        return database
    }

    private func reader(_ database: TestDatabase, marks: Bool = false) throws -> SourceReader {
        try SourceReader(
            database, tables: ["public.t"],
            values: ["messages": .list(["app*"]), "transactions": .flag(marks)])
    }

    @Test func messagesComeInTheOrderOfTheirTransactionAndBetweenTransactions() async throws {
        let database = try database()
        let reader = try reader(database)
        try await reader.open()
        try database.run(
            """
            BEGIN; SELECT pg_logical_emit_message(true, 'app', 'first'); INSERT INTO t VALUES (1, 'a');
            SAVEPOINT s; SELECT pg_logical_emit_message(true, 'app', 'undone'); INSERT INTO t VALUES (2, 'b');
            ROLLBACK TO s; SELECT pg_logical_emit_message(true, 'other', 'not wanted');
            SELECT pg_logical_emit_message(true, 'app.x', '\\x00ff'::bytea); COMMIT
            """)
        try database.run("BEGIN; SELECT pg_logical_emit_message(true, 'app', 'rolled back'); ROLLBACK")
        try database.run("SELECT pg_logical_emit_message(false, 'app', 'between')")
        try database.run("BEGIN; SELECT pg_logical_emit_message(false, 'app', 'at once'); ROLLBACK")
        try database.run("INSERT INTO t VALUES (3, 'c')")
        try await reader.catchUp()
        #expect(
            reader.seen.map(\.line) == [
                "message pg_logical.message app,first", "insert public.t 1,a",
                "message pg_logical.message app.x,not UTF-8",
                "message pg_logical.message app,between", "message pg_logical.message app,at once",
                "insert public.t 3,c",
            ])
        #expect(reader.seen.map(\.identity.ordinal) == [0, 1, 3, 0, 0, 0])
        #expect(reader.seen.map { $0.transaction.id == 0 } == [false, false, false, true, true, false])
        let isOrdered = zip(reader.seen, reader.seen.dropFirst()).allSatisfy { $0.identity < $1.identity }
        #expect(isOrdered)
        await reader.source.close()
    }

    /// The server is told positions up to each message in turn, and asked to begin again from each of them.
    @Test(arguments: [false, true])
    func everyRestartContinuesBehindWhatTheLogHas(acknowledges: Bool) async throws {
        let database = try database()
        let whole = try reader(database, marks: true)
        try await whole.open()
        try await whole.take()
        let start = try #require(whole.checkpoint)
        let work = """
            SELECT pg_logical_emit_message(false, 'app', 'n1'); INSERT INTO t VALUES (1, 'a');
            BEGIN; SELECT pg_logical_emit_message(true, 'app', 'm1'); INSERT INTO t VALUES (2, 'b');
            SELECT pg_logical_emit_message(false, 'app', 'n2'); INSERT INTO t VALUES (3, 'c');
            SELECT pg_logical_emit_message(false, 'app', 'right before the commit'); COMMIT;
            SELECT pg_logical_emit_message(false, 'app', 'n3'); SELECT pg_logical_emit_message(false, 'app', 'n4')
            """
        for statement in work.split(separator: ";") { try database.run(String(statement)) }
        try await whole.catchUp()
        await whole.source.close()
        let all = whole.seen
        #expect(all.count == 13)
        for (index, change) in all.enumerated() where change.transaction.id == 0 || !acknowledges {
            let reader = try reader(database, marks: true)
            let resume = acknowledges ? change.identity.commit + 1 : start.resume.value
            reader.checkpoint = SourceCheckpoint(
                last: change.identity, resume: ResumePosition(resume), notes: start.notes)
            try await reader.open()
            if acknowledges { reader.acknowledge() }
            try await reader.catchUp()
            #expect(reader.seen.map(\.identity) == all.dropFirst(index + 1).map(\.identity))
            #expect(reader.seen.map(\.line) == all.dropFirst(index + 1).map(\.line))
            await reader.source.close()
        }
    }

    @Test func boundariesNameTheTransactionAndCountItsEvents() async throws {
        let database = try database()
        let reader = try reader(database, marks: true)
        try await reader.open()
        try database.run("BEGIN; INSERT INTO t VALUES (1, 'a'), (2, 'b'); DELETE FROM t WHERE id = 1; COMMIT")
        try await reader.catchUp()
        let xid = try #require(reader.seen.first?.transaction.id)
        #expect(
            reader.seen.map(\.line) == [
                "begin pg_logical.transaction \(xid),-,-,-", "insert public.t 1,a", "insert public.t 2,b",
                "delete public.t 1,- -> ",
                "commit pg_logical.transaction \(xid),3,3,"
                    + #"[{"schema":"public","table":"t","events":3}]"#,
            ])
        await reader.source.close()
    }

    @Test func aContextIsReadAndABadOneIsNoted() async throws {
        let database = try database()
        let reader = try reader(database)
        try await reader.open()
        try database.run(
            """
            BEGIN; SELECT pg_logical_emit_message(true, 'millrace.context', '{"correlationid":"r1"}');
            INSERT INTO t VALUES (1, 'a'); COMMIT
            """)
        for id in 2...12 {
            try database.run(
                """
                BEGIN; INSERT INTO t VALUES (\(id), 'b');
                SELECT pg_logical_emit_message(true, 'millrace.context', 'secret'); COMMIT
                """)
        }
        try await reader.catchUp()
        #expect(reader.seen.map { !$0.transaction.context.isEmpty } == [true] + Array(repeating: false, count: 11))
        let notices = reader.notices.all.filter { $0.contains("millrace.context") }
        #expect(notices.count == 2)
        #expect(notices.allSatisfy { $0.contains("behind the first row") && !$0.contains("secret") })
        await reader.source.close()
    }

    @Test func prefixesThatAreKeptAreRefused() {
        for (setting, value) in [
            ("messages", SettingValue.list(["millrace"])), ("messages", .list(["millrace.x"])),
            ("messages", .list([""])),
            ("messages", .list(["ctx"])), ("context_prefix", .text("millrace")), ("context_prefix", .text("")),
        ] {
            var values = SettingValues([
                "url": .text("host=h"), "tables": .list(["public.t"]), "context_prefix": .text("ctx"),
            ])
            values[setting] = value
            #expect {
                try PostgresSettings(values: values, pipelineName: "shop")
            } throws: {
                ($0 as? SettingProblem)?.setting == setting
            }
        }
    }
}
