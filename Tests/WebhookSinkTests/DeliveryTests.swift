import ConnectorKit
import Foundation
import ProgramTesting
import Testing

@testable import WebhookSink

/// What arrives at a receiver that works.
struct DeliveryTests {
    @Test func eachEventIsARequestWithItsIdAndASignature() async throws {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        let fixture = try SinkFixture(["secret": .text(secret)])
        let receipt = try await fixture.deliver((0..<3).map { SampleEvent($0, key: "k\($0)") })
        #expect(receipt == .durable(before: 3))
        let requests = fixture.receiver.requests
        #expect(Set(requests.map(\.id)) == ["shop-0", "shop-1", "shop-2"])
        for request in requests {
            #expect(request.line == "POST /hooks HTTP/1.1")
            #expect(request.fields["content-type"] == "application/cloudevents+json")
            #expect(request.fields["expect"] == nil && request.fields["user-agent"] == "millrace")
            let timestamp = try #require(request.fields["webhook-timestamp"].flatMap { Int($0) })
            #expect(abs(timestamp - Int(Date().timeIntervalSince1970)) < 300)
            #expect(request.fields["webhook-signature"]?.hasPrefix("v1,") == true)
            #expect(request.text.hasPrefix(#"{"offset":"#))
        }
    }

    @Test func eventsOfAKeyArriveInOrderThroughManyLanes() async throws {
        let fixture = try SinkFixture(["concurrency": .integer(16)]) { _ in .late(0.001, .status(204)) }
        let events = (0..<600).map { SampleEvent(UInt64($0), key: "k\($0 * 7 % 40)") }
        #expect(try await fixture.deliver(events).durableBefore == 600)
        var last: [String: Int] = [:]
        for request in fixture.receiver.requests {
            let object = try #require(request.json as? [String: NSObject])
            let (offset, key) = (object["offset"] as? Int ?? -1, object["key"] as? String ?? "")
            #expect(offset > last[key] ?? -1)
            last[key] = offset
        }
        #expect(fixture.receiver.requests.count == 600 && last.count == 40)
        #expect(fixture.receiver.concurrencyMax > 1)
        #expect(fixture.receiver.connectionCount <= 16)
    }

    @Test func withOneLaneEventsArriveInTheOrderOfTheLog() async throws {
        let fixture = try SinkFixture(["concurrency": .integer(1)])
        try await fixture.deliver((0..<100).map { SampleEvent($0, key: "k\($0 % 9)") })
        #expect(fixture.receiver.requests.map(\.id) == (0..<100).map { "shop-\($0)" })
        #expect(fixture.receiver.connectionCount == 1)
    }

    @Test func anEventWithoutAKeyIsABarrierForItsTable() async throws {
        let fixture = try SinkFixture(["concurrency": .integer(8)])
        var events = (0..<20).map { SampleEvent(UInt64($0), key: "a\($0)") }
        events.append(SampleEvent(20, key: ""))
        events += (21..<40).map { SampleEvent(UInt64($0), key: "a\($0)") }
        try await fixture.deliver(events)
        let ids = fixture.receiver.requests.map(\.id)
        let barrier = try #require(ids.firstIndex(of: "shop-20"))
        #expect(Set(ids[..<barrier]) == Set((0..<20).map { "shop-\($0)" }))
        #expect(ids.count == 40)
    }

    @Test func idsAreMadeFitForHeadersAndHaveNoDots() async throws {
        let fixture = try SinkFixture(["concurrency": .integer(1)])
        let long = String(repeating: "x", count: 300)
        try await fixture.deliver([
            SampleEvent(0, key: "a", id: "order.1 100%\u{e4}"), SampleEvent(1, key: "b", id: long),
        ])
        let ids = fixture.receiver.requests.map(\.id)
        #expect(ids[0] == "order%2E1%20100%25%C3%A4")
        #expect(ids[1].hasPrefix("event_") && ids[1].utf8.count == 38)
    }

    @Test func headersAndAuthenticationOfTheConfigurationAreSent() async throws {
        let fixture = try SinkFixture([
            "headers": .map(["X-Tenant": "t1", "X-Empty": ""]),
            "authentication": .group(SettingValues(["user": .text("me"), "password": .text("pa:ss")])),
        ])
        try await fixture.deliver([SampleEvent(0, key: "a")])
        let fields = fixture.receiver.requests[0].fields
        #expect(fields["x-tenant"] == "t1" && fields["x-empty"] == "")
        #expect(fields["authorization"] == "Basic " + Data("me:pa:ss".utf8).base64EncodedString())
    }

    @Test func headersThatMillraceSetsByDefaultCanBeReplaced() async throws {
        let fixture = try SinkFixture([
            "headers": .map(["USER-AGENT": "shop", "accept": "text/plain", "Authorization": "Token t"])
        ])
        var settings = try SinkFixture.settings(fixture.receiver.port, ["headers": .map(["User-Agent": "shop"])])
        settings.url = try #require(
            WebhookURL("http://me%40x:pa%3Ass@localhost:\(fixture.receiver.port)/a/../b%20c/\u{e4}?q=1&r=%2F#part"))
        #expect(try await settings.deliver() == .durable(before: 1))
        try await fixture.deliver([SampleEvent(0, key: "a")])
        let (first, second) = (fixture.receiver.requests[0], fixture.receiver.requests[1])
        #expect(
            first.line == "POST /b%20c/%c3%a4?q=1&r=%2F HTTP/1.1"
                || first.line == "POST /b%20c/%C3%A4?q=1&r=%2F HTTP/1.1")
        #expect(first.fields["host"] == "localhost:\(fixture.receiver.port)")
        #expect(first.fields["authorization"] == "Basic " + Data("me@x:pa:ss".utf8).base64EncodedString())
        #expect(first.fields["user-agent"] == "shop" && first.fields["accept"] == "*/*")
        #expect(second.fields["user-agent"] == "shop" && second.fields["accept"] == "text/plain")
        #expect(second.fields["authorization"] == "Token t")
    }

    @Test func largeEventsAreSentWhole() async throws {
        let fixture = try SinkFixture(["secret": .text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")])
        let lengths = [0, 1, 16 << 10, 16 << 10 + 1, 100_000, 8_000_000]
        let events = lengths.enumerated().map { place, length in
            SampleEvent(UInt64(place), key: "k\(place)", payload: String(repeating: "x\(place)", count: length / 2))
        }
        #expect(try await fixture.deliver(events).durableBefore == 6)
        #expect(Set(fixture.receiver.requests.map(\.text)) == Set(events.map(\.payload)))
        #expect(fixture.receiver.requests.count == 6)
    }

    @Test func inBinaryModeAttributesAreHeadersAndDataIsTheBody() async throws {
        let fixture = try SinkFixture(["mode": .text("binary")])
        let attributes = "specversion:1.0\nid:shop-0\ndatacontenttype:application/json\nsubject:a \"b\" 100% ü\n"
        try await fixture.deliver([SampleEvent(0, key: "a", payload: #"{"op":"insert"}"#, attributes: attributes)])
        let request = fixture.receiver.requests[0]
        #expect(request.text == #"{"op":"insert"}"#)
        #expect(request.fields["content-type"] == "application/json")
        #expect(request.fields["ce-specversion"] == "1.0" && request.fields["ce-id"] == "shop-0")
        #expect(request.fields["ce-subject"] == "a%20%22b%22%20100%25%20%C3%BC")
        #expect(request.fields["ce-datacontenttype"] == nil)
    }

    @Test func inBatchModeEventsOfALaneShareARequest() async throws {
        let fixture = try SinkFixture([
            "mode": .text("batch"), "concurrency": .integer(1),
            "batch": .group(SettingValues(["records": .integer(10)])),
        ])
        try await fixture.deliver((0..<100).map { SampleEvent($0, key: "k\($0 % 9)") })
        var offsets: [Int] = []
        for request in fixture.receiver.requests {
            #expect(request.fields["content-type"] == "application/cloudevents-batch+json")
            #expect(request.id.hasPrefix("batch_") && !request.id.contains("."))
            let list = try #require(request.json as? [[String: NSObject]])
            #expect((1...10).contains(list.count))
            offsets += list.compactMap { $0["offset"] as? Int }
        }
        #expect(offsets == Array(0..<100))
        #expect(fixture.receiver.requests.count < 30)
    }

    @Test func theIdOfABatchFollowsFromItsEvents() async throws {
        let values: [String: SettingValue] = ["mode": .text("batch"), "concurrency": .integer(1)]
        let events = (0..<5).map { SampleEvent($0, key: "a") }
        let (first, second) = (try SinkFixture(values), try SinkFixture(values))
        try await first.deliver(events)
        try await second.deliver(events)
        #expect(first.receiver.requests.map(\.id) == second.receiver.requests.map(\.id))
        #expect(first.receiver.requests.count == 1)
    }

    @Test func writeReturnsWhileRequestsAreUnderWay() async throws {
        let fixture = try SinkFixture { $0.id == "shop-0" ? .silence : .status(204) }
        try await fixture.open()
        let receipt = try await fixture.sink.write(
            .of((0..<50).map { SampleEvent($0, key: "k\($0)") }), .whenConvenient)
        #expect(receipt.durableBefore == 0)
        try await eventually("requests of other lanes") { fixture.receiver.requests.count > 10 }
        #expect(try await fixture.sink.write(.empty(nextOffset: 50), .whenConvenient).durableBefore == 0)
        await fixture.sink.close()
    }

    @Test func eventsThatAreNotWantedAreCovered() async throws {
        let fixture = try SinkFixture()
        try await fixture.open(at: 5)
        #expect(try await fixture.sink.write(.empty(nextOffset: 900), .required).durableBefore == 900)
        await fixture.sink.close()
    }

    @Test func theWindowBoundsWhatIsTakenBehindAnEventThatWaits() async throws {
        let fixture = try SinkFixture([
            "concurrency": .integer(8), "window": .group(SettingValues(["records": .integer(100)])),
        ]) { $0.id == "shop-0" ? .status(500) : .status(204) }
        try await fixture.open()
        let progress = Counter()
        let writing = Task {
            for part in 0..<100 {
                let events = (0..<20).map { SampleEvent(UInt64(part * 20 + $0), key: "k\(part * 20 + $0)") }
                _ = try await fixture.sink.write(.of(events), .whenConvenient)
                progress.increment()
            }
        }
        try await eventually("retries") { fixture.receiver.requests.filter { $0.id == "shop-0" }.count > 5 }
        try await eventually("a full window") { progress.count >= 4 }
        #expect(Set(fixture.receiver.requests.map(\.id)).count <= 120)
        #expect(progress.count <= 5)
        writing.cancel()
        await fixture.sink.close()
    }

    @Test func closingEndsSoonWhateverIsUnderWay() async throws {
        let fixture = try SinkFixture { _ in .silence }
        try await fixture.open()
        _ = try await fixture.sink.write(.of((0..<50).map { SampleEvent($0, key: "k\($0)") }), .whenConvenient)
        try await eventually("requests") { fixture.receiver.requests.count >= 8 }
        // The time-out of a request is 15 s: that it is not waited for shows in the suite's time limit alone.
        await fixture.sink.close()
        await fixture.sink.close()
    }

    @Test func descriptorsAndThreadsDoNotGrow() async throws {
        let fixture = try SinkFixture { $0.number % 7 == 3 ? .reset() : .status(204) }
        func descriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
        try await fixture.deliver((0..<20).map { SampleEvent($0, key: "k\($0)") })
        let before = try descriptors()
        for _ in 0..<30 { try await fixture.deliver((0..<20).map { SampleEvent($0, key: "k\($0)") }) }
        // Other tests of this process open some too.
        #expect(try descriptors() < before + 200)
    }
}
