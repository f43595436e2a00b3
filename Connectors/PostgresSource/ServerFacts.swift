internal import ChangeModel
internal import ConnectorKit

/// What must be known about a server before anything is made on it.
struct ServerFacts {
    /// Such as 150018.
    var versionNumber: Int
    /// Such as `15.18`.
    var version: String
    var walLevel: String
    var isInRecovery: Bool
    var role: String
    var canReplicate: Bool
    var database: String
    var databaseID: String
    /// When this server was started: tells it from every other one that answers to the same names.
    var started: String
    /// The database's encoding; SQL_ASCII holds any bytes.
    var encoding: String
    var slotsMax: Int
    var slotsUsed: Int
    var sendersMax: Int
    var sendersUsed: Int
    /// True when sessions of the role begin as read-only ones; and when it is the connection itself that asks for it.
    var isReadOnly: Bool
    var isReadOnlyByURL: Bool
    /// max_slot_wal_keep_size in MiB; -1 for no limit.
    var slotKeepMebibytes: Int

    init(_ side: SideConnection) throws(ConnectorFailure) {
        guard let row = try side.query(Self.query).first else {
            throw PostgresFailure.connectionLost("no answer about the server")
        }
        versionNumber = row.integer("version_number") ?? 0
        version = row.text("version")
        walLevel = row.text("wal_level")
        isInRecovery = row.flag("in_recovery")
        role = row.text("role")
        canReplicate = row.flag("can_replicate")
        database = row.text("database")
        databaseID = row.text("database_id")
        started = row.text("started")
        encoding = row.text("encoding")
        slotsMax = row.integer("slots_max") ?? 0
        slotsUsed = row.integer("slots_used") ?? 0
        sendersMax = row.integer("senders_max") ?? 0
        sendersUsed = row.integer("senders_used") ?? 0
        isReadOnly = row["read_only"] == "on"
        isReadOnlyByURL = isReadOnly && row["read_only_source"] == "client"
        slotKeepMebibytes = row.integer("slot_keep") ?? -1
    }

    /// True for the encoding SQL_ASCII, which checks nothing.
    var holdsAnyBytes: Bool { encoding == "SQL_ASCII" }

    /// Refuses a server that cannot be captured from. A role without REPLICATION is let through here: some providers
    /// grant it in their own way, and the replication connection tells for certain.
    func check() throws(ConnectorFailure) {
        if versionNumber < 140_000 { throw PostgresFailure.serverTooOld(version) }
        if isInRecovery && versionNumber < 160_000 { throw PostgresFailure.standby() }
        if walLevel != "logical" { throw PostgresFailure.walLevel(walLevel) }
    }

    /// When the server was started, alone.
    static let startQuery = "SELECT pg_catalog.pg_postmaster_start_time()::pg_catalog.text AS started"

    private static let query = """
        SELECT current_setting('server_version_num') AS version_number, current_setting('server_version') AS version,
            current_setting('wal_level') AS wal_level, pg_is_in_recovery() AS in_recovery, current_user AS role,
            (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user) AS can_replicate,
            pg_postmaster_start_time()::text AS started,
            current_database() AS database, d.oid AS database_id, pg_encoding_to_char(d.encoding) AS encoding,
            current_setting('max_replication_slots') AS slots_max,
            (SELECT count(*) FROM pg_replication_slots) AS slots_used,
            current_setting('max_wal_senders') AS senders_max,
            (SELECT count(*) FROM pg_stat_replication) AS senders_used,
            current_setting('default_transaction_read_only') AS read_only,
            (SELECT source FROM pg_settings WHERE name = 'default_transaction_read_only') AS read_only_source,
            (SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS slot_keep
        FROM pg_database d WHERE d.datname = current_database()
        """
}
