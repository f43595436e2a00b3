import ByteKit
import ChangeModel
import ConnectorKit
import Foundation
import GRDB

/// What is asked of the tables of dead letters. A log that was written before there were any, and is only read now,
/// has none.
enum DeadLetterQueries {
    /// How letters came and left: the columns of `dead_letter_count`.
    enum Way: String { case stored, released, discarded }

    /// Bounds of a step of discarding, so that an append never waits long for it.
    static let rowsMax = 256
    static let fewRows = 16
    private static let bytesMax = 16 << 20

    static func insert(_ letter: DeadLetter, _ db: Database) throws {
        let batch = letter.batch
        let first = batch.identity(at: 0)
        let last = batch.identity(at: batch.changeCount - 1)
        let statement = try db.cachedStatement(
            sql: """
                INSERT INTO dead_letter (subject, code, message, change_count, stored_at, first_commit, first_ordinal,
                    last_commit, last_ordinal, relations, checksum, body, log_offset)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        try LogQueries.withBody(of: batch) { body, checksum in
            try statement.execute(arguments: [
                letter.subject, letter.code, letter.message, batch.changeCount, UTCTime.now(),
                Int64(bitPattern: first.commit), Int64(first.ordinal),
                Int64(bitPattern: last.commit), Int64(last.ordinal),
                letter.versions.map { String($0.id) }.joined(separator: " "), checksum, body,
                letter.offset.map { Int64(bitPattern: $0) },
            ])
        }
        try count(.stored, batch.changeCount, bytes: batch.body.count, of: letter.subject, db)
    }

    static func head(
        of subject: String, _ db: Database, _ relations: RelationStore
    ) throws -> (id: Int64, relations: [RelationVersion])? {
        let row = try Row.fetchOne(
            db, sql: "SELECT id, relations FROM dead_letter WHERE subject = ? ORDER BY id LIMIT 1",
            arguments: [subject])
        guard let row else { return nil }
        guard let id = row[0] as Int64?, let list = row[1] as String? else {
            throw LogFailure.damaged("dead letters of \(subject) cannot be read")
        }
        return (id, try LogQueries.versions(list, in: "dead letter \(id)", db, relations))
    }

    static func letter(_ id: Int64, _ db: Database, _ relations: RelationStore) throws -> StoredDeadLetter? {
        try letters("WHERE id = ?", [id], db, relations)
    }

    /// The first letters of a subject behind a number.
    static func letter(
        of subject: String, after id: Int64, _ db: Database, _ relations: RelationStore
    ) throws -> StoredDeadLetter? {
        guard try areThere(db) else { return nil }
        return try letters("WHERE subject = ? AND id > ? ORDER BY id LIMIT 1", [subject, id], db, relations)
    }

    /// Takes letters out, but for the `rest`.
    static func release(
        _ id: Int64, _ letter: DeadLetter, leaving rest: DeadLetter?, discarding discardedCount: Int, _ db: Database
    ) throws {
        if discardedCount > 0 { try count(.discarded, discardedCount, bytes: 0, of: letter.subject, db) }
        guard let rest, rest.subject == letter.subject else {
            try remove(id, db)
            try count(
                .released, letter.batch.changeCount - discardedCount, bytes: letter.batch.body.count,
                of: letter.subject, db)
            if let rest { try insert(rest, db) }
            return
        }
        let batch = rest.batch
        let (first, last) = (batch.identity(at: 0), batch.identity(at: batch.changeCount - 1))
        let statement = try db.cachedStatement(
            sql: """
                UPDATE dead_letter SET code = ?, message = ?, change_count = ?, first_commit = ?, first_ordinal = ?,
                    last_commit = ?, last_ordinal = ?, relations = ?, checksum = ?, body = ? WHERE id = ?
                """)
        try LogQueries.withBody(of: batch) { body, checksum in
            try statement.execute(arguments: [
                rest.code, rest.message, batch.changeCount,
                Int64(bitPattern: first.commit), Int64(first.ordinal),
                Int64(bitPattern: last.commit), Int64(last.ordinal),
                rest.versions.map { String($0.id) }.joined(separator: " "), checksum, body, id,
            ])
        }
        try count(
            .released, letter.batch.changeCount - batch.changeCount - discardedCount,
            bytes: letter.batch.body.count - batch.body.count,
            of: letter.subject, db)
    }

    static func remove(_ id: Int64, _ db: Database) throws {
        try db.execute(sql: "DELETE FROM dead_letter WHERE id = ?", arguments: [id])
    }

    /// Counts letters that came or left, and the bytes that wait more or less.
    static func count(_ way: Way, _ changes: Int, bytes: Int, of subject: String, _ db: Database) throws {
        let name = way.rawValue
        try db.execute(
            sql: """
                INSERT INTO dead_letter_count (subject, \(name), bytes) VALUES (?, ?, ?) ON CONFLICT (subject)
                DO UPDATE SET \(name) = \(name) + excluded.\(name), bytes = bytes + excluded.bytes
                """, arguments: [subject, changes, way == .stored ? bytes : -bytes])
    }

    /// The subjects of which something waits that is not in the log.
    static func subjects(_ db: Database) throws -> [String] {
        try String.fetchAll(
            db,
            sql: """
                SELECT subject FROM dead_letter_count
                WHERE stored > released + discarded AND subject NOT GLOB '@*' ORDER BY subject
                """)
    }

    static func discard(
        _ subject: String, through last: Int64, atMost rowsMax: Int, _ db: Database
    ) throws -> DiscardStep {
        let (step, bytes) = try remove(of: subject, "ORDER BY id", atMost: rowsMax, db) { id, _ in id <= last }
        if step.changeCount > 0 { try count(.discarded, step.changeCount, bytes: bytes, of: subject, db) }
        return step
    }

    /// Removes letters whose events stand in the log at an offset or behind it: the newest, since those of a sink are
    /// in the order of the log. They count as if they had never been stored.
    static func takeBack(
        _ subject: String, from offset: UInt64, atMost rowsMax: Int, _ db: Database
    ) throws -> DiscardStep {
        let (step, bytes) = try remove(of: subject, "ORDER BY id DESC", atMost: rowsMax, db) { _, place in
            place.map { $0 >= offset } ?? false
        }
        if step.changeCount > 0 { try count(.stored, -step.changeCount, bytes: -bytes, of: subject, db) }
        return step
    }

    /// Removes letters of a subject in an order, up to the first that is not due, and as many as a step may.
    private static func remove(
        of subject: String, _ order: String, atMost rowsMax: Int, _ db: Database, while isDue: (Int64, UInt64?) -> Bool
    ) throws -> (step: DiscardStep, byteCount: Int) {
        var step = DiscardStep()
        var bytes = 0
        var ids: [Int64] = []
        let rows = try Row.fetchCursor(
            db, sql: "SELECT id, change_count, length(body), log_offset FROM dead_letter WHERE subject = ? \(order)",
            arguments: [subject])
        while let row = try rows.next() {
            guard let id = row[0] as Int64?, let count = row[1] as Int?, let size = row[2] as Int? else { continue }
            guard isDue(id, (row[3] as Int64?).map { UInt64(bitPattern: $0) }) else { break }
            if ids.count >= rowsMax || bytes >= bytesMax {
                step.isUnfinished = true
                break
            }
            ids.append(id)
            step.changeCount += count
            bytes += size
        }
        for id in ids { try remove(id, db) }
        return (step, bytes)
    }

    /// True when a letter waits whose event stands in the log at an offset or behind it.
    static func has(_ subject: String, from offset: UInt64, _ db: Database) throws -> Bool {
        let newest = try Int64.fetchOne(
            db.cachedStatement(
                sql: "SELECT log_offset FROM dead_letter WHERE subject = ? ORDER BY id DESC LIMIT 1"),
            arguments: [subject])
        return newest.map { UInt64(bitPattern: $0) >= offset } ?? false
    }

    /// The relations of letters whose events stand in the log at an offset or behind it.
    static func relations(
        of subject: String, from offset: UInt64, _ db: Database, _ relations: RelationStore
    ) throws -> [RelationVersion] {
        let lists = try String.fetchAll(
            db, sql: "SELECT DISTINCT relations FROM dead_letter WHERE subject = ? AND log_offset >= ?",
            arguments: [subject, Int64(bitPattern: offset)])
        return try lists.flatMap { try LogQueries.versions($0, in: "dead letters of \(subject)", db, relations) }
    }

    /// The number of the newest letters of a subject; nil when none wait.
    static func newest(of subject: String, _ db: Database) throws -> Int64? {
        guard try areThere(db) else { return nil }
        return try Int64.fetchOne(
            db, sql: "SELECT max(id) FROM dead_letter WHERE subject = ?", arguments: [subject])
    }

    static func byteCount(_ db: Database) throws -> Int {
        try Int.fetchOne(db.cachedStatement(sql: "SELECT coalesce(sum(bytes), 0) FROM dead_letter_count")) ?? 0
    }

    static func groups(_ db: Database) throws -> [DeadLetterGroup] {
        guard try areThere(db) else { return [] }
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT c.subject, c.stored - c.released - c.discarded, c.bytes, d.stored_at, d.code, d.message,
                    c.released, c.discarded
                FROM dead_letter_count c LEFT JOIN dead_letter d
                    ON d.id = (SELECT id FROM dead_letter WHERE subject = c.subject ORDER BY id LIMIT 1)
                ORDER BY c.subject
                """)
        return try rows.map { row in
            guard let subject = row[0] as String?, let changes = row[1] as Int?, let bytes = row[2] as Int?,
                let released = row[6] as Int?, let discarded = row[7] as Int?
            else { throw LogFailure.damaged("the dead letters of the log cannot be read") }
            return DeadLetterGroup(
                subject: subject, changeCount: changes, byteCount: bytes, since: row[3] as Int64?,
                code: row[4] as String?, message: row[5] as String?, releasedCount: released,
                discardedCount: discarded)
        }
    }

    /// False in a log of the first format, which a reader must not change.
    private static func areThere(_ db: Database) throws -> Bool {
        try Bool.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master WHERE name = 'dead_letter'") ?? false
    }

    private static func letters(
        _ condition: String, _ arguments: StatementArguments, _ db: Database, _ relations: RelationStore
    ) throws -> StoredDeadLetter? {
        let row = try Row.fetchOne(
            db,
            sql: """
                SELECT id, subject, code, message, stored_at, change_count, relations, checksum, body
                FROM dead_letter \(condition)
                """, arguments: arguments)
        guard let row else { return nil }
        guard let id = row[0] as Int64?, let subject = row[1] as String?, let code = row[2] as String?,
            let message = row[3] as String?, let storedAt = row[4] as Int64?, let count = row[5] as Int?
        else { throw LogFailure.damaged("dead letters of the log cannot be read") }
        let place = "dead letter \(id)"
        let versions = try LogQueries.versions(row[6] as String? ?? "", in: place, db, relations)
        let batch = try LogQueries.batch(in: row, checksum: 7, body: 8, count, versions, place)
        return StoredDeadLetter(
            id: id, storedAt: storedAt,
            letter: DeadLetter(subject: subject, code: code, message: message, batch: batch, versions: versions))
    }
}
