package import ConnectorKit
import Foundation
import GRDB

/// Events that one sink could not deliver: they are in the log, and wait beside it for that sink alone.
extension EventLog {
    private static let setAsideForSinkPoint = HaltPoint("log.sink_set_aside")
    private static let letterDeliveredPoint = HaltPoint("log.sink_letter_delivered")

    /// Sets events aside for a sink and moves its cursor behind them, by one transaction: what is set aside is so once,
    /// and nothing that the cursor passes is lost. `letters` are copies of one event each, in the order of the log.
    ///
    /// Throws `log.deadletters_full` when what is set aside would alone need more room than the log may take.
    package func setAside(
        _ letters: [DeadLetter], for sink: String, movingCursorTo offset: UInt64, state: [UInt8]?
    ) throws(ConnectorFailure) {
        try checkRoom(for: letters)
        try write("set events of \(sink) aside") { db in
            for letter in letters { try DeadLetterQueries.insert(letter, db) }
            try Self.moveCursor(of: sink, to: offset, state: state, db)
        }
        Self.setAsideForSinkPoint.reached()
    }

    /// Takes out an event that the sink has now.
    package func removeDelivered(_ stored: StoredDeadLetter) throws(ConnectorFailure) {
        Self.letterDeliveredPoint.reached()
        try write("take out a dead letter of \(stored.letter.subject)") { db in
            try DeadLetterQueries.release(stored.id, stored.letter, leaving: nil, discarding: 0, db)
        }
    }

    /// Notes why an event was refused again; it stays in its place.
    package func note(_ code: String, _ message: String, on stored: StoredDeadLetter) throws(ConnectorFailure) {
        try write("note why a dead letter of \(stored.letter.subject) was refused") { db in
            try db.execute(
                sql: "UPDATE dead_letter SET code = ?, message = ? WHERE id = ?", arguments: [code, message, stored.id])
        }
    }
}
