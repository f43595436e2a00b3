import CNATS
import ConnectorKit
import ProgramTesting
import Testing

@testable import NATSSink

/// Events that were not sent while later ones were, because they were refused or waited behind refused ones, and a
/// process that ended before anybody else knew.
struct SkippedEventTests {
    private let server: NATSServer
    private let settings: NATSSettings
    private let cursor = CursorStore()

    init() throws {
        server = try NATSServer()
        settings = try natsSettings(server) { try $0.add("shop", subjects: "shop.>") { $0.MaxMsgSize = 2000 } }
    }

    private var reader: StreamReader { get throws { try StreamReader(server.address) } }
    private var ids: [String] { get throws { try reader.messages(of: "shop").map(\.id).filter { $0 != "probe" } } }

    private func raiseTheLimit() throws { try reader.update("shop", subjects: "shop.>") { $0.MaxMsgSize = -1 } }

    private func event(_ id: String, key: String, size: Int = 10) -> TestEvent {
        TestEvent(id: id, text: "{\"p\":\"\(String(repeating: "x", count: size))\"}", key: key)
    }

    /// Opens a sink at the stored cursor and gives it a batch. What it answers is stored by the caller, or lost.
    private func write(_ batch: RecordBatch) async throws -> DeliveryReceipt {
        let sink = NATSSink(settings, contentType: "application/json")
        try await sink.open(cursor.context)
        let receipt = try await sink.write(batch, .required)
        await sink.close()
        return receipt
    }

    /// The limit is raised while nothing runs, or what waited is discarded.
    @Test(arguments: [false, true])
    func aRefusedEventIsPublishedLaterAlthoughEventsBehindItAreStored(isOneGone: Bool) async throws {
        let events = [
            event("a", key: "1", size: 6000), event("b", key: "2"), event("c", key: "3"), event("d", key: "1"),
        ]
        let lost = try await write(recordBatch(events, from: 0))
        #expect(lost.rejected.map(\.code) == ["nats.too_large", RejectedRecord.behindCode])
        #expect(try ids == ["b", "c"])
        if isOneGone { try reader.remove(1, from: "shop") }
        try raiseTheLimit()
        #expect(try await write(recordBatch(events, from: 0)).rejected.isEmpty)
        // The server still knows "b".
        #expect(try ids == (isOneGone ? ["c", "a", "d"] : ["b", "c", "a", "d"]))
    }

    @Test(arguments: [false, true])
    func whatWasHeldBackIsPublishedLaterAlthoughEventsBehindItAreStored(isOneGone: Bool) async throws {
        let whole = recordBatch(
            [event("a", key: "1"), event("b", key: "2"), event("c", key: "1"), event("d", key: "3")], from: 0)
        _ = try await write(whole.selecting([1, 3]))
        #expect(try ids == ["b", "d"])
        if isOneGone { try reader.remove(1, from: "shop") }
        _ = try await write(whole)
        #expect(try ids == (isOneGone ? ["d", "a", "c"] : ["b", "d", "a", "c"]))
    }

    /// What is gone from the stream must not come again behind a newer event of its key.
    @Test func anEventThatIsGoneDoesNotComeBehindANewerOneOfItsKey() async throws {
        let whole = recordBatch(
            [event("a", key: "1"), event("b", key: "2"), event("c", key: "2"), event("d", key: "3")], from: 0)
        _ = try await write(whole.selecting([1, 2, 3]))
        try reader.remove(1, from: "shop")
        try await forgetIDs()
        _ = try await write(whole)
        #expect(try ids == ["c", "d", "a"])
    }

    /// The cursor is moved in front of a refused event where the policy is to stop.
    @Test func eventsBehindARefusedOneAreNotStoredTwiceWhenTheSinkStopped() async throws {
        cursor.store(try await write(recordBatch([event("a", key: "1")], from: 0)))
        let events = [event("b", key: "2"), event("c", key: "1", size: 6000), event("d", key: "3")]
        #expect(try await write(recordBatch(events, from: 1)).rejected.count == 1)
        cursor.move(to: 2)
        try raiseTheLimit()
        try await forgetIDs()
        cursor.store(try await write(recordBatch(Array(events[1...]), from: 2)))
        #expect(try ids == ["a", "b", "d", "c"])
        #expect(cursor.current.offset == 4)
    }

    @Test func aRaisedLimitIsSeenWhileTheSinkIsOpen() async throws {
        let sink = NATSSink(settings, contentType: "application/json")
        try await sink.open(cursor.context)
        let large = [event("a", key: "1", size: 6000)]
        let refused = try await sink.write(recordBatch(large, from: 0), .required)
        #expect(refused.rejected.count == 1)
        cursor.store(refused)
        try raiseTheLimit()
        try await eventually("the message that was too large") {
            try await sink.write(recordBatch(large, from: 0), .required).rejected.isEmpty
        }
        #expect(try ids == ["a"])
        await sink.close()
    }

    /// The server is started again with a larger limit, or reads its configuration again, while the sink is open.
    @Test(arguments: [false, true])
    func aRaisedLimitOfTheServerIsSeenWhileTheSinkIsOpen(isRead: Bool) async throws {
        let server = try NATSServer("include limits.conf", files: ["limits.conf": "max_payload: 4096\n"])
        let settings = try natsSettings(server) { try $0.add("shop", subjects: "shop.>") }
        let sink = NATSSink(settings, contentType: "application/json")
        try await sink.open(cursor.context)
        let large = recordBatch([event("a", key: "1", size: 6000)], from: 0)
        let refused = try await sink.write(large, .required)
        #expect(refused.rejected.map(\.code) == ["nats.too_large"])
        cursor.store(refused)
        try server.write("limits.conf", "max_payload: 1MB\n")
        if isRead {
            try server.reload()
        } else {
            server.kill()
            try server.start()
        }
        var code: String?
        try await eventually("the new limit") {
            do throws(ConnectorFailure) { _ = try await sink.write(large, .required) } catch { code = error.code }
            return code != nil
        }
        #expect(code == "nats.limits_changed")
        await sink.close()
        try await sink.open(cursor.context)
        #expect(try await sink.write(large, .required).rejected.isEmpty)
        #expect(try StreamReader(server.address).messages(of: "shop").map(\.id) == ["a"])
        await sink.close()
    }

    /// Publishes the same id until the server takes it twice.
    private func forgetIDs() async throws {
        try reader.update("shop", subjects: "shop.>") { ($0.Duplicates, $0.MaxMsgSize) = (100_000_000, -1) }
        try reader.publish("x", to: "shop.probe", id: "probe")
        let first = try reader.state(of: "shop").last
        try await eventually("id that is forgotten") {
            try reader.publish("x", to: "shop.probe", id: "probe")
            return try reader.state(of: "shop").last != first
        }
        try reader.update("shop", subjects: "shop.>") { ($0.Duplicates, $0.MaxMsgSize) = (120_000_000_000, -1) }
    }
}
