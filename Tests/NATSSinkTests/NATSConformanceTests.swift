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
        let more: [String: SettingValue] = ["subject": .text("rows.{schema}.{table}"), "shared": .flag(isShared)]
        let settings = try natsSettings(server, more) { try $0.add("shop", subjects: "rows.*.*") }
        let subject = SinkUnderTest(
            promise: .exactlyOnce,
            makeSink: { NATSSink(settings, contentType: "application/cloudevents+json") },
            stored: {
                try StreamReader(server.address).messages(of: "shop").reduce(into: [:]) {
                    $0[String($1.subject.dropFirst("rows.".count)), default: []].append($1.payload)
                }
            })
        #expect(await SinkConformance.violations(of: rule, by: subject) == [])
    }
}
