import ConnectorTesting
import Foundation
import ProgramTesting
import Testing

/// The program is killed between what it publishes and what it knows of it, rows change while it is dead, and it is
/// started again on the same disk. The stream must then hold each event of the log once, in order.
@Suite(.serialized)
struct NATSKillTests {
    @Test(arguments: ["nats.sent:1", "nats.sent:3", "sink.durable:1", "sink.durable:3", "log.appended:2"])
    func nothingIsLostNorDoubledByAKill(at point: String) throws {
        let server = try NATSServer()
        let counter = try Counter(server)
        try counter.work(rows: 300, seed: 1)
        let victim = try counter.program.start("run", haltAt: point)
        var burst: UInt64 = 10
        try victim.wait(for: "halt at \(point)") {
            if victim.errorText.contains("halted at") { return true }
            burst += 1
            try counter.work(rows: 5, seed: burst)
            return false
        }
        victim.kill()
        try counter.work(rows: 300, seed: 2)
        try counter.program.catchUp()
        try counter.expectExactDelivery()
    }

    @Test(arguments: [false, true])
    func nothingIsLostNorDoubledByKillsOfProgramAndServer(isShared: Bool) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let server = try NATSServer()
        let counter = try Counter(server, more: "shared: \(isShared), ack_timeout: 1s")
        try counter.work(rows: 500, seed: seed)
        for round in 0..<6 {
            let victim = try counter.program.start("run")
            let lines = UInt64(Int.random(in: 1...600, using: &random) + round * 200)
            var burst = seed &+ UInt64(round) &* 1000
            try victim.wait(for: "progress (seed \(seed))") {
                burst &+= 1
                try counter.work(rows: 30, seed: burst)
                return try counter.storedCount() >= lines
            }
            if round % 2 == 1 { server.kill() }
            victim.kill()
            if round % 2 == 1 { try server.start() }
        }
        try counter.program.catchUp()
        try counter.expectExactDelivery("seed \(seed)")
    }

    /// A source, a log and a healthy sink notice nothing of a server that is not there; the program ends when asked.
    @Test func aServerThatIsGoneHoldsUpNobodyElse() throws {
        let server = try NATSServer()
        let counter = try Counter(
            server, more: "ack_timeout: 1s", others: "archive: {file: {path: \"out/{table}.jsonl\"}}")
        try counter.work(rows: 50, seed: 1)
        try counter.program.catchUp()
        server.kill()
        let running = try counter.program.start("run")
        try counter.work(rows: 200, seed: 2)
        try running.wait(for: "all events in the file") {
            try counter.program.events(in: "out/marks.jsonl", ignoringTornEnd: true).count >= 200
        }
        try running.wait(for: "a word about the server") { running.errorText.contains("nats.") }
        running.send(SIGTERM)
        #expect(try running.finish().exitCode == 128 + SIGTERM)
        try server.start()
        try counter.program.catchUp()
        try counter.expectExactDelivery()
    }
}

/// A SQLite file whose rows change, and a program that publishes the changes.
private struct Counter {
    let program: MillraceProgram
    private let server: NATSServer

    init(_ server: NATSServer, more: String = "shared: false", others: String = "") throws {
        self.server = server
        program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db}
                sinks:
                  broker:
                    nats: {servers: ["\(server.address)"], \(more)}
                  \(others)
                """)
        try sql("PRAGMA journal_mode = WAL; CREATE TABLE marks (id INTEGER PRIMARY KEY, n INTEGER, text);")
    }

    /// Changes rows, of which there are forty.
    func work(rows: Int, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var script = "BEGIN IMMEDIATE;\n"
        for index in 0..<rows {
            let id = Int.random(in: 1...40, using: &random)
            script +=
                "INSERT INTO marks VALUES (\(id), \(index), printf('%0300d', \(index)))"
                + " ON CONFLICT (id) DO UPDATE SET n = n + 1;\n"
        }
        try sql(script + "COMMIT;\n")
    }

    private func sql(_ script: String) throws {
        let file = try program.folder.write("work.sql", script)
        try program.sqlite("shop.db", ".read '\(file)'")
    }

    /// How many messages the stream has; 0 before there is one.
    func storedCount() throws -> UInt64 { (try? StreamReader(server.address).state(of: "shop").last) ?? 0 }

    /// The stream has what the log has, each event once, in the log's order.
    func expectExactDelivery(_ comment: Comment? = nil) throws {
        let messages = try StreamReader(server.address).messages(of: "shop")
        let events = try Event.parse(lines: messages.map { $0.text + "\n" }.joined())
        let logged = try program.loggedEvents().map(\.id)
        #expect(
            events.count >= 200 && events.contains { $0.operation == "update" }, "without changes nothing is proved")
        #expect(Set(events.map(\.id)).count == events.count, comment)
        #expect(events.map(\.id) == logged, comment)
        #expect(messages.map(\.id) == logged, comment)
    }
}
