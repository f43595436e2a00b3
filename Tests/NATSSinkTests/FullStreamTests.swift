import CNATS
import ConnectorKit
import ProgramTesting
import Testing

@testable import NATSSink

/// A stream that takes no more messages: the sink says so and waits, and nothing is lost, doubled or swapped.
struct FullStreamTests {
    private static let eventCount = 600

    private func limit(_ config: inout jsStreamConfig, _ what: String) {
        config.Discard = js_DiscardNew
        if what == "messages" { config.MaxMsgs = 100 } else { config.MaxBytes = 40_000 }
    }

    @Test(arguments: ["messages", "bytes"], [false, true])
    func aFullStreamIsWaitedForAndGetsEveryEventOnceThereIsRoom(what: String, isShared: Bool) async throws {
        let server = try NATSServer()
        let settings = try natsSettings(server, ["shared": .flag(isShared)]) { reader in
            try reader.add("shop", subjects: "shop.>") { limit(&$0, what) }
        }
        let delivery = PatientDelivery(settings, count: Self.eventCount)
        async let work: Void = delivery.run()
        // Not one failure that passed: it keeps trying, and says the same each time.
        try await eventually("three attempts") { delivery.failureCodes.count >= 3 }
        let reader = try StreamReader(server.address)
        let stored = try reader.messages(of: "shop").map(\.id)
        #expect(!stored.isEmpty && stored.count < Self.eventCount)
        #expect(stored == stored.indices.map { "e-\($0)" })
        #expect(delivery.failureCodes.allSatisfy { $0 == "nats.stream_full" }, "\(delivery.failureCodes)")
        #expect(delivery.delivered <= stored.count)
        try reader.update("shop", subjects: "shop.>") { $0.Discard = js_DiscardNew }
        try await work
        #expect(try reader.messages(of: "shop").map(\.id) == (0..<Self.eventCount).map { "e-\($0)" })
    }

    @Test func whatIsToldNamesTheStreamAndTheWayOut() async throws {
        let server = try NATSServer()
        let settings = try natsSettings(server) { reader in
            try reader.add("shop", subjects: "shop.>") { limit(&$0, "messages") }
        }
        let sink = NATSSink(settings, contentType: "application/json")
        try await sink.open(CursorStore().context)
        let found = try #require(try await failure { _ = try await sink.write(numbered(0..<200), .required) })
        await sink.close()
        #expect(found.code == "nats.stream_full" && found.remedy == .retry)
        #expect(found.message.contains("shop") && found.setting == "sinks.broker.nats.stream")
        #expect(found.hint?.contains("nats stream edit") == true)
    }
}
