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
    /// True when the walsender holds changes back until standbys have them (server 17 on).
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
