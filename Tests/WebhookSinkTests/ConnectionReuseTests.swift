import ByteKit
import Dispatch
import ProgramTesting
import Testing

@testable import WebhookSink
@testable import struct WebhookSink.HTTPClient

/// Connections that are kept between requests.
struct ConnectionReuseTests {
    private func delivery(_ number: Int) -> Delivery {
        let content = FrozenBytes(copying: Array("{}".utf8).rawBytes)
        let id = RequestID.made(FrozenBytes(copying: Array("event-\(number)".utf8).rawBytes))
        return Delivery(0, [], RequestContent(id: id, bytes: content, body: 0..<2))
    }

    /// Posts an event and waits for the status of the answer.
    private func post(_ number: Int, _ client: inout HTTPClient) throws -> Int? {
        try client.send(delivery(number), at: .now)
        while true {
            client.wait(milliseconds: 100)
            if let end = client.popEnd() { return end.outcome.status }
        }
    }

    @Test(arguments: [(Duration.zero, 3), (.seconds(600), 1)])
    func aConnectionThatWasLeftForLongIsMadeAnew(idleMax: Duration, connectionCount: Int) throws {
        let receiver = try HTTPReceiver { _ in .status(204) }
        var client = try HTTPClient(
            SinkFixture.settings(receiver.port), contentType: "application/json", idleMax: idleMax)
        for number in 0..<3 { #expect(try post(number, &client) == 204) }
        #expect(receiver.connectionCount == connectionCount)
    }

    /// An event was taken for delivered that the endpoint had not seen yet.
    @Test func whatAnEndpointSaysUnaskedIsNoAnswerToTheNextEvent() throws {
        let receiver = try HTTPReceiver { $0.number == 0 ? .status(204) : .status(200) }
        var client = try HTTPClient(SinkFixture.settings(receiver.port), contentType: "application/json")
        #expect(try post(0, &client) == 204)
        try receiver.say("HTTP/1.1 204 No Content\r\n\r\n", on: 0)
        #expect(try post(1, &client) == 200)
        #expect(receiver.connectionCount == 2 && receiver.requests.map(\.id) == ["event-0", "event-1"])
    }

    /// A look at idle connections came upon the call, and nothing was left to end the wait.
    @Test(.timeLimit(.minutes(1)))
    func aCallOfTheWakerIsNotLostWhileARequestIsSent() throws {
        let held = DispatchSemaphore(value: 0)
        let receiver = try HTTPReceiver { request in
            if request.number > 0 { held.wait() }
            return .status(204)
        }
        defer { held.signal() }
        var client = try HTTPClient(SinkFixture.settings(receiver.port), contentType: "application/json")
        #expect(try post(0, &client) == 204)
        client.waker.wake()
        try client.send(delivery(1), at: .now)
        client.wait(milliseconds: -1)
        let isAnswered = client.popEnd() != nil
        #expect(!isAnswered)
    }
}
