import ChangeModel
import ConnectorKit
import EventFormat
import Testing

/// Rows of an outbox as events of the application, byte by byte.
struct OutboxEventTests {
    private func outbox(
        _ payload: Column = Column(name: "payload", type: .json, typeName: "jsonb", shape: .json),
        content: OutboxRoute.Content = .auto, suffix: String? = ""
    ) -> Relation {
        Relation(
            sourceID: 9, schema: "public", name: "out box",
            columns: [
                column("id", .uuid, key: 0), column("aggregatetype"), column("aggregateid"), column("type"), payload,
                column("correlation"),
            ],
            outbox: OutboxRoute(
                id: 0, type: 3, aggregateType: 1, aggregateID: 2, payload: 4,
                attributes: [OutboxRoute.Attribute(name: "correlationid", column: 5)], content: content,
                topicSuffix: suffix))
    }

    private func row(
        payload: SampleValue, id: SampleValue = "e-1", aggregate: SampleValue = "Order", key: SampleValue = "42",
        correlation: SampleValue = nil
    ) -> SampleChange {
        .insert([id, aggregate, key, "OrderCreated", payload, correlation])
    }

    private let start =
        #"{"specversion":"1.0","id":"e-1","source":"/millrace/shop/public.out%20box","type":"OrderCreated","#
        + #""subject":"42","time":"2026-11-21T10:00:00.123456Z","sequence":"00000000016B3748-0000000A","#
        + #""partitionkey":"42","aggregatetype":"Order""#

    @Test func theRowIsTheEventAndItsPayloadTheData() throws {
        let records = try encode(
            [row(payload: "{\"total\": 1.10, \"big\": 12345678901234567890.0}", correlation: "req-7")], of: outbox())
        #expect(
            records.lines == [
                start + #","correlationid":"req-7","datacontenttype":"application/json","#
                    + #""data":{"total":1.10,"big":12345678901234567890.0}}"#
            ])
        #expect(records.keys == ["42"])
        let record = try #require(records.records.first)
        #expect(record.identity == ChangeIdentity(commit: 0x16B_3748, ordinal: 10))
        let topic = records.topics[Int(record.topic)]
        #expect(topic == Topic(schema: "public", table: "out box", routed: "outbox.event.Order"))
    }

    /// What stands behind the attributes.
    private func data(
        _ payload: SampleValue, _ column: Column? = nil, content: OutboxRoute.Content = .auto
    ) throws -> String {
        let relation = column.map { outbox($0, content: content) } ?? outbox(content: content)
        let line = try #require(encode([row(payload: payload)], of: relation).lines.first)
        #expect(line.hasPrefix(start))
        return String(line.dropFirst(start.count))
    }

    @Test func aPayloadSaysWhatItIs() throws {
        let json = #","datacontenttype":"application/json","data":"#
        let text = #","datacontenttype":"text/plain","data":"#
        let binary = #","datacontenttype":"application/octet-stream","data_base64":"#
        #expect(try data(nil) == "}")
        #expect(try data("null") == json + "null}")
        #expect(try data("\"x\"") == json + "\"x\"}")
        // Half a character, which strict readers refuse: the bytes of the JSON.
        #expect(
            try data(#""\ud800""#)
                == #","datacontenttype":"application/json","data_base64":"Ilx1ZDgwMCI="}"#)
        let plain = column("payload", .text)
        #expect(try data(" {\"a\": 1}", plain) == json + "{\"a\":1}}")
        #expect(try data("[1]", plain) == json + "[1]}")
        #expect(try data("17", plain) == text + "\"17\"}")
        #expect(try data("{broken", plain) == text + "\"{broken\"}")
        #expect(try data("", plain) == text + "\"\"}")
        #expect(try data("17", plain, content: .json) == json + "17}")
        #expect(try data("{\"a\":1}", plain, content: .text) == text + #""{\"a\":1}"}"#)
        #expect(try data("{\"a\": 1}", content: .text) == text + #""{\"a\": 1}"}"#)
        #expect(try data("\\xdeadbeef", column("payload", .bytes)) == binary + "\"3q2+7w==\"}")
        #expect(try data("12.50", column("payload", .numeric)) == text + "\"12.50\"}")
        let dynamic = column("payload", .dynamic)
        #expect(try data(.blob([0xFF]), dynamic) == binary + "\"/w==\"}")
        #expect(try data(.integer("7"), dynamic) == json + "7}")
        #expect(try data(.real("Infinity"), dynamic) == text + "\"Infinity\"}")
        #expect(try data("{\"a\":1}", dynamic) == json + "{\"a\":1}}")
    }

    @Test func anAggregateWithoutIdHasNoKey() throws {
        let records = try encode([row(payload: nil, key: nil)], of: outbox())
        #expect(records.keys == [""])
        #expect(records.lines[0].contains(#""type":"OrderCreated","time""#))
        #expect(!records.lines[0].contains("partitionkey"))
    }

    @Test func whatNeedsEscapesKeepsItsText() throws {
        let change = row(payload: "{}", id: "a\"b", aggregate: "Or\\der", key: "k\"1")
        let records = try encode([change], of: outbox())
        #expect(records.keys == ["k\"1"])
        #expect(records.lines[0].contains(#""id":"a\"b""#) && records.lines[0].contains(#""subject":"k\"1""#))
        #expect(records.topics.last?.name == "outbox.event.Or\\der")
    }

    @Test func anAttributeThatCannotBeOneIsLeftOut() throws {
        for value: SampleValue in [nil, "", "a\u{1}b", "a\u{9F}b"] {
            let records = try encode([row(payload: nil, correlation: value)], of: outbox())
            #expect(!records.lines[0].contains("correlationid"))
        }
    }

    @Test func recordsHaveTheTopicsOfTheirRowsAndEachTopicStandsOnce() throws {
        let aggregates = ["Order", "Customer", "Order", "../../etc", "Customer"]
        let records = try encode(
            aggregates.map { row(payload: nil, aggregate: .text($0)) }, of: outbox(suffix: ".v1"))
        #expect(
            records.records.map { records.topics[Int($0.topic)].name } == aggregates.map { "outbox.event.\($0).v1" })
        #expect(records.topics.count == 4, "one of the relation, three of its rows")
        let fixed = try encode([row(payload: nil)], of: outbox(suffix: nil))
        #expect(fixed.topics.last?.name == "outbox.event.")
    }

    @Test func updatesAndDeletesMakeNoEvent() throws {
        let values: [SampleValue] = ["e-1", "Order", "42", "T", nil, nil]
        let records = try encode(
            [.update(to: values), .insert(values), .delete(.full, values), .truncate, .snapshot(values)],
            of: outbox())
        #expect(records.records.map(\.identity.ordinal) == [11, 14])
        #expect(records.nextOffset == 105)
        #expect(records.lines[1].contains(#""id":"e-1""#), "a snapshot's row has the id that its insert had")
    }

    @Test func aRowWithoutIdIsAFailureAndNoEvent() {
        #expect {
            try encode([row(payload: nil, id: nil)], of: outbox())
        } throws: {
            ($0 as? EncodingFailure)?.reason == .noOutboxEvent
        }
    }

    @Test func theRowFormatHasTheColumnsAndTheRowsOwnId() throws {
        let records = try encode(
            [row(payload: "{\"n\": 1.0}", correlation: "c")], of: outbox(), format: .row)
        #expect(
            records.lines == [
                #"{"id":"e-1","aggregatetype":"Order","aggregateid":"42","type":"OrderCreated","payload":{"n":1.0},"#
                    + #""correlation":"c","_op":"insert","_id":"e-1","_sequence":"00000000016B3748-0000000A","#
                    + #""_schema":"public","_table":"out box","_topic":"outbox.event.Order","#
                    + #""_committed_at":"2026-11-21T10:00:00.123456Z","_unchanged":[]}"#
            ])
        #expect(records.keys == ["42"])
    }
}
