import Foundation
import ProgramTesting
import Testing

/// `/v1/subscriptions` of `millrace run`: durable cursors with competing consumers.
@Suite(.serialized)
struct SubscriptionTests {
    private let program: MillraceProgram

    init() throws {
        program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db}
                server: {listen: "127.0.0.1:0", subscriptions: 3}
                log: {retention: {age: 1s, size: 1GiB}}
                """)
        try sql(
            """
            CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT);
            CREATE TABLE stock (id INTEGER PRIMARY KEY, secret TEXT)
            """)
    }

    private func sql(_ statements: String) throws { try program.sqlite("shop.db", statements) }

    private func run() throws -> (ChildProcess, Consumer) {
        let process = try program.start("run")
        let client = HTTPClient(port: try process.waitForListener(), fields: ["Content-Type: application/json"])
        try process.waitForError(containing: "capturing")
        return (process, Consumer(client: client))
    }

    @Test func eventsArePulledAndAcknowledgedInTheOrderOfTheirKeys() throws {
        let (process, consumer) = try run()
        try sql("INSERT INTO orders VALUES (1, 'new'), (2, 'new'); INSERT INTO stock VALUES (1, 'x')")
        try sql("UPDATE orders SET status = 'paid' WHERE id = 1")
        #expect(try consumer.put(#"{"tables": ["orders"]}"#).status == 201)
        #expect(try consumer.put(#"{"tables": ["orders"], "max_in_flight": 10}"#).status == 200, "its settings change")
        let first = try consumer.pull(2)
        #expect(first.map(\.subject) == ["1", "2"] && first.map(\.delivery) == [1, 1])
        #expect(try consumer.pull(5).isEmpty, "the update waits for the row that it changes")
        #expect(try consumer.settle("ack", [first[0].receipt]) == 1)
        let second = try consumer.pull(1)
        #expect(second.map(\.type) == ["main.orders.update"])
        #expect(try consumer.settle("nack", [first[1].receipt, second[0].receipt]) == 2)
        let again = try consumer.pull(2)
        #expect(again.map(\.delivery) == [2, 2])
        #expect(try consumer.settle("ack", again.map(\.receipt) + [first[1].receipt]) == 3, "acknowledged is done")
        let status = try consumer.client.ask("GET", "/v1/subscriptions/jobs").object
        #expect(status["lag_events"] == 0 as NSNumber && status["cursor"] == 4 as NSNumber, "\(status)")
        #expect(status["acknowledged"] == 3 as NSNumber && status["delivered"] == 5 as NSNumber, "\(status)")
        #expect(try program.run("status").output.contains("consumer  jobs: cursor 4, up to date"))
        process.send(SIGTERM)
        #expect(try process.finish().exitCode == 143)
    }

    @Test func aPullWaitsForEventsAndEndsWithTheProgram() throws {
        let (process, consumer) = try run()
        #expect(try consumer.put(#"{"from": "latest"}"#).status == 201)
        let waiting = try consumer.begin(#"{"wait": "30s"}"#)
        try sql("INSERT INTO orders VALUES (1, 'new')")
        #expect(try waiting.receiveAnswer().body.contains("main.orders.insert"))
        let blocked = try consumer.begin(#"{"wait": "30s"}"#)
        try process.wait(for: "the event to be in flight") {
            try consumer.client.ask("GET", "/v1/subscriptions/jobs").object["in_flight"] == 1 as NSNumber
        }
        process.send(SIGTERM)
        #expect(try blocked.receiveAnswer().body == #"{"events":[]}"#)
        #expect(try process.finish().exitCode == 143)
    }

    @Test func whatAConsumerHasOutlivesAKillOfTheServer() throws {
        var (process, consumer) = try run()
        try sql("INSERT INTO orders VALUES (1, 'new'), (2, 'new'), (3, 'new')")
        _ = try consumer.put(#"{"ack_timeout": "1h"}"#)
        var held: [Consumer.Item] = []
        try process.wait(for: "events") {
            held += try consumer.pull(3 - held.count)
            return held.count == 3
        }
        #expect(try consumer.settle("ack", [held[1].receipt]) == 1)
        process.send(SIGKILL)
        _ = try process.finish()
        (process, consumer) = try run()
        #expect(try consumer.pull(10).isEmpty, "two are with a consumer still, one is acknowledged")
        #expect(try consumer.settle("nack", [held[0].receipt]) == 1)
        #expect(try consumer.pull(10).map(\.delivery) == [2])
        #expect(try consumer.settle("ack", [held[2].receipt, held[0].receipt]) == 1, "the other one was given anew")
        process.send(SIGTERM)
        _ = try process.finish()
    }

    @Test func whatNobodyManagesIsADeadLetterUntilItIsRetried() throws {
        let (process, consumer) = try run()
        try sql("INSERT INTO orders VALUES (1, 'bad'); UPDATE orders SET status = 'good'")
        _ = try consumer.put(#"{"max_deliveries": 2}"#)
        for delivery in 1...2 {
            var item: Consumer.Item?
            try process.wait(for: "delivery \(delivery)") {
                item = try consumer.pull(1).first
                return item != nil
            }
            #expect(item?.type == "main.orders.insert" && item?.delivery == delivery)
            #expect(try consumer.settle("nack", [item?.receipt ?? ""]) == 1)
        }
        #expect(try consumer.pull(5).map(\.type) == ["main.orders.update"], "later events of the key go on")
        let letters = try consumer.ask("GET", "/deadletters").body
        #expect(letters == #"{"deadletters":[{"offset":0,"deliveries":2}]}"#)
        #expect(try program.run("status").output.contains("1 dead letter: GET /v1/subscriptions/jobs/deadletters"))
        let list = try program.run("deadletters", "list").output
        #expect(list.hasPrefix("subscription jobs: 1 change waiting\n"), "\(list)")
        let metrics = try consumer.client.ask("GET", "/metrics").body
        #expect(metrics.contains("\nmillrace_subscription_dead_letters{subscription=\"jobs\"} "), "\(metrics)")
        #expect(try consumer.ask("POST", "/deadletters/retry", "{}").body == #"{"retried":1}"#)
        #expect(try consumer.pull(5).isEmpty, "behind the event of its key that is out")
        #expect(try consumer.ask("POST", "/deadletters/discard", #"{"offsets": [0]}"#).body == #"{"discarded":0}"#)
        process.send(SIGTERM)
        _ = try process.finish()
    }

    @Test func aSubscriptionIsMovedBackAndForth() throws {
        let (process, consumer) = try run()
        try sql("INSERT INTO orders VALUES (1, 'new'), (2, 'new'), (3, 'new')")
        _ = try consumer.put("{}")
        var held: [Consumer.Item] = []
        try process.wait(for: "events") {
            held += try consumer.pull(3 - held.count)
            return held.count == 3
        }
        #expect(try consumer.settle("ack", held.map(\.receipt)) == 3)
        let moved = try consumer.ask("POST", "/seek", #"{"from": 1}"#)
        #expect(moved.status == 200 && moved.object["cursor"] == 1 as NSNumber, "\(moved.body)")
        #expect(moved.object["acknowledged"] == 3 as NSNumber, "what was done stays counted")
        let again = try consumer.pull(9)
        #expect(again.map(\.offset) == [1, 2] && again.map(\.delivery) == [1, 1])
        #expect(try consumer.settle("ack", held.map(\.receipt)) == 0, "receipts from before are stale")
        #expect(try consumer.ask("POST", "/seek", #"{"from": "latest"}"#).status == 200)
        #expect(try consumer.pull(9).isEmpty)
        #expect(try consumer.ask("POST", "/seek", #"{"from": 1000}"#).status == 409)
        #expect(try consumer.ask("POST", "/seek", "{}").status == 400)
        #expect(try consumer.client.ask("POST", "/v1/subscriptions/none/seek", #"{"from": 0}"#).status == 404)
        process.send(SIGTERM)
        _ = try process.finish()
    }

    @Test func whatMakesNoSenseIsRefused() throws {
        let (process, consumer) = try run()
        for body in [
            #"{"table": ["a"]}"#, #"{"tables": "a"}"#, #"{"tables": [""]}"#, #"{"format": "xml"}"#,
            #"{"clearance": 1}"#,
            #"{"ack_timeout": "30"}"#, #"{"ack_timeout": "13h"}"#, #"{"max_in_flight": 0}"#, #"{"from": "then"}"#, "[]",
            #"{"format": "row", "format": "row"}"#, "{",
        ] {
            let answer = try consumer.put(body)
            #expect(answer.status == 400 && answer.errorCode == 400, "\(body): \(answer.body)")
        }
        #expect(try consumer.put(#"{"clearance": "restricted"}"#).status == 403)
        #expect(try consumer.put(#"{"from": 1000}"#).status == 409)
        for name in ["Work", "1", "a.b", String(repeating: "a", count: 41)] {
            #expect(try consumer.client.ask("PUT", "/v1/subscriptions/\(name)", "{}").status == 400, "\(name)")
        }
        #expect(try consumer.ask("POST", "/pull", "{}").status == 404)
        for name in ["a", "b", "jobs"] {
            #expect(try consumer.client.ask("PUT", "/v1/subscriptions/\(name)", "{}").status == 201)
        }
        #expect(try consumer.client.ask("PUT", "/v1/subscriptions/c", "{}").status == 409, "three are enough")
        for (path, body) in [
            ("/pull", #"{"max": 0}"#), ("/pull", #"{"wait": 5}"#), ("/pull", #"{"most": 5}"#), ("/ack", "{}"),
            ("/ack", #"{"receipts": []}"#), ("/ack", #"{"receipts": ["x"]}"#), ("/extend", #"{"receipts": ["1-1-a"]}"#),
        ] {
            #expect(try consumer.ask("POST", path, body).status == 400, "\(path) \(body)")
        }
        #expect(try consumer.ask("POST", "/ack", #"{"receipts": ["1-1-a"]}"#).body == #"{"done":0,"stale":["1-1-a"]}"#)
        #expect(try consumer.ask("DELETE", "").status == 200)
        #expect(try consumer.ask("DELETE", "").status == 404)
        process.send(SIGTERM)
        _ = try process.finish()
    }
}

/// A client of the subscription `jobs`.
struct Consumer {
    /// What a pull gave.
    struct Item {
        var receipt: String
        var offset: UInt64
        var delivery: Int
        var type: String
        var subject: String
    }

    var client: HTTPClient

    func ask(_ method: String, _ path: String, _ body: String? = nil) throws -> HTTPAnswer {
        try client.ask(method, "/v1/subscriptions/jobs" + path, body)
    }

    func put(_ body: String) throws -> HTTPAnswer { try ask("PUT", "", body) }

    func pull(_ count: Int) throws -> [Item] {
        let answer = try ask("POST", "/pull", #"{"max": \#(count), "wait": "1s"}"#)
        guard answer.status == 200, let events = answer.object["events"] as? [[String: Any]] else {
            throw ChildFailure(description: "pull: \(answer.status) \(answer.body)")
        }
        return events.map { item in
            let event = item["event"] as? [String: Any] ?? [:]
            return Item(
                receipt: item["receipt"] as? String ?? "", offset: (item["offset"] as? NSNumber)?.uint64Value ?? 0,
                delivery: item["delivery"] as? Int ?? 0, type: event["type"] as? String ?? "",
                subject: event["subject"] as? String ?? "")
        }
    }

    /// How many receipts were taken.
    func settle(_ word: String, _ receipts: [String]) throws -> Int {
        let list = receipts.map { "\"\($0)\"" }.joined(separator: ",")
        let answer = try ask("POST", "/\(word)", #"{"receipts": [\#(list)]}"#)
        guard answer.status == 200, let count = answer.object["done"] as? Int else {
            throw ChildFailure(description: "\(word): \(answer.status) \(answer.body)")
        }
        return count
    }

    /// A pull whose answer is waited for elsewhere.
    func begin(_ body: String) throws -> HTTPConnection {
        let connection = try HTTPConnection(port: client.port)
        connection.send(
            "POST /v1/subscriptions/jobs/pull HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
                + body)
        return connection
    }
}
