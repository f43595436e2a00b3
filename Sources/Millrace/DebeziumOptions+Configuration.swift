import ConnectorKit
import EventFormat

extension DebeziumOptions {
    /// What a sink's settings say. The database's name is not in the configuration.
    init(_ values: SettingValues) {
        self.init()
        decimals = values.text("decimal").flatMap(Decimals.init) ?? decimals
        times = values.text("time").flatMap(Times.init) ?? times
        intervals = values.text("interval").flatMap(Intervals.init) ?? intervals
        hstores = values.text("hstore").flatMap(HStores.init) ?? hstores
        hasSchemas = values.flag("schemas") ?? hasSchemas
        lines = values.text("lines").flatMap(Lines.init) ?? lines
        // Receivers that know Debezium Server's sinks get no requests and messages without content there.
        hasTombstones = values.flag("tombstones") ?? (lines == .record)
        topicPrefix = values.text("topic_prefix")
        version = Version.text
    }

    /// For readers over HTTP: all records of an event in one line.
    static var forReaders: DebeziumOptions {
        var options = forPrinting
        options.lines = .event
        return options
    }

    /// For commands that print records: everything about them.
    static var forPrinting: DebeziumOptions {
        var options = DebeziumOptions(SettingValues())
        (options.lines, options.hasTombstones) = (.record, true)
        return options
    }
}
