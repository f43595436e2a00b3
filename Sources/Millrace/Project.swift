import ChangeModel
import ConnectorKit
import EventFormat
import EventLog
import Masking
import Outbox
import Pipeline
import PipelineConfiguration
import PostgresSource
import SQLiteSource

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
        var settings: SinkSettings
        var format: EventFormat

        /// True when there may be a table whose events both get.
        func sharesTables(with other: SinkEntry) -> Bool {
            configuration.tables.contains { table in other.configuration.tables.contains { $0.overlaps(table) } }
        }
    }

    /// Reads the configuration file. All problems, also those that only a connector can see, are thrown together: the
    /// loader runs the connectors' checks, see ``ConnectorCatalog``.
    static func load(_ path: String) throws(ConfigurationProblems) -> Project {
        let configuration = try ConfigurationLoader(tables: ConnectorCatalog.tables).load(path)
        var problems: [ConfigurationProblem] = []
        @discardableResult
        func attempt<Value>(_ place: ConnectorPlace, _ work: () throws(SettingProblem) -> Value) -> Value? {
            do throws(SettingProblem) {
                return try work()
            } catch {
                problems += error.all.map { configuration.describe($0, in: place) }
                return nil
            }
        }
        let source = attempt(.source) { () throws(SettingProblem) in try sourceSettings(configuration) }
        var sinks: [SinkEntry] = []
        var files = SinkFiles(configuration)
        for sink in configuration.sinks {
            let entry = attempt(.sink(sink.name)) { () throws(SettingProblem) in try sinkEntry(sink, configuration) }
            guard let entry else { continue }
            attempt(.sink(sink.name)) { () throws(SettingProblem) in try SinkStreams.check(entry, behind: sinks) }
            attempt(.sink(sink.name)) { () throws(SettingProblem) in try files.add(entry) }
            sinks.append(entry)
        }
        guard problems.isEmpty, let source else { throw ConfigurationProblems(problems) }
        return Project(configuration: configuration, source: source, sinks: sinks)
    }

    /// Where the event log is.
    var logDirectory: String { configuration.resolve(configuration.log.directory) }
    /// Where the schemas are.
    var schemasDirectory: String { configuration.resolve(configuration.schemas.directory) }
    /// What of the log is kept.
    var retention: LogRetention {
        LogRetention(
            age: configuration.log.retentionAge, byteCount: configuration.log.retentionSize,
            dropsUndelivered: configuration.log.undelivered == .drop, limit: configuration.log.limit,
            reserve: configuration.log.reserve)
    }

    /// What happens when a table is new or changed.
    var schemaPolicy: SchemaPolicy {
        SchemaPolicy(
            onChange: SchemaPolicy.OnChange(rawValue: configuration.schemas.onChange.rawValue) ?? .halt,
            onNewTable: SchemaPolicy.OnNewTable(rawValue: configuration.schemas.onNewTable.rawValue) ?? .require,
            onInvalid: SchemaPolicy.OnInvalid(rawValue: configuration.schemas.onInvalid.rawValue) ?? .halt,
            onIncompatible: SchemaPolicy.OnIncompatible(rawValue: configuration.schemas.onIncompatible.rawValue)
                ?? .halt)
    }

    /// A source object. `notice` is told what is made or changed in the database, `warning` what endangers it or what
    /// is captured.
    ///
    /// With `recovers`, a PostgreSQL source overcomes one loss instead of refusing it.
    func makeSource(
        recovers: Bool = false, notice: @escaping @Sendable (String) -> Void,
        warning: @escaping @Sendable (String) -> Void
    ) -> any ChangeSource {
        switch source {
        case .postgres(let settings):
            PostgresSource(
                settings: settings, notice: notice, warning: warning, recovers: recovers,
                watchesKey: { [outbox] in !outbox.covers($0) })
        case .sqlite(let settings): SQLiteSource(settings, notice: notice)
        }
    }

    /// What `verify` reads the source's tables with.
    func makeTableReader() -> any TableReader {
        switch source {
        case .postgres(let settings): PostgresTableReader(settings: settings)
        case .sqlite(let settings): SQLiteTableReader(settings)
        }
    }

    /// The captured tables as a run that starts now would know them, masks aside.
    func relations() async throws(ConnectorFailure) -> [Relation] {
        switch source {
        case .postgres(let settings): return try await TableForms(settings: settings).relations()
        case .sqlite(let settings): return try SQLiteDoctor(settings).relations()
        }
    }

    /// A sink object for each sink of the file.
    func makeSinks() -> [SinkPlan] {
        let reserved = SinkFiles(configuration).reserved
        return sinks.map { entry in
            let debezium = DebeziumOptions(entry.configuration.debezium)
            return SinkPlan(
                name: entry.configuration.name,
                sink: entry.settings.makeSink(entry.format, debezium, reserved: reserved),
                format: entry.format,
                tables: entry.configuration.tables, clearance: entry.configuration.clearance,
                onRejected: entry.configuration.onRejected == .halt ? .halt : .quarantine,
                start: entry.configuration.start, debezium: debezium)
        }
    }

    /// What `doctor` finds, source first.
    func findings() async -> [Finding] {
        let log = try? LogReader(directory: logDirectory).statistics()
        var found =
            switch source {
            case .postgres(let settings):
                await PostgresDoctor(
                    settings: settings, log: log?.source.map { .init(identity: $0, checkpoint: log?.checkpoint) }
                ).findings()
            case .sqlite(let settings):
                SQLiteDoctor(
                    settings, log: log?.source.map { .init(identity: $0, checkpoint: log?.checkpoint) }
                ).findings()
            }
        if let log { found += LogDiskReport(log, retention).findings() }
        found += (await ruleFindings() ?? []) + sensitivityFindings()
        found += await choiceFindings()
        return found + (await sinkFindings()) + SinkStreams.findings(sinks)
    }

    /// Sinks whose `tables` leave them with less than somebody wanted. Nothing when the database could not be asked,
    /// which others find out.
    func choiceFindings() async -> [Finding] {
        let choosing = sinks.filter { $0.configuration.tables.contains { $0.text != "*" } }
        guard !choosing.isEmpty, let captured = await capturedTables() else { return [] }
        var names = captured.map { ($0.schema, $0.table) }
        if configuration.sourceKind == "postgres" {
            names += PostgresSettings.namesWithoutTables.map { ($0.schema, $0.name) }
        }
        return choosing.flatMap { entry -> [Finding] in
            let sink = entry.configuration
            let strangers = sink.tables.filter { pattern in
                !names.contains { pattern.matches(schema: $0.0, table: $0.1) }
            }
            let fix =
                "mend sinks.\(sink.name).tables, or capture the tables: source.\(configuration.sourceKind).tables"
            if strangers.count == sink.tables.count {
                return [
                    Finding(
                        .warning, "config.sink_gets_nothing",
                        "sink \(sink.name) gets nothing: no captured table fits its tables",
                        fix: fix)
                ]
            }
            return strangers.map {
                Finding(
                    .warning, "config.unmatched_table",
                    "\"\($0.text)\" in the tables of sink \(sink.name) fits no captured table", fix: fix)
            }
        }
    }

    /// The captured tables as the database has them now; nil when it could not be asked.
    private func capturedTables() async -> [TableColumns]? {
        switch source {
        case .postgres(let settings): await PostgresDoctor(settings: settings).tables()
        case .sqlite(let settings): SQLiteDoctor(settings).tables()
        }
    }

    /// What is masked before it is stored.
    var masks: MaskRules {
        MaskRules(
            configuration.transforms.map { MaskRules.Rule(tables: $0.tables, columns: $0.masks) },
            salt: Array((configuration.maskSalt ?? "").utf8))
    }

    /// Which tables are outboxes.
    var outbox: OutboxRules {
        OutboxRules(
            configuration.outboxes.map { entry in
                var columns = OutboxRules.Columns()
                columns.id = entry.columns["id"] ?? columns.id
                columns.type = entry.columns["type"] ?? columns.type
                columns.aggregateType = entry.columns["aggregatetype"] ?? columns.aggregateType
                columns.aggregateID = entry.columns["aggregateid"] ?? columns.aggregateID
                columns.payload = entry.columns["payload"] ?? columns.payload
                return OutboxRules.Rule(
                    tables: entry.tables, columns: columns, attributes: entry.attributes,
                    content: OutboxRoute.Content(rawValue: entry.content) ?? .auto, topic: entry.topic)
            })
    }

    /// What of the masks and the outboxes means nothing in the database; nil when it could not be asked, which others
    /// find out.
    func ruleFindings() async -> [Finding]? {
        let (masks, outbox) = (masks, outbox)
        if masks.isEmpty, outbox.isEmpty { return [] }
        return await capturedTables().map { masks.findings($0) + outbox.findings($0) }
    }

    /// A failure in the form that is printed, with the line of the setting that has to do with it.
    func located(_ failure: ConnectorFailure) -> LocatedFailure {
        LocatedFailure(failure: failure, problem: configuration.describe(failure))
    }
}

/// A failure together with the place in the configuration file that has to do with it.
struct LocatedFailure: Error {
    var failure: ConnectorFailure
    /// The failure as a problem of the file; nil when no setting has to do with it.
    var problem: ConfigurationProblem?
}

// MARK: - Connectors' settings

extension Project {
    private static func sourceSettings(
        _ configuration: PipelineConfiguration
    ) throws(SettingProblem) -> SourceSettings {
        let name = configuration.name
        if configuration.sourceKind == "sqlite" {
            return .sqlite(
                try SQLiteSettings(values: withPath(configuration.source, configuration), pipelineName: name))
        }
        return .postgres(try PostgresSettings(values: configuration.source, pipelineName: name))
    }

    private static func sinkEntry(
        _ sink: SinkConfiguration, _ configuration: PipelineConfiguration
    ) throws(SettingProblem) -> SinkEntry {
        SinkEntry(
            configuration: sink, settings: try SinkSettings(sink, configuration),
            format: EventFormat(rawValue: sink.format.rawValue) ?? .cloudEvents)
    }

    /// The values with a relative `path` made relative to the configuration's folder instead of the current one.
    private static func withPath(_ values: SettingValues, _ configuration: PipelineConfiguration) -> SettingValues {
        var values = values
        if let path = values.text("path") { values["path"] = .text(configuration.resolve(path)) }
        return values
    }
}
