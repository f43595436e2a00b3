package import ConnectorKit

/// What a file sink is told in the configuration.
package struct FileSettings: Sendable, Equatable {
    /// Where records go.
    package var path: PathTemplate

    /// The settings that may stand under `file:`.
    package static let table: [Setting] = [
        Setting(
            "path", .text,
            "The file that lines of JSON are written to. {schema} and {table} stand for the names of the table, "
                + "{topic} for the topic of an outbox event (schema.table for any other), {date} for the day of the "
                + "commit in UTC (2026-11-21). Folders are made as needed. Characters of names that have a meaning in "
                + "paths are written as %XX. A path that is no ordinary file (/dev/stdout, a named pipe) is written to "
                + "without any promise across crashes.",
            isRequired: true)
    ]

    /// Settings from checked values.
    package init(values: SettingValues, pipelineName: String) throws(SettingProblem) {
        guard let path = values.text("path") else {
            throw SettingProblem("path", "path is missing", hint: "write path: out/{table}.jsonl")
        }
        self.path = try PathTemplate(path)
    }
}
