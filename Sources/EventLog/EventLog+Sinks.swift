package import ConnectorKit
import Foundation
import GRDB

extension EventLog {
    /// A sink's cursor; nil for a sink that has none yet.
    package func cursor(of sink: String) throws(ConnectorFailure) -> SinkCursor? {
        try read("read the cursor of \(sink)") { db in try LogQueries.cursor(of: sink, db) }
    }

    /// Gives a sink a cursor at `offset`, unless it has one already; returns the one that counts.
    package func createCursor(of sink: String, at offset: UInt64) throws(ConnectorFailure) -> SinkCursor {
        try write("make a cursor for \(sink)") { db in
            try db.execute(
                sql: "INSERT OR IGNORE INTO sink (name, next_offset, moved_at) VALUES (?, ?, ?)",
                arguments: [sink, Int64(bitPattern: offset), LogClock.now()])
            guard let cursor = try LogQueries.cursor(of: sink, db) else { throw Self.unknownSink(sink) }
            return cursor
        }
    }

    /// Moves a sink's cursor, back as well as forward, together with its state; a nil state keeps what was stored.
    ///
    /// Not durable before the next sync: after a power cut the cursor may be back where it was, and the sink sees
    /// events again.
    package func moveCursor(of sink: String, to offset: UInt64, state: [UInt8]? = nil) throws(ConnectorFailure) {
        try write("move the cursor of \(sink)") { db in
            let statement = try db.cachedStatement(
                sql: "UPDATE sink SET next_offset = ?, state = coalesce(?, state), moved_at = ? WHERE name = ?")
            try statement.execute(
                arguments: [Int64(bitPattern: offset), state.map { Data($0) }, LogClock.now(), sink])
            guard db.changesCount == 1 else { throw Self.unknownSink(sink) }
        }
    }

    /// Stores a sink's state beside its unchanged cursor, durable when the call returns.
    package func saveState(of sink: String, _ state: [UInt8]) throws(ConnectorFailure) {
        let covered = try position().checkpoint
        try write("store the state of \(sink)", durably: true) { db in
            try db.execute(
                sql: "UPDATE sink SET state = ?, moved_at = ? WHERE name = ?",
                arguments: [Data(state), LogClock.now(), sink])
            guard db.changesCount == 1 else { throw Self.unknownSink(sink) }
        }
        // That commit covers every earlier one, like a sync.
        hasUnsynced = false
        durableCheckpoint = covered
    }

    /// Stores a sink's last failure for `status`; nil says that it works again.
    package func setError(of sink: String, _ failure: ConnectorFailure?) throws(ConnectorFailure) {
        try write("store the last error of \(sink)") { db in
            try db.execute(
                sql: "UPDATE sink SET error_code = ?, error_message = ?, error_at = ? WHERE name = ?",
                arguments: [failure?.code, failure?.message, failure.map { _ in LogClock.now() }, sink])
        }
    }

    /// Forgets a sink that is no longer configured, so that its cursor holds nothing back.
    package func removeCursor(of sink: String) throws(ConnectorFailure) {
        try write("remove the cursor of \(sink)") { db in
            try db.execute(sql: "DELETE FROM sink WHERE name = ?", arguments: [sink])
        }
    }

    private static func unknownSink(_ sink: String) -> ConnectorFailure {
        ConnectorFailure("log.unknown_sink", .stop, "the log has no cursor for the sink \(sink)")
    }
}
