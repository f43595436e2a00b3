/// How an event is spelled. The forms are described in `docs/reference/events.md`.
package enum EventFormat: String, Sendable, CaseIterable {
    /// CloudEvents 1.0 in its JSON form, one event a line.
    case cloudEvents = "cloudevents"
    /// The row itself with the metadata under names that begin with `_`, one row a line.
    case row
    /// The row itself and the metadata as lines of CSV, for files: each begins with the names of the columns.
    case csv
    /// The records of Debezium's connectors.
    case debezium
}
