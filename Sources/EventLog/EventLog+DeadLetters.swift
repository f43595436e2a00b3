import ByteKit
package import ChangeModel
package import ConnectorKit
import Foundation
import GRDB

extension EventLog {
    /// The code of the failure that dead letters have no room.
    package static let deadLettersFullCode = "log.deadletters_full"

    static let setAsidePoint = HaltPoint("log.set_aside")
    static let releasedPoint = HaltPoint("log.released")
    static let discardedPoint = HaltPoint("log.discarded")
    /// Stops in the middle of a transaction, before it is committed.
    private static let insideReleasePoint = HaltPoint("log.inside_release")
    private static let insideSetAsidePoint = HaltPoint("log.inside_set_aside")

    /// Appends what may go on of a batch, and sets the rest of it aside, by one transaction with the checkpoint that
    /// covers both. Otherwise like ``append(_:versions:)``.
    ///
    /// Throws `log.deadletters_full` when what is set aside would alone need more room than the log may take.
    package func append(
        _ batch: ChangeBatch, versions: [RelationVersion], settingAside letters: [DeadLetter]
    ) throws(ConnectorFailure) -> LoggedBatch {
        if letters.isEmpty { return try append(batch, versions: versions) }
        var next = try position()
        let stored = next.last
        let logged = LoggedBatch(firstOffset: next.nextOffset, batch: batch, versions: versions)
        if let checkpoint = batch.checkpoint { next.checkpoint = checkpoint }
        var last = stored
        for part in [logged] + letters.map(\.asLogged) where part.batch.changeCount > 0 {
            try checkForm(of: part)
            let end = try checkOrder(of: part.batch, after: stored)
            if last.map({ $0 < end }) ?? true { last = end }
        }
        try checkRoom(for: letters)
        let added = batch.body.count + letters.reduce(0) { $0 + $1.batch.body.count }
        try checkLimit(adding: added)
        try checkDisk(adding: added)
        next.last = last
        next.nextOffset = logged.nextOffset
        try capture("set changes aside") { db in
            if batch.changeCount > 0 { try Self.insert(logged, db) }
            for letter in letters { try DeadLetterQueries.insert(letter, db) }
            try next.write(db)
            Self.insideSetAsidePoint.reached()
        }
        committed(next)
        Self.setAsidePoint.reached()
        return logged
    }

    /// The subjects of which something waits that is not in the log.
    package func deadLetterSubjects() throws(ConnectorFailure) -> [String] {
        try read("look for dead letters") { db in try DeadLetterQueries.subjects(db) }
    }

    /// The relations of the oldest dead letters of a subject, without reading the changes; nil when none wait.
    package func firstDeadLetter(
        of subject: String
    ) throws(ConnectorFailure) -> (id: Int64, relations: [RelationVersion])? {
        let relations = relations
        return try read("look at dead letters of \(subject)") { db in
            try DeadLetterQueries.head(of: subject, db, relations)
        }
    }

    /// Dead letters by their number; nil when they are gone.
    package func deadLetter(_ id: Int64) throws(ConnectorFailure) -> DeadLetter? {
        let relations = relations
        return try read("read dead letters") { db in try DeadLetterQueries.letter(id, db, relations)?.letter }
    }

    /// The first dead letters of a subject behind a number; nil when there are none.
    package func deadLetter(
        of subject: String, after id: Int64
    ) throws(ConnectorFailure) -> StoredDeadLetter? {
        let relations = relations
        return try read("read dead letters of \(subject)") { db in
            try DeadLetterQueries.letter(of: subject, after: id, db, relations)
        }
    }

    /// Moves the oldest dead letters of a subject to the end of the log, under their own identities, by one
    /// transaction: never lost, never twice. `versions` are the accepted forms of their relations. With a `batch`, that
    /// is what they became by now: rows of a table that is an outbox now, or those that may go on, while the `rest`
    /// stays: in their place when it has their subject, otherwise behind all dead letters of its own. What is in
    /// neither was discarded, and counts as that.
    ///
    /// This is the one way by which a change gets into the log that is older than what is there.
    package func release(
        _ id: Int64, as batch: ChangeBatch? = nil, versions: [RelationVersion], leaving rest: DeadLetter? = nil,
        discarding discardedCount: Int = 0
    ) throws(ConnectorFailure) -> LoggedBatch {
        let relations = relations
        let stored = try read("read dead letters") { db in try DeadLetterQueries.letter(id, db, relations) }
        guard let stored else {
            throw ConnectorFailure("log.no_dead_letter", .stop, "the log has no dead letters with the number \(id)")
        }
        var next = try position()
        let letter = stored.letter
        let logged = LoggedBatch(firstOffset: next.nextOffset, batch: batch ?? letter.batch, versions: versions)
        try checkForm(of: logged)
        if let rest { try checkForm(of: rest.asLogged) }
        guard versions.allSatisfy({ $0.version > 0 || $0.relation.outbox != nil }) else {
            throw ConnectorFailure(
                "log.unregistered_relation", .stop, "dead letters of \(letter.subject) have no contract")
        }
        next.nextOffset = logged.nextOffset
        try checkDisk(adding: logged.batch.body.count + (rest?.batch.body.count ?? 0))
        try capture("release dead letters of \(letter.subject)") { db in
            if logged.batch.changeCount > 0 { try Self.insert(logged, isLate: true, db) }
            try DeadLetterQueries.release(id, letter, leaving: rest, discarding: discardedCount, db)
            try next.write(db)
            Self.insideReleasePoint.reached()
        }
        committed(next)
        Self.releasedPoint.reached()
        return logged
    }

    /// Removes the oldest dead letters of a subject up to the number `last` for good, as many as a short transaction
    /// takes; durable on return.
    package func discardDeadLetters(
        of subject: String, through last: Int64
    ) throws(ConnectorFailure) -> DiscardStep {
        let covered = try position().checkpoint
        // On a full disk, a step has to do with little of the write-ahead log.
        let rowsMax = reserve.isSpent ? DeadLetterQueries.fewRows : DeadLetterQueries.rowsMax
        let step = try write("discard dead letters of \(subject)", durably: true) { db in
            try DeadLetterQueries.discard(subject, through: last, atMost: rowsMax, db)
        }
        // That commit covers every earlier one, like a sync.
        hasUnsynced = false
        durableCheckpoint = covered
        Self.discardedPoint.reached()
        return step
    }

    /// Dead letters and nothing else may not fill the room that the configuration gives the log. They are never
    /// removed by themselves, so capture waits, as on a full disk.
    func checkRoom(for letters: [DeadLetter]) throws(ConnectorFailure) {
        guard let limit = retention.byteCount else { return }
        let held = try read("measure the dead letters") { db in try DeadLetterQueries.byteCount(db) }
        let more = letters.reduce(0) { $0 + $1.batch.body.count }
        // One batch always fits, so that a small limit does not stop everything.
        guard held > 0, held + more > limit else { return }
        let subjects = Set(letters.map(\.subject)).sorted()
        let sinks = subjects.filter { DeadLetter.sink(ofSubject: $0) != nil }.joined(separator: " ")
        throw ConnectorFailure(
            Self.deadLettersFullCode, .retry,
            "dead letters take \(held) bytes of the \(limit) that the log may have, and more of "
                + "\(subjects.joined(separator: ", ")) would follow",
            setting: "log.retention.size",
            hint: sinks.isEmpty
                ? "millrace schema accept, or millrace deadletters discard, or a larger log.retention.size; capture "
                    + "waits meanwhile, nothing is lost"
                : "millrace deadletters retry \(sinks) once the receiver takes them, or millrace deadletters discard "
                    + "\(sinks), or a larger log.retention.size; the sink waits meanwhile, nothing is lost")
    }
}

extension DeadLetter {
    /// For the checks that a batch of the log has to pass.
    fileprivate var asLogged: LoggedBatch { LoggedBatch(firstOffset: 0, batch: batch, versions: versions) }
}
