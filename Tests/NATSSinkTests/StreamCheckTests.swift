import CNATS
import ConnectorKit
import Foundation
import ProgramTesting
import Testing

@testable import NATSSink

/// What is said about servers and streams that cannot be published to, before anything is.
struct StreamCheckTests {
    /// Opens a sink that never worked before.
    private func opening(_ settings: NATSSettings) async throws -> ConnectorFailure? {
        let sink = NATSSink(settings, contentType: "application/json")
        let found = try await failure { try await sink.open(CursorStore().context) }
        await sink.close()
        return found
    }

    @Test func aMissingStreamIsNamedWithTheCommandThatMakesIt() async throws {
        let server = try NATSServer()
        let found = try #require(try await opening(try natsSettings(server, ["create_stream": .flag(false)])))
        #expect(found.code == "nats.stream_missing" && found.remedy == .stop)
        #expect(found.setting == "sinks.broker.nats.stream")
        #expect(found.hint?.contains("nats stream add shop --subjects 'shop.>'") == true)
    }

    @Test(arguments: [
        ("nats.subject_not_in_stream", "other.>", "subjects"), ("nats.duplicate_window_too_short", "shop.>", "window"),
        ("nats.stream_without_acks", "shop.>", "acks"), ("nats.stream_sealed", "shop.>", "sealed"),
    ])
    func aStreamThatCannotBeUsedIsRefused(code: String, subjects: String, what: String) async throws {
        let server = try NATSServer()
        let settings = try natsSettings(server) { reader in
            try reader.add("shop", subjects: subjects) { config in
                if what == "window" { config.Duplicates = 1_000_000_000 }
                if what == "acks" { config.NoAck = true }
            }
            if what == "sealed" { try reader.update("shop", subjects: subjects) { $0.Sealed = true } }
        }
        let found = try #require(try await opening(settings))
        #expect(found.code == code && found.remedy == .stop)
        #expect(await NATSDoctor(settings).findings().map(\.code) == ["nats.server", code])
    }

    @Test func aServerWithoutJetStreamIsWaitedFor() async throws {
        let server = try NATSServer("accounts { A { users: [{user: a, password: a}] } }")
        let found = try #require(
            try await opening(
                try natsSettings([server.address], ["user": .text("a"), "password": .text("a")])))
        #expect(found.code == "nats.no_jetstream" && found.remedy == .retry, "\(found)")
    }

    @Test func aServerThatIsNotThereIsWaitedFor() async throws {
        let found = try #require(try await opening(try natsSettings(["127.0.0.1:1"])))
        #expect(found.code == "nats.unreachable" && found.remedy == .retry)
        #expect(found.message.contains("127.0.0.1:1"))
    }

    @Test func theNextServerIsTriedWhenOneIsNotThere() async throws {
        let server = try NATSServer()
        #expect(try await opening(try natsSettings(["127.0.0.1:1", server.address])) == nil)
    }

    @Test func aStreamIsMadeAsItIsTold() async throws {
        let server = try NATSServer()
        let new = SettingValues([
            "storage": .text("memory"), "max_age": .duration(.seconds(3600)), "max_size": .size(1 << 20),
            "duplicate_window": .duration(.seconds(60)),
        ])
        #expect(try await opening(try natsSettings(server, ["new_stream": .group(new)])) == nil)
        let facts = try NATSConnection(
            try natsSettings(server), try ServerAddress(server.address, setting: "servers")
        ).streamFacts()
        #expect(facts.isInMemory && facts.subjects == ["shop.>"] && facts.duplicateWindow == .seconds(60))
    }

    @Test func aStreamThatVanishedIsNotMadeAnewUntilSomebodyDecides() async throws {
        let server = try NATSServer()
        let (settings, store) = (try natsSettings(server), CursorStore())
        let reader = try StreamReader(server.address)
        func deliver(_ numbers: Range<Int>) async throws {
            let sink = NATSSink(settings, contentType: "application/json")
            try await sink.open(store.context)
            store.store(try await sink.write(numbered(numbers), .required))
            await sink.close()
        }
        try await deliver(0..<5)
        try reader.delete("shop")
        let found = try #require(try await failure { try await deliver(5..<7) })
        #expect(found.code == "nats.stream_vanished" && found.remedy == .retry, "\(found)")
        #expect(found.hint?.contains("nats stream add shop --subjects 'shop.>'") == true)
        #expect(found.hint?.contains("millrace replay broker --from earliest") == true)
        func doctor(at offset: UInt64) async -> [Finding] {
            let known = KnownSink(name: "broker", log: "", state: store.context.state, nextOffset: offset)
            return await NATSDoctor(settings, known).findings()
        }
        #expect(await doctor(at: 5).map(\.code) == ["nats.server", "nats.stream_vanished"])
        // A replay from the front.
        #expect(await doctor(at: 0).map(\.level) == [.ok, .ok])
        store.move(to: 0)
        try await deliver(0..<7)
        #expect(try reader.messages(of: "shop").map(\.id) == (0..<7).map { "e-\($0)" })
        // Or somebody makes the stream.
        try reader.delete("shop")
        #expect(try await failure { try await deliver(7..<8) }?.code == "nats.stream_vanished")
        try reader.add("shop", subjects: "shop.>")
        try await deliver(7..<9)
        #expect(try reader.messages(of: "shop").map(\.id) == ["e-7", "e-8"])
    }

    @Test func aServerWithoutTLSIsNotToldOfItsCertificate() async throws {
        let server = try NATSServer()
        let address = server.address.replacingOccurrences(of: "nats://", with: "tls://")
        let found = try #require(try await opening(try natsSettings([address])))
        #expect(found.code == "nats.tls_failed" && found.message.contains("offers no TLS"), "\(found)")
        #expect(found.hint?.contains("certificate") == false)
    }

    // MARK: Who may

    private static let users = """
        accounts { A { jetstream: enabled, users: [
            {user: writer, password: secret-1},
            {user: reader, password: secret-2, permissions: {publish: ["$JS.API.>", "_INBOX.>"]}}
        ] } }
        """

    @Test func aPasswordIsShownAndNeverPrinted() async throws {
        let server = try NATSServer(Self.users)
        let right: [String: SettingValue] = ["user": .text("writer"), "password": .text("secret-1")]
        #expect(try await opening(try natsSettings([server.address], right)) == nil)
        let wrong: [String: SettingValue] = ["user": .text("writer"), "password": .text("wrong-pass")]
        let found = try #require(try await opening(try natsSettings([server.address], wrong)))
        #expect(found.code == "nats.auth_failed" && found.remedy == .stop)
        #expect(!"\(found)".contains("wrong-pass"))
    }

    @Test func whatIsNotPermittedIsSaidAtOnceWithThePermission() async throws {
        let server = try NATSServer(Self.users)
        let settings = try natsSettings(
            [server.address],
            ["user": .text("reader"), "password": .text("secret-2"), "ack_timeout": .duration(.seconds(30))])
        let sink = NATSSink(settings, contentType: "application/json")
        try await sink.open(CursorStore().context)
        let found = try #require(
            try await failure {
                _ = try await sink.write(recordBatch([TestEvent(id: "a", key: "k")], from: 0), .required)
            })
        await sink.close()
        #expect(found.code == "nats.permission_denied", "\(found)")
        #expect(found.hint?.contains("publish to shop.>") == true)
    }

    @Test func anNKeyIsShown() async throws {
        // The pair that the server's documentation shows.
        let key = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
        let server = try NATSServer("accounts { A { jetstream: enabled, users: [{nkey: \(key)}] } }")
        let right: [String: SettingValue] = [
            "nkey": .text(key), "nkey_seed": .text("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"),
        ]
        #expect(try await opening(try natsSettings([server.address], right)) == nil)
        let wrong: [String: SettingValue] = ["nkey": .text(key), "nkey_seed": .text("SUWRONG")]
        let found = try #require(try await opening(try natsSettings([server.address], wrong)))
        #expect(found.remedy == .stop && !"\(found)".contains("SUWRONG"), "\(found)")
    }

    @Test func credentialsThatAreNotThereAreNamed() async throws {
        let server = try NATSServer()
        let found = try #require(
            try await opening(try natsSettings(server, ["credentials": .text("/nowhere/user.creds")])))
        #expect(found.code == "nats.bad_credentials" && found.setting == "sinks.broker.nats.credentials")
    }
}
