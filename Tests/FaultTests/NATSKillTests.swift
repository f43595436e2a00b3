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

    /// The stream does not take what is large, which is set aside with what comes behind it of its key; later events of
    /// other keys are stored, and taken for a sign that everything before them is.
    @Test(arguments: [
        "nats.sent:1", "nats.sent:3", "log.sink_set_aside:1", "log.sink_set_aside:3", "sink.durable:2",
    ])
    func whatTheStreamDoesNotTakeIsNeitherLostNorDoubledByAKill(at point: String) throws {
        let server = try NATSServer()
        let reader = try StreamReader(server.address)
        try reader.add("shop", subjects: "shop.>", messageBytesMax: 2000)
        let counter = try Counter(server)
        try counter.work(rows: 300, seed: 1, largeIDs: 1...3)
        let victim = try counter.program.start("run", haltAt: point)
        var burst: UInt64 = 10
        try victim.wait(for: "halt at \(point)") {
            if victim.errorText.contains("halted at") { return true }
            burst += 1
            try counter.work(rows: 20, seed: burst, largeIDs: 4...5)
            return false
        }
        victim.kill()
        // What nobody knows to be refused is taken now.
        try reader.update("shop", subjects: "shop.>", messageBytesMax: -1)
        try counter.work(rows: 100, seed: 2)
        try counter.program.catchUp()
        let letters = try counter.letters()
        let stored = try reader.messages(of: "shop").map(\.id)
        #expect(Set(stored).isDisjoint(with: letters))
        #expect(Set(stored).union(letters) == Set(try counter.program.loggedEvents().map(\.id)))
        try counter.retryAll()
        try counter.expectEachOnceInTheOrderOfItsKey()
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

    /// The server knows the newer half of what is published again, and not the older one; the program is killed in the
    /// middle, or before it began. Each replay must be in the stream once and whole, behind what was there: the newer
    /// half was not, and the state of a row stayed an older one for good.
    @Test(arguments: ["log.replayed:1", "nats.sent:1", "nats.sent:3", "sink.durable:1", "sink.durable:3"])
    func aReplayIsStoredOnceAndWholeInSpiteOfAKill(at point: String) throws {
        let server = try NATSServer()
        let counter = try Counter(server)
        try counter.work(rows: 300, seed: 1)
        try counter.program.catchUp()
        try StreamReader(server.address).forgetIDs(of: "shop")
        try counter.work(rows: 300, seed: 2)
        try counter.program.catchUp()
        let before = try counter.storedIDs().count
        let isOfTheLog = point.hasPrefix("log.")
        if !isOfTheLog {
            let replay = try counter.program.run("replay", "broker", "--from", "earliest")
            #expect(replay.exitCode == 0, "\(replay.errors)")
        }
        let victim =
            try isOfTheLog
            ? counter.program.start("replay", "broker", "--from", "earliest", haltAt: point)
            : counter.program.start("run", haltAt: point)
        var burst: UInt64 = 10
        try victim.wait(for: "halt at \(point)") {
            if victim.errorText.contains("halted at") { return true }
            burst += 1
            try counter.work(rows: 5, seed: burst)
            return false
        }
        victim.kill()
        // What is stored once is not so because the server knows it.
        if !isOfTheLog { try StreamReader(server.address).forgetIDs(of: "shop") }
        try counter.work(rows: 300, seed: 3)
        try counter.program.catchUp()
        let logged = try counter.program.loggedEvents().map(\.id)
        let stored = try counter.storedIDs()
        #expect(Array(stored[before...]) == logged)
        // Once more, at once, from the middle.
        #expect(try counter.program.run("replay", "broker", "--from", "450").exitCode == 0)
        try counter.program.catchUp()
        #expect(try counter.storedIDs() == stored + logged[450...])
        try counter.expectTheNewestStateLast()
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

    /// Changes rows, of which there are forty; those of some ids are large.
    func work(rows: Int, seed: UInt64, largeIDs: ClosedRange<Int>? = nil) throws {
        var random = SeededGenerator(seed: seed)
        var script = "BEGIN IMMEDIATE;\n"
        for index in 0..<rows {
            let id = Int.random(in: 1...40, using: &random)
            let width = largeIDs?.contains(id) == true ? 3000 : 300
            script +=
                "INSERT INTO marks VALUES (\(id), \(index), printf('%0\(width)d', \(index)))"
                + " ON CONFLICT (id) DO UPDATE SET n = n + 1, text = excluded.text;\n"
        }
        try sql(script + "COMMIT;\n")
    }

    private func sql(_ script: String) throws {
        let file = try program.folder.write("work.sql", script)
        try program.sqlite("shop.db", ".read '\(file)'")
    }

    /// How many messages the stream has; 0 before there is one.
    func storedCount() throws -> UInt64 { (try? StreamReader(server.address).state(of: "shop").last) ?? 0 }

    /// The ids of the events in the stream, as consumers find them in the ids of messages.
    func storedIDs() throws -> [String] {
        try StreamReader(server.address).messages(of: "shop").map(\.id).filter { $0 != "probe" }
            .map { String($0.prefix { $0 != " " }) }
    }

    /// Who folds the stream has the rows as they are in the database.
    func expectTheNewestStateLast() throws {
        let messages = try StreamReader(server.address).messages(of: "shop").filter { $0.id != "probe" }
        let events = try Event.parse(lines: messages.map { $0.text + "\n" }.joined())
        let folded = Dictionary(events.map { ($0.key, $0.id) }) { $1 }
        let wanted = Dictionary(try program.loggedEvents().map { ($0.key, $0.id) }) { $1 }
        #expect(folded == wanted && !wanted.isEmpty)
        // The event itself is as it was.
        #expect(events.map(\.id) == (try storedIDs()))
    }

    /// The ids of what was set aside.
    func letters() throws -> Set<String> {
        let shown = try program.run("deadletters", "show", "@broker").output
        return Set(shown.split(separator: "\n").map { String($0.prefix { $0 != " " }) })
    }

    /// Has everything that was set aside delivered.
    func retryAll() throws {
        try program.run("deadletters", "retry", "@broker", "--wait", "0")
        let run = try program.start("run")
        try run.wait(for: "the end of the retry") { try letters().isEmpty }
        run.send(SIGTERM)
        _ = try run.finish()
    }

    /// The stream has what the log has, each event once, and what was set aside behind nothing of its key.
    func expectEachOnceInTheOrderOfItsKey() throws {
        let messages = try StreamReader(server.address).messages(of: "shop")
        let ids = messages.map(\.id)
        #expect(Set(ids).count == ids.count)
        #expect(Set(ids) == Set(try program.loggedEvents().map(\.id)))
        var last: [String: String] = [:]
        for event in try Event.parse(lines: messages.map { $0.text + "\n" }.joined()) {
            let key = try #require(event.key)
            #expect(last[key].map { $0 < event.sequence } ?? true, "\(key)")
            last[key] = event.sequence
        }
    }

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
