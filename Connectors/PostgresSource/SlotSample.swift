internal import ChangeModel
internal import ConnectorKit

/// Slot, WAL and walsender at one moment.
struct SlotSample {
    /// Nil when the slot is gone.
    var slot: SlotState?
    /// The end of what the server has flushed, or replayed on a standby.
    var serverEnd: LSN
    /// How far the walsender has worked through WAL; nil when it is gone, or hidden from the role.
    var sent: LSN?
    /// True when the walsender computes or reads, rather than waiting for something to happen.
    var isSenderBusy: Bool
    /// True when the walsender holds changes back until standbys have them (`synchronized_standby_slots`, server 17 on).
    var isWaitingForStandbys: Bool

    init(slot name: String, walsender: Int, _ side: SideConnection) throws(ConnectorFailure) {
        slot = try SlotState.find(name, side)
        let row = try side.query(Self.query, [String(walsender)]).first
        serverEnd = row?["server_end"].flatMap { LSN($0) } ?? LSN(0)
        sent = row?["sent_lsn"].flatMap { LSN($0) }
        isSenderBusy = row?.flag("is_busy") ?? false
        isWaitingForStandbys = row?["wait_event"] == "WaitForStandbyConfirmation"
    }

    private static let query = """
        SELECT e.server_end, r.sent_lsn, a.wait_event,
            a.pid IS NOT NULL AND (a.wait_event IS NULL OR a.wait_event_type = 'IO') AS is_busy
        FROM (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                ELSE pg_catalog.pg_current_wal_flush_lsn() END AS server_end) e
            LEFT JOIN pg_catalog.pg_stat_replication r ON r.pid = $1::pg_catalog.int4
            LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = $1::pg_catalog.int4
        """
}

/// Who keeps the server from forgetting WAL that was confirmed.
struct TransactionHolder {
    /// A sentence about it.
    var text: String

    /// The oldest transaction that has written something, in any database, prepared ones too.
    static func oldest(_ side: SideConnection) throws(ConnectorFailure) -> TransactionHolder? {
        guard let row = try side.query(query).first else { return nil }
        let age = TimeText.of(row.integer("age") ?? 0)
        if let prepared = row["gid"] {
            return TransactionHolder(
                text: "The oldest transaction is the prepared one \"\(prepared)\" in database "
                    + "\"\(row.text("database"))\", \(age) old: commit it or roll it back")
        }
        return TransactionHolder(
            text: "The oldest transaction is that of process \(row.text("pid")) (\(row.text("name")), role "
                + "\(row.text("role")), database \"\(row.text("database"))\"), \(age) old: end it, or "
                + "SELECT pg_terminate_backend(\(row.text("pid")))")
    }

    private static let query = """
        SELECT pid, application_name AS name, usename AS role, datname AS database, NULL AS gid,
            extract(epoch FROM pg_catalog.now() - xact_start)::pg_catalog.int8 AS age
        FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_catalog.pg_backend_pid()
        UNION ALL SELECT NULL, NULL, owner, database, gid,
            extract(epoch FROM pg_catalog.now() - prepared)::pg_catalog.int8
        FROM pg_catalog.pg_prepared_xacts
        ORDER BY age DESC NULLS LAST LIMIT 1
        """
}

/// Times as people read them.
enum TimeText {
    /// Such as `40 s`, `12 min`, `3 h` or `2 d`.
    static func of(_ seconds: Int) -> String {
        switch seconds {
        case ..<120: "\(seconds) s"
        case ..<7200: "\(seconds / 60) min"
        case ..<172_800: "\(seconds / 3600) h"
        default: "\(seconds / 86_400) d"
        }
    }
}
