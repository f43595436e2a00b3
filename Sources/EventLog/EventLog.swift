import ByteKit
package import ChangeModel
package import ConnectorKit
import Foundation
import GRDB

/// The durable, ordered log of everything that was captured: one SQLite database, written by one process.
///
/// Offsets are 64-bit numbers from 0 without gaps, in commit order. A batch and the source checkpoint that covers it
/// are committed by one transaction, so capture into the log is exactly once whatever kills the process. Other
/// processes read the same file through ``LogReader``. All calls run on a thread of their own.
package actor EventLog {
    static let appendedPoint = HaltPoint("log.appended")
    static let syncedPoint = HaltPoint("log.synced")

    private let thread = BlockingThread(name: "event-log")
    /// The log's own thread.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// The folder of the log.
    package nonisolated let directory: String
    /// What tells it from all other logs; empty in the rare case that there was no room to store that.
    package nonisolated let identity: String
    nonisolated let relations: RelationStore
    let folder: LogDirectory
    let path: String
    /// What of it is kept.
    package nonisolated let retention: LogRetention
    private var lock: LogLock?
    private var connection: DatabaseQueue?
    /// Bodies that are not in the database; nil once the log is closed.
    private var bodies: BodyFiles?
    /// True while files of bodies may be there that an earlier process left behind.
    private var mayHaveStrayBodies: Bool
    private var presence: LogPresence
    /// What the file says, while nothing failed; nil makes the next call read it again.
    private var knownPosition: LogPosition?
    /// Room on the disk for upkeep.
    var reserve: LogReserve
    /// PRAGMA secure_delete, as SQLite was built.
    var usualDeletion: Int?
    /// What the last sync made durable.
    var durableCheckpoint: SourceCheckpoint?
    /// How many bytes may be appended before the log's size is looked at.
    var bytesUntilLook = 0
    /// True from when the log is near its limit until retention made room.
    package internal(set) var isFilling = false
    /// True when something was committed that no sync has covered. True at first: the last process may have been
    /// killed.
    var hasUnsynced = true

    /// Opens the log in `directory`, and makes it when it is not there.
    ///
    /// Throws `log.in_use` while another process writes to it, `log.unknown_format` for a file that is something else.
    package init(directory: String, retention: LogRetention = LogRetention()) throws(ConnectorFailure) {
        let folder = LogDirectory(directory)
        try folder.make()
        lock = try LogLock(folder)
        self.folder = folder
        self.directory = folder.path
        path = folder.database
        self.retention = retention
        identity = folder.identity()
        relations = RelationStore()
        var reserve = LogReserve(folder, byteCount: retention.reserve)
        let (connection, position) = try Self.open(folder, relations, &reserve)
        self.reserve = reserve
        self.connection = connection
        presence = LogPresence(database: path)
        knownPosition = position
        let bodies = try BodyFiles(folder)
        mayHaveStrayBodies = !bodies.numbers.isEmpty
        self.bodies = bodies
        // A new process has a new journal, which gets its room before anybody else takes it.
        if !self.reserve.restore(), self.reserve.isSpent {
            // Where the reserve was only made larger than the disk allows, the disk is not taken for the journal. And
            // what SQLite did not write yet of its index needs room too.
            let free = LogDisk.freeByteCount(folder.path) ?? 0
            LogJournal.allocate(min(self.reserve.journalBytes, free / 2), in: folder)
        }
        try folder.syncNames()
    }

    /// Opens a log that cannot even be opened for want of room, with that of the reserve.
    private static func open(
        _ folder: LogDirectory, _ relations: RelationStore, _ reserve: inout LogReserve
    ) throws(ConnectorFailure) -> (DatabaseQueue, LogPosition) {
        let pages = reserve.checkpointPages
        // Without room for its index of the write-ahead log, SQLite may end the process (mmap(2), SIGBUS).
        if LogJournal.lacksRoomForIndex(folder), !reserve.giveBack(0) { _ = LogReserve.giveBackForRequest(folder) }
        do throws(ConnectorFailure) {
            return try open(folder.database, relations, checkpointPages: pages)
        } catch {
            guard error.code == diskFullCode, reserve.giveBack(0) else { throw error }
            return try open(folder.database, relations, checkpointPages: pages)
        }
    }

    /// Closes the database and lets other processes write; every later call throws `log.closed`. What was appended
    /// stays.
    package func close() {
        try? connection?.close()
        connection = nil
        bodies = nil
        lock = nil
    }

    /// A reader of this log that shares the relation objects with it.
    package nonisolated func makeReader() throws(ConnectorFailure) -> LogReader {
        try LogReader(directory: directory, relations: relations)
    }

    /// Ties the log to a source, at the first call for good. Throws `log.other_source` when it is tied to a different
    /// one.
    package func bind(to source: SourceIdentity) throws(ConnectorFailure) {
        let stored = try capture("bind the log to its source") { db -> SourceIdentity in
            if let stored = try LogQueries.source(db) { return stored }
            try db.execute(
                sql: "INSERT INTO source (id, kind, fingerprint) VALUES (1, ?, ?)",
                arguments: [source.kind, try JSONEncoder().encode(source.fingerprint)])
            return source
        }
        guard stored == source else {
            throw ConnectorFailure(
                "log.other_source", .stop,
                "the log in \(directory) belongs to another source: "
                    + source.differences(from: stored).joined(separator: "; "),
                setting: "log.directory",
                hint:
                    "point the source back at the database of this log, or give the new source an empty log.directory: "
                    + "continuing would leave a gap that nobody sees", exitCode: 2)
        }
    }

    /// The source that the log is tied to; nil for a log that never was.
    package func source() throws(ConnectorFailure) -> SourceIdentity? {
        try read("read which source the log belongs to") { db in try LogQueries.source(db) }
    }

    /// How far the source was read; nil for a log that has never been appended to.
    package func checkpoint() throws(ConnectorFailure) -> SourceCheckpoint? { try position().checkpoint }

    /// The log's number for a relation under a contract: the one object that equals the parts, made when there is none.
    package func register(
        _ relation: Relation, subject: String, version: Int
    ) throws(ConnectorFailure) -> RelationVersion {
        if let known = relations.find(relation, subject: subject, version: version) { return known }
        let made = try capture("register \(relation.qualifiedName)") { db in
            try RelationStore.insert(relation, subject: subject, version: version, db)
        }
        return relations.keep(made)
    }

    /// The subject under which the log knows the same table by another name; nil for a table that had no other.
    package func formerSubject(of relation: Relation, now subject: String) throws(ConnectorFailure) -> String? {
        if relation.isWithoutTable { return nil }
        let others = relations.all.filter { $0.subject != subject && !$0.relation.isWithoutTable }
        // SQLite has no numbers for tables. A table with the same columns may be the same one, and may not: then its
        // columns are as sensitive as those until somebody says otherwise.
        let columns = Set(relation.columns.map(\.name))
        return
            (others.last { $0.relation.sourceID == relation.sourceID }
            ?? others.last { Set($0.relation.columns.map(\.name)) == columns })?.subject
    }

    /// The highest version of a subject that the log knows; 0 without any.
    package func highestVersion(of subject: String) throws(ConnectorFailure) -> Int {
        relations.all.lazy.filter { $0.subject == subject }.map(\.version).max() ?? 0
    }

    /// Makes everything that was appended before durable, by one commit that waits for the disk, and returns the
    /// checkpoint that may now be confirmed to the source. Costs nothing when nothing was appended since the last call.
    ///
    /// Throws `log.replaced` when the files are not where they were, since then nothing of it is durable.
    package func sync() throws(ConnectorFailure) -> SourceCheckpoint? {
        guard hasUnsynced else { return durableCheckpoint }
        let covered = try position().checkpoint
        do throws(ConnectorFailure) {
            try write("sync the log", durably: true) { db in
                try db.execute(sql: "UPDATE position SET sync_count = sync_count + 1")
            }
        } catch {
            guard error.code == Self.diskFullCode else { throw error }
            try syncJournal()
        }
        try presence.check()
        hasUnsynced = false
        durableCheckpoint = covered
        Self.syncedPoint.reached()
        if mayHaveStrayBodies {
            try removeUnusedBodies()
            mayHaveStrayBodies = false
        }
        return covered
    }

    /// A large batch that must be durable before anybody sees it goes into a file of its own kind, at the price of one
    /// more sync; nil for one that goes into the database.
    func storeBeside(_ batch: ChangeBatch) throws(ConnectorFailure) -> BodyPlace? {
        guard batch.mustBeDurableBeforeDelivery, batch.body.count >= BodyFiles.bodyBytesMin else { return nil }
        // A new file would take what was given back for upkeep; the database has room, or nothing was appended.
        if reserve.isSpent { return nil }
        guard let bodies else { throw closed }
        return try bodies.store(batch.body)
    }

    /// The row of the body that was stored last is committed.
    func bodyWasTold() { bodies?.wasTold() }

    /// Removes the files whose bodies no row tells of. What was removed from the table must be durable before: after a
    /// power cut it would be back.
    func removeUnusedBodies() throws(ConnectorFailure) {
        guard let bodies, !bodies.numbers.isEmpty else { return }
        let used = try read("look for bodies") { db in try LogQueries.bodyFiles(db) }
        if reserve.isSpent { bodies.letGo(besides: used) }
        let unused = bodies.unused(besides: Set(used.keys))
        if unused.isEmpty, !reserve.isSpent { return }
        _ = try sync()
        bodies.remove(unused)
        // On a full disk, what is not needed of a file goes before the whole file may.
        if reserve.isSpent { bodies.empty(before: used) }
    }

    /// What is in the log, for `status`.
    package func statistics() throws(ConnectorFailure) -> LogStatistics {
        let relations = relations
        var found = try read("read the log's figures") { db in try LogQueries.statistics(db, relations) }
        found.disk = LogDisk(folder)
        return found
    }

    /// Bounds the database file, as a full disk would (PRAGMA max_page_count); for tests.
    func limit(pageCount: Int) throws(ConnectorFailure) {
        _ = try read("limit the file") { db in try Int.fetchOne(db, sql: "PRAGMA max_page_count = \(pageCount)") }
    }

    /// Where the log ends, from memory or from the file.
    func position() throws(ConnectorFailure) -> LogPosition {
        if let knownPosition { return knownPosition }
        let read = try read("read the log's position") { db in try LogPosition.read(db) }
        knownPosition = read
        return read
    }

    /// Takes over the position that a transaction has just committed.
    func committed(_ position: LogPosition) { knownPosition = position }

    /// Runs `body` in one transaction, or throws; with `durably`, the commit waits for the disk.
    func commit<T>(
        _ action: String, durably: Bool, _ body: (Database) throws -> T
    ) throws(ConnectorFailure) -> T {
        hasUnsynced = true
        do {
            return try opened().writeWithoutTransaction { db in
                if db.isInsideTransaction { try db.rollback() }
                if durably { try db.execute(sql: "PRAGMA synchronous = FULL") }
                defer { if durably { try? db.execute(sql: "PRAGMA synchronous = NORMAL") } }
                var result: T?
                try db.inTransaction(.immediate) {
                    result = try body(db)
                    return .commit
                }
                guard let result else { throw LogFailure.damaged("a transaction gave no result") }
                return result
            }
        } catch {
            knownPosition = nil
            throw LogFailure.of(error, while: action, at: path)
        }
    }

    /// Runs `body` outside of a transaction.
    func read<T>(_ action: String, _ body: (Database) throws -> T) throws(ConnectorFailure) -> T {
        do {
            return try opened().writeWithoutTransaction(body)
        } catch {
            throw LogFailure.of(error, while: action, at: path)
        }
    }

    private func opened() throws(ConnectorFailure) -> DatabaseQueue {
        guard let connection else { throw closed }
        return connection
    }

    private var closed: ConnectorFailure {
        ConnectorFailure("log.closed", .stop, "the log in \(directory) is closed")
    }

    private static func open(
        _ path: String, _ relations: RelationStore, checkpointPages: Int
    ) throws(ConnectorFailure) -> (DatabaseQueue, LogPosition) {
        do {
            let queue = try DatabaseQueue(path: path, configuration: LogConnection.writing(path, checkpointPages))
            let position = try queue.writeWithoutTransaction { db in
                try relations.load(db)
                return try LogPosition.read(db)
            }
            return (queue, position)
        } catch {
            throw LogFailure.of(error, while: "open the log", at: path)
        }
    }
}
