import ByteKit
import ProgramTesting
import Testing

@testable import WebhookSink
@testable import struct WebhookSink.HTTPClient

/// Connections that are kept between requests.
struct ConnectionReuseTests {
    @Test(arguments: [(Duration.zero, 3), (.seconds(600), 1)])
    func aConnectionThatWasLeftForLongIsMadeAnew(idleMax: Duration, connectionCount: Int) throws {
        let receiver = try HTTPReceiver { _ in .status(204) }
        var client = try HTTPClient(
            SinkFixture.settings(receiver.port), contentType: "application/json", idleMax: idleMax)
        for number in 0..<3 {
            let content = FrozenBytes(copying: Array("{}".utf8).rawBytes)
            try client.send(
                Delivery(
                    0, id: .made(FrozenBytes(copying: Array("event-\(number)".utf8).rawBytes)), content: content,
                    body: 0..<2),
                at: .now)
            var end: HTTPClient.End?
            while end == nil {
                client.wait(milliseconds: 100)
                end = client.popEnd()
            }
            #expect(end?.outcome.status == 204)
        }
        #expect(receiver.connectionCount == connectionCount)
    }
}
