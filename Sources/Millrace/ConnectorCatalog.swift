private import ConnectorKit
private import FileSink
internal import PipelineConfiguration
private import PostgresSource
private import SQLiteSource

/// The connectors that this program was built with.
enum ConnectorCatalog {
    /// Their tables of settings, by the key that the configuration uses.
    static let tables = ConnectorTables(
        sources: ["postgres": PostgresSettings.table, "sqlite": SQLiteSettings.table],
        sinks: ["file": FileSettings.table])
}
