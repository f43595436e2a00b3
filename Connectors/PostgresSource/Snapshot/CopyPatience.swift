internal import ConnectorKit

/// Decides whether a silent server is waited for while it copies rows.
///
/// A server that looks for rows may find none for hours. One that is gone without a word, behind a cut network, is
/// never heard of again, and the stream may wait for these rows.
struct CopyPatience {
    let settings: PostgresSettings
    /// Where the server is.
    let url: String
    let coordinator: SnapshotCoordinator
    /// The server's process.
    let processID: Int
    private var nextLook = CopyPatience.span

    /// Silence of this length is looked into, each time anew.
    private static let span = Duration.seconds(60)
    /// A server that let us in answers this soon.
    private static let answerLimit = Duration.seconds(5)

    init(settings: PostgresSettings, url: String, coordinator: SnapshotCoordinator, processID: Int) {
        self.settings = settings
        self.url = url
        self.coordinator = coordinator
        self.processID = processID
    }

    /// False when the source ends, or when the server does not work on our statement after so much silence.
    mutating func mayWait(_ waited: Duration) -> Bool {
        if coordinator.isClosing { return false }
        if waited < Self.span { nextLook = Self.span }
        if waited < nextLook { return true }
        nextLook = waited + Self.span
        return isAtWork
    }

    private var isAtWork: Bool {
        do throws(ServerError) {
            let connection = try PostgresConnection(
                opening: url, for: .catalogue, applicationName: settings.applicationName)
            let answer = try connection.execute(Self.query, [String(processID)], within: Self.answerLimit)
            return answer.first?.flag("is_at_work") ?? false
        } catch {
            // A server without room for us is there, and has much to do.
            return error.sqlState == "53300"
        }
    }

    private static let query = """
        SELECT state = 'active' AND wait_event_type IS DISTINCT FROM 'Client' AS is_at_work
        FROM pg_catalog.pg_stat_activity WHERE pid = $1::pg_catalog.int4
        """
}
