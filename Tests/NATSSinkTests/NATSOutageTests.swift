import ConnectorKit
import Foundation
import ProgramTesting
import Testing

@testable import NATSSink

/// Servers and networks that fail while thousands of messages are on their way. The stream must then hold every event
/// once, in order.
@Suite(.serialized)
struct NATSOutageTests {
    /// How many events are delivered: one at a time takes longer.
    private static func count(_ isShared: Bool) -> Int { isShared ? 1500 : 9000 }

    private static let short: [String: SettingValue] = [
        "ack_timeout": .duration(.milliseconds(700)), "connect_timeout": .duration(.milliseconds(700)),
    ]

    private func settings(_ servers: [String], isShared: Bool, replicas: Int = 1) throws -> NATSSettings {
        var values = Self.short
        values["shared"] = .flag(isShared)
        values["new_stream"] = .group(SettingValues(["replicas": .integer(replicas)]))
        return try natsSettings(servers, values)
    }

    private func expectExact(_ server: NATSServer, _ delivery: PatientDelivery) throws {
        let ids = try StreamReader(server.address).messages(of: "shop").map(\.id)
        #expect(ids == (0..<delivery.count).map { "e-\($0)" }, "failures: \(delivery.failureCodes)")
        #expect(!delivery.failureCodes.isEmpty, "an outage that nobody notices proves nothing")
    }

    @Test(arguments: [false, true])
    func aServerThatIsKilledAndComesBack(isShared: Bool) async throws {
        let server = try NATSServer()
        let delivery = PatientDelivery(
            try settings([server.address], isShared: isShared), count: Self.count(isShared))
        async let work: Void = delivery.run()
        for round in 1...3 {
            try await delivery.waitUntil(delivery.count / 4 * round)
            server.kill()
            try server.start()
        }
        try await work
        try expectExact(server, delivery)
    }

    /// What a frozen server had received it stores once it wakes, after the sink gave it up.
    @Test(arguments: [false, true])
    func aServerThatFreezesAndWakesUp(isShared: Bool) async throws {
        let server = try NATSServer()
        let delivery = PatientDelivery(
            try settings([server.address], isShared: isShared), count: Self.count(isShared))
        async let work: Void = delivery.run()
        for round in 1...3 {
            try await delivery.waitUntil(delivery.count / 4 * round)
            let before = delivery.failureCodes.count
            try server.freeze()
            try await delivery.waitForFailure(after: before)
            server.wake()
        }
        try await work
        try expectExact(server, delivery)
    }

    @Test(arguments: [TCPProxy.Mode.reset, .swallow])
    func aNetworkThatIsCutOrSwallows(mode: TCPProxy.Mode) async throws {
        let server = try NATSServer()
        let proxy = try TCPProxy(to: server.port)
        let delivery = PatientDelivery(
            try settings(["127.0.0.1:\(proxy.port)"], isShared: false), count: Self.count(false))
        async let work: Void = delivery.run()
        for round in 1...3 {
            try await delivery.waitUntil(delivery.count / 4 * round)
            let before = delivery.failureCodes.count
            proxy.set(mode)
            try await delivery.waitForFailure(after: before)
            proxy.set(.forward)
        }
        try await work
        try expectExact(server, delivery)
    }

    /// The cursor moved behind the first record, and the second was never sent.
    @Test(arguments: [false, true])
    func anEventOfTwoRecordsIsStoredWholeWhenTheConnectionBreaksBetweenThem(isShared: Bool) async throws {
        let server = try NATSServer()
        let proxy = try TCPProxy(to: server.port)
        var values = Self.short
        values["shared"] = .flag(isShared)
        values["max_in_flight"] = .integer(1)
        let settings = try natsSettings(["127.0.0.1:\(proxy.port)"], values)
        // A deletion as Debezium has it: the end of a row, and a tombstone.
        let parts = recordBatch([TestEvent(id: "deletion"), TestEvent(id: "tombstone")], from: 0)
        var records = parts.records
        records[1].offset = 0
        let event = RecordBatch(body: parts.body, records: records, topics: parts.topics, nextOffset: 1)
        let cursor = CursorStore()
        let sink = NATSSink(settings, contentType: "application/json")
        try await sink.open(cursor.context)
        proxy.swallow(from: "tombstone")
        // The first record is answered before the second is sent.
        let broken = try await failure {
            cursor.store(try await sink.write(event, .whenConvenient))
            _ = try await sink.write(.empty(nextOffset: 1), .required)
        }
        #expect(broken != nil && cursor.current.offset == 0, "\(cursor.current.offset)")
        await sink.close()
        #expect(try StreamReader(server.address).messages(of: "shop").map(\.id) == ["deletion"])
        proxy.set(.forward)
        try await sink.open(cursor.context)
        if cursor.current.offset == 0 { cursor.store(try await sink.write(event, .required)) }
        #expect(cursor.current.offset == 1)
        await sink.close()
        #expect(try StreamReader(server.address).messages(of: "shop").map(\.id) == ["deletion", "tombstone"])
    }

    @Test(arguments: [false, true])
    func theLeaderOfAClusterIsKilledUnderLoad(isShared: Bool) async throws {
        let servers = try NATSServer.cluster()
        let delivery = PatientDelivery(
            try settings(servers.map(\.address), isShared: isShared, replicas: 3), count: Self.count(isShared))
        async let work: Void = delivery.run()
        for round in 1...2 {
            try await delivery.waitUntil(delivery.count / 3 * round)
            let leader = try await leader(servers[0])
            let victim = try #require(Int(leader.dropFirst()))
            servers[victim].kill()
            // Others lead meanwhile; the one that comes back has to catch up.
            try await delivery.waitUntil(delivery.count / 3 * round + 200)
            try servers[victim].start()
        }
        try await work
        _ = try await leader(servers[0])
        try expectExact(servers[0], delivery)
    }

    /// The stream's leader, once there is one that answers.
    private func leader(_ server: NATSServer) async throws -> String {
        var leader: String?
        try await eventually("leader of the stream") {
            leader = try? StreamReader(server.address).state(of: "shop").leader
            return leader?.isEmpty == false
        }
        return leader ?? ""
    }

    @Test func closingDoesNotWaitForAServerThatIsFrozen() async throws {
        let server = try NATSServer()
        let settings = try settings([server.address], isShared: false)
        let sink = NATSSink(settings, contentType: "application/json")
        let cursor = CursorStore()
        try await sink.open(cursor.context)
        try server.freeze()
        let found = try #require(
            try await failure { _ = try await sink.write(numbered(0..<4000, size: 4000), .required) })
        #expect(["nats.ack_timeout", "nats.connection_lost"].contains(found.code), "\(found)")
        await sink.close()
        server.wake()
    }

    /// The window is a bound: a sink that gets no answers takes no more than it, and says so.
    @Test func noMoreThanTheWindowIsOnItsWay() async throws {
        let server = try NATSServer()
        let settings = try natsSettings(
            server, ["max_in_flight": .integer(10), "ack_timeout": .duration(.milliseconds(500))])
        let cursor = CursorStore()
        let sink = NATSSink(settings, contentType: "application/json")
        try await sink.open(cursor.context)
        cursor.store(try await sink.write(numbered(0..<5), .required))
        try server.freeze()
        let found = try await failure { _ = try await sink.write(numbered(5..<100), .whenConvenient) }
        server.wake()
        await sink.close()
        #expect(found?.code == "nats.ack_timeout")
        #expect(try StreamReader(server.address).state(of: "shop").last <= 15)
    }
}
