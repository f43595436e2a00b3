import ByteKit
package import ChangeModel
package import ConnectorKit
import Foundation
import GRDB

/// Events that one sink could not deliver: they are in the log, and wait beside it for that sink alone.
extension EventLog {
    private static let setAsideForSinkPoint = HaltPoint("log.sink_set_aside")
    private static let lettersTakenBackPoint = HaltPoint("log.sink_letters_taken_back")
    private static let letterDeliveredPoint = HaltPoint("log.sink_letter_delivered")

    /// Sets events aside for a sink and moves its cursor behind them, by one transaction: what is set aside is so once,
    /// and nothing that the cursor passes is lost. `letters` are copies of one event each, in the order of the log.
    ///
    /// Throws `log.deadletters_full` when what is set aside would alone need more room than the log may take, and
    /// `log.disk_full` when the disk has no room for it but what is kept for other upkeep.
    package func setAside(
        _ letters: [DeadLetter], for sink: String, movingCursorTo offset: UInt64, state: [UInt8]?
    ) throws(ConnectorFailure) {
        try checkRoom(for: letters)
        let bytes = letters.reduce(0) { $0 + Self.pageBytes(of: $1) }
        do throws(ConnectorFailure) {
            try write("set events of \(sink) aside", letterBytes: bytes) { db in
                for letter in letters { try DeadLetterQueries.insert(letter, db) }
                try Self.moveCursor(of: sink, to: offset, state: state, db)
            }
        } catch {
            guard error.code == Self.diskFullCode else { throw error }
            throw LogFailure.noRoomForLetters(error, DeadLetter.subject(ofSink: sink))
        }
        Self.setAsideForSinkPoint.reached()
    }

    /// Removes letters of a sink whose events its cursor is before, as many as a short transaction takes: they come
    /// from the log once more, in its order. The letters would come behind them, and put older states over newer ones.
    ///
    /// What retention removed from the log stays a letter. When a kill comes between the move of the cursor and this,
    /// it may be done later, but before the sink gets anything.
    package func takeBackLetters(of sink: String) throws(ConnectorFailure) -> DiscardStep {
        let rowsMax = reserve.isSpent ? DeadLetterQueries.fewRows : DeadLetterQueries.rowsMax
        let due = try read("look for dead letters of \(sink)") { db -> UInt64? in
            guard let cursor = try LogQueries.cursor(of: sink, db), let first = try LogQueries.firstOffset(db) else {
                return nil
            }
            let from = max(cursor.offset, first)
            return try DeadLetterQueries.has(DeadLetter.subject(ofSink: sink), from: from, db) ? from : nil
        }
        guard let from = due else { return DiscardStep() }
        let step = try write("take back dead letters of \(sink)") { db in
            try DeadLetterQueries.takeBack(DeadLetter.subject(ofSink: sink), from: from, atMost: rowsMax, db)
        }
        Self.lettersTakenBackPoint.reached()
        return step
    }

    /// Throws `replay.loses_letters` when letters would be taken back at this offset that the sink would not be given
    /// again: of tables that it does not take any more.
    package func checkLetters(
        of sink: String, from offset: UInt64, takes: (Relation) -> Bool
    ) throws(ConnectorFailure) {
        let relations = relations
        let concerned = try read("look for dead letters of \(sink)") { db in
            guard let first = try LogQueries.firstOffset(db) else { return [RelationVersion]() }
            return try DeadLetterQueries.relations(
                of: DeadLetter.subject(ofSink: sink), from: max(offset, first), db, relations)
        }
        let lost = Set(concerned.map(\.relation).filter { !takes($0) }.map(\.qualifiedName))
        if !lost.isEmpty { throw LogFailure.losesLetters(sink, lost.sorted()) }
    }

    /// How many bytes of pages a letter may take: two that do not fit into one page have one each.
    private static func pageBytes(of letter: DeadLetter) -> Int {
        let bytes = letter.batch.body.count + letter.message.utf8.count + 256
        return min(2 * bytes, bytes + LogConnection.pageSize)
    }

    /// Takes out the events of a sink that it has now, notes of others why they were refused again, and stores what the
    /// sink wants back beside its cursor, which lies at `offset`: by one transaction.
    package func settle(
        delivered: [StoredDeadLetter], refused: [(letter: StoredDeadLetter, reason: RejectedRecord)], of sink: String,
        at offset: UInt64, state: [UInt8]?
    ) throws(ConnectorFailure) {
        if !delivered.isEmpty { Self.letterDeliveredPoint.reached() }
        try write("take out dead letters of \(sink)") { db in
            for stored in delivered {
                try DeadLetterQueries.release(stored.id, stored.letter, leaving: nil, discarding: 0, db)
            }
            for (stored, reason) in refused {
                try db.execute(
                    sql: "UPDATE dead_letter SET code = ?, message = ? WHERE id = ?",
                    arguments: [reason.code, reason.message, stored.id])
            }
            if let state { try Self.moveCursor(of: sink, to: offset, state: state, db) }
        }
    }
}
