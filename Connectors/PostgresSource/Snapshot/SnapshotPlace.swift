internal import ConnectorKit

/// The server that rows are read from and watermarks are written to: the one that is streamed from, or its primary.
struct SnapshotPlace {
    let settings: PostgresSettings
    /// What the server that is streamed from is.
    let facts: ServerFacts
    let systemIdentifier: String

    /// Refuses a place where no watermark could ever come into this stream.
    func check() throws(ConnectorFailure) {
        guard let url = settings.snapshotURL else {
            if facts.isInRecovery { throw PostgresFailure.snapshotOnStandby() }
            return
        }
        let side = SideConnection(url: url, applicationName: settings.applicationName)
        defer { side.close() }
        let row = try side.query(
            "SELECT pg_catalog.pg_is_in_recovery() AS in_recovery, pg_catalog.current_database() AS database, "
                + "system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()"
        ).first
        guard let row, !row.flag("in_recovery") else { throw PostgresFailure.snapshotOnStandby() }
        guard row.text("system_identifier") == systemIdentifier, row.text("database") == facts.database else {
            throw PostgresFailure.snapshotElsewhere()
        }
    }
}
