import ConnectorKit
import PipelineConfiguration
import Testing

/// Connectors look at their own settings while the file is read, so that nobody mends a file twice.
struct ConnectorCheckTests {
    private static let tables: ConnectorTables = {
        var tables = sampleTables
        tables.sourceChecks["postgres"] = { values, name in
            SettingProblem(
                "url", "\(name) cannot use \(values.text("url") ?? "")", hint: "not \(values.text("url") ?? "")")
        }
        tables.sinkChecks["file"] = { values, _ in
            values.text("path") == "bad" ? SettingProblem("path", "is bad", hint: "write good") : nil
        }
        return tables
    }()

    private func problems(_ text: String) -> [String] {
        let loader = ConfigurationLoader(tables: Self.tables) { sampleEnvironment[$0] }
        do throws(ConfigurationProblems) {
            _ = try loader.load(Array(text.utf8), file: "millrace.yaml", folder: "/etc")
            return []
        } catch {
            return error.problems.map { problem in
                let place = problem.position.map { "\($0.line):\($0.column)" } ?? "-"
                return "\(problem.path ?? "-") \(place) \(problem.message) (\(problem.hint ?? "-"))"
            }
        }
    }

    @Test func whatConnectorsFindIsReportedWithEverythingElse() {
        let text = """
            name: shop
            source: {postgres: {url: "${DATABASE_URL}"}}
            sinks:
              a: {file: {path: bad}, format: xml}
              b: {file: {path: good}}
              c: {file: {path: bad}}
            """
        #expect(
            problems(text) == [
                "source.postgres.url 2:26 shop cannot use [secret] (not [secret])",
                "sinks.a.file.path 4:20 is bad (write good)",
                "sinks.a.format 4:34 \"xml\" is not one of cloudevents, row, csv, debezium (-)",
                "sinks.c.file.path 6:20 is bad (write good)",
            ])
    }

    @Test func aConnectorWhoseSettingsCannotBeReadIsNotAsked() {
        let text = "name: shop\nsource: {sqlite: {path: x}}\nsinks: {a: {file: {path: bad, sync: no}}}\n"
        #expect(problems(text) == ["sinks.a.file.sync 3:37 \"no\" is neither true nor false (did you mean false?)"])
    }

    @Test func aRefusedNameDoesNotHideWhatConnectorsFind() {
        let text = "name: Shop\nsource: {sqlite: {path: x}}\nsinks: {a: {file: {path: bad}}}\n"
        #expect(problems(text).count == 2)
    }

    @Test func settingsWithoutFaultPass() {
        #expect(problems("name: shop\nsource: {sqlite: {path: x}}\nsinks: {a: {file: {path: good}}}\n") == [])
    }
}
