internal import ConnectorKit

/// A transaction that others wait for: who has it open, and what ends it.
///
/// It is looked for in the server's locks, which every role may see; of other roles' processes `pg_stat_activity` tells
/// neither the transaction nor its age without `pg_read_all_stats`.
struct TransactionHolder: Equatable {
    /// Such as `that of process 71 (psql, role "app", database "shop"), 40 s old`.
    var text: String
    /// What ends it.
    var fix: String
    /// How long it has been open; nil when the role may not see that.
    var seconds: Int?

    /// What is shown by ``query`` or ``lockQuery``.
    init(_ row: QueryResult.Row) {
        seconds = row.integer("age").map { max(0, $0) }
        let age = seconds.map { ", \(TimeText.of($0)) old" } ?? ", of an age that only pg_read_all_stats shows"
        let database = row["database"].map { "database \"\($0)\"" } ?? "no database"
        if let gid = row["gid"] {
            text = "the prepared one \"\(gid)\" in \(database)\(age)"
            fix =
                "connected to \(database): COMMIT PREPARED \(SQLText.literal(gid)); or ROLLBACK PREPARED "
                + "\(SQLText.literal(gid));"
            return
        }
        let name = row["name"].flatMap { $0.isEmpty ? nil : $0 } ?? "without a name"
        let process = row["pid"] ?? "?"
        text = "that of process \(process) (\(name), role \"\(row["role"] ?? "?")\", \(database))\(age)"
        if row.flag("waits_for_standby") { text += ", which waits for a synchronous standby" }
        fix = "end it where it was begun, or SELECT pg_terminate_backend(\(process));"
    }

    /// The oldest transaction that has written something, in any database, prepared ones too; nil for none.
    static func oldest(_ side: SideConnection) throws(ConnectorFailure) -> TransactionHolder? {
        try side.query(query).first.map { TransactionHolder($0) }
    }

    /// Of the transactions that have written something, in any database, the one that has been open longest as far as
    /// the role may see that; nil for none that is as old as `seconds`.
    static func forgotten(after seconds: Int, _ side: SideConnection) throws(ConnectorFailure) -> TransactionHolder? {
        let row = try side.query(writers + "ORDER BY age DESC NULLS LAST LIMIT 1").first
        return row.map { TransactionHolder($0) }.flatMap { $0.seconds.map { $0 >= seconds } ?? false ? $0 : nil }
    }

    /// Finds the oldest transaction that has written something.
    static let query = writers + "ORDER BY pg_catalog.age(l.transactionid) DESC LIMIT 1"

    private static let writers =
        selection + " AND l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' "

    /// Finds who keeps a table, whose oid is the argument, from being read.
    static let lockQuery = tableLocks + "AND l.mode = 'AccessExclusiveLock' LIMIT 1"

    /// Finds who keeps those from the table who wait to lock it, and behind whom every reader waits.
    static let queueQuery =
        tableLocks + """
            AND EXISTS (SELECT FROM pg_catalog.pg_locks w
                CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS blocker (pid)
                WHERE NOT w.granted AND w.mode = 'AccessExclusiveLock' AND w.locktype = 'relation'
                    AND w.relation = l.relation AND w.database = l.database AND blocker.pid = coalesce(l.pid, 0))
            ORDER BY age DESC NULLS LAST LIMIT 1
            """

    private static let tableLocks =
        selection + " AND l.locktype = 'relation' AND l.relation = $1::pg_catalog.oid AND l.database = "
        + "(SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) "

    /// A prepared transaction has locks without a process; which one it is tells the lock on its own number.
    private static let selection = """
        SELECT l.pid, a.application_name AS name, a.usename AS role, p.gid,
            coalesce(a.datname, p.database) AS database,
            coalesce(a.wait_event = 'SyncRep', false) AS waits_for_standby,
            extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.xact_start, p.prepared))::pg_catalog.int8
                AS age
        FROM pg_catalog.pg_locks l
            LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
            LEFT JOIN LATERAL (
                SELECT p.* FROM pg_catalog.pg_locks x
                    JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid
                WHERE l.pid IS NULL AND x.pid IS NULL AND x.virtualtransaction = l.virtualtransaction
                LIMIT 1) p ON true
        WHERE l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
        """
}
