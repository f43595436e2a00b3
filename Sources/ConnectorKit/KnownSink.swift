/// What the event log knows of a sink, for whoever looks at it without opening the sink.
package struct KnownSink: Sendable {
    /// The sink's name in the configuration.
    package var name: String
    /// What tells the log from all others, see ``SinkContext/log``.
    package var log: String
    /// What the sink stored last; nil for one that stored nothing.
    package var state: [UInt8]?
    /// Log offset of the first record that it would be given.
    package var nextOffset: UInt64

    /// What is known, of its parts.
    package init(name: String, log: String, state: [UInt8]?, nextOffset: UInt64) {
        self.name = name
        self.log = log
        self.state = state
        self.nextOffset = nextOffset
    }
}
