package import ConnectorKit

/// Takes away what Millrace has made in a SQLite database: its triggers and its tables, whose names all begin with
/// `_millrace_`.
package struct SQLiteTeardown: Sendable {
    private let settings: SQLiteSettings

    /// A teardown in the database of these settings.
    package init(_ settings: SQLiteSettings) { self.settings = settings }

    /// What there is. Changes nothing.
    package func plan() throws(ConnectorFailure) -> TeardownPlan {
        try onDatabase(reading: true) { (connection) throws(SQLiteError) in try Self.plan(connection) }
    }

    /// Drops all of it by one transaction. What was made since the plan goes too.
    package func carryOut() throws(ConnectorFailure) {
        try onDatabase(reading: false) { (connection) throws(SQLiteError) in
            try connection.transaction("IMMEDIATE") { () throws(SQLiteError) in
                for step in try Self.plan(connection).steps { try connection.execute(step.statement) }
            }
        }
    }

    /// Triggers first: a table that is gone would make each write of the application fail.
    private static func plan(_ connection: SQLiteConnection) throws(SQLiteError) -> TeardownPlan {
        let statement = try connection.prepare(
            """
            SELECT type, name, tbl_name FROM sqlite_schema
            WHERE type IN ('trigger', 'table') AND substr(name, 1, 10) = '_millrace_' ORDER BY type DESC, name
            """)
        var plan = TeardownPlan()
        while try statement.step() {
            let (kind, name) = (statement.text(0) ?? "", statement.text(1) ?? "")
            let place = kind == "trigger" ? " on \(statement.text(2) ?? "")" : ""
            plan.steps.append(
                TeardownPlan.Step(
                    "\(kind) \(name)\(place)", "DROP \(kind.uppercased()) \(SQLText.identifier(name));"))
        }
        return plan
    }

    private func onDatabase<Result>(
        reading: Bool, _ body: (SQLiteConnection) throws(SQLiteError) -> Result
    ) throws(ConnectorFailure) -> Result {
        do throws(SQLiteError) {
            guard DatabaseFileWatch.exists(settings.path) else {
                throw SQLiteError(refusal: .fileMissing(settings.path))
            }
            let connection = try SQLiteConnection(path: settings.path, reading: reading)
            connection.setBusyTimeout(milliseconds: 5000)
            return try body(connection)
        } catch {
            throw ConnectorFailure(error, path: settings.path, while: "taking away what Millrace made")
        }
    }
}
