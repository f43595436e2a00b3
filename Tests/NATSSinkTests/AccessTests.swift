import ConnectorKit
import Foundation
import ProgramTesting
import Testing

@testable import NATSSink

/// Ways to say who the sink is, and JetStream elsewhere, each against a server that insists on it.
struct AccessTests {
    /// Publishes one event. What went wrong, or nil.
    private func publishing(_ settings: NATSSettings) async throws -> ConnectorFailure? {
        let sink = NATSSink(settings, contentType: "application/json")
        let found = try await failure {
            try await sink.open(CursorStore().context)
            _ = try await sink.write(numbered(0..<3), .required)
        }
        await sink.close()
        return found
    }

    @Test func aTokenIsShownAndNeverPrinted() async throws {
        let server = try NATSServer("authorization { token: \"open-sesame\" }")
        #expect(try await publishing(try natsSettings([server.address], ["token": .text("open-sesame")])) == nil)
        let found = try #require(
            try await publishing(try natsSettings([server.address], ["token": .text("wrong-token")])))
        #expect(found.code == "nats.auth_failed" && found.remedy == .stop && !"\(found)".contains("wrong-token"))
        #expect(try await publishing(try natsSettings([server.address]))?.code == "nats.auth_failed")
    }

    @Test func credentialsOfAnAccountAreShown() async throws {
        let folder = try TemporaryFolder()
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Accounts/make.py")
        let made = try runProgram("/usr/bin/python3", [script.path, folder.url.path])
        try #require(made.exitCode == 0, "\(made.errors)")
        let server = try NATSServer(try String(contentsOfFile: folder.path("accounts.conf"), encoding: .utf8))
        let right = try natsSettings([server.address], ["credentials": .text(folder.path("user.creds"))])
        #expect(try await publishing(right) == nil)
        // The user's name under another key's signature.
        let wrong = try natsSettings([server.address], ["credentials": .text(folder.path("stranger.creds"))])
        let found = try #require(try await publishing(wrong))
        #expect(found.code == "nats.auth_failed" && found.remedy == .stop, "\(found)")
        #expect(!"\(found)".contains("SUA"))
        #expect(try await publishing(try natsSettings([server.address]))?.code == "nats.auth_failed")
    }

    /// The sink connects to a leaf node that has a JetStream of its own; the stream is the hub's.
    @Test func theStreamOfAnotherDomainIsReachedThroughALeafNode() async throws {
        let port = try NATSServer.freePort()
        let hub = try NATSServer("server_name: hub\nleafnodes { listen: 127.0.0.1:\(port) }", domain: "hub")
        let leaf = try NATSServer(
            "server_name: leaf\nleafnodes { remotes: [{url: \"nats://127.0.0.1:\(port)\"}] }", domain: "leaf")
        let settings = try natsSettings([leaf.address], ["domain": .text("hub")])
        try await eventually("the way to the hub") { try await publishing(settings) == nil }
        let ids = try StreamReader(hub.address).messages(of: "shop").map(\.id)
        #expect(ids.suffix(3) == ["e-0", "e-1", "e-2"])
        #expect(throws: ChildFailure.self) { try StreamReader(leaf.address).state(of: "shop") }
        let found = try #require(
            try await publishing(try natsSettings([leaf.address], ["domain": .text("nowhere")])))
        #expect(found.code == "nats.no_jetstream" && found.remedy == .retry, "\(found)")
    }
}
