import ConnectorKit
import FileSink
import PipelineConfiguration
import PostgresSource
import SQLiteSource

/// The connectors that this program was built with.
enum ConnectorCatalog {
    /// Their tables of settings, by the key that the configuration uses.
    static let tables = ConnectorTables(
        sources: ["postgres": PostgresSettings.table, "sqlite": SQLiteSettings.table],
        sinks: ["file": FileSettings.table])
}
