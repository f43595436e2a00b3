import ConnectorKit
import ConnectorTesting
import ProgramTesting
import Testing

@testable import NATSSink

/// The rules of every sink, each on a stream of its own.
struct NATSConformanceTests {
    @Test(arguments: SinkRule.allCases, [false, true])
    func keeps(rule: SinkRule, isShared: Bool) async throws {
        let server = try NATSServer()
        let settings = try natsSettings(server, ["subject": .text("{schema}.{table}"), "shared": .flag(isShared)]) {
            // The second schema's subjects are not of the pattern that the sink would make a stream with.
            try $0.add("shop", subjects: "*.*")
        }
        let subject = SinkUnderTest(
            promise: .exactlyOnce,
            makeSink: { NATSSink(settings, contentType: "application/cloudevents+json") },
            stored: {
                try StreamReader(server.address).messages(of: "shop")
                    .reduce(into: [:]) { $0[$1.subject, default: []].append($1.payload) }
            })
        #expect(await SinkConformance.violations(of: rule, by: subject) == [])
    }
}
