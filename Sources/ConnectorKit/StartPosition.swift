/// Where somebody who reads the log begins, as people say it.
package enum StartPosition: Sendable, Hashable {
    /// With the oldest event that the log still has.
    case earliest
    /// Behind the newest event.
    case latest
    /// With the event at a log offset.
    case offset(UInt64)
    /// With the first event that was committed at a time or later, in microseconds since 1970-01-01 00:00 UTC.
    case time(Int64)

    /// How it may be said, for messages.
    package static let words = "earliest, latest, a log offset, or a UTC time such as 2026-11-21T10:00:00Z"

    /// Reads ``words``; nil for anything else.
    package init?(_ text: String) {
        switch text {
        case "earliest": self = .earliest
        case "latest": self = .latest
        default:
            if let offset = UInt64(text) {
                self = .offset(offset)
            } else if let time = UTCTime.microseconds(text) {
                self = .time(time)
            } else {
                return nil
            }
        }
    }
}
