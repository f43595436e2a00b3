import ConnectorKit

extension PipelineSettings {
    /// What a sink of the format `debezium` has beside its connector. Names and words are Debezium's, without the words
    /// that all of them have.
    static let debezium = [
        Setting(
            "topic_prefix", .text,
            "What topics begin with, `topic.prefix` of the connector that consumers know; it is `source.name` too. The"
                + " pipeline's name without it."),
        Setting(
            "decimal", .choice(["precise", "string", "double"]),
            "`decimal.handling.mode`: how numeric and money are spelled.", default: .text("precise")),
        Setting(
            "time", .choice(debeziumTimes),
            "`time.precision.mode`: how dates and times without a time zone are spelled.", default: .text("adaptive")),
        Setting(
            "interval", .choice(["numeric", "string"]),
            "`interval.handling.mode`: microseconds, or ISO 8601.", default: .text("numeric")),
        Setting(
            "hstore", .choice(["json", "map"]), "`hstore.handling.mode`: a string of JSON, or an object.",
            default: .text("json")),
        Setting(
            "schemas", .flag,
            "`schemas.enable` of the JSON converter: true to write every key and value as `schema` and `payload`.",
            default: .flag(false)),
        Setting(
            "tombstones", .flag,
            "`tombstones.on.delete`: a record with the key and no value behind each delete. By default with"
                + " `lines: record` alone: Debezium Server sends none over HTTP and NATS. Files have none with"
                + " `lines: value`."),
        Setting(
            "lines", .choice(["value", "record"]),
            "What a line of a file, or the body of a request or a message, is. `value`: the value alone; key and"
                + " headers are headers of requests and messages. `record`: an object of `topic`, `key`, `headers` and"
                + " `value`.",
            default: .text("value")),
    ]

    private static let debeziumTimes = [
        "adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds",
    ]
    /// Brokers have bounds for topics; most of it is left to the names of tables.
    static let topicPrefixBytesMax = 100
}

extension SettingReader {
    /// The settings of Debezium's format; they mean nothing in another one.
    mutating func debezium(
        _ values: SettingValues, _ entry: Entry?, _ format: String?, _ path: String
    ) -> SettingValues {
        let settings = values.group("debezium") ?? SettingValues()
        guard let entry, let format else { return settings }
        let place = joined(path, "debezium")
        if format != RecordFormat.debezium.rawValue {
            report(
                "config.bad_value", "\"debezium\" is for sinks of that format, and the format of this one is \(format)",
                place, entry.keyPosition, "write format: debezium, or take the key out")
        }
        if let prefix = settings.text("topic_prefix"), !Self.isTopicPrefix(prefix) {
            report(
                "config.bad_value",
                "the prefix is not 1 to \(PipelineSettings.topicPrefixBytesMax) letters, digits, ., _ or -",
                joined(place, "topic_prefix"), entry.keyPosition,
                "write the topic.prefix of the connector, such as shop")
        }
        return settings
    }

    private static func isTopicPrefix(_ text: String) -> Bool {
        (1...PipelineSettings.topicPrefixBytesMax).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || (0x30...0x39).contains(byte)
                    || byte == 0x2E || byte == 0x5F || byte == 0x2D
            }
    }
}
