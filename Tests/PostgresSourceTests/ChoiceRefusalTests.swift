import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

/// Choices that are refused before anything is made on the server.
@Suite(.timeLimit(.minutes(5)))
struct ChoiceRefusalTests {
    private func code(
        _ database: TestDatabase, _ choices: [[String: SettingValue]], exclude: [String] = [],
        tables: [String] = ["public.*"]
    ) async throws -> String? {
        let reader = try SourceReader(
            database, tables: tables, publication: "p", exclude: exclude, choices: choices.map { SettingValues($0) })
        let failure = await refusal(reader)
        if failure != nil {
            #expect(failure?.remedy == .stop && failure?.exitCode == 2)
            #expect(try database.value("SELECT count(*) FROM pg_publication") == "0", "nothing is made")
        }
        return failure?.code
    }

    /// What is said about a condition: before 15 that it cannot be, whatever else is wrong with it.
    private func condition(_ code: String?) -> String? {
        TestServer.publishesParts ? code : "postgres.where_unavailable"
    }

    @Test func whatWouldFailTheApplicationsWritesIsRefusedBeforeItIsPublished() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY, v text, w text); INSERT INTO t VALUES (1, 'a', 'b')")
        let t = SettingValue.list(["public.t"])
        #expect(try await code(database, [["tables": t, "columns": .list(["v"])]]) == "postgres.columns_lack_key")
        #expect(
            try await code(database, [["tables": t, "exclude_columns": .list(["id"])]]) == "postgres.columns_lack_key")
        #expect(
            try await code(database, [["tables": t, "where": .text("v = 'a'")]])
                == condition("postgres.where_beyond_key"))
        #expect(
            try await code(database, [["tables": t, "where": .text("id > 1 AND length(w) > 1")]])
                == condition("postgres.where_beyond_key"))
        try database.run(
            "UPDATE t SET v = 'c'; CREATE UNIQUE INDEX wide ON t (id, v); ALTER TABLE t ALTER v SET NOT NULL; "
                + "ALTER TABLE t REPLICA IDENTITY USING INDEX wide")
        #expect(
            try await code(database, [["tables": t, "columns": .list(["id", "w"])]]) == "postgres.columns_lack_key")
        #expect(try await code(database, [["tables": t, "where": .text("v = 'a'")]]) == condition(nil))
        try database.run("UPDATE t SET v = 'd'; DELETE FROM t")
    }

    @Test func everyPartitionsOwnIdentityCounts() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL) PARTITION BY RANGE (id);
            CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);
            CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
            CREATE TABLE t2a PARTITION OF t2 FOR VALUES FROM (10) TO (20);
            CREATE UNIQUE INDEX wide ON t2a (id, v); ALTER TABLE t2a REPLICA IDENTITY USING INDEX wide
            """)
        let t = SettingValue.list(["public.t"])
        #expect(try await code(database, [["tables": t, "columns": .list(["id"])]]) == "postgres.columns_lack_key")
        #expect(
            try await code(database, [["tables": t, "where": .text("v = 'a'")]])
                == condition("postgres.where_beyond_key"))
        #expect(try await code(database, [["tables": t, "where": .text("id > 5")]]) == condition(nil))
        try database.run("INSERT INTO t VALUES (1, 'a'), (11, 'b'); UPDATE t SET v = v || 'x'; DELETE FROM t")
    }

    @Test func choicesThatMeanNothingAreNamed() async throws {
        let database = try TestDatabase()
        try database.run(
            """
            CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE r (id int PRIMARY KEY) PARTITION BY RANGE (id);
            CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (10)
            """)
        let a = SettingValue.list(["public.a"])
        #expect(
            try await code(database, [["tables": a, "columns": .list(["id", "nope"])]]) == "postgres.column_missing")
        #expect(
            try await code(database, [["tables": a, "exclude_columns": .list(["nope"])]]) == "postgres.column_missing")
        #expect(try await code(database, [["tables": .list(["public.A"])]]) == "postgres.choice_unused")
        #expect(try await code(database, [["tables": .list(["public.r1"])]]) == "postgres.choice_unused")
        #expect(try await code(database, [], exclude: ["public.r1"]) == "postgres.choice_unused")
        #expect(
            try await code(
                database, [["tables": a, "where": .text("id > 1")], ["tables": a, "where": .text("id > 2")]])
                == "postgres.choice_conflict")
        for text in ["id >", "nope = 1", "id", "id > (SELECT 1)", "id > 1) OR (id", "count(*) > 1"] {
            #expect(
                try await code(database, [["tables": a, "where": .text(text)]])
                    == condition("postgres.where_invalid"), "\(text)")
        }
        // What only the publication refuses is named with the statement, and nothing is left behind.
        let random = SettingValues(["tables": a, "where": .text("random() > 0.5")])
        let failure = await refusal(try SourceReader(database, tables: ["public.a"], choices: [random]))
        #expect(failure?.code == condition("postgres.publication_refused") && failure?.remedy == .stop)
        if TestServer.publishesParts { #expect(failure?.hint?.contains("CREATE PUBLICATION") == true) }
        #expect(try database.value("SELECT count(*) FROM pg_publication") == "0")
    }

    @Test func aProblemOfTheConfigurationNamesItsEntry() {
        func problem(_ values: [String: SettingValue]) -> String? {
            do throws(SettingProblem) {
                var all: [String: SettingValue] = ["url": .text("host=x"), "tables": .list(["public.*"])]
                all.merge(values) { $1 }
                _ = try PostgresSettings(values: SettingValues(all), pipelineName: "p")
                return nil
            } catch {
                return error.setting
            }
        }
        func entry(_ values: [String: SettingValue]) -> [String: SettingValue] {
            ["choices": .groups([SettingValues(["tables": .list(["public.*"])]), SettingValues(values)])]
        }
        #expect(problem([:]) == nil)
        #expect(problem(["exclude": .list(["orders"])]) == "exclude[0]")
        #expect(problem(["exclude": .list(["public.\"open"])]) == "exclude[0]")
        #expect(problem(entry(["tables": .list([])])) == "choices[1].tables")
        #expect(problem(entry(["tables": .list(["public.a", "a"])])) == "choices[1].tables[1]")
        #expect(problem(entry(["tables": .list(["public.a"]), "columns": .list([])])) == "choices[1].columns")
        #expect(problem(entry(["tables": .list(["public.a"]), "where": .text(" ")])) == "choices[1].where")
    }
}
