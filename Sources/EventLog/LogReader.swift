package import ConnectorKit
import ChangeModel
import Glibc
import GRDB

/// Reads a log through a connection of its own, while another process, or this one, writes to it.
///
/// Calls block for disk reads and may come from any thread, one at a time each. Never delays the writer.
package final class LogReader: Sendable {
    private let connection: DatabaseQueue
    private let relations: RelationStore
    private let path: String
    private let directory: LogDirectory

    /// The code of a failure that says that an offset is no longer there.
    package static let retainedAwayCode = "log.retained_away"

    /// Opens the log in `directory`. Throws `log.not_found` when there is none, `log.unknown_format` for another file.
    package convenience init(directory: String) throws(ConnectorFailure) {
        try self.init(directory: directory, relations: RelationStore())
    }

    init(directory: String, relations: RelationStore) throws(ConnectorFailure) {
        self.directory = LogDirectory(directory)
        path = self.directory.database
        self.relations = relations
        if access(path, F_OK) != 0 {
            throw errno == ENOENT ? LogFailure.notFound(path) : LogFailure.system("open the log", path, errno)
        }
        // Also where nothing runs, somebody wants to see what fills the disk, and discard of it.
        if !LogJournal.hasIndex(self.directory), LogJournal.lacksRoomForIndex(self.directory),
            !LogReserve.giveBackForRequest(self.directory) || LogJournal.lacksRoomForIndex(self.directory)
        {
            throw LogFailure.diskFull("open the log", path, "SQLite needs some for an index of the write-ahead log")
        }
        do {
            connection = try DatabaseQueue(path: path, configuration: LogConnection.reading(path))
        } catch {
            throw LogFailure.of(error, while: "open the log", at: path)
        }
    }

    /// The batch that contains `offset`; nil when the log does not reach that far yet.
    ///
    /// Throws `log.retained_away` when the offset is older than the oldest batch, `log.damaged` when what is stored is
    /// not what was written.
    package func read(from offset: UInt64) throws(ConnectorFailure) -> LoggedBatch? {
        try read("read from offset \(offset)") { db in
            try LogQueries.batch(at: offset, db, relations, in: directory)
        }
    }

    /// How many bytes the batch that contains `offset` has, without reading it; nil when there is none.
    package func byteCount(at offset: UInt64) throws(ConnectorFailure) -> Int? {
        try read("look at offset \(offset)") { db in try LogQueries.byteCount(at: offset, db) }
    }

    /// The oldest offset that can be read, and the one that the next change gets.
    package func bounds() throws(ConnectorFailure) -> Range<UInt64> {
        try read("read where the log begins") { db in
            let next = try LogPosition.read(db).nextOffset
            return (try LogQueries.firstOffset(db) ?? next)..<next
        }
    }

    /// Where a sink stands; nil for one that never ran.
    package func cursor(of sink: String) throws(ConnectorFailure) -> SinkCursor? {
        try read("read the cursor of \(sink)") { db in try LogQueries.cursor(of: sink, db) }
    }

    /// What reading from an offset would fail with because retention removed it; nil when nothing is missing.
    package func failure(at offset: UInt64) -> ConnectorFailure? {
        guard let first = try? bounds().lowerBound, offset < first else { return nil }
        return LogFailure.retainedAway(offset, first: first)
    }

    /// What tells this log from all others; empty when nothing was made that does.
    package var identity: String { directory.knownIdentity ?? "" }

    /// What is in the log.
    package func statistics() throws(ConnectorFailure) -> LogStatistics {
        var found = try read("read the log's figures") { db in try LogQueries.statistics(db, relations) }
        found.disk = LogDisk(directory)
        return found
    }

    /// The first dead letters of a subject behind the number `id` (0: the oldest); nil when there are no more.
    package func deadLetter(of subject: String, after id: Int64) throws(ConnectorFailure) -> StoredDeadLetter? {
        try read("read dead letters") { db in try DeadLetterQueries.letter(of: subject, after: id, db, relations) }
    }

    /// The number of the newest dead letters of a subject; nil when none wait.
    package func newestDeadLetter(of subject: String) throws(ConnectorFailure) -> Int64? {
        try read("look for dead letters") { db in try DeadLetterQueries.newest(of: subject, db) }
    }

    /// The offset of the first change that was committed at `time` or later (microseconds since 1970-01-01 00:00 UTC);
    /// the next offset when there is none.
    ///
    /// Where the source's clock went back, commit times are not in order, and the change found is one near the time.
    package func offset(committedAtOrAfter time: Int64) throws(ConnectorFailure) -> UInt64 {
        try read("look for a time") { db in
            let next = try LogPosition.read(db).nextOffset
            guard let first = try LogQueries.firstOffset(db) else { return next }
            let start = try Self.firstBatch(committedAtOrAfter: time, in: first..<next, db)
            guard start < next, let logged = try LogQueries.batch(at: start, db, relations, in: directory) else {
                return next
            }
            let batch = logged.batch
            for index in 0..<batch.changeCount
            where batch.transaction(at: Int(batch.change(at: index).transaction)).committedAt >= time {
                return logged.firstOffset + UInt64(index)
            }
            return logged.nextOffset
        }
    }

    /// Halves the range of offsets until the first batch whose last change is not before `time` is found.
    private static func firstBatch(
        committedAtOrAfter time: Int64, in range: Range<UInt64>, _ db: Database
    ) throws -> UInt64 {
        let statement = try db.cachedStatement(
            sql: """
                SELECT first_offset, change_count, committed_at FROM batch WHERE first_offset <= ?
                ORDER BY first_offset DESC LIMIT 1
                """)
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high {
            let middle = low + (high - low) / 2
            guard let row = try Row.fetchOne(statement, arguments: [Int64(clamping: middle)]),
                let first = row[0] as Int64?, let count = row[1] as Int64?, let committedAt = row[2] as Int64?,
                count > 0
            else { throw LogFailure.damaged("the log has no batch at offset \(middle)") }
            if committedAt >= time { high = UInt64(first) } else { low = UInt64(first) + UInt64(count) }
        }
        return low
    }

    /// The offset at which somebody who begins there begins. An offset is taken as it is; whether the log still has it,
    /// or has it already, shows when it is read.
    package func offset(at start: StartPosition) throws(ConnectorFailure) -> UInt64 {
        switch start {
        case .earliest: try bounds().lowerBound
        case .latest: try bounds().upperBound
        case .offset(let offset): offset
        case .time(let time): try offset(committedAtOrAfter: time)
        }
    }

    /// Throws what ``EventLog/replay(_:from:skipping:)`` would throw now.
    package func checkReplay(of sink: String, from offset: UInt64, skipping: Bool) throws(ConnectorFailure) {
        try read("look at the cursor of \(sink)") { db in
            _ = try LogQueries.checkReplay(of: sink, from: offset, skipping: skipping, db)
        }
    }

    private func read<T>(_ action: String, _ body: (Database) throws -> T) throws(ConnectorFailure) -> T {
        do {
            do {
                return try connection.read(body)
            } catch is MissingBody {
                // Retention may have removed row and file behind the look at the row: then a second look tells so.
                return try connection.read(body)
            }
        } catch {
            throw LogFailure.of(error, while: action, at: path)
        }
    }
}
