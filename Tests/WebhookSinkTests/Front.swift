import ConnectorKit
import Foundation
import ProgramTesting

@testable import WebhookSink

/// A server that stands before a receiver: one that ends TLS, or a proxy. It is `Front/front.py`.
final class Front: Sendable {
    private let process: ChildProcess
    /// Where it listens on 127.0.0.1.
    let port: Int

    private init(_ arguments: [String]) throws {
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Front/front.py").path
        let process = try ChildProcess("/usr/bin/python3", [script] + arguments)
        var port: Int?
        try process.wait(for: "a port") {
            let text = process.outputText
            port = text.contains("\n") ? text.split(separator: "\n").first.flatMap { Int($0) } : nil
            return port != nil
        }
        self.process = process
        self.port = port ?? 0
    }

    deinit { process.kill() }

    /// Ends TLS before a receiver.
    static func tls(
        _ authority: CertificateAuthority, certificate: String = "local", before receiver: HTTPReceiver,
        wantsClients: Bool = false, version: String = ""
    ) throws -> Front {
        try Front([
            "tls", authority.path(certificate + ".crt"), authority.path(certificate + ".key"), "\(receiver.port)",
            wantsClients ? authority.path("ca.crt") : "", version,
        ])
    }

    /// A proxy: one that wants a user (`name:password`), or refuses everything with a status.
    static func proxy(_ rule: String = "") throws -> Front { try Front(["proxy", rule]) }

    /// Says something on each connection, without being asked.
    static func greeting(_ text: String) throws -> Front { try Front(["greeting", text]) }

    /// What it said, without its port.
    var lines: [String] { process.outputText.split(separator: "\n").dropFirst().map(String.init) }
}

extension CertificateAuthority {
    /// The settings of an endpoint behind TLS; with `client`, that certificate is shown.
    func settings(
        _ port: Int, ca: String? = "ca.crt", client: String? = nil, _ more: [String: SettingValue] = [:]
    ) throws -> WebhookSettings {
        var tls = SettingValues()
        if let ca { tls["ca"] = .text(path(ca)) }
        if let client {
            tls["certificate"] = .text(path(client + ".crt"))
            tls["key"] = .text(path(client + ".key"))
        }
        let own: [String: SettingValue] = ["url": .text("https://localhost:\(port)/hooks"), "tls": .group(tls)]
        return try SinkFixture.settings(port, own.merging(more) { $1 })
    }
}

extension WebhookSettings {
    /// Delivers an event for each key, and waits until they are delivered.
    func deliver(_ count: Int = 1) async throws -> DeliveryReceipt {
        let sink = WebhookSink(self)
        try await sink.open(SinkContext(name: "hooks", state: nil, nextOffset: 0) { _ in })
        let events = (0..<count).map { SampleEvent(UInt64($0), key: "k\($0)") }
        let receipt = try await sink.write(.of(events), .required)
        await sink.close()
        return receipt
    }

    /// What the sink reports, or stops with, when it is to deliver an event.
    func trouble() async throws -> ConnectorFailure {
        let sink = WebhookSink(self)
        let reports = Reports()
        try await sink.open(
            SinkContext(name: "hooks", state: nil, nextOffset: 0, report: { reports.add($0, $1) }) { _ in })
        var found: ConnectorFailure?
        do throws(ConnectorFailure) {
            _ = try await sink.write(.of([SampleEvent(0, key: "a")]), .whenConvenient)
        } catch {
            found = error
        }
        try await eventually("a failure") {
            if found != nil { return true }
            do throws(ConnectorFailure) {
                let receipt = try await sink.write(.empty(nextOffset: 1), .whenConvenient)
                guard receipt.durableBefore == 0 else { throw WebhookFailure.notOpen }
            } catch {
                found = error
            }
            found = found ?? reports.failures.first
            return found != nil
        }
        await sink.close()
        return found ?? WebhookFailure.notOpen
    }
}
