package import ConnectorKit
import Foundation
import GRDB

extension EventLog {
    private static let replayedPoint = HaltPoint("log.replayed")

    /// A sink's cursor; nil for a sink that has none yet.
    package func cursor(of sink: String) throws(ConnectorFailure) -> SinkCursor? {
        try read("read the cursor of \(sink)") { db in try LogQueries.cursor(of: sink, db) }
    }

    /// Gives a sink a cursor at `offset`, unless it has one already; returns the one that counts.
    package func createCursor(of sink: String, at offset: UInt64) throws(ConnectorFailure) -> SinkCursor {
        try write("make a cursor for \(sink)") { db in
            try db.execute(
                sql: "INSERT OR IGNORE INTO sink (name, next_offset, moved_at) VALUES (?, ?, ?)",
                arguments: [sink, Int64(bitPattern: offset), UTCTime.now()])
            guard let cursor = try LogQueries.cursor(of: sink, db) else { throw LogFailure.unknownSink(sink) }
            return cursor
        }
    }

    /// Moves a sink's cursor, back as well as forward, together with its state; a nil state keeps what was stored.
    ///
    /// Not durable before the next sync: after a power cut the cursor may be back where it was, and the sink sees
    /// events again.
    package func moveCursor(
        of sink: String, to offset: UInt64, state: [UInt8]? = nil, eventsPerSecond: Double? = nil
    ) throws(ConnectorFailure) {
        try write("move the cursor of \(sink)") { db in
            try Self.moveCursor(of: sink, to: offset, state: state, eventsPerSecond: eventsPerSecond, db)
        }
    }

    /// The same inside of a transaction.
    static func moveCursor(
        of sink: String, to offset: UInt64, state: [UInt8]?, eventsPerSecond: Double? = nil, _ db: Database
    ) throws {
        let statement = try db.cachedStatement(
            sql: """
                UPDATE sink SET next_offset = ?, state = coalesce(?, state), moved_at = ?,
                    events_per_second = coalesce(?, events_per_second) WHERE name = ?
                """)
        try statement.execute(arguments: [
            Int64(bitPattern: offset), state.map { Data($0) }, UTCTime.now(), eventsPerSecond, sink,
        ])
        guard db.changesCount == 1 else { throw LogFailure.unknownSink(sink) }
    }

    /// Moves a sink's cursor to where somebody wants it, durable when the call returns: back, so that events are
    /// delivered again, or with `skipping` also forward, so that events are never delivered to it. Returns where it
    /// was. With `forgetting`, the sink's state is gone. Letters whose events are delivered again go with
    /// ``takeBackLetters(of:)``.
    ///
    /// Throws `replay.not_in_log` for an offset that the log does not have, `replay.would_skip` for one that lies ahead
    /// of the cursor, `log.unknown_sink` for a sink that never ran.
    package func replay(
        _ sink: String, from offset: UInt64, skipping: Bool, forgetting: Bool = false
    ) throws(ConnectorFailure) -> UInt64 {
        let covered = try position().checkpoint
        let former = try write("move the cursor of \(sink)", durably: true) { db -> UInt64 in
            let former = try LogQueries.checkReplay(of: sink, from: offset, skipping: skipping, db)
            try Self.moveCursor(of: sink, to: offset, state: nil, db)
            if forgetting {
                try db.execute(sql: "UPDATE sink SET state = NULL WHERE name = ?", arguments: [sink])
            }
            return former
        }
        // That commit covers every earlier one, like a sync.
        hasUnsynced = false
        durableCheckpoint = covered
        Self.replayedPoint.reached()
        return former
    }

    /// Stores a sink's state beside its unchanged cursor, durable when the call returns.
    package func saveState(of sink: String, _ state: [UInt8]) throws(ConnectorFailure) {
        let covered = try position().checkpoint
        try write("store the state of \(sink)", durably: true) { db in
            try db.execute(
                sql: "UPDATE sink SET state = ? WHERE name = ?", arguments: [Data(state), sink])
            guard db.changesCount == 1 else { throw LogFailure.unknownSink(sink) }
        }
        // That commit covers every earlier one, like a sync.
        hasUnsynced = false
        durableCheckpoint = covered
    }

    /// Stores a sink's last failure for `status`, and after which time it is opened again, if it is; nil says that it
    /// works again.
    package func setError(
        of sink: String, _ failure: ConnectorFailure?, retryIn pause: Duration? = nil
    ) throws(ConnectorFailure) {
        let now = UTCTime.now()
        try write("store the last error of \(sink)") { db in
            try db.execute(
                sql: "UPDATE sink SET error_code = ?, error_message = ?, error_at = ?, retry_at = ? WHERE name = ?",
                arguments: [
                    failure?.code, failure?.message, failure.map { _ in now }, pause.map { now + $0.microseconds },
                    sink,
                ])
        }
    }

    /// The sink delivers nothing for now: `status` shows no rate for it any more.
    package func rests(_ sink: String) throws(ConnectorFailure) {
        try write("store that \(sink) rests") { db in
            try db.execute(
                sql: "UPDATE sink SET events_per_second = 0 WHERE name = ? AND events_per_second > 0",
                arguments: [sink])
        }
    }
}
