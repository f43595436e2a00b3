internal import ConnectorKit

/// The server that rows are read from: the one that is streamed from, its primary, or a standby of it.
///
/// Watermarks take a primary: they are written to the server that is streamed from, unless that is a standby itself.
struct SnapshotPlace {
    let settings: PostgresSettings
    /// What the server that is streamed from is.
    let facts: ServerFacts
    let systemIdentifier: String
    /// The timeline of the server that is streamed from.
    let timeline: UInt32

    init(_ settings: PostgresSettings, _ facts: ServerFacts, _ replication: ServerPreparation.Replication) {
        self.settings = settings
        self.facts = facts
        systemIdentifier = replication.systemIdentifier
        timeline = replication.timeline.number
    }

    /// False when nothing is named that rows could be read from.
    var isPossible: Bool { settings.snapshotURL != nil || !facts.isInRecovery }

    /// Refuses a place where no watermark could ever come into this stream, or whose rows are those of another server.
    func check() throws(ConnectorFailure) {
        guard let url = settings.snapshotURL else {
            if facts.isInRecovery { throw PostgresFailure.snapshotOnStandby() }
            return
        }
        let side = SideConnection(url: url, applicationName: settings.applicationName)
        defer { side.close() }
        guard let row = try side.query(Self.query).first else {
            throw PostgresFailure.connectionLost("no answer about the server for snapshots")
        }
        if facts.isInRecovery && row.flag("in_recovery") { throw PostgresFailure.snapshotOnStandby() }
        guard row.text("system_identifier") == systemIdentifier, row.text("database") == facts.database else {
            throw PostgresFailure.snapshotElsewhere()
        }
        // A standby that is streamed from may come to a new timeline later than its primary.
        guard facts.isInRecovery || Self.timeline(row) <= timeline else { throw PostgresFailure.snapshotElsewhere() }
    }

    /// Refuses tables whose rows the role that reads them may not read, or not all: consumers would forget them, and
    /// get nothing instead. `side` leads to the server that is streamed from.
    func checkReadable(_ tables: [UInt32], _ side: SideConnection) throws(ConnectorFailure) {
        let other = settings.snapshotURL.map { SideConnection(url: $0, applicationName: settings.applicationName) }
        defer { other?.close() }
        let found = try (other ?? side).query(TableSelection.readingQuery, [TableSelection.array(tables)])
        if let obstacle = TableSelection.obstacle(found) { throw obstacle }
    }

    /// The newest timeline that the server is known to have been on, a while ago.
    static func timeline(_ row: QueryResult.Row) -> UInt32 { UInt32(clamping: row.integer("timeline") ?? 0) }

    /// What a server for snapshots is.
    static let query = """
        SELECT pg_catalog.pg_is_in_recovery() AS in_recovery, pg_catalog.current_database() AS database,
            s.system_identifier::pg_catalog.text, c.timeline_id AS timeline
        FROM pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c
        """
}
