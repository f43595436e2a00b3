import CNATS
import ConnectorKit
import ProgramTesting
import Testing

@testable import NATSSink

/// What the sink publishes, and what it does about what is there already.
struct NATSSinkTests {
    private let contentType: StaticString = "application/cloudevents+json"

    /// Delivers events from the cursor on and closes.
    private func deliver(
        _ settings: NATSSettings, _ events: Range<Int>, _ cursor: CursorStore, inBatchesOf size: Int = 100
    ) async throws {
        let sink = NATSSink(settings, contentType: contentType)
        try await sink.open(cursor.context)
        var next = events.lowerBound
        while next < events.upperBound {
            let end = min(next + size, events.upperBound)
            cursor.store(
                try await sink.write(numbered(next..<end), end == events.upperBound ? .required : .whenConvenient))
            next = end
        }
        await sink.close()
    }

    @Test func makesTheStreamAndPublishesWithIdAndContentType() async throws {
        let server = try NATSServer()
        let settings = try natsSettings(server)
        let cursor = CursorStore()
        try await deliver(settings, 0..<5, cursor)
        let messages = try StreamReader(server.address).messages(of: "shop")
        #expect(messages.map(\.id) == (0..<5).map { "e-\($0)" })
        #expect(messages.allSatisfy { $0.subject == "shop.public.orders" })
        #expect(messages.first?.text == #"{"n":0,"p":"xxxxxxxxxxxxxxxxxxxx"}"#)
        #expect(messages.first?.headers["Content-Type"] == "application/cloudevents+json")
        #expect(cursor.current.offset == 5)
    }

    @Test func keysAndHeadersOfRecordsAreHeadersInASCII() async throws {
        let server = try NATSServer()
        let sink = NATSSink(try natsSettings(server), contentType: "application/json", hasHeaders: true)
        #expect(sink.form == .binary)
        try await sink.open(CursorStore().context)
        let events = [
            TestEvent(id: "a", keyDocument: #"{"id":"ä"}"#, headers: "__debezium.newkey:{\"id\":2}\nid:\"a:b\"\n"),
            TestEvent(id: "a-tombstone", text: "", keyDocument: "1"), TestEvent(id: "b"),
        ]
        _ = try await sink.write(recordBatch(events, from: 0), .required)
        await sink.close()
        let messages = try StreamReader(server.address).messages(of: "shop")
        try #require(messages.count == 3)
        #expect(messages[0].headers["__debezium.newkey"] == #"{"id":2}"# && messages[0].headers["id"] == #""a:b""#)
        #expect(messages[0].headers["Debezium-Key"] == #"{"id":"\u00E4"}"#)
        #expect(messages[0].headers["Debezium-Tombstone"] == nil)
        #expect(messages[1].headers["Debezium-Tombstone"] == "true" && messages[1].payload.isEmpty)
        #expect(messages[2].headers["Debezium-Key"] == nil)
        #expect(messages.allSatisfy { $0.headers["Content-Type"] == "application/json" })
    }

    @Test func binaryModeHasAttributesAsPercentEncodedHeaders() async throws {
        let server = try NATSServer()
        let sink = NATSSink(try natsSettings(server, ["mode": .text("binary")]), contentType: contentType)
        #expect(sink.form == .binary)
        let cursor = CursorStore()
        try await sink.open(cursor.context)
        let event = TestEvent(
            id: "a b%", text: #"{"op":"insert"}"#,
            attributes: "specversion:1.0\nsubject:Käse: 1\ndatacontenttype:application/json\n")
        _ = try await sink.write(recordBatch([event], from: 0), .required)
        await sink.close()
        let message = try #require(try StreamReader(server.address).messages(of: "shop").first)
        #expect(message.headers["ce-subject"] == "K%C3%A4se:%201")
        #expect(message.headers["ce-specversion"] == "1.0")
        #expect(message.headers["ce-datacontenttype"] == "application/json")
        #expect(message.headers["Content-Type"] == nil)
        #expect(message.id == "a%20b%25")
        #expect(message.text == #"{"op":"insert"}"#)
    }

    /// The cursor of a process that was killed is behind what it stored: nothing is stored twice, however long the
    /// server has forgotten the ids, and what follows comes behind.
    @Test(arguments: [false, true])
    func whatACrashLeftBehindTheCursorIsNotStoredAgain(isShared: Bool) async throws {
        let server = try NATSServer()
        // The shortest window that the sink takes, and it is made to pass by asking the server to forget at once.
        let settings = try natsSettings(server, ["shared": .flag(isShared)]) {
            try $0.add("shop", subjects: "shop.>")
        }
        let cursor = CursorStore()
        try await deliver(settings, 0..<50, cursor)
        let before = cursor.current
        try await deliver(settings, 50..<300, cursor)
        // The crash: cursor and state are those of before. A server that starts anew with a window that has passed
        // knows no id any more.
        let after = CursorStore()
        after.store(.durable(before: before.offset, state: before.state))
        try StreamReader(server.address).update("shop", subjects: "shop.>") { $0.Duplicates = 100_000_000 }
        try await waitUntilForgotten(server)
        try StreamReader(server.address).update("shop", subjects: "shop.>") { $0.Duplicates = 120_000_000_000 }
        try await deliver(settings, 50..<400, after, inBatchesOf: 33)
        let ids = try StreamReader(server.address).messages(of: "shop").map(\.id).filter { $0.hasPrefix("e-") }
        #expect(ids == (0..<400).map { "e-\($0)" })
    }

    /// A stream that keeps the newest message of each subject has lost the evidence of the earlier ones, but what was
    /// stored after them tells: an old state must never come behind a newer one.
    @Test func whatALaterMessageReplacedIsNotStoredAgain() async throws {
        let server = try NATSServer()
        let settings = try natsSettings(server) {
            try $0.add("shop", subjects: "shop.>") { $0.MaxMsgsPerSubject = 1 }
        }
        let cursor = CursorStore()
        try await deliver(settings, 0..<50, cursor)
        let before = cursor.current
        try await deliver(settings, 50..<300, cursor)
        let after = CursorStore()
        after.store(.durable(before: before.offset, state: before.state))
        let reader = try StreamReader(server.address)
        let last = try reader.state(of: "shop").last
        try reader.update("shop", subjects: "shop.>") {
            $0.Duplicates = 100_000_000
            $0.MaxMsgsPerSubject = 1
        }
        try await waitUntilForgotten(server)
        try reader.update("shop", subjects: "shop.>") {
            $0.Duplicates = 120_000_000_000
            $0.MaxMsgsPerSubject = 1
        }
        let probes = try reader.state(of: "shop").last - last
        try await deliver(settings, 50..<310, after, inBatchesOf: 33)
        #expect(try reader.messages(of: "shop").last?.id == "e-309")
        #expect(try reader.state(of: "shop").last == last + probes + 10)
    }

    /// Publishes the same id until the server takes it twice.
    private func waitUntilForgotten(_ server: NATSServer) async throws {
        let reader = try StreamReader(server.address)
        try reader.publish("x", to: "shop.probe", id: "probe")
        let first = try reader.state(of: "shop").last
        try await eventually("id that is forgotten") {
            try reader.publish("x", to: "shop.probe", id: "probe")
            return try reader.state(of: "shop").last != first
        }
    }

    @Test func somebodyElsesMessagesCostTimeAndNoOrder() async throws {
        let server = try NATSServer()
        let settings = try natsSettings(server)
        let cursor = CursorStore()
        let sink = NATSSink(settings, contentType: contentType)
        try await sink.open(cursor.context)
        cursor.store(try await sink.write(numbered(0..<10), .required))
        try StreamReader(server.address).publish("?", to: "shop.other")
        cursor.store(try await sink.write(numbered(10..<200), .required))
        await sink.close()
        let ids = try StreamReader(server.address).messages(of: "shop").map(\.id).filter { !$0.isEmpty }
        #expect(ids == (0..<200).map { "e-\($0)" })
    }

    /// Copies that a server had in its hands are stored after the sink looked, and the server has forgotten their ids
    /// when the sink's own come.
    @Test func copiesThatCameLaterThanTheLookAreFoundByTheirIds() async throws {
        let server = try NATSServer()
        let settings = try natsSettings(server)
        let cursor = CursorStore()
        let sink = NATSSink(settings, contentType: contentType)
        try await sink.open(cursor.context)
        cursor.store(try await sink.write(numbered(0..<10), .required))
        let reader = try StreamReader(server.address)
        try reader.update("shop", subjects: "shop.>") { $0.Duplicates = 100_000_000 }
        for number in 10..<20 { try reader.publish("copy", to: "shop.public.orders", id: "e-\(number)") }
        try await waitUntilForgotten(server)
        cursor.store(try await sink.write(numbered(10..<30), .required))
        await sink.close()
        let ids = try reader.messages(of: "shop").map(\.id).filter { $0.hasPrefix("e-") }
        #expect(ids == (0..<30).map { "e-\($0)" })
    }

    @Test func whatIsTooLargeIsRejectedAndTheOthersGoOn() async throws {
        let server = try NATSServer("max_payload: 4096")
        let settings = try natsSettings(server)
        let cursor = CursorStore()
        let sink = NATSSink(settings, contentType: contentType)
        try await sink.open(cursor.context)
        let large = String(repeating: "x", count: 5000)
        let batch = recordBatch(
            [TestEvent(id: "a"), TestEvent(id: "b", text: large), TestEvent(id: "c")], from: 0)
        cursor.store(try await sink.write(batch, .required))
        cursor.store(try await sink.write(recordBatch([TestEvent(id: "d", text: large)], from: 3), .required))
        await sink.close()
        #expect(cursor.current.rejected.map(\.offset) == [1, 3])
        #expect(cursor.current.rejected.allSatisfy { $0.code == "nats.too_large" })
        #expect(cursor.current.offset == 4)
        #expect(try StreamReader(server.address).messages(of: "shop").map(\.id) == ["a", "c"])
    }

    @Test func whatComesBehindARejectedEventOfItsKeyIsRejectedTooUntilThePipelineKnows() async throws {
        let server = try NATSServer("max_payload: 4096")
        let cursor = CursorStore()
        let sink = NATSSink(try natsSettings(server), contentType: contentType)
        try await sink.open(cursor.context)
        let large = String(repeating: "x", count: 5000)
        let batch = recordBatch(
            [
                TestEvent(id: "a", key: "1"), TestEvent(id: "b", text: large, key: "2"), TestEvent(id: "c", key: "2"),
                TestEvent(id: "d", key: "1"),
            ], from: 0)
        cursor.store(try await sink.write(batch, .required))
        #expect(cursor.current.rejected.map(\.code) == ["nats.too_large", "delivery.behind"])
        cursor.store(try await sink.write(recordBatch([TestEvent(id: "e", key: "2")], from: 4), .required))
        await sink.close()
        #expect(cursor.current.rejected.map(\.offset) == [1, 2])
        #expect(try StreamReader(server.address).messages(of: "shop").map(\.id) == ["a", "d", "e"])
    }

    @Test func eachSubjectHasItsKey() async throws {
        let server = try NATSServer()
        let settings = try natsSettings(
            server, ["subject": .text("cdc.{schema}.{table}.{key}"), "stream": .text("CDC"), "shared": .flag(true)])
        let cursor = CursorStore()
        let sink = NATSSink(settings, contentType: contentType)
        try await sink.open(cursor.context)
        let events = ["a.b", "", "x y*>", "$", "Ü"].enumerated().map { TestEvent(id: "e\($0)", table: "t.1", key: $1) }
        cursor.store(try await sink.write(recordBatch(events, from: 0), .required))
        await sink.close()
        #expect(
            try StreamReader(server.address).messages(of: "CDC").map(\.subject) == [
                "cdc.public.t%2E1.a%2Eb", "cdc.public.t%2E1.%", "cdc.public.t%2E1.x%20y%2A%3E", "cdc.public.t%2E1.%24",
                "cdc.public.t%2E1.Ü",
            ])
    }
}
