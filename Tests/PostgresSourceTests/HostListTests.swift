import ConnectorKit
import Glibc
import Testing

@testable import PostgresSource

/// Connection strings with several hosts, of which some do not answer.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct HostListTests {
    private func url(_ hosts: [(host: String, port: String)], of database: TestDatabase) -> String {
        let (names, ports) = (hosts.map(\.host).joined(separator: ","), hosts.map(\.port).joined(separator: ","))
        return "host=\(names) port=\(ports) user=\(environment("PGUSER") ?? "postgres") dbname=\(database.name)"
            + " connect_timeout=2"
    }

    private func server() throws -> (host: String, port: String) {
        (try #require(environment("PGHOST")), try #require(environment("PGPORT")))
    }

    @Test(arguments: SilentHost.Kind.allCases)
    func aHostThatDoesNotAnswerIsPassedOver(kind: SilentHost.Kind) throws {
        let database = try TestDatabase()
        let silent = try SilentHost(kind)
        let url = url([("127.0.0.1", silent.port), try server()], of: database)
        let start = ContinuousClock.now
        for purpose in [PostgresConnection.Purpose.catalogue, .replication] {
            let connection = try PostgresConnection(opening: url, for: purpose)
            #expect(connection.processID > 0)
        }
        let waited = start.duration(to: .now)
        #expect(waited >= .milliseconds(3900) && waited < .seconds(100))
    }

    @Test func severalSilentAndRefusingHostsArePassedOver() throws {
        let database = try TestDatabase()
        let (deaf, mute) = (try SilentHost(.neverConnects), try SilentHost(.neverSpeaks))
        let hosts = [
            ("127.0.0.1", mute.port), ("127.0.0.1", "1"), ("127.0.0.1", deaf.port), ("127.0.0.1", mute.port),
            try server(),
        ]
        let connection = try PostgresConnection(opening: url(hosts, of: database), for: .catalogue)
        #expect(connection.processID > 0)
    }

    @Test(arguments: SilentHost.Kind.allCases)
    func silenceOfTheOnlyHostIsSaidWithItsPlace(kind: SilentHost.Kind) async throws {
        let database = try TestDatabase()
        let silent = try SilentHost(kind)
        let reader = try SourceReader(
            database, tables: ["public.t"], url: url([("127.0.0.1", silent.port)], of: database) + " password=secret")
        let failure = await #expect(throws: ConnectorFailure.self) { try await reader.open() }
        #expect(failure?.code == "postgres.connection_failed")
        #expect(failure?.remedy == .retry)
        #expect(failure?.message == "cannot connect: no answer from 127.0.0.1, port \(silent.port) within 2 s")
    }

    @Test func whatTheLastHostSaysStandsBesideTheSilenceOfTheFirst() throws {
        let database = try TestDatabase()
        let silent = try SilentHost(.neverConnects)
        let url = url([("127.0.0.1", silent.port), ("127.0.0.1", "1")], of: database)
        let error = #expect(throws: ServerError.self) { try PostgresConnection(opening: url, for: .catalogue) }
        #expect(error?.message.contains("no answer from 127.0.0.1, port \(silent.port) within 2 s") == true)
        #expect(error?.message.contains("refused") == true)
    }
}

/// A port on this machine behind which nobody answers.
final class SilentHost: Sendable {
    enum Kind: CaseIterable {
        /// Connections are not even established, as to a machine that is off: the listener's queue is full.
        case neverConnects
        /// Connections are established, and then nothing comes, as from a server that hangs.
        case neverSpeaks
    }

    let port: String
    private let sockets: [Int32]

    init(_ kind: Kind) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
                bind(listener, place, length) == 0 && listen(listener, kind == .neverConnects ? 0 : 100) == 0
                    && getsockname(listener, place, &length) == 0
            }
        }
        try #require(isListening)
        port = String(UInt16(bigEndian: address.sin_port))
        var sockets = [listener]
        if kind == .neverConnects {
            for _ in 0..<4 {
                let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
                withUnsafePointer(to: address) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = connect(client, $0, length) }
                }
                sockets.append(client)
            }
        }
        self.sockets = sockets
    }

    deinit { sockets.forEach { close($0) } }
}
