internal import ConnectorKit
internal import EventLog

/// Why events cannot be had. Every code stands in `docs/reference/errors.md`.
enum EventFailure {
    /// Nothing is captured into this log yet, or no more.
    static func notReady() -> ConnectorFailure {
        ConnectorFailure(
            "events.not_ready", .retry, "the log is not open yet", hint: "come again in a second: the program starts")
    }

    /// All streams that may be open are.
    static func tooManyStreams(_ count: Int) -> ConnectorFailure {
        ConnectorFailure(
            "events.too_many_streams", .retry, "\(count) streams are open, and no more are allowed",
            setting: "server.streams", hint: "end one, or raise server.streams")
    }

    /// An event that is made again to go on with it is not what it was: contracts or classes changed meanwhile.
    static func changed(_ offset: UInt64) -> ConnectorFailure {
        ConnectorFailure(
            "events.changed", .retry, "the event at log offset \(offset) is written otherwise than when it began",
            hint: "come again: it is sent from its beginning")
    }

    /// As many bytes of events as may be are on their way to other consumers.
    static func crowded() -> ConnectorFailure {
        ConnectorFailure(
            "events.crowded", .retry, "too much is on its way to consumers that take their time",
            hint: "come again; who takes too long while others wait is cut off")
    }

    /// The change at a place is another one than the reader had.
    static func otherLog(_ place: LogPlace) -> ConnectorFailure {
        ConnectorFailure(
            "events.other_log", .stop,
            "the event at offset \(place.offset) is another one than the one that was read there: this is another log, "
                + "or an older state of it",
            hint: "read from=earliest and skip ids that you have")
    }

    /// The log has no such offset any more.
    static func retainedAway(_ offset: UInt64, first: UInt64) -> ConnectorFailure {
        ConnectorFailure(
            LogReader.retainedAwayCode, .stop, "offset \(offset) is no longer in the log, which begins at \(first)",
            setting: "log.retention", hint: "read from=earliest, and know that events before offset \(first) are gone")
    }

    /// The log has no such offset yet.
    static func notYet(_ offset: UInt64, end: UInt64) -> ConnectorFailure {
        ConnectorFailure(
            "events.not_in_log", .stop, "offset \(offset) is not in the log yet, which ends before \(end)",
            hint: "from=latest waits for the next event")
    }

    /// A subscription whose settings this version does not know.
    static func unreadable(_ name: String) -> ConnectorFailure {
        ConnectorFailure(
            "events.unreadable_subscription", .stop,
            "the settings of the subscription \(name) cannot be read: another version wrote them",
            hint: "PUT its settings anew; its place stays")
    }
}
