import ConnectorKit
import ConnectorTesting
import Foundation
import ProgramTesting
import Testing

@testable import WebhookSink

/// The rules of every sink.
struct WebhookConformanceTests {
    @Test(arguments: SinkRule.allCases)
    func keeps(rule: SinkRule) async throws {
        let receiver = try HTTPReceiver { _ in .status(204) }
        let settings = try SinkFixture.settings(receiver.port, ["concurrency": .integer(1)])
        let subject = SinkUnderTest(
            promise: .atLeastOnce, makeSink: { WebhookSink(settings) },
            stored: {
                var stored: [String: [[UInt8]]] = [:]
                for request in receiver.requests {
                    let object = try #require(request.json as? [String: NSObject])
                    let offset = try #require(object["offset"] as? UInt64)
                    stored[SampleRecords.topicName(SampleRecords.topic(at: offset)), default: []].append(request.body)
                }
                return stored
            })
        #expect(await SinkConformance.violations(of: rule, by: subject) == [])
    }
}
