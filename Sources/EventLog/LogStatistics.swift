package import ChangeModel

/// Where a sink is in the log.
package struct SinkCursor: Sendable, Equatable {
    /// The sink's name in the configuration.
    package var sink: String
    /// The offset of the first event that is not known to be delivered.
    package var offset: UInt64
    /// What the sink wants back when it opens.
    package var state: [UInt8]?
    /// When the cursor was last moved or its state stored, in microseconds since 1970-01-01 00:00 UTC.
    package var movedAt: Int64
    /// The sink's last failure, until it was cleared.
    package var lastError: SinkError?
    /// How many events a second the cursor passed when it was last moved; nil when that was never measured.
    package var eventsPerSecond: Double?
    /// When the sink is opened again after a failure that may pass, in microseconds since 1970-01-01 00:00 UTC; nil
    /// when it works, or does not try again.
    package var retryAt: Int64?
}

/// A failure of a sink, as `status` shows it.
package struct SinkError: Sendable, Equatable {
    /// The failure's stable code.
    package var code: String
    /// What happened.
    package var message: String
    /// When, in microseconds since 1970-01-01 00:00 UTC.
    package var at: Int64
}

/// What is in a log.
package struct LogStatistics: Sendable {
    /// The oldest offset that can be read; equal to ``nextOffset`` when there is nothing to read.
    package var firstOffset: UInt64
    /// The offset that the next change gets.
    package var nextOffset: UInt64
    /// Bytes of the database file that hold something, and of the files beside it.
    package var byteCount: Int
    /// Bytes of the database file and of the files beside it; what was freed in it is used again before it grows.
    package var fileByteCount: Int
    /// When the oldest batch was appended, in microseconds since 1970-01-01 00:00 UTC; nil without one.
    package var oldestAppendedAt: Int64?
    /// When the newest change was committed at the source, in microseconds since 1970-01-01 00:00 UTC; nil without one.
    package var newestCommittedAt: Int64?
    /// The source that the log belongs to.
    package var source: SourceIdentity?
    /// How far the source was read.
    package var checkpoint: SourceCheckpoint?
    /// The sinks that have a cursor, by name; some may no longer be configured.
    package var sinks: [SinkCursor]
    /// All relations that were ever registered, by number.
    package var relations: [RelationVersion]
    /// What was set aside, by subject.
    package var deadLetters: [DeadLetterGroup]
    /// The subscriptions, by name.
    package var subscriptions: [SubscriptionReport]
    /// The disk that it is on.
    package var disk = LogDisk()
}
