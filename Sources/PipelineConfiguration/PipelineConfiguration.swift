package import ConnectorKit

/// What a configuration file says, checked against every table and filled up with defaults.
package struct PipelineConfiguration: Sendable {
    /// The pipeline's name: the prefix of event ids, subjects and slots. `[a-z][a-z0-9_-]*`, at most 40 characters.
    package var name: String
    /// The name of the source connector, such as `postgres`.
    package var sourceKind: String
    /// The settings of the source.
    package var source: SettingValues
    /// What is done to rows before they are stored.
    package var transforms: [TransformConfiguration]
    /// The key of the masks' hashes; nil when nothing is hashed. Secret.
    package var maskSalt: String?
    /// Which tables are outboxes.
    package var outboxes: [OutboxConfiguration]
    /// Where schemas are kept.
    package var schemas: SchemaConfiguration
    /// What happens to classified columns where they must not be seen.
    package var sensitivity: SensitivityConfiguration
    /// Where the event log is kept, and for how long.
    package var log: LogConfiguration
    /// The sinks in the order of the file; may be empty, then events only go into the log.
    package var sinks: [SinkConfiguration]
    /// Where HTTP requests are answered; nil when the file has no such section.
    package var server: ServerConfiguration?
    /// Where in the file each setting stands.
    package var locations: SettingLocations
    /// The folder of the configuration file, to which relative paths relate.
    package var folder: String
    var secrets: [String]

    /// The path of a file or folder that the configuration names: relative ones are relative to the configuration file.
    package func resolve(_ path: String) -> String { joinedPath(folder, path) }

    /// True when two configurations differ in their sinks at most, wherever what they say stands in their files.
    package func differsInSinksOnly(from other: PipelineConfiguration) -> Bool {
        name == other.name && sourceKind == other.sourceKind && source == other.source
            && transforms == other.transforms && maskSalt == other.maskSalt && outboxes == other.outboxes
            && schemas == other.schemas && sensitivity == other.sensitivity && log == other.log
            && server == other.server && folder == other.folder
    }

    /// `text` without any value of a secret setting, for messages of libraries that may quote what they were given.
    /// Secrets of fewer than four characters stay: taking them out would tell what they are.
    package func redacting(_ text: String) -> String { redacted(text, secrets) }
}

/// `text` without these secrets; those of fewer than four characters stay.
func redacted(_ text: String, _ secrets: [String]) -> String {
    secrets.reduce(text) { text, secret in
        secret.utf8.count < 4 ? text : text.replacing(secret, with: "[secret]")
    }
}

extension PipelineConfiguration: CustomStringConvertible {
    /// Names only: a configuration that is printed by accident shows no settings.
    package var description: String {
        "pipeline \(name): \(sourceKind) to \(sinks.map(\.name).joined(separator: ", "))"
    }
}

/// One entry of the `transforms` section.
package struct TransformConfiguration: Sendable, Equatable {
    /// The tables that it is for.
    package var tables: [TablePattern]
    /// The masks of their columns, by name.
    package var masks: [String: ColumnMask]
}

/// One entry of the `outbox` section.
package struct OutboxConfiguration: Sendable, Equatable {
    /// The tables that it is for.
    package var tables: [TablePattern]
    /// The names of the columns, by what they mean: `id`, `aggregatetype`, `aggregateid`, `type`, `payload`.
    package var columns: [String: String]
    /// The topic of the events. Default `outbox.event.{aggregatetype}`.
    package var topic: String
    /// Columns that become attributes, by the attribute's name.
    package var attributes: [String: String]
    /// What the payload is taken for: `auto` (default), `json` or `text`.
    package var content: String
}

/// The `schemas` section.
package struct SchemaConfiguration: Sendable, Equatable {
    /// The folder of the schema files. Default `Schemas`.
    package var directory: String
    /// What happens when a table changed. Default evolve.
    package var onChange: ChangePolicy
    /// What happens when a table is new. Default register.
    package var onNewTable: NewTablePolicy
    /// What happens when a row is not valid. Default quarantine.
    package var onInvalid: InvalidPolicy
    /// What happens when a table's change is not compatible. Default quarantine.
    package var onIncompatible: IncompatiblePolicy
}

/// What happens when a table has a form that no registered version has.
package enum ChangePolicy: String, Sendable, CaseIterable {
    case evolve, quarantine, halt
}

/// What happens when a table has no registered version.
package enum NewTablePolicy: String, Sendable, CaseIterable {
    case register, require
}

/// What happens when a table changed in a way that its level does not allow.
package enum IncompatiblePolicy: String, Sendable, CaseIterable {
    case quarantine, halt
}

/// The `sensitivity` section.
package struct SensitivityConfiguration: Sendable, Equatable {
    /// The class of what has none. Default internal.
    package var unclassified: SensitivityClass
    /// What stands for values, by class. Default drop.
    package var masks: [SensitivityClass: ColumnMask]
    /// What commands that print events show. Default public and internal.
    package var commands: Clearance
}

/// What happens when a row is not valid under its contract.
package enum InvalidPolicy: String, Sendable, CaseIterable {
    case quarantine, halt
}

/// The `log` section.
package struct LogConfiguration: Sendable, Equatable {
    /// The folder of the event log. Default `.millrace`.
    package var directory: String
    /// How long events stay in the log at least. Default seven days.
    package var retentionAge: Duration
    /// How many bytes of events the log keeps. Default 10 GiB.
    package var retentionSize: Int
    /// What becomes of older events that a sink has not got. Default keep.
    package var undelivered: UndeliveredPolicy
    /// How many bytes the log may take before capture waits; nil for no limit but the disk.
    package var limit: Int?
    /// How many bytes of the disk are kept for when it is full; 0 for none. Default 48 MiB.
    package var reserve: Int
    /// When the source is told what it may forget. Default once the log has it.
    package var acknowledge: LogAcknowledgement
}

/// What retention does about events that a sink has not got.
package enum UndeliveredPolicy: String, Sendable, CaseIterable {
    case keep, drop
}

/// When the source may forget.
package enum LogAcknowledgement: String, Sendable, CaseIterable {
    /// Once the log is durable.
    case logged
    /// Once every sink has it durably.
    case delivered
}

/// How a sink wants its records.
package enum RecordFormat: String, Sendable, CaseIterable {
    /// CloudEvents in JSON: the whole event.
    case cloudevents
    /// The row after the change, with the metadata under names that begin with `_`.
    case row
    /// The same as lines of CSV, for files.
    case csv
    /// The records of Debezium's connectors.
    case debezium
}

/// What happens to an event that a sink's receiver refuses for good.
package enum RejectedPolicy: String, Sendable, CaseIterable {
    case quarantine, halt
}

/// One entry of the `sinks` section.
package struct SinkConfiguration: Sendable, Equatable {
    /// The name that the file gives it.
    package var name: String
    /// The name of the connector, such as `file`.
    package var kind: String
    /// The connector's settings.
    package var settings: SettingValues
    /// The tables whose events the sink gets. Default all.
    package var tables: [TablePattern]
    /// The form of its records. Default CloudEvents.
    package var format: RecordFormat
    /// How records of Debezium's format are spelled.
    package var debezium: SettingValues
    /// Which sensitivity classes it may see. Default public and internal.
    package var clearance: Clearance
    /// Where it begins when it is new. Default with the oldest event of the log.
    package var start: StartPosition
    /// What happens to an event that its receiver refuses for good. Default quarantine.
    package var onRejected: RejectedPolicy
}

/// Joins a folder and a path; an absolute path stays as it is.
func joinedPath(_ folder: String, _ path: String) -> String {
    if path.hasPrefix("/") || folder.isEmpty || folder == "." { return path }
    return folder.hasSuffix("/") ? folder + path : "\(folder)/\(path)"
}
