import ConnectorKit
import Foundation
import ProgramTesting
import Testing

@testable import WebhookSink

/// Receivers that fail in every way.
struct FailureTests {
    /// What the first request meets; later ones succeed.
    @Test(arguments: [
        HTTPReceiver.Answer.status(500), .status(503), .status(429), .status(408), .status(425), .status(401),
        .status(403), .status(404), .status(302, fields: ["Location: http://127.0.0.1:1/"]), .status(304), .reset(),
        .bytes("HTTP/1.1 204 No Con"), .bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), .bytes(""),
        .reset(after: "HTTP/1.1 2"), .reset(after: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
        .bytes("this is not HTTP\r\n\r\n"), .bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    ])
    func whatMayPassIsRepeatedWithTheSameId(answer: HTTPReceiver.Answer) async throws {
        let fixture = try SinkFixture(["secret": .text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]) {
            $0.number < 2 ? answer : .status(200, body: "fine")
        }
        let receipt = try await fixture.deliver([SampleEvent(0, key: "a")])
        #expect(receipt == .durable(before: 1))
        let requests = fixture.receiver.requests
        #expect(requests.count == 3 && Set(requests.map(\.id)) == ["shop-0"])
        #expect(Set(requests.map(\.body)).count == 1)
        #expect(requests.allSatisfy { $0.fields["webhook-signature"] != nil })
    }

    @Test(arguments: [400, 402, 406, 409, 413, 415, 422, 451, 499])
    func whatIsRefusedForGoodIsRejectedAndOthersGoOn(status: Int) async throws {
        let fixture = try SinkFixture { $0.id == "shop-1" ? .status(status, body: "no: secret") : .status(204) }
        let receipt = try await fixture.deliver((0..<4).map { SampleEvent($0, key: "k\($0)") })
        #expect(receipt.durableBefore == 4)
        #expect(receipt.rejected.map(\.offset) == [1] && receipt.rejected.first?.code == "webhook.refused")
        #expect(receipt.rejected.first?.message.hasSuffix("answered with status \(status)") == true)
        #expect(fixture.receiver.requests.count == 4)
    }

    @Test func laterEventsOfARejectedKeyAreRejectedToo() async throws {
        let fixture = try SinkFixture(["concurrency": .integer(4)]) {
            $0.id == "shop-1" ? .status(400) : .status(204)
        }
        try await fixture.open()
        let events = (0..<12).map { SampleEvent(UInt64($0), key: "k\($0 % 3)") }
        let receipt = try await fixture.sink.write(.of(events), .required)
        #expect(receipt.rejected.map(\.offset) == [1, 4, 7, 10])
        #expect(receipt.rejected.map(\.code) == ["webhook.refused"] + [String](repeating: "delivery.behind", count: 3))
        // Once the pipeline was told, what it gives of the key is meant to be sent.
        let later = try await fixture.sink.write(.of([SampleEvent(12, key: "k1")]), .required)
        #expect(later == .durable(before: 13))
        #expect(Set(fixture.receiver.requests.map(\.id)).isSuperset(of: ["shop-1", "shop-12"]))
        #expect(!fixture.receiver.requests.contains { ["shop-4", "shop-7", "shop-10"].contains($0.id) })
        await fixture.sink.close()
    }

    @Test(arguments: ["structured", "batch"])
    func rowsBehindARefusedTruncationWaitAlthoughTheyWereTakenWithIt(mode: String) async throws {
        let fixture = try SinkFixture(["concurrency": .integer(4), "mode": .text(mode)]) {
            $0.text.contains("truncate") ? .status(400) : .status(204)
        }
        try await fixture.open()
        var events = (0..<12).map { SampleEvent(UInt64($0), key: "k\($0 % 3)") }
        events[4] = SampleEvent(4, key: "", payload: #"{"op":"truncate"}"#, emptiesTable: true)
        events[6] = SampleEvent(6, key: "k0", table: "lines")
        let receipt = try await fixture.sink.write(.of(events), .required)
        #expect(receipt.rejected.map(\.offset) == [4, 5, 7, 8, 9, 10, 11])
        #expect(receipt.rejected.dropFirst().allSatisfy { $0.code == "delivery.behind" })
        await fixture.sink.close()
    }

    @Test func goneStopsTheSink() async throws {
        let fixture = try SinkFixture { _ in .status(410) }
        try await fixture.open()
        await #expect {
            try await fixture.sink.write(.of([SampleEvent(0, key: "a")]), .required)
        } throws: { error in
            let failure = error as? ConnectorFailure
            return failure?.code == "webhook.gone" && failure?.remedy == .stop
        }
        await fixture.sink.close()
        #expect(fixture.receiver.requests.count == 1)
    }

    @Test func anEndpointThatNeverAnswersIsAskedAgain() async throws {
        let fixture = try SinkFixture(["timeout": .duration(.milliseconds(300))]) {
            $0.number < 2 ? .silence : .status(204)
        }
        #expect(try await fixture.deliver([SampleEvent(0, key: "a")]) == .durable(before: 1))
        #expect(fixture.receiver.requests.map(\.id) == ["shop-0", "shop-0", "shop-0"])
    }

    @Test func anEndpointThatAnswersByteByByteIsWaitedForNoLonger() async throws {
        let slow = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + String(repeating: "x", count: 1000)
        let fixture = try SinkFixture(["timeout": .duration(.milliseconds(300))]) {
            $0.number < 2 ? .trickle(slow, 0.02) : .status(204)
        }
        #expect(try await fixture.deliver([SampleEvent(0, key: "a")]) == .durable(before: 1))
        #expect(fixture.receiver.requests.map(\.id) == ["shop-0", "shop-0", "shop-0"])
    }

    @Test func anAnswerThatComesByteByByteIsOne() async throws {
        let small = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        let fixture = try SinkFixture { _ in .trickle(small, 0) }
        #expect(try await fixture.deliver((0..<5).map { SampleEvent($0, key: "a") }) == .durable(before: 5))
        #expect(fixture.receiver.requests.count == 5 && fixture.receiver.connectionCount == 1)
    }

    /// A failure would make a dead letter at once.
    @Test func aConnectionThatTheEndpointEndedBetweenRequestsIsNoFailure() async throws {
        let retry = SettingValues(["give_up_after": .duration(.milliseconds(1))])
        let fixture = try SinkFixture(["concurrency": .integer(2), "retry": .group(retry)]) { _ in .last(200) }
        #expect(try await fixture.deliver((0..<200).map { SampleEvent($0, key: "k\($0)") }) == .durable(before: 200))
        #expect(Set(fixture.receiver.requests.map(\.id)).count == 200)
    }

    @Test func anAnswerAfterTheTimeOutComesTooLate() async throws {
        let fixture = try SinkFixture(["timeout": .duration(.milliseconds(300))]) {
            $0.number == 0 ? .late(1, .status(204)) : .status(204)
        }
        #expect(try await fixture.deliver([SampleEvent(0, key: "a"), SampleEvent(1, key: "a")]) == .durable(before: 2))
        #expect(fixture.receiver.requests.map(\.id) == ["shop-0", "shop-0", "shop-1"])
    }

    @Test func retryAfterPausesEveryLane() async throws {
        let fixture = try SinkFixture(["concurrency": .integer(4)]) {
            $0.number == 0 ? .status(429, fields: ["Retry-After: 1"]) : .status(204)
        }
        try await fixture.open()
        _ = try await fixture.sink.write(.of([SampleEvent(0, key: "a")]), .whenConvenient)
        try await eventually("the first request") { !fixture.receiver.requests.isEmpty }
        let receipt = try await fixture.sink.write(.of((1..<9).map { SampleEvent($0, key: "k\($0)") }), .required)
        #expect(receipt.durableBefore == 9)
        // Not a bound of how fast anything is: nothing may come before the second is over.
        let times = fixture.receiver.requests.map(\.time)
        #expect(times.count == 10 && times[1] - times[0] > .milliseconds(900))
        await fixture.sink.close()
    }

    @Test func retryAfterIsReadAsSecondsAndAsADate() async throws {
        let date = DateFormatter()
        date.locale = Locale(identifier: "en_US_POSIX")
        date.timeZone = TimeZone(identifier: "UTC")
        date.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        let soon = date.string(from: Date(timeIntervalSinceNow: 600))
        for value in ["600", soon] {
            let receiver = try HTTPReceiver { _ in .status(503, fields: ["Retry-After: \(value)"]) }
            let sink = WebhookSink(try SinkFixture.settings(receiver.port, ["concurrency": .integer(1)]))
            let pauses = Reports()
            try await sink.open(
                SinkContext(name: "hooks", state: nil, nextOffset: 0, report: { pauses.add($0, $1) }) { _ in })
            _ = try await sink.write(.of([SampleEvent(0, key: "a")]), .whenConvenient)
            try await eventually("a report") { !pauses.all.isEmpty }
            // Pauses of the configuration end after 40 ms.
            #expect(pauses.all.first?.code == "webhook.unavailable", "\(value)")
            #expect(pauses.all.first.map { $0.pause > .seconds(500) && $0.pause <= .seconds(600) } == true, "\(value)")
            await sink.close()
        }
    }

    @Test func theWishForAPauseIsCapped() {
        var outcome = Outcome(.answered, status: 429)
        outcome.retryAfter = 1_000_000
        guard case .again(_, let pause) = WebhookFailure.verdict(outcome, on: .init(origin: "http://x")) else {
            Issue.record("not repeated")
            return
        }
        #expect(pause == .seconds(3600))
    }

    @Test func aHugeResponseIsNotReadAndItsStatusCounts() async throws {
        let body = String(repeating: "x", count: 4 << 20)
        let fixture = try SinkFixture { _ in .status(200, body: body) }
        #expect(try await fixture.deliver((0..<3).map { SampleEvent($0, key: "a") }) == .durable(before: 3))
        #expect(fixture.receiver.requests.count == 3)
    }

    @Test func hugeHeadsOfResponsesEndTheRequest() async throws {
        let head = "HTTP/1.1 200 OK\r\n" + String(repeating: "x-filler: 0123456789\r\n", count: 20_000)
        let fixture = try SinkFixture { $0.number == 0 ? .bytes(head) : .status(204) }
        #expect(try await fixture.deliver([SampleEvent(0, key: "a")]).durableBefore == 1)
    }

    @Test func anEventThatMakesATooLargeRequestIsRejected() async throws {
        let fixture = try SinkFixture(["max_request_size": .size(1000)])
        let large = String(repeating: "x", count: 1001)
        let receipt = try await fixture.deliver([SampleEvent(0, key: "a", payload: large), SampleEvent(1, key: "b")])
        #expect(receipt.rejected.map(\.code) == ["webhook.too_large"] && receipt.durableBefore == 2)
        #expect(fixture.receiver.requests.map(\.id) == ["shop-1"])
    }

    @Test func anAnswerBeforeTheRequestIsReadIsHeard() async throws {
        let receiver = try HTTPReceiver(readsBodies: false) { $0.id == "shop-0" ? .status(413) : .status(204) }
        let sink = WebhookSink(try SinkFixture.settings(receiver.port))
        try await sink.open(SinkContext(name: "hooks", state: nil, nextOffset: 0) { _ in })
        let large = String(repeating: "x", count: 12 << 20)
        let receipt = try await sink.write(
            .of([SampleEvent(0, key: "a", payload: large), SampleEvent(1, key: "b")]), .required)
        #expect(receipt.rejected.map(\.offset) == [0] && receipt.durableBefore == 2)
        await sink.close()
    }

    @Test func bytesBehindAnAnswerAreNoAnswerToTheNextRequest() async throws {
        let fixture = try SinkFixture(["concurrency": .integer(1)]) {
            $0.id == "shop-0"
                ? .status(204, body: "HTTP/1.1 204 No Content\r\n\r\n") : .status(400)
        }
        let receipt = try await fixture.deliver((0..<2).map { SampleEvent($0, key: "a") })
        #expect(receipt.rejected.map(\.offset) == [1] && fixture.receiver.connectionCount == 2)
    }

    @Test(arguments: [
        ("HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n\r\n", "webhook.throttled"),
        ("220 mail.example ESMTP\r\n", "webhook.bad_response"), ("", "webhook.connection_lost"),
    ])
    func anEndpointThatSpeaksBeforeItIsAskedIsHeard(text: String, code: String) async throws {
        let endpoint = try Front.greeting(text)
        let failure = try await SinkFixture.settings(endpoint.port).trouble()
        #expect(failure.code == code && failure.remedy == .retry, "\(failure)")
    }

    @Test func whatIsNotHTTPHasACodeOfItsOwn() async throws {
        let fixture = try SinkFixture { _ in .bytes("220 mail.example ESMTP\r\n") }
        let failure = try await SinkFixture.settings(fixture.receiver.port).trouble()
        #expect(failure.code == "webhook.bad_response" && failure.remedy == .retry, "\(failure)")
        #expect(!failure.message.contains("mail.example"))
    }

    @Test func anEventIsGivenUpWhenTheConfigurationSaysSo() async throws {
        let retry = SettingValues([
            "initial": .duration(.milliseconds(5)), "max": .duration(.milliseconds(20)),
            "give_up_after": .duration(.milliseconds(100)),
        ])
        let fixture = try SinkFixture(["retry": .group(retry)]) { $0.id == "shop-0" ? .status(500) : .status(204) }
        let receipt = try await fixture.deliver([SampleEvent(0, key: "a"), SampleEvent(1, key: "b")])
        #expect(receipt.rejected.map(\.code) == ["webhook.gave_up"] && receipt.durableBefore == 2)
    }

    @Test func oneBadEventOfABatchIsFound() async throws {
        let fixture = try SinkFixture(["mode": .text("batch"), "concurrency": .integer(1)]) {
            $0.text.contains("poison") ? .status(422) : .status(204)
        }
        let events = (0..<200).map { number in
            SampleEvent(number, key: "k\(number)", payload: number == 77 ? #"{"poison":true}"# : nil)
        }
        let receipt = try await fixture.deliver(events)
        #expect(receipt.rejected.map(\.offset) == [77] && receipt.durableBefore == 200)
        #expect(fixture.receiver.requests.count < 60)
    }

    @Test func anEndpointThatIsDownIsProbedByOneRequestAtATime() async throws {
        let fixture = try SinkFixture(["concurrency": .integer(16), "failures_until_pause": .integer(4)]) {
            $0.number < 60 ? .status(503) : .status(204)
        }
        let receipt = try await fixture.deliver((0..<100).map { SampleEvent($0, key: "k\($0)") })
        #expect(receipt.durableBefore == 100)
        let requests = fixture.receiver.requests
        // Those of the first moment, then one after the other; every event once more than it failed.
        #expect(requests.count == 160 && Set(requests.map(\.id)).count == 100)
    }

    @Test func anEndpointThatComesLaterIsWaitedFor() async throws {
        let free = try HTTPReceiver { _ in .status(204) }
        let port = free.port
        free.stop()
        let sink = WebhookSink(try SinkFixture.settings(port))
        try await sink.open(SinkContext(name: "hooks", state: nil, nextOffset: 0) { _ in })
        _ = try await sink.write(.of((0..<20).map { SampleEvent($0, key: "k\($0)") }), .whenConvenient)
        #expect(try await sink.write(.empty(nextOffset: 20), .whenConvenient).durableBefore == 0)
        let receiver = try HTTPReceiver(port: port) { _ in .status(204) }
        #expect(try await sink.write(.empty(nextOffset: 20), .required).durableBefore == 20)
        #expect(receiver.requests.count == 20)
        await sink.close()
    }

    @Test func aWriteThatWaitsEndsWhenItsTaskIsCancelled() async throws {
        let fixture = try SinkFixture { _ in .silence }
        try await fixture.open()
        let writing = Task { try await fixture.sink.write(.of([SampleEvent(0, key: "a")]), .required) }
        try await eventually("a request") { fixture.receiver.requests.count == 1 }
        writing.cancel()
        await #expect(throws: WebhookFailure.interrupted) { try await writing.value }
        await fixture.sink.close()
    }

    @Test func redirectionsAreNotFollowed() async throws {
        let other = try HTTPReceiver { _ in .status(204) }
        let fixture = try SinkFixture {
            $0.number < 3 ? .status(307, fields: ["Location: http://127.0.0.1:\(other.port)/"]) : .status(204)
        }
        #expect(try await fixture.deliver([SampleEvent(0, key: "a")]).durableBefore == 1)
        #expect(other.requests.isEmpty && fixture.receiver.requests.count == 4)
    }

    @Test func anAddressThatIsNotPublicIsNeverConnectedTo() async throws {
        let receiver = try HTTPReceiver { _ in .status(204) }
        var settings = try SinkFixture.settings(receiver.port)
        settings.allowsPrivateAddresses = false
        settings.url = try #require(WebhookURL("http://localhost:\(receiver.port)/"))
        let sink = WebhookSink(settings)
        try await sink.open(SinkContext(name: "hooks", state: nil, nextOffset: 0) { _ in })
        _ = try await sink.write(.of([SampleEvent(0, key: "a")]), .whenConvenient)
        #expect(try await sink.write(.empty(nextOffset: 1), .whenConvenient).durableBefore == 0)
        await sink.close()
        #expect(receiver.connectionCount == 0)
    }
}
