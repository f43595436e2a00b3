import ByteKit
import ChangeModel
import Foundation
import GRDB

/// What the writer and the readers ask of the database. Values that cannot be there are errors, never traps.
enum LogQueries {
    /// The batch that contains `offset`; nil when the log does not reach that far yet. Call it inside of a transaction.
    ///
    /// Throws ``MissingBody`` when the batch stands in a file that is not there.
    static func batch(
        at offset: UInt64, _ db: Database, _ relations: RelationStore, in directory: LogDirectory
    ) throws -> LoggedBatch? {
        let statement = try db.cachedStatement(
            sql: """
                SELECT first_offset, change_count, relations, checksum, body
                \(try LogFormat.hasBodyFiles(db) ? ", body_file, body_offset, body_length" : "")
                FROM batch WHERE first_offset <= ? ORDER BY first_offset DESC LIMIT 1
                """)
        let rows = try Row.fetchCursor(statement, arguments: [Int64(clamping: offset)])
        if let row = try rows.next() {
            guard let first = row[0] as Int64?, let count = row[1] as Int64?, first >= 0, count > 0 else {
                throw LogFailure.damaged("the batch before offset \(offset) has no valid place")
            }
            if offset - UInt64(first) < UInt64(count) {
                return try decode(row, UInt64(first), Int(count), db, relations, directory)
            }
        }
        let next = try LogPosition.read(db).nextOffset
        if offset >= next { return nil }
        let first = try firstOffset(db) ?? next
        guard offset < first else { throw LogFailure.damaged("the log has no batch at offset \(offset)") }
        throw LogFailure.retainedAway(offset, first: first)
    }

    /// How many bytes the batch with an offset has.
    static func byteCount(at offset: UInt64, _ db: Database) throws -> Int? {
        let statement = try db.cachedStatement(
            sql: """
                SELECT length(body)\(try LogFormat.hasBodyFiles(db) ? " + coalesce(body_length, 0)" : "")
                FROM batch WHERE first_offset <= ? ORDER BY first_offset DESC LIMIT 1
                """)
        return try Int.fetchOne(statement, arguments: [Int64(clamping: offset)])
    }

    /// The oldest offset that is there; nil for a log without batches.
    static func firstOffset(_ db: Database) throws -> UInt64? {
        try Int64.fetchOne(db.cachedStatement(sql: "SELECT first_offset FROM batch ORDER BY first_offset LIMIT 1"))
            .map { UInt64(bitPattern: $0) }
    }

    /// The source that the log is tied to.
    static func source(_ db: Database) throws -> SourceIdentity? {
        guard let row = try Row.fetchOne(db, sql: "SELECT kind, fingerprint FROM source") else { return nil }
        guard let kind = row[0] as String?, let data = row[1] as Data?,
            let fingerprint = try? JSONDecoder().decode([String: String].self, from: data)
        else { throw LogFailure.damaged("the log's source cannot be read") }
        return SourceIdentity(kind: kind, fingerprint: fingerprint)
    }

    /// A sink's cursor.
    static func cursor(of sink: String, _ db: Database) throws -> SinkCursor? {
        try Row.fetchOne(db, sql: cursorColumns(db) + " WHERE name = ?", arguments: [sink]).map(cursor)
    }

    /// Where a sink's cursor is that may be moved to an offset; see ``EventLog/replay(_:from:skipping:)``.
    static func checkReplay(of sink: String, from offset: UInt64, skipping: Bool, _ db: Database) throws -> UInt64 {
        guard let cursor = try cursor(of: sink, db) else { throw LogFailure.unknownSink(sink) }
        let next = try LogPosition.read(db).nextOffset
        let first = try firstOffset(db) ?? next
        guard (first...next).contains(offset) else { throw LogFailure.notInLog(offset, first...next) }
        guard skipping || offset <= cursor.offset else { throw LogFailure.wouldSkip(sink, cursor.offset, offset) }
        return cursor.offset
    }

    /// Everything that `status` shows.
    static func statistics(_ db: Database, _ relations: RelationStore) throws -> LogStatistics {
        try relations.load(db)
        let position = try LogPosition.read(db)
        let newest = "SELECT committed_at FROM batch ORDER BY first_offset DESC LIMIT 1"
        let size = try LogSize.read(db)
        return LogStatistics(
            firstOffset: try firstOffset(db) ?? position.nextOffset, nextOffset: position.nextOffset,
            byteCount: size.used, fileByteCount: size.file,
            oldestAppendedAt: try Int64.fetchOne(
                db, sql: "SELECT appended_at FROM batch ORDER BY first_offset LIMIT 1"),
            newestCommittedAt: try Int64.fetchOne(db, sql: newest),
            source: try source(db), checkpoint: position.checkpoint,
            sinks: try Row.fetchAll(db, sql: cursorColumns(db) + " ORDER BY name").map(cursor),
            relations: relations.all, deadLetters: try DeadLetterQueries.groups(db),
            subscriptions: try SubscriptionQueries.reports(db))
    }

    private static func cursorColumns(_ db: Database) throws -> String {
        let figures = try LogFormat.hasSinkFigures(db) ? "events_per_second, retry_at" : "NULL, NULL"
        return "SELECT name, next_offset, state, moved_at, error_code, error_message, error_at, \(figures) FROM sink"
    }

    private static func cursor(_ row: Row) throws -> SinkCursor {
        guard let name = row[0] as String?, let offset = row[1] as Int64?, let movedAt = row[3] as Int64? else {
            throw LogFailure.damaged("the cursor of a sink cannot be read")
        }
        var cursor = SinkCursor(
            sink: name, offset: UInt64(bitPattern: offset), state: (row[2] as Data?).map { [UInt8]($0) },
            movedAt: movedAt)
        if let code = row[4] as String?, let message = row[5] as String?, let at = row[6] as Int64? {
            cursor.lastError = SinkError(code: code, message: message, at: at)
        }
        cursor.eventsPerSecond = row[7] as Double?
        cursor.retryAt = row[8] as Int64?
        return cursor
    }

    /// Builds the batch of a row, after its checksum and every index and range in it were checked.
    private static func decode(
        _ row: Row, _ first: UInt64, _ count: Int, _ db: Database, _ relations: RelationStore,
        _ directory: LogDirectory
    ) throws -> LoggedBatch {
        let place = "the batch at offset \(first)"
        let versions = try versions(row[2] as String? ?? "", in: place, db, relations)
        guard row.count > 5, let file = row[5] as Int64? else {
            let batch = try batch(in: row, checksum: 3, body: 4, count, versions, place)
            return LoggedBatch(firstOffset: first, batch: batch, versions: versions)
        }
        guard let offset = row[6] as Int?, let length = row[7] as Int? else {
            throw LogFailure.damaged("\(place) does not say where it stands")
        }
        let body = try BodyFiles.read(BodyPlace(file: file, offset: offset, length: length), in: directory)
        let isWhole = withExtendedLifetime(body) {
            LogChecksum.of(body.unsafeBytes(0..<body.count)) == row[3] as Int64?
        }
        let batch = try batch(of: isWhole ? body : nil, count, versions, place)
        return LoggedBatch(firstOffset: first, batch: batch, versions: versions)
    }

    /// The batch in two columns of a row.
    static func batch(
        in row: Row, checksum: Int, body column: Int, _ count: Int, _ versions: [RelationVersion], _ place: String
    ) throws -> ChangeBatch {
        let checksum = row[checksum] as Int64?
        let body: FrozenBytes? = try row.withUnsafeData(atIndex: column) { data in
            data?.withUnsafeBytes { bytes in
                guard LogChecksum.of(bytes) == checksum else { return nil }
                return FrozenBytes(copying: RawSpan(_unsafeBytes: bytes))
            }
        }
        return try batch(of: body, count, versions, place)
    }

    /// The batch of a body; nil stands for one that is not what was written.
    private static func batch(
        of body: FrozenBytes?, _ count: Int, _ versions: [RelationVersion], _ place: String
    ) throws -> ChangeBatch {
        guard let body else { throw LogFailure.damaged("\(place) does not have the bytes that were written") }
        let batch: ChangeBatch
        do {
            batch = try ChangeBatch(decoding: body, relations: versions.map(\.relation))
        } catch {
            throw LogFailure.damaged("\(place) cannot be read: \(error)")
        }
        guard batch.changeCount == count else {
            throw LogFailure.damaged("\(place) has \(batch.changeCount) changes, not \(count)")
        }
        return batch
    }

    /// The files that hold bodies of batches, with the place of the first one in each.
    static func bodyFiles(_ db: Database) throws -> [Int64: Int] {
        let sql = "SELECT body_file, min(body_offset) FROM batch WHERE body_file IS NOT NULL GROUP BY body_file"
        var files: [Int64: Int] = [:]
        for row in try Row.fetchAll(db, sql: sql) {
            guard let number = row[0] as Int64? else { continue }
            files[number] = row[1] as Int? ?? 0
        }
        return files
    }

    /// Gives `store` a batch's bytes where they lie, and their checksum: they live as long as the batch, and a
    /// statement runs to its end in there.
    static func withBody(of batch: ChangeBatch, _ store: (Data, Int64) throws -> Void) throws {
        try withExtendedLifetime(batch.body) {
            let bytes = batch.body.unsafeBytes(0..<batch.body.count)
            guard let start = bytes.baseAddress else { return }
            let body = Data(
                bytesNoCopy: UnsafeMutableRawPointer(mutating: start), count: bytes.count, deallocator: .none)
            try store(body, LogChecksum.of(bytes))
        }
    }

    /// The relations of a list of numbers, such as `3 7`.
    static func versions(
        _ list: String, in place: String, _ db: Database, _ relations: RelationStore
    ) throws -> [RelationVersion] {
        try list.split(separator: " ").map { number in
            guard let id = Int64(number) else { throw LogFailure.damaged("\(place) names no valid relation") }
            if relations[id] == nil { try relations.load(db) }
            guard let version = relations[id] else {
                throw LogFailure.damaged("\(place) names relation \(id), which is not in the log")
            }
            return version
        }
    }
}

/// How much room the database file takes, and the bodies beside it.
struct LogSize {
    /// Bytes of the pages that hold something, and of bodies.
    var used: Int
    /// Bytes of the whole file, and of bodies.
    var file: Int
    /// Bytes of all pages of the database, those that are only in the write-ahead log too.
    var pages: Int
    /// Bytes of the pages that hold nothing.
    var freeInside: Int

    /// Asks the file's header, and an index that has an entry for each large body; cheap.
    static func read(_ db: Database) throws -> LogSize {
        let size = try Int.fetchOne(db.cachedStatement(sql: "PRAGMA page_size")) ?? 0
        let pages = try Int.fetchOne(db.cachedStatement(sql: "PRAGMA page_count")) ?? 0
        let free = try Int.fetchOne(db.cachedStatement(sql: "PRAGMA freelist_count")) ?? 0
        let bodies =
            try LogFormat.hasBodyFiles(db)
            ? Int.fetchOne(
                db.cachedStatement(sql: "SELECT sum(body_length) FROM batch WHERE body_file IS NOT NULL")) ?? 0 : 0
        return LogSize(
            used: (pages - free) * size + bodies, file: pages * size + bodies, pages: pages * size,
            freeInside: free * size)
    }
}
