package import ConnectorKit

/// The settings under `source.sqlite`.
package struct SQLiteSettings: Sendable {
    /// Path of the database file.
    package var path: String
    /// Which tables to capture.
    package var tables: [TablePattern]
    /// Whether rows that existed before arrive as snapshot events.
    package var takesSnapshot: Bool
    /// The longest pause between two looks at a database where nothing happens.
    package var pollInterval: Duration
    /// Bytes of tuples and descriptors after which a batch is sealed. Smaller for tests.
    var batchByteCountMax = 512 << 10

    /// The table from which parser, schema and manual are made.
    package static let table: [Setting] = [
        Setting("path", .text, "Path of the SQLite database file. It must exist.", isRequired: true),
        Setting(
            "tables", .list,
            "Names of the tables to capture, with * for any run of characters. A table that is named in full must"
                + " exist and"
                + " have a primary key; what a pattern matches and cannot be captured is reported and passed over.",
            default: .list(["*"])),
        Setting(
            "snapshot", .choice(["initial", "never"]),
            "initial: rows that exist before the start arrive as snapshot events. never: only changes from the first"
                + " start on.",
            default: .text("initial")),
        Setting(
            "poll_interval", .duration,
            "The longest pause between two looks at an idle database. While changes arrive, Millrace looks every 2 ms.",
            default: .duration(.milliseconds(50))),
    ]

    /// Settings of their parts.
    package init(
        path: String, tables: [String] = ["*"], takesSnapshot: Bool = true, pollInterval: Duration = .milliseconds(50)
    ) {
        self.path = path
        self.tables = tables.map { TablePattern($0) }
        self.takesSnapshot = takesSnapshot
        self.pollInterval = pollInterval
    }

    /// Reads the values of ``table``. The pipeline's name does not matter to this source.
    package init(values: SettingValues, pipelineName: String) throws(SettingProblem) {
        var check = SettingCheck()
        let path = values.text("path") ?? ""
        if path.isEmpty { check.note(SettingProblem("path", "must name a database file", hint: "path: shop.db")) }
        if path.utf8.contains(0) { check.note(SettingProblem("path", "must not hold a zero byte")) }
        let tables = values.list("tables") ?? ["*"]
        if tables.isEmpty || tables.contains("") {
            check.note(SettingProblem("tables", "must name at least one table", hint: "tables: [\"*\"]"))
        }
        let interval = values.duration("poll_interval") ?? .milliseconds(50)
        if interval < .milliseconds(1) || interval > .seconds(60) {
            check.note(SettingProblem("poll_interval", "must be from 1ms to 60s", hint: "poll_interval: 50ms"))
        }
        try check.finish()
        self.init(
            path: path, tables: tables, takesSnapshot: values.text("snapshot") != "never", pollInterval: interval)
    }
}

extension SQLiteSettings {
    /// Throws for tables of a snapshot request that cannot be among the captured ones, whatever the database has.
    package func checkSnapshot(of requested: [TablePattern]) throws(ConnectorFailure) {
        for table in requested where !tables.contains(where: { $0.overlaps(table) }) {
            throw ConnectorFailure.notCaptured(path, table: table.text)
        }
    }
}
