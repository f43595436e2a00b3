import ConnectorKit
import Foundation
import ProgramTesting
import Testing

@testable import WebhookSink

/// Keys and headers of records as headers of requests.
struct RecordHeadersTests {
    private func sample(_ offset: UInt64, payload: String = "{}", key: String, headers: String = "") -> SampleEvent {
        var event = SampleEvent(offset, key: "k", table: "Käse", payload: payload)
        (event.keyDocument, event.headers) = (key, headers)
        return event
    }

    private func decoded(_ text: String?) -> String? {
        text.flatMap { Data(base64Encoded: $0) }.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func namesAndCodingAreThoseOfDebeziumServer() async throws {
        let fixture = try SinkFixture(isCloudEvents: false, hasHeaders: true)
        #expect(fixture.sink.form == .binary)
        try await fixture.deliver([
            sample(0, key: #"{"id":"ä"}"#, headers: "__debezium.newkey:{\"id\":2}\nid:\"a:b\"\n")
        ])
        let fields = try #require(fixture.receiver.requests.first).fields
        #expect(decoded(fields["x-debezium-__debezium.newkey"]) == #"{"id":2}"#)
        #expect(decoded(fields["x-debezium-id"]) == #""a:b""#)
        #expect(decoded(fields["x-debezium-key"]) == #"{"id":"ä"}"#)
        #expect(decoded(fields["x-debezium-topic"]) == #""public.Käse""#)
        #expect(fields["x-debezium-tombstone"] == nil)
        #expect(fields["content-type"] == "application/json")
    }

    @Test func withoutBase64ValuesAreJSONInASCII() async throws {
        let plain = SettingValues(["prefix": .text("Dbz-"), "base64": .flag(false)])
        let fixture = try SinkFixture(["record_headers": .group(plain)], isCloudEvents: false, hasHeaders: true)
        try await fixture.deliver([
            sample(0, key: #"{"id":"ä"}"#, headers: "key:\"mine\"\n"), sample(1, payload: "", key: "1"),
            sample(2, key: ""),
        ])
        let requests = fixture.receiver.requests.sorted { $0.id < $1.id }
        try #require(requests.count == 3)
        // A header of the application's has the name that the key would have: it counts.
        #expect(requests[0].fields["dbz-key"] == #""mine""#)
        #expect(requests[0].fields["dbz-topic"] == #""public.K\u00E4se""#)
        #expect(requests[1].fields["dbz-tombstone"] == "true" && requests[1].body.isEmpty)
        #expect(requests[1].fields["dbz-key"] == "1")
        #expect(requests[2].fields["dbz-key"] == nil && requests[2].fields["dbz-topic"] != nil)
    }

    @Test func aBatchIsAnArrayOfValuesWithoutHeaders() async throws {
        let fixture = try SinkFixture(
            ["mode": .text("batch"), "concurrency": .integer(1)], isCloudEvents: false, hasHeaders: true)
        #expect(fixture.sink.form == .line)
        try await fixture.deliver([sample(0, key: "")])
        let request = try #require(fixture.receiver.requests.first)
        #expect(request.text == "[{}]" && !request.fields.keys.contains { $0.hasPrefix("x-debezium") })
    }

    @Test(arguments: ["", "webhook-", "h", "content-", "CE-", "a b-", "transfer-encoding"])
    func aPrefixThatMakesHeadersOfHTTPIsRefused(_ prefix: String) throws {
        let values = ["record_headers": SettingValue.group(SettingValues(["prefix": .text(prefix)]))]
        do {
            _ = try SinkFixture.settings(1, values)
            Issue.record("taken")
        } catch let problem as SettingProblem {
            #expect(problem.setting == "record_headers.prefix")
        }
    }
}
