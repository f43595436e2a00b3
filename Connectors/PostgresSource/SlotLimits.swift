internal import ConnectorKit

/// The settings of the server that take a slot away, as they are now and as people write them.
struct SlotLimits {
    /// max_slot_wal_keep_size, such as `1GB`; `-1` for no limit.
    var keepSize: String
    /// idle_replication_slot_timeout, such as `2d`; nil before server 18, `0` for none.
    var idleTimeout: String?
    /// wal_sender_timeout, such as `1min`; `0` for none.
    var senderTimeout: String

    init(_ side: SideConnection) throws(ConnectorFailure) {
        let row = try side.query(Self.query).first
        keepSize = row?.text("keep_size") ?? "-1"
        idleTimeout = row?["idle_timeout"]
        senderTimeout = row?.text("sender_timeout") ?? "0"
    }

    private static let query = """
        SELECT pg_catalog.current_setting('max_slot_wal_keep_size') AS keep_size,
            pg_catalog.current_setting('idle_replication_slot_timeout', true) AS idle_timeout,
            pg_catalog.current_setting('wal_sender_timeout') AS sender_timeout
        """

    /// The setting to raise for a slot that was lost for `reason`, with its present value.
    func advice(for reason: String) -> String {
        if reason.contains("idle_timeout"), let idleTimeout {
            return "raise idle_replication_slot_timeout (now \(idleTimeout))"
        }
        if reason.contains("wal_level") { return "keep wal_level = logical" }
        if reason.contains("rows_removed") || reason.contains("conflict") {
            return "set hot_standby_feedback = on on the standby"
        }
        return "raise max_slot_wal_keep_size (now \(keepSize))"
    }
}
