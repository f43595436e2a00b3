import ConnectorKit
import ProgramTesting
import Testing

@testable import WebhookSink

/// Certificates: whom the sink believes, what it shows, and what it says when that does not fit.
struct TLSTests {
    private let authority: CertificateAuthority
    private let receiver: HTTPReceiver

    init() throws {
        authority = try CertificateAuthority()
        receiver = try HTTPReceiver { _ in .status(200, body: "fine") }
    }

    @Test(arguments: ["", "1.2"])
    func anAuthorityOfOnesOwnIsTrusted(version: String) async throws {
        let front = try Front.tls(authority, before: receiver, version: version)
        #expect(try await authority.settings(front.port).deliver(40) == .durable(before: 40))
        #expect(Set(receiver.requests.map(\.id)).count == 40 && receiver.requests.count == 40)
        #expect(receiver.requests.allSatisfy { $0.line == "POST /hooks HTTP/1.1" })
        #expect(receiver.connectionCount <= 8)
        // The endpoint would rather speak HTTP/2.
        let agreed = Set(front.lines.map { $0.split(separator: " ")[2] })
        #expect(agreed == ["http/1.1"], "\(front.lines)")
    }

    @Test func withoutItTheEndpointIsNotBelieved() async throws {
        let front = try Front.tls(authority, before: receiver)
        for ca in ["other.crt", nil] {
            let failure = try await authority.settings(front.port, ca: ca).trouble()
            #expect(failure.code == "webhook.tls" && failure.remedy == .retry, "\(failure)")
            #expect(failure.hint?.contains("tls.ca") == true, "\(failure)")
        }
        #expect(receiver.connectionCount == 0)
    }

    @Test func aCertificateForAnotherNameIsRefused() async throws {
        let front = try Front.tls(authority, certificate: "elsewhere", before: receiver)
        let failure = try await authority.settings(front.port).trouble()
        #expect(failure.code == "webhook.tls" && failure.message.contains("name"), "\(failure)")
        #expect(failure.hint?.contains("url") == true, "\(failure)")
        #expect(receiver.requests.isEmpty)
    }

    @Test func anExpiredCertificateIsRefused() async throws {
        let front = try Front.tls(authority, certificate: "expired", before: receiver)
        let failure = try await authority.settings(front.port).trouble()
        #expect(failure.code == "webhook.tls" && failure.message.contains("expired"), "\(failure)")
        #expect(failure.hint?.contains("renewed") == true, "\(failure)")
        #expect(receiver.connectionCount == 0)
    }

    @Test(arguments: ["", "1.2"])
    func aClientCertificateIsShown(version: String) async throws {
        let front = try Front.tls(authority, before: receiver, wantsClients: true, version: version)
        #expect(try await authority.settings(front.port, client: "client").deliver() == .durable(before: 1))
        #expect(front.lines.contains { $0.hasPrefix("accepted") && $0.hasSuffix(" client") }, "\(front.lines)")
    }

    @Test(arguments: ["", "1.2"])
    func anEndpointThatWantsAClientCertificateSaysSo(version: String) async throws {
        let front = try Front.tls(authority, before: receiver, wantsClients: true, version: version)
        let failure = try await authority.settings(front.port).trouble()
        #expect(failure.code == "webhook.tls" && failure.remedy == .retry, "\(failure)")
        #expect(failure.hint?.contains("tls.certificate") == true, "\(failure)")
        #expect(receiver.connectionCount == 0)
        let found = await WebhookDoctor.findings(try authority.settings(front.port))
        #expect(found.map(\.code).contains("webhook.tls"), "\(found.map(\.message))")
        let fine = await WebhookDoctor.findings(try authority.settings(front.port, client: "client"))
        #expect(fine.map(\.code).contains("webhook.reachable"), "\(fine)")
    }

    @Test func filesThatCannotBeUsedStopTheSink() async throws {
        let front = try Front.tls(authority, before: receiver, wantsClients: true)
        for settings in [
            try authority.settings(front.port, ca: "nothing.crt"),
            try authority.settings(front.port, client: "nothing"),
        ] {
            let failure = try await settings.trouble()
            #expect(failure.code == "webhook.tls_files" && failure.remedy == .stop, "\(failure)")
        }
    }

    @Test func receiversThatFailBehindTLSAreAskedAgain() async throws {
        let receiver = try HTTPReceiver {
            switch $0.number {
            case 0: .reset()
            case 1: .bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            case 2: .status(500)
            default: .status(200, body: String(repeating: "x", count: 40_000))
            }
        }
        let front = try Front.tls(authority, before: receiver)
        #expect(try await authority.settings(front.port).deliver(20) == .durable(before: 20))
        #expect(receiver.requests.count == 23)
    }

    @Test func aLargeEventPassesThroughTLS() async throws {
        let front = try Front.tls(authority, before: receiver)
        let sink = WebhookSink(try authority.settings(front.port))
        try await sink.open(SinkContext(name: "hooks", state: nil, nextOffset: 0) { _ in })
        let large = String(repeating: "0123456789abcdef", count: 400_000)
        let events = (0..<3).map { SampleEvent($0, key: "k\($0)", payload: large + "\($0)") }
        #expect(try await sink.write(.of(events), .required) == .durable(before: 3))
        await sink.close()
        #expect(Set(receiver.requests.map(\.text)) == Set(events.map(\.payload)))
    }
}
