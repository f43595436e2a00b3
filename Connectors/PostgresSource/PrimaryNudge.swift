internal import ConnectorKit

/// Asks the primary to tell its standbys which transactions run, which a new slot on a standby waits for: a primary
/// without work would say nothing, perhaps for hours.
///
/// Who may not ask that has to wait, or to have it done.
struct PrimaryNudge {
    private let side: SideConnection
    private var due = Duration.milliseconds(500)
    private var isOver = false

    /// Between two words.
    private static let span = Duration.seconds(2)

    init(url: String, _ settings: PostgresSettings) {
        side = SideConnection(url: url, applicationName: settings.applicationName)
    }

    /// Called again and again with the time that the slot has waited.
    mutating func nudge(after waited: Duration) {
        guard !isOver, waited >= due else { return }
        due = waited + Self.span
        do throws(ConnectorFailure) {
            _ = try side.query("SELECT pg_catalog.pg_log_standby_snapshot()")
        } catch {
            isOver = error.remedy == .stop
        }
    }
}
