import ByteKit
package import ChangeModel
package import ConnectorKit
import Foundation
import GRDB

extension EventLog {
    /// The largest body that is stored; SQLite holds at most 1,000,000,000 bytes in a value.
    package static let batchBytesMax = 900_000_000

    /// Appends a batch and the checkpoint that covers it, by one transaction; a batch without changes only moves the
    /// checkpoint. Not durable before ``sync()``, but a crash of the process alone loses nothing.
    ///
    /// `versions` are the registered forms of `batch.relations`, at the same indices. After a failure nothing of the
    /// batch is in the log, and the same call may be made again. Throws `log.out_of_order` when the changes do not come
    /// after all that the log has: so a change can never be in it twice; and `log.disk_full` when there is no room.
    package func append(
        _ batch: ChangeBatch, versions: [RelationVersion]
    ) throws(ConnectorFailure) -> LoggedBatch {
        var next = try position()
        let logged = LoggedBatch(firstOffset: next.nextOffset, batch: batch, versions: versions)
        if let checkpoint = batch.checkpoint { next.checkpoint = checkpoint }
        try checkDisk(adding: batch.body.count)
        if batch.changeCount == 0 {
            if next != (try position()) { try capture("move the checkpoint") { db in try next.write(db) } }
            committed(next)
            return logged
        }
        try checkForm(of: logged)
        try checkLimit(adding: batch.body.count)
        let last = try checkOrder(of: batch, after: next.last)
        next.last = last
        next.nextOffset = logged.nextOffset
        let place = try storeBeside(batch)
        try capture("append a batch of \(batch.changeCount) changes") { db in
            try Self.insert(logged, body: place, db)
            try next.write(db)
        }
        if place != nil { bodyWasTold() }
        committed(next)
        Self.appendedPoint.reached()
        return logged
    }

    func checkForm(of logged: LoggedBatch) throws(ConnectorFailure) {
        let relations = logged.batch.relations
        guard relations.count == logged.versions.count else {
            throw ConnectorFailure(
                "log.unregistered_relation", .stop,
                "a batch has \(relations.count) relations, but \(logged.versions.count) were registered for it")
        }
        for (relation, version) in zip(relations, logged.versions) {
            guard version.relation == relation, self.relations[version.id] === version else {
                throw ConnectorFailure(
                    "log.unregistered_relation", .stop, "the log does not know the relation \(relation.qualifiedName)")
            }
        }
        guard logged.batch.body.count <= Self.batchBytesMax else {
            throw ConnectorFailure(
                "log.batch_too_large", .stop,
                "a batch of \(logged.batch.body.count) bytes does not fit: the log takes up to \(Self.batchBytesMax)",
                hint: "a single row this large cannot be captured: exclude its table, or move the value out of the row")
        }
    }

    /// The identity of the last change, once every change was seen to come after the one before it.
    func checkOrder(
        of batch: ChangeBatch, after stored: ChangeIdentity?
    ) throws(ConnectorFailure) -> ChangeIdentity {
        var previous = stored
        var current = batch.identity(at: 0)
        for index in 0..<batch.changeCount {
            current = batch.identity(at: index)
            if let previous, current <= previous {
                throw ConnectorFailure(
                    "log.out_of_order", .stop,
                    "change \(index) of a batch is \(current.text), but the log already has \(previous.text)",
                    hint: "this is a fault of the source connector: please report it; the log was left as it was")
            }
            previous = current
        }
        return current
    }

    /// Stores a batch. One that `isLate` (released dead letters) may be older than what is there; its commit time is
    /// stored as that of the batch before it at least, because times are searched by halves.
    ///
    /// With a `place`, the body stands there already, durably.
    static func insert(
        _ logged: LoggedBatch, isLate: Bool = false, body place: BodyPlace? = nil, _ db: Database
    ) throws {
        let batch = logged.batch
        let first = batch.identity(at: 0)
        let last = batch.identity(at: batch.changeCount - 1)
        var committedAt = batch.transaction(at: Int(batch.change(at: batch.changeCount - 1).transaction)).committedAt
        if isLate {
            let before = try Int64.fetchOne(
                db, sql: "SELECT committed_at FROM batch ORDER BY first_offset DESC LIMIT 1")
            committedAt = max(committedAt, before ?? committedAt)
        }
        let statement = try db.cachedStatement(
            sql: "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        try LogQueries.withBody(of: batch) { body, checksum in
            try statement.execute(arguments: [
                Int64(bitPattern: logged.firstOffset), batch.changeCount, UTCTime.now(),
                Int64(bitPattern: first.commit), Int64(first.ordinal),
                Int64(bitPattern: last.commit), Int64(last.ordinal), committedAt,
                logged.versions.map { String($0.id) }.joined(separator: " "), checksum,
                place == nil ? body : Data(), place?.file, place?.offset, place?.length,
            ])
        }
    }
}

extension ChangeIdentity {
    /// For messages: `16B3748/10`.
    var text: String { String(commit, radix: 16, uppercase: true) + "/" + String(ordinal) }
}
