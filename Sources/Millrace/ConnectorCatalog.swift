import ConnectorKit
import FileSink
import NATSSink
import PipelineConfiguration
import PostgresSource
import SQLiteSource

/// The connectors that this program was built with.
enum ConnectorCatalog {
    /// Their tables of settings and their own checks, by the key that the configuration uses.
    static let tables = ConnectorTables(
        sources: ["postgres": PostgresSettings.table, "sqlite": SQLiteSettings.table],
        sinks: ["file": FileSettings.table, "nats": NATSSettings.table],
        sourceChecks: [
            "postgres": check(PostgresSettings.init(values:pipelineName:)),
            "sqlite": check(SQLiteSettings.init(values:pipelineName:)),
        ],
        sinkChecks: [
            "file": check(FileSettings.init(values:pipelineName:)),
            "nats": check(NATSSettings.init(values:pipelineName:)),
        ])

    /// The check that making a connector's settings is.
    private static func check<Settings>(
        _ make: @escaping @Sendable (SettingValues, String) throws(SettingProblem) -> Settings
    ) -> ConnectorTables.Check {
        { values, pipelineName in
            do throws(SettingProblem) {
                _ = try make(values, pipelineName)
                return nil
            } catch {
                return error
            }
        }
    }
}
