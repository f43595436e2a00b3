import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

@Suite(.serialized, .timeLimit(.minutes(5)))
struct PostgresDoctorTests {
    private func settings(_ url: String, _ tables: [String], name: String) throws -> PostgresSettings {
        try PostgresSettings(
            values: SettingValues([
                "url": .text(url), "tables": .list(tables), "slot": .text(name), "publication": .text("p"),
            ]),
            pipelineName: name)
    }

    @Test func aHealthyServerHasNoProblem() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY)")
        let settings = try settings(database.url, ["public.*"], name: database.name)
        let findings = await PostgresDoctor(settings: settings).findings()
        #expect(findings.filter { $0.level == .problem } == [])
        #expect(findings.contains { $0.message.contains("CREATE PUBLICATION \"p\" FOR TABLE \"public\".\"t\"") })
        #expect(try database.value("SELECT count(*) FROM pg_publication") == "0")
    }

    @Test func everyProblemHasItsExactFix() async throws {
        let database = try TestDatabase()
        let role = database.name + "_role"
        try database.run(
            "CREATE ROLE \(role) LOGIN; CREATE TABLE keyless (v text); CREATE TABLE t (id int PRIMARY KEY)")
        defer { _ = try? database.run("DROP ROLE \(role)") }
        let settings = try settings(database.url(as: role), ["public.*"], name: database.name)
        let findings = await PostgresDoctor(settings: settings).findings()
        let fixes = findings.compactMap { $0.level == .ok ? nil : $0.fix }
        #expect(fixes.contains { $0.hasPrefix("ALTER ROLE \"\(role)\" REPLICATION;") })
        #expect(fixes.contains { $0.hasPrefix("ALTER TABLE \"public\".\"keyless\" REPLICA IDENTITY FULL;") })
        #expect(fixes.contains { $0.contains("GRANT SELECT ON \"public\".\"t\" TO \"\(role)\";") })
        #expect(fixes.contains { $0.contains("CREATE PUBLICATION \"p\" FOR TABLE \"public\".\"t\"") })
        #expect(findings.filter { $0.level == .problem }.allSatisfy { $0.fix != nil })
    }

    @Test func aServerThatIsNotThereIsTheOnlyFinding() async throws {
        let settings = try settings("host=127.0.0.1 port=1 dbname=x", ["public.*"], name: "s")
        let findings = await PostgresDoctor(settings: settings).findings()
        #expect(findings.map(\.code) == ["postgres.connection_failed"])
        #expect(findings.map(\.level) == [.problem])
    }

    @Test func statusShowsTheSlotAndItsLag() async throws {
        let database = try TestDatabase()
        try database.run("CREATE TABLE t (id int PRIMARY KEY)")
        let settings = try settings(database.url, ["public.t"], name: database.name)
        let before = try await PostgresStatus.look(settings, at: nil)
        #expect(!before.exists)
        let reader = try SourceReader(database, tables: ["public.t"], publication: "p")
        try await reader.open()
        try await reader.catchUp()
        let position = try #require(reader.checkpoint?.resume)
        try database.run("INSERT INTO t SELECT generate_series(1, 1000)")
        let status = try await PostgresStatus.look(settings, at: position)
        #expect(status.exists && status.activeProcess != nil && status.confirmed != nil)
        #expect((status.lagBytes ?? 0) > 1000)
        #expect((status.retainedBytes ?? 0) > 0)
        await reader.source.close()
    }
}
