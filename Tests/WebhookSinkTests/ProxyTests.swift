import ConnectorKit
import ProgramTesting
import Testing

@testable import WebhookSink

/// A proxy between the sink and its endpoint.
struct ProxyTests {
    private let receiver: HTTPReceiver

    init() throws { receiver = try HTTPReceiver { _ in .status(204) } }

    private func settings(_ proxy: Front, user: String = "") throws -> WebhookSettings {
        try SinkFixture.settings(receiver.port, ["proxy": .text("http://\(user)127.0.0.1:\(proxy.port)")])
    }

    @Test func theWholeAddressIsAskedForWithoutTLS() async throws {
        let proxy = try Front.proxy("me:pa ss")
        #expect(try await settings(proxy, user: "me:pa%20ss@").deliver(20) == .durable(before: 20))
        #expect(Set(proxy.lines) == ["POST http://127.0.0.1:\(receiver.port)/hooks"])
        // What the proxy is told is not for the endpoint: the test's proxy passes it on as it is.
        #expect(receiver.requests.count == 20)
        #expect(receiver.requests.allSatisfy { $0.fields["host"] == "127.0.0.1:\(receiver.port)" })
    }

    @Test func aTunnelIsAskedForWithTLS() async throws {
        let authority = try CertificateAuthority()
        let front = try Front.tls(authority, before: receiver)
        let proxy = try Front.proxy("me:secret")
        let address = SettingValue.text("http://me:secret@127.0.0.1:\(proxy.port)")
        #expect(try await authority.settings(front.port, ["proxy": address]).deliver(20) == .durable(before: 20))
        #expect(Set(proxy.lines) == ["CONNECT localhost:\(front.port)"])
        #expect(receiver.requests.allSatisfy { $0.fields["proxy-authorization"] == nil })
    }

    @Test(arguments: ["407", "403", "502"])
    func aProxyThatRefusesATunnelIsNamed(status: String) async throws {
        let authority = try CertificateAuthority()
        let proxy = try Front.proxy(status == "407" ? "me:secret" : status)
        let address = SettingValue.text("http://127.0.0.1:\(proxy.port)")
        let failure = try await authority.settings(receiver.port, ["proxy": address]).trouble()
        #expect(failure.code == "webhook.proxy_refused" && failure.message.contains(status), "\(failure)")
        #expect(failure.remedy == .retry && receiver.connectionCount == 0)
    }

    @Test func aProxyThatWantsAUserIsAskedAgain() async throws {
        let proxy = try Front.proxy("me:secret")
        #expect(try await settings(proxy).trouble().code == "webhook.proxy_refused")
        #expect(receiver.connectionCount == 0)
    }

    @Test func aProxyThatIsDownIsWaitedFor() async throws {
        let proxy = try HTTPReceiver { _ in .status(204) }
        let address = SettingValue.text("http://127.0.0.1:\(proxy.port)")
        proxy.stop()
        let failure = try await SinkFixture.settings(receiver.port, ["proxy": address]).trouble()
        #expect(failure.code == "webhook.connection_failed" && failure.message.contains("the proxy for"), "\(failure)")
        #expect(failure.hint?.contains("check that the proxy is up") == true)
    }
}
