import ConnectorKit
import PipelineConfiguration
import Testing

/// The list `outbox`.
struct OutboxSettingTests {
    private func with(_ rest: String) -> String { "name: a\nsource: {sqlite: {path: x}}\n" + rest }

    @Test func anEntryNeedsOnlyItsTables() throws {
        let configuration = try load(
            with(
                """
                outbox:
                  - {tables: [public.outbox]}
                  - tables: ["*.events"]
                    columns: {id: event_id, payload: body}
                    topic: "{schema}.{aggregatetype}"
                    attributes: {correlationid: correlation_id}
                    content: json
                """))
        let names = ["id", "aggregatetype", "aggregateid", "type", "payload"]
        #expect(configuration.outboxes.count == 2)
        let first = configuration.outboxes[0]
        #expect(first.tables == [TablePattern("public.outbox")] && first.content == "auto" && first.attributes == [:])
        #expect(first.topic == "outbox.event.{aggregatetype}")
        #expect(first.columns == Dictionary(uniqueKeysWithValues: names.map { ($0, $0) }))
        let second = configuration.outboxes[1]
        #expect(second.columns["id"] == "event_id" && second.columns["payload"] == "body")
        #expect(second.columns["type"] == "type" && second.content == "json")
        #expect(second.attributes == ["correlationid": "correlation_id"] && second.topic == "{schema}.{aggregatetype}")
        #expect(try load(with("")).outboxes == [])
    }

    @Test func everyProblemIsToldAtOnceWithItsPlace() {
        let found = problems(
            with(
                """
                outbox:
                  - {tables: [], topic: ""}
                  - tables: [o]
                    columns: {id: "", key: k}
                    topic: "{aggregatetype}.{aggregatetype}"
                    attributes:
                      Correlation-Id: c
                      sequence: s
                      traceparent: ""
                    content: xml
                  - {tables: [o], topic: "{topic}"}
                """))
        #expect(
            found == [
                "config.bad_value outbox[0].tables 4:5 the list of tables is empty"
                    + " (name the outbox table, such as public.outbox)",
                "config.bad_value outbox[0].topic 4:25 the topic is empty"
                    + " (the placeholders are {aggregatetype}, {schema} and {table})",
                "config.unknown_key outbox[1].columns.key 6:23 unknown key \"key\" (known here: aggregateid,"
                    + " aggregatetype, id, payload, type)",
                "config.bad_value outbox[1].content 12:14 \"xml\" is not one of auto, json, text",
                "config.bad_value outbox[2].topic 13:26 the topic has an unknown placeholder, or a brace without its"
                    + " partner (the placeholders are {aggregatetype}, {schema} and {table})",
            ], "\(found.joined(separator: "\n"))")
        let more = problems(
            with(
                """
                outbox:
                  - tables: [o]
                    columns: {id: ""}
                    topic: "{aggregatetype}.{aggregatetype}"
                    attributes:
                      Correlation-Id: c
                      sequence: s
                      traceparent: ""
                """))
        #expect(
            more == [
                "config.bad_value outbox[0].columns.id 5:19 the column's name is empty"
                    + " (name the column, or take the key out for id)",
                "config.bad_value outbox[0].topic 6:12 the topic has {aggregatetype} more than once"
                    + " (the placeholders are {aggregatetype}, {schema} and {table})",
                "config.bad_value outbox[0].attributes.Correlation-Id 8:23 \"Correlation-Id\" is not a name of 1 to 20"
                    + " small letters and digits (such as correlationid, causationid, traceparent or tracestate)",
                "config.bad_value outbox[0].attributes.sequence 9:17 \"sequence\" belongs to the event itself"
                    + " (choose another name)",
                "config.bad_value outbox[0].attributes.traceparent 10:20 the column's name is empty"
                    + " (name the column)",
            ], "\(more.joined(separator: "\n"))")
    }
}
