import ConnectorTesting
import Foundation
import ProgramTesting
import Testing

/// Consumers of a subscription die, are slow and hand events back, while the server is killed at any moment and rows
/// keep changing. Each event must reach them, those of a key in their order, and none two of them at a time.
@Suite(.serialized)
struct SubscriptionKillTests {
    private let program: MillraceProgram
    /// How long an event is with a consumer.
    private static let ackSeconds = 2

    init() throws {
        program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db}
                server: {listen: "127.0.0.1:0"}
                """)
        try sql("CREATE TABLE items (id INTEGER PRIMARY KEY, v INTEGER)")
    }

    private func sql(_ statements: String) throws { try program.sqlite("shop.db", statements) }

    /// Rows come, change, change their keys and go.
    private func work(_ random: inout SeededGenerator) throws {
        var text = "BEGIN;"
        for _ in 0..<20 {
            let (id, other) = (Int.random(in: 0..<12, using: &random), Int.random(in: 0..<12, using: &random))
            switch Int.random(in: 0..<8, using: &random) {
            case 0: text += "DELETE FROM items WHERE id = \(id);"
            case 1: text += "UPDATE OR IGNORE items SET id = \(other) WHERE id = \(id);"
            case 2...4: text += "INSERT OR IGNORE INTO items VALUES (\(id), 0);"
            default: text += "UPDATE items SET v = v + 1 WHERE id = \(id);"
            }
        }
        try sql(text + "COMMIT")
    }

    /// Comes while requests are on their way.
    private func killer(of server: ChildProcess, _ random: inout SeededGenerator) throws -> ChildProcess {
        let delay = Double(Int.random(in: 3...12, using: &random)) / 10
        return try ChildProcess("/bin/sh", ["-c", "sleep \(delay); kill -9 \(server.id)"])
    }

    @Test func eachEventReachesSomebodyInOrderThroughKillsOfServerAndConsumers() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var ledger = Ledger(ackTime: .seconds(Self.ackSeconds))
        try work(&random)
        for round in 0..<6 {
            // It dies at any moment, or between what it stored and the answer that would tell so.
            let count = Int.random(in: 5...40, using: &random)
            let point = round.isMultiple(of: 2) ? nil : "log.subscription_stored:\(count)"
            let server = try program.start("run", haltAt: point)
            let consumers = ConsumersAtWork(port: try server.waitForListener())
            try server.wait(for: "a log") { try consumers.put(ackSeconds: Self.ackSeconds) }
            let killer = try point == nil ? killer(of: server, &random) : nil
            // Once it stopped dead, it answers nobody: another thread sees that.
            if point != nil {
                Thread.detachNewThread {
                    try? server.waitForError(containing: "halted at")
                    server.send(SIGKILL)
                }
            }
            while consumers.isAnswered {
                if Int.random(in: 0..<4, using: &random) == 0 { try work(&random) }
                try consumers.step(&ledger, &random)
            }
            _ = try killer?.finish()
            _ = try server.finish()
            #expect(point == nil || server.errorText.contains("halted at log.subscription_stored"), "seed \(seed)")
            #expect(round < 1 || !ledger.delivered.isEmpty)
        }
        let server = try program.start("run")
        let consumers = ConsumersAtWork(port: try server.waitForListener())
        try server.wait(for: "everything to be acknowledged (seed \(seed))") {
            try consumers.drain(&ledger)
            return try consumers.isDone()
        }
        server.send(SIGTERM)
        _ = try server.finish()
        let log = try program.run("tail").output.split(separator: "\n").map(Ledger.Event.init)
        #expect(log.count > 100 && ledger.delivered == Set(log.map(\.id)), "seed \(seed)")
        #expect(ledger.acknowledged.count > 100, "seed \(seed)")
        try ledger.checkOrder(log, seed)
    }

    /// Each time a consumer gets the first event, the server dies.
    @Test func whatTakesTheServerAlongBecomesADeadLetter() throws {
        try sql("INSERT INTO items VALUES (1, 0), (2, 0); UPDATE items SET v = 1 WHERE id = 1")
        var deliveries: [Int] = []
        for _ in 0..<2 {
            let server = try program.start("run")
            let client = HTTPClient(port: try server.waitForListener(), fields: ["Content-Type: application/json"])
            let body = #"{"ack_timeout": "1s", "max_deliveries": 2, "max_in_flight": 1}"#
            try server.wait(for: "the poison") {
                guard try client.ask("PUT", "/v1/subscriptions/jobs", body).status / 100 == 2 else { return false }
                let answer = try client.ask("POST", "/v1/subscriptions/jobs/pull", #"{"max": 1, "wait": "1s"}"#)
                let items = answer.object["events"] as? [[String: Any]] ?? []
                for item in items where item["offset"] as? Int == 0 { deliveries.append(item["delivery"] as? Int ?? 0) }
                return !items.isEmpty
            }
            server.kill()
        }
        #expect(deliveries == [1, 2])
        let server = try program.start("run")
        let client = HTTPClient(port: try server.waitForListener(), fields: ["Content-Type: application/json"])
        var letters = ""
        try server.wait(for: "a dead letter") {
            letters = try client.ask("GET", "/v1/subscriptions/jobs/deadletters").body
            return letters.contains("offset")
        }
        #expect(letters == #"{"deadletters":[{"offset":0,"deliveries":2}]}"#)
        let next = try client.ask("POST", "/v1/subscriptions/jobs/pull", #"{"max": 5}"#)
        #expect(next.body.contains(#""offset":1,"#), "the next events go on: \(next.body)")
        server.send(SIGTERM)
        _ = try server.finish()
    }
}

/// What consumers got, in the order in which they got it.
private struct Ledger {
    struct Event {
        var id: String
        var keys: Set<String>

        init(_ line: Substring) throws {
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] ?? [:]
            self.init(object)
        }

        init(_ object: [String: Any]) {
            id = object["id"] as? String ?? ""
            let data = object["data"] as? [String: Any] ?? [:]
            keys = Set(
                [data["key"], data["previous_key"]].compactMap { ($0 as? [String: Any])?["id"] as? Int }
                    .map(String.init))
        }
    }

    let ackTime: Duration
    /// When each event was first given out: its turn.
    private var turns: [String: Int] = [:]
    private var held: [String: ContinuousClock.Instant] = [:]
    /// What was acknowledged, and the server said so.
    private(set) var acknowledged: Set<String> = []

    init(ackTime: Duration) { self.ackTime = ackTime }

    var delivered: Set<String> { Set(turns.keys) }

    /// An event came, to an answer that was asked for then: its time began no earlier.
    mutating func take(_ event: Event, askedAt: ContinuousClock.Instant) throws {
        if let until = held[event.id], ContinuousClock.now < until {
            throw ChildFailure(description: "\(event.id) is with two consumers")
        }
        if acknowledged.contains(event.id) {
            throw ChildFailure(description: "\(event.id) came again after it was acknowledged")
        }
        held[event.id] = askedAt + ackTime
        if turns[event.id] == nil { turns[event.id] = turns.count }
    }

    mutating func giveBack(_ id: String) { held[id] = nil }
    mutating func acknowledge(_ id: String) { acknowledged.insert(id) }

    /// Of two events with a key in common, the earlier one was given out first.
    func checkOrder(_ log: [Event], _ seed: UInt64) throws {
        var last: [String: (id: String, turn: Int)] = [:]
        for event in log {
            let turn = turns[event.id] ?? -1
            for key in event.keys {
                if let before = last[key] {
                    #expect(before.turn < turn, "\(event.id) came before \(before.id) (seed \(seed))")
                }
                last[key] = (event.id, turn)
            }
        }
    }
}

/// Some consumers of one subscription, each with what it holds.
private final class ConsumersAtWork {
    private let client: HTTPClient
    private var hands: [[(receipt: String, id: String)]] = Array(repeating: [], count: 4)
    /// False once the server does not answer any more.
    private(set) var isAnswered = true

    init(port: Int) { client = HTTPClient(port: port, fields: ["Content-Type: application/json"]) }

    private func ask(_ path: String, _ body: String) throws -> [String: Any]? {
        guard let answer = try? client.ask("POST", "/v1/subscriptions/jobs/" + path, body) else {
            isAnswered = false
            return nil
        }
        guard answer.status == 200 else {
            throw ChildFailure(description: "\(path): \(answer.status) \(answer.body)")
        }
        return answer.object
    }

    /// False while the server starts.
    func put(ackSeconds: Int) throws -> Bool {
        let body = #"{"tables": ["items"], "ack_timeout": "\#(ackSeconds)s", "max_deliveries": 0}"#
        let answer = try client.ask("PUT", "/v1/subscriptions/jobs", body)
        if answer.status == 503 { return false }
        guard answer.status / 100 == 2 else { throw ChildFailure(description: answer.body) }
        return true
    }

    func step(_ ledger: inout Ledger, _ random: inout SeededGenerator) throws {
        let hand = hands.indices.randomElement(using: &random) ?? 0
        switch (Int.random(in: 0..<10, using: &random), hands[hand].first) {
        case (0..<4, _), (_, nil): try pull(hand, Int.random(in: 1...5, using: &random), &ledger)
        case (4..<8, let item?): try settle("ack", item, hand, &ledger)
        case (8, let item?): try settle("nack", item, hand, &ledger)
        // The consumer dies, and another one takes its place.
        default: hands[hand] = []
        }
    }

    private func pull(_ hand: Int, _ count: Int, _ ledger: inout Ledger) throws {
        let now = ContinuousClock.now
        let answer = try ask("pull", #"{"max": \#(count)}"#)
        for item in answer?["events"] as? [[String: Any]] ?? [] {
            let event = Ledger.Event(item["event"] as? [String: Any] ?? [:])
            try ledger.take(event, askedAt: now)
            hands[hand].append((item["receipt"] as? String ?? "", event.id))
        }
    }

    private func settle(
        _ word: String, _ item: (receipt: String, id: String), _ hand: Int, _ ledger: inout Ledger
    ) throws {
        hands[hand].removeFirst()
        let answer = try ask(word, #"{"receipts": ["\#(item.receipt)"]}"#)
        if word == "ack", answer?["done"] as? Int == 1 { ledger.acknowledge(item.id) }
        // What it was told nothing about may have been handed back or not.
        if word == "nack", answer == nil || answer?["done"] as? Int == 1 { ledger.giveBack(item.id) }
    }

    func drain(_ ledger: inout Ledger) throws {
        for hand in hands.indices {
            try pull(hand, 50, &ledger)
            for item in hands[hand] { try settle("ack", item, hand, &ledger) }
        }
    }

    func isDone() throws -> Bool {
        guard let answer = try? client.ask("GET", "/v1/subscriptions/jobs") else { return false }
        return answer.object["lag_events"] == 0 as NSNumber
    }
}
