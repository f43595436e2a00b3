internal import ConnectorKit
internal import EventFormat
internal import EventLog
private import FileSink
private import Glibc
private import Logging
internal import Pipeline
internal import PipelineConfiguration
internal import PostgresSource
internal import SQLiteSource
internal import SchemaRegistry

/// A loaded configuration with the connectors that it names, made but not opened.
struct Project {
    /// What the file says.
    let configuration: PipelineConfiguration
    /// The source's settings, checked by its connector.
    let source: SourceSettings
    /// Each sink's settings, checked by its connector, in the order of the file.
    let sinks: [SinkEntry]

    /// The settings of whichever source the file names.
    enum SourceSettings {
        case postgres(PostgresSettings)
        case sqlite(SQLiteSettings)
    }

    /// A sink of the file.
    struct SinkEntry {
        var configuration: SinkConfiguration
        var settings: FileSettings
        var format: EventFormat
    }

    /// Reads the configuration file. All problems, also those that only a connector can see, are thrown together.
    static func load(_ path: String) throws -> Project {
        let configuration = try PipelineConfiguration.load(
            path: path, connectors: ConnectorCatalog.tables, environment: environment())
        var problems: [ConfigurationProblem] = []
        let source = collect(&problems) { try sourceSettings(configuration) }
        let sinks = configuration.sinks.map { sink in collect(&problems) { try sinkEntry(sink, configuration) } }
        guard problems.isEmpty, let source else { throw ConfigurationProblems(problems) }
        return Project(configuration: configuration, source: source, sinks: sinks.compactMap { $0 })
    }
}
