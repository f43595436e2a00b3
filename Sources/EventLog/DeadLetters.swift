package import ChangeModel

/// Changes of one table that must not go on now, with the reason: kept in the log's database until somebody releases
/// or discards them.
package struct DeadLetter: Sendable {
    /// The registry's name of the table: all of them belong to it, and wait for each other in order.
    package var subject: String
    /// Why: a stable code, as in ``ConnectorFailure/code``.
    package var code: String
    /// Why, in words; without row values.
    package var message: String
    /// The changes, under their own identities.
    package var batch: ChangeBatch
    /// The log's entries for `batch.relations`; version 0 stands for a relation without an accepted contract.
    package var versions: [RelationVersion]
    /// Log offset of the change, when it waits for a sink.
    package var offset: UInt64?

    /// The subject of letters that wait for a sink alone: the log has them, and every other sink may have them.
    package static func subject(ofSink name: String) -> String { "@" + name }

    /// The sink that letters of a subject wait for; nil for those that are not in the log.
    package static func sink(ofSubject subject: String) -> String? {
        subject.hasPrefix("@") ? String(subject.dropFirst()) : nil
    }

    /// Letters of their parts.
    package init(
        subject: String, code: String, message: String, batch: ChangeBatch, versions: [RelationVersion],
        offset: UInt64? = nil
    ) {
        self.subject = subject
        self.code = code
        self.message = message
        self.batch = batch
        self.versions = versions
        self.offset = offset
    }
}

/// Dead letters with their place in the log's database.
package struct StoredDeadLetter: Sendable {
    /// The number under which they were stored: those of one subject are released in its order.
    package var id: Int64
    /// When they were stored, in microseconds since 1970-01-01 00:00 UTC.
    package var storedAt: Int64
    /// The letters.
    package var letter: DeadLetter
}

/// What waits of one table, or did so once.
package struct DeadLetterGroup: Sendable, Equatable {
    /// The registry's name of the table.
    package var subject: String
    /// How many changes wait.
    package var changeCount: Int
    /// How many bytes they take.
    package var byteCount: Int
    /// When the oldest was stored, in microseconds since 1970-01-01 00:00 UTC; nil when nothing waits.
    package var since: Int64?
    /// Why the oldest was stored.
    package var code: String?
    /// Why the oldest was stored, in words.
    package var message: String?
    /// How many changes of the table were released from here so far.
    package var releasedCount: Int
    /// How many changes of the table were discarded here so far.
    package var discardedCount: Int
}

/// What a step of ``EventLog/discardDeadLetters(of:through:)`` or ``EventLog/takeBackLetters(of:)`` did.
package struct DiscardStep: Sendable, Equatable {
    /// How many changes are gone.
    package var changeCount = 0
    /// True when more are there: call again, after letting others have the log.
    package var isUnfinished = false
}
