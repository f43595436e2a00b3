import Foundation
import JSONText
import ProgramTesting
import Testing

/// `/v1/events` of `millrace run`.
@Suite(.serialized)
struct EventStreamTests {
    private let program: MillraceProgram

    init() throws {
        program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  sqlite: {path: shop.db}
                server: {listen: "127.0.0.1:0", heartbeat: 1s}
                log: {retention: {age: 1s, size: 1GiB}}
                """)
        try sql(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT); CREATE TABLE stock (id INTEGER PRIMARY KEY)")
    }

    private func sql(_ statements: String) throws { try program.sqlite("shop.db", statements) }

    private func run() throws -> (ChildProcess, HTTPClient) {
        // The tables are read while they are empty: a row that is written meanwhile may be told twice.
        #expect(try program.run("run", "--until-caught-up").exitCode == 0)
        let process = try program.start("run")
        let client = HTTPClient(port: try process.waitForListener())
        try process.waitForError(containing: "capturing")
        return (process, client)
    }

    /// The lines of an answer that ends, once there are so many.
    private func lines(_ client: HTTPClient, _ query: String, _ count: Int, _ process: ChildProcess) throws
        -> [Substring]
    {
        var lines: [Substring] = []
        try process.wait(for: "\(count) lines") {
            let answer = try client.ask("GET", "/v1/events" + query)
            guard answer.status == 200 else { return false }
            lines = try unchunked(answer.body).split(separator: "\n")
            return lines.count == count
        }
        return lines
    }

    @Test func linesAreWhatTailPrints() throws {
        let (process, client) = try run()
        try sql("INSERT INTO orders VALUES (1, 'new'), (2, 'new'); INSERT INTO stock VALUES (7)")
        let all = try lines(client, "", 3, process)
        #expect(all.joined(separator: "\n") + "\n" == (try program.run("tail").output))
        for (query, arguments) in [
            ("?tables=orders", ["orders"]), ("?tables=main.st*,nothing", ["stock"]),
            ("?format=row", ["--format", "row"]),
            ("?from=1", ["--from", "1"]), ("?from=latest", ["--from", "latest"]),
            ("?from=2020-01-01T00:00:00%2B02:00&tables=main.*", ["--from", "2019-12-31T22:00:00Z"]),
        ] {
            let answer = try unchunked(try client.ask("GET", "/v1/events" + query).body)
            let tail = try runProgram(MillraceProgram.executable, ["tail"] + arguments, folder: program.folder.url)
            #expect(answer == tail.output, "\(query)")
        }
        let limited = try unchunked(try client.ask("GET", "/v1/events?limit=1&places=true").body)
        #expect(limited.hasPrefix(#"{"place":"0."#) && limited.contains(#","offset":0,"event":{"specversion""#))
        #expect(limited.split(separator: "\n").count == 1)
        process.send(SIGTERM)
        #expect(try process.finish().exitCode == 143)
    }

    @Test func recordsOfDebeziumAreAnArrayForEachEvent() throws {
        let (process, client) = try run()
        try sql("INSERT INTO orders VALUES (1, 'new'); UPDATE orders SET id = 2; DELETE FROM orders")
        let all = try lines(client, "?format=debezium", 3, process)
        let events = try all.map { try #require(try JSONValue(parsing: String($0)).array) }
        #expect(events.map { $0.map { $0["value"]?["op"]?.string } } == [["c"], ["d", nil, "c"], ["d", nil]])
        #expect(events.joined().allSatisfy { $0["topic"]?.string == "shop.main.orders" })
        #expect(events.joined().map { $0["key"]?["id"]?.compactText } == ["1", "1", "1", "2", "2", "2"])
        #expect(events[0][0]["value"]?["source"]?["db"]?.string == "main")
        let tail = try program.run("tail", "--format", "debezium").output.split(separator: "\n")
            .map { try JSONValue(parsing: String($0)) }
        #expect(tail.count == 6)
        for (mine, theirs) in zip(events.joined(), tail) {
            for member in ["topic", "key", "headers"] { #expect(mine[member] == theirs[member]) }
            for member in ["before", "after", "source", "transaction", "op"] {
                #expect(mine["value"]?[member] == theirs["value"]?[member], "\(member)")
            }
        }
        let limited = try unchunked(try client.ask("GET", "/v1/events?format=debezium&from=1&limit=1").body)
        #expect(try JSONValue(parsing: limited).array?.count == 3, "the three records of the change of the key")
        #expect(try client.ask("PUT", "/v1/subscriptions/lake", #"{"format": "debezium"}"#).status == 201)
        let pulled = try JSONValue(
            parsing: try unchunked(try client.ask("POST", "/v1/subscriptions/lake/pull", #"{"wait": "20s"}"#).body))
        let pulledEvents = pulled["events"]?.array ?? []
        #expect(!pulledEvents.isEmpty && pulledEvents[0]["event"]?.array?.count == 1, "\(pulled.compactText)")
        process.send(SIGTERM)
        #expect(try process.finish().exitCode == 143)
    }

    @Test func whatMakesNoSenseIsRefused() throws {
        let (process, client) = try run()
        for query in [
            "table=orders", "from=yesterday", "limit=0", "limit=x", "format=xml", "format=csv", "tables=a,,b",
            "tables=",
            "follow=maybe",
            "from=1&from=2",
        ] {
            let answer = try client.ask("GET", "/v1/events?" + query)
            #expect(answer.status == 400 && answer.errorCode == 400, "\(query): \(answer.body)")
        }
        #expect(try client.ask("GET", "/v1/events", fields: ["Last-Event-ID: 17"]).status == 400)
        let ahead = try client.ask("GET", "/v1/events?from=1000")
        #expect(ahead.status == 409 && ahead.object["code"] == "events.not_in_log" as NSString, "\(ahead.body)")
        #expect(try client.ask("POST", "/v1/events", "{}").status == 405)
        process.send(SIGTERM)
        _ = try process.finish()
    }

    @Test func aStreamOfEventsGoesOnBehindTheLastOne() throws {
        let (process, client) = try run()
        try sql("INSERT INTO orders VALUES (1, 'new'), (2, 'new')")
        let first = try EventSource(client, "/v1/events?from=earliest")
        let events = try first.events(2)
        #expect(events.map(\.type) == ["main.orders.insert", "main.orders.insert"])
        #expect(events.map { $0.object["subject"] as? String } == ["1", "2"])
        try sql("INSERT INTO orders VALUES (3, 'new'); INSERT INTO stock VALUES (1)")
        let second = try EventSource(client, "/v1/events", last: events[0].id)
        #expect(try second.events(3).map { $0.object["subject"] as? String } == ["2", "3", "1"])
        #expect(try first.events(2).map(\.type) == ["main.orders.insert", "main.stock.insert"])
        let plain = try EventSource(client, "/v1/events?tables=stock&types=false")
        #expect(try plain.events(1).map(\.type) == ["message"])
        process.send(SIGTERM)
        #expect(try first.rest().hasSuffix(": the server ends the stream\n\n"), "a clean end, not a cut")
        #expect(try process.finish().exitCode == 143)
    }

    @Test func signsOfLifeTellWhatNeedNotBeReadAgain() throws {
        let (process, client) = try run()
        try sql("INSERT INTO orders VALUES (1, 'new')")
        let source = try EventSource(client, "/v1/events?tables=stock")
        let sign = try source.text(until: "id: ")
        #expect(sign.contains(": still here\n") && !sign.contains("data:"), "\(sign)")
        process.send(SIGTERM)
        _ = try process.finish()
    }

    @Test func anEventOfAnotherLogIsNotTakenForTheLastOne() throws {
        let (process, client) = try run()
        try sql("INSERT INTO orders VALUES (1, 'new'), (2, 'new')")
        _ = try lines(client, "", 2, process)
        let answer = try client.ask(
            "GET", "/v1/events", fields: ["Accept: text/event-stream", "Last-Event-ID: 0.FFFF.0"])
        #expect(answer.status == 409 && answer.object["code"] == "events.other_log" as NSString, "\(answer.body)")
        process.send(SIGTERM)
        _ = try process.finish()
    }

    @Test func whatRetentionRemovedIsSaidWithTheEarliestOffset() throws {
        let (process, client) = try run()
        try sql("INSERT INTO orders VALUES (1, 'new'), (2, 'new')")
        let places = try lines(client, "?places=true", 2, process)
        try process.wait(for: "the end of the old events") { try client.ask("GET", "/v1/events?from=0").status == 410 }
        let answer = try client.ask("GET", "/v1/events?from=1")
        #expect(answer.status == 410 && answer.object["code"] == "log.retained_away" as NSString, "\(answer.body)")
        #expect(answer.object["earliest"] as? Int == 2 && answer.body.contains("from=earliest"), "\(answer.body)")
        // Who has the newest of those that are gone misses nothing.
        for (line, status) in zip(places, [410, 200]) {
            let id = try #require(line.split(separator: "\"").dropFirst(3).first)
            #expect(try client.ask("GET", "/v1/events", fields: ["Last-Event-ID: \(id)"]).status == status, "\(id)")
        }
        process.send(SIGTERM)
        _ = try process.finish()
    }

    @Test func aServerOfSchemasSaysThatItHasNoLog() throws {
        let process = try program.start("schema", "serve")
        let client = HTTPClient(port: try process.waitForListener())
        for target in ["/v1/events", "/v1/subscriptions/mine"] {
            let answer = try client.ask("GET", target)
            #expect(answer.status == 404 && answer.body.contains("millrace run"), "\(answer.body)")
        }
        process.send(SIGTERM)
        _ = try process.finish()
    }
}

/// The body of an answer in chunks; another one as it is.
private func unchunked(_ body: String) throws -> String {
    var (text, rest) = ("", body[...])
    while let end = rest.utf8.firstRange(of: "\r\n".utf8), let count = Int(rest[..<end.lowerBound], radix: 16) {
        let begin = end.upperBound
        let stop = rest.utf8.index(begin, offsetBy: count)
        text += rest[begin..<stop]
        if count == 0 { return text }
        rest = rest[rest.utf8.index(stop, offsetBy: 2)...]
    }
    return body
}

/// A client of server-sent events, as the specification has it: fields in lines, an empty line behind each event.
private final class EventSource {
    struct Event {
        var id = ""
        var type = "message"
        var data = ""

        var object: [String: Any] {
            (try? JSONSerialization.jsonObject(with: Data(data.utf8))) as? [String: Any] ?? [:]
        }
    }

    private let connection: HTTPConnection
    private var raw: [UInt8] = []
    private var hasHead = false
    private var unread = ""

    init(_ client: HTTPClient, _ target: String, last: String? = nil) throws {
        connection = try HTTPConnection(port: client.port)
        let fields = last.map { "Last-Event-ID: \($0)\r\n" } ?? ""
        connection.send(
            "GET \(target) HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\(fields)\r\n")
    }

    /// The next events.
    func events(_ count: Int) throws -> [Event] {
        var events: [Event] = []
        while events.count < count {
            let block = try text(until: "\n\n")
            var event = Event()
            for line in block.split(separator: "\n") where !line.hasPrefix(":") {
                let sides = line.split(separator: ":", maxSplits: 1)
                let value = String(sides[1].dropFirst())
                switch sides[0] {
                case "id": event.id = value
                case "event": event.type = value
                case "data": event.data += value
                default: throw ChildFailure(description: "the field \(line)")
                }
            }
            if !event.data.isEmpty { events.append(event) }
        }
        return events
    }

    /// Everything up to some text, which it waits for.
    func text(until end: String) throws -> String {
        while true {
            if let range = unread.firstRange(of: end) {
                let text = unread[..<range.upperBound]
                unread = String(unread[range.upperBound...])
                return String(text)
            }
            guard try read() else { throw ChildFailure(description: "the stream ended: \(unread)") }
        }
    }

    /// What is left when the stream ends.
    func rest() throws -> String {
        while try read() {}
        return unread
    }

    /// False at the end of the stream.
    private func read() throws -> Bool {
        raw += try connection.receive()
        if !hasHead {
            guard let end = raw.firstRange(of: Array("\r\n\r\n".utf8)) else {
                return try !raw.isEmpty && read()
            }
            let head = String(decoding: raw[..<end.lowerBound], as: UTF8.self)
            guard head.hasPrefix("HTTP/1.1 200"), head.contains("text/event-stream") else {
                throw ChildFailure(description: head)
            }
            raw = Array(raw[end.upperBound...])
            hasHead = true
        }
        while let line = raw.firstRange(of: [0x0D, 0x0A]) {
            guard let count = Int(String(decoding: raw[..<line.lowerBound], as: UTF8.self), radix: 16) else {
                throw ChildFailure(description: "no chunk: \(String(decoding: raw, as: UTF8.self))")
            }
            if count == 0 { return false }
            guard raw.count >= line.upperBound + count + 2 else { break }
            unread += String(decoding: raw[line.upperBound..<line.upperBound + count], as: UTF8.self)
            raw = Array(raw[(line.upperBound + count + 2)...])
        }
        return true
    }
}
