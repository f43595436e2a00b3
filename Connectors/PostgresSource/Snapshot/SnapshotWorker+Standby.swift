internal import ChangeModel
internal import ConnectorKit

/// Reading rows on a standby of the server that is streamed from, where the watermarks are written.
extension SnapshotWorker {
    /// A standby that is farther behind is tried again later: meanwhile the stream may have to wait for the chunk.
    private static let replayPatience = Duration.seconds(60)

    /// Writes the low watermark on the primary and begins the chunk's transaction on the standby.
    ///
    /// The chunk is judged by what the primary shows behind the watermark, because a standby does not tell whom it
    /// shows. The standby has replayed all of that, so it shows at least as much. Whoever it shows beyond that was
    /// streamed inside of the window, if not before it, where the chunk is thrown away: their events tell the rows, as
    /// they do for those that the chunk does not see.
    func beginOnStandby(_ chunk: SnapshotChunk) throws(Obstacle) -> TableShape {
        let primary = try connection()
        try execute(mark(chunk.number, .low, isWaitedFor: true), on: primary)
        try settle()
        // The end is asked for behind the snapshot, so that everything in the snapshot lies before it.
        let answer = try execute("SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text AS snapshot", on: primary)
        guard let snapshot = answer.first.flatMap({ ServerSnapshot($0.text("snapshot")) }),
            let end = try execute(WALEnd.query, on: primary).first.flatMap({ WALEnd($0) })?.position
        else { throw .again }
        let standby = try standbyConnection()
        try waitForReplay(of: end, standby)
        var shape = try begin(chunk.table, on: standby)
        // While it is a standby still, its transaction shows nothing that the primary did not write.
        try checkStandby(standby)
        shape.snapshot = snapshot
        return shape
    }

    private func waitForReplay(of end: LSN, _ standby: PostgresConnection) throws(Obstacle) {
        let deadline = ContinuousClock.now + Self.replayPatience
        var span = Duration.milliseconds(2)
        while true {
            let answer = try execute(
                "SELECT pg_catalog.pg_last_wal_replay_lsn() >= $1::pg_catalog.pg_lsn AS is_there", [end.description],
                on: standby)
            if answer.first?.flag("is_there") ?? false { break }
            if coordinator.isClosing { throw .closing }
            guard ContinuousClock.now < deadline else { throw .lagging(behind: end.description) }
            pause(span)
            span = min(.milliseconds(100), span * 2)
        }
        isLagSaid = false
    }

    /// Ends the source when the standby is none any more, or follows another line than the stream.
    func checkStandby(_ standby: PostgresConnection) throws(Obstacle) {
        guard let row = try execute(SnapshotPlace.query, on: standby).first else { throw .again }
        guard row.flag("in_recovery"), SnapshotPlace.timeline(row) <= timeline else {
            throw .failure(PostgresFailure.snapshotStandbyGone())
        }
    }
}
