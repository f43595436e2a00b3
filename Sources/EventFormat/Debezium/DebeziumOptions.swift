/// How events are spelled in the form of Debezium's connectors: the settings of theirs that consumers depend on, and
/// what the program alone knows.
package struct DebeziumOptions: Sendable, Hashable {
    /// `decimal.handling.mode`
    package enum Decimals: String, Sendable, CaseIterable {
        case precise, string, double
    }
    /// `time.precision.mode`
    package enum Times: String, Sendable, CaseIterable {
        case adaptive
        case adaptiveTimeMicroseconds = "adaptive_time_microseconds"
        case connect, isostring, microseconds, nanoseconds
    }
    /// `interval.handling.mode`
    package enum Intervals: String, Sendable, CaseIterable {
        case numeric, string
    }
    /// `hstore.handling.mode`
    package enum HStores: String, Sendable, CaseIterable {
        case json, map
    }
    /// What a line is where a record has no headers.
    package enum Lines: String, Sendable, CaseIterable {
        /// The value alone, as loaders of files and tables expect; without tombstones, which have none.
        case value
        /// Topic, key, headers and value of each record.
        case record
        /// An array of the same for each event: for readers who go on behind an event, which may be several records.
        case event
    }

    package var decimals = Decimals.precise
    package var times = Times.adaptive
    package var intervals = Intervals.numeric
    package var hstores = HStores.json
    /// True to put the schema before each key and value.
    package var hasSchemas = false
    /// True for a record without value behind each delete. Values alone have none in lines.
    package var hasTombstones = true
    /// What topics begin with; nil for the pipeline's name.
    package var topicPrefix: String?
    package var lines = Lines.value
    /// The database's name.
    package var database = ""
    /// The program's version.
    package var version = ""

    /// What the topics of a pipeline's tables begin with, before a dot.
    package func topicFront(pipelineName: String) -> String { DebeziumParts.topicFront(topicPrefix ?? pipelineName) }

    /// What Debezium does unless it is told otherwise.
    package init() {}

    /// What stands for a value that is not known because an update did not touch it.
    static let unavailable = "__debezium_unavailable_value"
}
