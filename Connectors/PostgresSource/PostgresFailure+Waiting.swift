internal import ConnectorKit

/// What is waited for although nothing is broken: transactions of others. They are failures only where nobody waits
/// for ever.
extension PostgresFailure {
    /// A new slot begins behind every transaction that ran when it was asked for.
    static func slotWaits(_ slot: String, for holder: TransactionHolder?) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.transaction_open", .retry,
            "slot \"\(slot)\" waits for transactions that were running before it" + oldest(holder),
            setting: slotSetting, hint: holder?.fix ?? lookForTransactions)
    }

    /// A new slot on a standby waits for a word of the primary.
    static func slotWaitsForPrimary(_ slot: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.transaction_open", .retry,
            "slot \"\(slot)\" waits for the primary's word on running transactions", setting: slotSetting,
            hint: "on the primary: SELECT pg_log_standby_snapshot(); and no transaction there may stay open")
    }

    /// Rows are read once everything that was streamed, or began before the stream, can be seen.
    static func snapshotWaits(_ table: String, for holder: TransactionHolder?) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.transaction_open", .retry,
            "snapshot of \(table) waits for transactions that began before it" + oldest(holder),
            setting: "source.postgres.snapshot", hint: holder?.fix ?? lookForTransactions)
    }

    /// Somebody keeps a table from being read.
    static func snapshotWaits(_ table: String, forLockOf holder: TransactionHolder?) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.locked", .retry,
            "snapshot of \(table) waits: somebody has locked the table"
                + (holder.map { ", in a transaction, \($0.text)" } ?? ""),
            setting: "source.postgres.snapshot", hint: holder?.fix ?? "look in pg_locks for who holds it")
    }

    /// Somebody waits to lock a table, and whoever wants to read it has to wait behind.
    static func snapshotWaits(_ table: String, forQueueBehind holder: TransactionHolder) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.locked", .retry,
            "snapshot of \(table) waits: somebody waits to lock the table, behind a transaction that uses it, "
                + holder.text,
            setting: "source.postgres.snapshot", hint: holder.fix)
    }

    /// The standby that rows are read on does not show yet what they must show.
    static func snapshotWaits(_ table: String, forReplayOf end: String) -> ConnectorFailure {
        ConnectorFailure(
            "postgres.standby_behind", .retry,
            "snapshot of \(table) waits: the standby has not replayed \(end) yet",
            setting: "source.postgres.snapshot_url",
            hint: "nothing, if it catches up; otherwise look at the standby's replication")
    }

    private static func oldest(_ holder: TransactionHolder?) -> String {
        holder.map { "; the oldest is \($0.text)" } ?? ""
    }

    private static let lookForTransactions =
        "look in pg_stat_activity (xact_start) and pg_prepared_xacts for transactions that stay open in any database"
}
