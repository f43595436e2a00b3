internal import ConnectorKit

/// Looks over the side connection whether a silent walsender is at work.
///
/// While it passes over a large transaction of which nothing is for us, a server may say nothing for minutes, and
/// before version 16 it does not even answer. To break that connection would make it begin again, without end.
struct WalsenderCheck {
    let side: SideConnection
    let slot: String
    let processID: Int
    let notice: @Sendable (String) -> Void

    /// True when the walsender works and does not wait for us or for WAL. Blocks until the server answers, or not.
    func isAtWork(silentFor silence: Duration) -> Bool {
        do throws(ConnectorFailure) {
            guard let row = try side.query(Self.query, [slot, String(processID)]).first else { return false }
            guard row.flag("is_at_work") else { return false }
        } catch {
            return false
        }
        notice("the server has sent nothing for \(silence.components.seconds) s; its walsender is at work")
        return true
    }

    private static let query = """
        SELECT a.wait_event_type IS NULL OR a.wait_event_type NOT IN ('Activity', 'Client') AS is_at_work
        FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_replication_slots s ON s.active_pid = a.pid
        WHERE s.slot_name = $1 AND a.pid = $2::pg_catalog.int4
        """
}
