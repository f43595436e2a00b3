internal import ChangeModel
internal import ConnectorKit

/// A replication slot as `pg_replication_slots` shows it.
struct SlotState {
    var plugin: String
    var database: String
    /// The process that reads it now.
    var activeProcess: String?
    var confirmed: LSN?
    var restart: LSN?
    /// reserved, extended, unreserved or lost.
    var walStatus: String?
    /// Why the server gave it up, from 17 on in its own words. 16 says only that it did, also when it removed WAL: that
    /// alone takes `restart_lsn` away.
    var invalidation: String?
    /// True when standbys that keep slots in step have it too (server 17 on).
    var isFailover: Bool
    /// True when it came from a primary in this way; on a primary that means nothing.
    var isSynced: Bool
    /// Bytes that may be written before the slot is in danger; nil when there is no limit.
    var safeBytes: Int?
    /// Bytes of WAL that are kept for it.
    var retainedBytes: Int?

    /// Looks a slot up; nil when there is none of this name.
    static func find(_ name: String, _ side: SideConnection) throws(ConnectorFailure) -> SlotState? {
        guard let row = try side.query(query, [name]).first else { return nil }
        return SlotState(row)
    }

    private init(_ row: QueryResult.Row) {
        plugin = row.text("plugin")
        database = row.text("database")
        activeProcess = row["active_pid"]
        confirmed = row["confirmed_flush_lsn"].flatMap { LSN($0) }
        restart = row["restart_lsn"].flatMap { LSN($0) }
        walStatus = row["wal_status"]
        let isConflicting = row.flag("conflicting") && restart != nil
        invalidation = row["invalidation_reason"] ?? (isConflicting ? "conflict with recovery" : nil)
        isFailover = row.flag("failover")
        isSynced = row.flag("synced")
        safeBytes = row.integer("safe_wal_size")
        retainedBytes = row.integer("retained")
    }

    /// Why it cannot be read any more; nil when it can.
    var lostBecause: String? {
        if let invalidation { return "invalidated: \(invalidation)" }
        return walStatus == "lost" ? "wal_status = lost" : nil
    }

    private static let query = """
        SELECT s.*, pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery()
            THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END,
            s.restart_lsn)::pg_catalog.int8 AS retained
        FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = $1
        """
}
