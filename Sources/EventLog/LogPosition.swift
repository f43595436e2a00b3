import ChangeModel
import Foundation
import GRDB

/// Where the log ends and how far the source was read: the one row of `position`.
struct LogPosition: Equatable {
    /// The offset that the next change gets.
    var nextOffset: UInt64 = 0
    /// The identity of the newest change that was ever appended.
    var last: ChangeIdentity?
    /// How far the source was read; nil before the first append.
    var checkpoint: SourceCheckpoint?

    /// Reads the row.
    static func read(_ db: Database) throws -> LogPosition {
        let sql = """
            SELECT next_offset, last_commit, last_ordinal, resume, checkpoint_commit, checkpoint_ordinal, notes
            FROM position
            """
        guard let row = try Row.fetchOne(db, sql: sql), let next = row[0] as Int64? else {
            throw LogFailure.damaged("the log's position is missing")
        }
        var position = LogPosition()
        position.nextOffset = UInt64(bitPattern: next)
        position.last = identity(row[1], row[2])
        if let resume = row[3] as Int64? {
            position.checkpoint = SourceCheckpoint(
                last: identity(row[4], row[5]), resume: ResumePosition(UInt64(bitPattern: resume)),
                notes: [UInt8](row[6] as Data? ?? Data()))
        }
        return position
    }

    /// Writes the row; inside of a transaction.
    func write(_ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: """
                UPDATE position SET next_offset = ?, last_commit = ?, last_ordinal = ?, resume = ?,
                    checkpoint_commit = ?, checkpoint_ordinal = ?, notes = ?
                """)
        try statement.execute(arguments: [
            Int64(bitPattern: nextOffset), last.map { Int64(bitPattern: $0.commit) }, last.map { Int64($0.ordinal) },
            checkpoint.map { Int64(bitPattern: $0.resume.value) },
            checkpoint?.last.map { Int64(bitPattern: $0.commit) }, checkpoint?.last.map { Int64($0.ordinal) },
            checkpoint.map { Data($0.notes) },
        ])
    }

    private static func identity(_ commit: Int64?, _ ordinal: Int64?) -> ChangeIdentity? {
        guard let commit, let ordinal else { return nil }
        return ChangeIdentity(commit: UInt64(bitPattern: commit), ordinal: UInt32(truncatingIfNeeded: ordinal))
    }
}
