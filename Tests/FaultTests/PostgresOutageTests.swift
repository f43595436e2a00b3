import Foundation
import ProgramTesting
import Testing

/// The server or the network goes away in the middle of a large transaction and comes back. What is in the file must be
/// the server's own ledger, exactly.
@Suite(.serialized)
struct PostgresOutageTests {
    private static let bulk =
        "INSERT INTO orders SELECT i, 'bulk', i, repeat('x', 200), now() FROM generate_series(100000, 130000) i"

    /// Begins a large transaction and returns when a part of it was delivered.
    private func runIntoBulk(_ shop: Shop, _ running: ChildProcess) throws {
        let before = try shop.deliveredLineCount()
        try shop.database.sql(Self.bulk)
        try running.wait(for: "a part of the transaction") { try shop.deliveredLineCount() > before + 100 }
    }

    /// Waits until everything is delivered, ends the program and compares.
    private func finish(_ shop: Shop, _ running: ChildProcess) throws {
        let count = try shop.ledger.changes().count
        try running.wait(for: "\(count) events") { try shop.deliveredLineCount() >= count }
        running.send(SIGTERM)
        #expect(try running.finish().exitCode == 143)
        try shop.expectExactDelivery()
    }

    @Test(arguments: OwnServer.Ending.allCases)
    func aServerThatRestartsInTheMiddleOfATransactionIsSurvived(ending: OwnServer.Ending) throws {
        let server = try OwnServer(settings: [])
        let shop = try Shop(on: server)
        try shop.work(transactions: 20, seed: 1)
        var running = try shop.program.start("run")
        try runIntoBulk(shop, running)
        try server.stop(ending)
        try running.waitForError(containing: "source failed, will open it again code=postgres.")
        if ending == .immediate {
            // The program dies while the server is away, and is started before it is back.
            running.kill()
            running = try shop.program.start("run")
        }
        try server.start()
        try shop.work(transactions: 20, seed: 2)
        try finish(shop, running)
    }

    @Test(arguments: [TCPProxy.Mode.reset, .swallow])
    func aNetworkThatIsCutInTheMiddleOfATransactionIsSurvived(mode: TCPProxy.Mode) throws {
        let server = try OwnServer(settings: ["wal_sender_timeout = 2s"])
        let proxy = try TCPProxy(to: server.port)
        let shop = try Shop(on: server) {
            $0.url.replacing(":\(server.port)/", with: ":\(proxy.port)/") + "?connect_timeout=2"
        }
        let running = try shop.program.start("run")
        try runIntoBulk(shop, running)
        proxy.set(mode)
        try running.waitForError(containing: "source failed, will open it again code=postgres.connection_lost")
        try shop.work(transactions: 20, seed: 1)
        proxy.set(.forward)
        try finish(shop, running)
    }

    @Test func anIdlePeerThatIsGoneWithoutAWordIsNoticed() throws {
        let server = try OwnServer(settings: ["wal_sender_timeout = 2s"])
        let proxy = try TCPProxy(to: server.port)
        let shop = try Shop(on: server) {
            $0.url.replacing(":\(server.port)/", with: ":\(proxy.port)/") + "?connect_timeout=2"
        }
        let running = try shop.program.start("run")
        try running.waitForError(containing: "capturing")
        proxy.set(.swallow)
        try running.waitForError(containing: "the server has said nothing for 2 s, though it was asked")
        proxy.set(.forward)
        try shop.work(transactions: 20, seed: 1)
        try finish(shop, running)
    }

    @Test func aHostWhoseNameResolvesLaterIsReachedThen() throws {
        let shop = try Shop()
        let services = try TemporaryFolder()
        let place = ProcessInfo.processInfo.environment
        func service(host: String) -> String {
            "[shop]\nhost=\(host)\nport=\(place["PGPORT"] ?? "")\ndbname=\(shop.database.name)\n"
                + "user=\(place["PGUSER"] ?? "postgres")\n"
        }
        let file = try services.write("services", service(host: "millrace.invalid"))
        let configuration = try String(contentsOfFile: shop.program.folder.path("millrace.yaml"), encoding: .utf8)
        try shop.program.folder.write(
            "millrace.yaml", configuration.replacing(shop.database.url, with: "service=shop"))
        let running = try shop.program.start("run", environment: ["PGSERVICEFILE": file])
        try running.waitForError(containing: "could not translate host name")
        try shop.work(transactions: 10, seed: 1)
        try services.write("services", service(host: place["PGHOST"] ?? "127.0.0.1"))
        try finish(shop, running)
    }

    @Test func afterAFailoverTheNewPrimaryIsRefusedBecauseTheSlotIsNotThere() throws {
        let primary = try OwnServer(settings: [])
        let shop = try Shop(on: primary)
        let standby = try OwnServer(following: primary)
        // The standby stands first: it is passed over as long as it is one.
        let url = "postgresql://postgres@127.0.0.1:\(standby.port),127.0.0.1:\(primary.port)/\(shop.database.name)"
        let configuration = try String(contentsOfFile: shop.program.folder.path("millrace.yaml"), encoding: .utf8)
        try shop.program.folder.write(
            "millrace.yaml",
            configuration.replacing(shop.database.url, with: "\"\(url)?target_session_attrs=read-write\""))
        let running = try shop.program.start("run")
        try shop.work(transactions: 20, seed: 1)
        let count = try shop.ledger.changes().count
        try running.wait(for: "\(count) events") { try shop.deliveredLineCount() >= count }
        try shop.expectExactDelivery()

        try primary.stop(.immediate)
        try running.waitForError(containing: "code=postgres.no_primary")
        try standby.promote()
        let result = try running.finish()
        #expect(result.exitCode == 3)
        let isRefused = ["postgres.slot_missing", "postgres.timeline_changed"].contains(where: result.errors.contains)
        #expect(isRefused, "\(result.errors)")
        #expect(try shop.deliveredLineCount() == count)
    }
}
