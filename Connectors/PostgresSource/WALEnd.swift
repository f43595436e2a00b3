internal import ChangeModel
internal import ConnectorKit

/// Where the server's write-ahead log ends.
struct WALEnd {
    /// Covers everything that is committed; a stream without changes gets here by keepalives.
    var position: LSN
    /// True when the server's disk has everything up to ``position``.
    var isFlushed: Bool
    var isInRecovery: Bool
    /// Up to here the server's disk has everything; nil on a standby.
    var flushed: LSN?

    init(_ side: SideConnection) throws(ConnectorFailure) {
        guard let row = try side.query(Self.query).first, let end = WALEnd(row) else {
            throw PostgresFailure.connectionLost("no answer about the end of WAL")
        }
        self = end
    }

    /// Reads the answer to ``query``; nil when it says nothing.
    init?(_ row: QueryResult.Row) {
        guard let end = row["end"].flatMap({ LSN($0) }) else { return nil }
        isInRecovery = row.flag("in_recovery")
        let reachable = Self.reachable(
            end, pageBytes: UInt64(row.integer("page") ?? 8192),
            segmentBytes: UInt64(row.integer("segment") ?? 16 << 20))
        position = reachable
        flushed = row["flushed"].flatMap { LSN($0) }
        isFlushed = flushed.map { $0 >= reachable } ?? true
    }

    /// True when the server's disk has everything up to `place`.
    func isFlushed(to place: LSN) -> Bool { flushed.map { $0 >= place } ?? true }

    /// The insert position stands behind the header of a page that is still empty, the flush position before it.
    static func reachable(_ end: LSN, pageBytes: UInt64, segmentBytes: UInt64) -> LSN {
        guard pageBytes > 0, segmentBytes > 0 else { return end }
        let isFirstOfSegment = end.value % segmentBytes < pageBytes
        let header: UInt64 = isFirstOfSegment ? 40 : 24
        let used = end.value % pageBytes
        return used <= header ? LSN(end.value - used) : end
    }

    static let query = """
        SELECT pg_is_in_recovery() AS in_recovery,
            CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END AS end,
            CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_flush_lsn() END AS flushed,
            (SELECT setting FROM pg_settings WHERE name = 'wal_block_size') AS page,
            (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS segment
        """
}
