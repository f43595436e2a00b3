internal import ConnectorKit

/// Looks over a connection of its own whether a silent walsender is at work.
///
/// While it passes over a large transaction of which nothing is for us, a server may say nothing for minutes, and
/// before version 16 it does not even answer. To break that connection would make it begin again, without end.
///
/// The connection is new each time: one that was made before may lead into the same hole as the stream, and only a new
/// one is bounded by connect_timeout.
struct WalsenderCheck {
    let settings: PostgresSettings
    let processID: Int
    let notice: @Sendable (String) -> Void

    /// A server that let us in answers this soon.
    private static let answerLimit = Duration.seconds(5)

    /// True when the walsender works and does not wait for us or for WAL. Blocks for connect_timeout at most for each
    /// address of the URL, and a few seconds for the answer.
    func isAtWork(silentFor silence: Duration) -> Bool {
        do throws(ServerError) {
            let connection = try PostgresConnection(
                opening: settings.url, for: .catalogue, applicationName: settings.applicationName)
            let answer = try connection.execute(
                Self.query, [settings.slot, String(processID)], within: Self.answerLimit)
            guard let row = answer.first, row.flag("is_at_work") else { return false }
        } catch {
            // A server without room for us is there, and has much to do: it is looked at again later.
            guard error.sqlState == "53300" else { return false }
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
