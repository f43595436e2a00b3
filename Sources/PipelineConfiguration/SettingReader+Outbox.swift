import ConnectorKit

/// The list `outbox`.
extension SettingReader {
    /// The entries of the list; what is wrong with them is reported.
    mutating func outboxes(_ top: SettingValues, at position: FilePosition) -> [OutboxConfiguration] {
        var outboxes: [OutboxConfiguration] = []
        for (index, values) in (top.groups("outbox") ?? []).enumerated() {
            let path = "outbox[\(index)]"
            // What is missing was reported already.
            guard let texts = values.list("tables"), let columns = values.group("columns"),
                let topic = values.text("topic"), let content = values.text("content")
            else { continue }
            let place = locations.position(of: path) ?? position
            let tables = patterns(texts, path, at: place, hint: "name the outbox table, such as public.outbox")
            checkColumns(columns, "\(path).columns", at: place)
            checkTopic(topic, "\(path).topic", at: place)
            let attributes = values.map("attributes") ?? [:]
            checkAttributes(attributes, "\(path).attributes", at: place)
            outboxes.append(
                OutboxConfiguration(
                    tables: tables ?? [], columns: Self.names(columns), topic: topic, attributes: attributes,
                    content: content))
        }
        return outboxes
    }

    private static func names(_ values: SettingValues) -> [String: String] {
        var names: [String: String] = [:]
        for setting in PipelineSettings.outboxColumns { names[setting.name] = values.text(setting.name) }
        return names
    }

    private mutating func checkColumns(_ columns: SettingValues, _ path: String, at position: FilePosition) {
        for setting in PipelineSettings.outboxColumns where columns.text(setting.name) == "" {
            let own = "\(path).\(setting.name)"
            report(
                "config.bad_value", "the column's name is empty", own, locations.position(of: own) ?? position,
                "name the column, or take the key out for \(setting.name)")
        }
    }

    /// Placeholders of names that the configuration decides may come often, the one that rows decide comes once.
    private mutating func checkTopic(_ topic: String, _ path: String, at position: FilePosition) {
        let known = "the placeholders are {aggregatetype}, {schema} and {table}"
        var rest = topic
        for name in ["{schema}", "{table}"] { rest = rest.replacing(name, with: "") }
        let parts = rest.split(separator: "{aggregatetype}", omittingEmptySubsequences: false)
        let problem: String?
        if topic.isEmpty {
            problem = "the topic is empty"
        } else if topic.utf8.count > PipelineSettings.topicBytesMax {
            problem = "the topic is longer than \(PipelineSettings.topicBytesMax) bytes"
        } else if parts.contains(where: { $0.contains("{") || $0.contains("}") }) {
            problem = "the topic has an unknown placeholder, or a brace without its partner"
        } else if parts.count > 2 {
            problem = "the topic has {aggregatetype} more than once"
        } else {
            problem = nil
        }
        guard let problem else { return }
        report("config.bad_value", problem, path, locations.position(of: path) ?? position, known)
    }

    private mutating func checkAttributes(
        _ attributes: [String: String], _ path: String, at position: FilePosition
    ) {
        for (name, column) in attributes.sorted(by: { $0.key < $1.key }) {
            let own = joined(path, printable(name))
            let place = locations.position(of: own) ?? position
            if column.isEmpty {
                report("config.bad_value", "the column's name is empty", own, place, "name the column")
            }
            let isName =
                (1...20).contains(name.utf8.count)
                && name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) }
            if !isName {
                report(
                    "config.bad_value", "\(quoted(name)) is not a name of 1 to 20 small letters and digits", own, place,
                    "such as correlationid, causationid, traceparent or tracestate")
            } else if PipelineSettings.takenAttributes.contains(name) {
                report(
                    "config.bad_value", "\(quoted(name)) belongs to the event itself", own, place,
                    "choose another name")
            }
        }
    }
}
