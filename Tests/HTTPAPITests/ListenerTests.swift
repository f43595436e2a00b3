import ConnectorKit
import JSONText
import Logging
import ProgramTesting
import Testing

@testable import HTTPAPI

/// The listener against clients that mean no good, with bounds small enough to reach.
@Suite(.serialized)
struct ListenerTests {
    /// A listener that answers `/echo` with the length of the body and `/wait` when it is told to.
    private final class Workplace: Sendable {
        let listener: HTTPListener
        let gate: AsyncStream<Void>.Continuation
        /// Tells of each request to `/wait` that is being answered.
        let arrivals: AsyncStream<Void>

        init(port: Int = 0, _ change: (inout ListenerLimits) -> Void = { _ in }) {
            var limits = ListenerLimits()
            limits.lingerTime = .milliseconds(200)
            change(&limits)
            let (waits, gate) = AsyncStream.makeStream(of: Void.self)
            self.gate = gate
            let (arrivals, arrival) = AsyncStream.makeStream(of: Void.self)
            self.arrivals = arrivals
            let routes = [
                Route(.get, "echo") { _, _ in APIReply(["bytes": 0]) },
                Route(.post, "echo") { request, _ in APIReply(["bytes": .number(JSONNumber(request.body.count))]) },
                Route(.get, "wait") { _, _ in
                    arrival.yield()
                    for await _ in waits {}
                    return APIReply(["waited": true])
                },
                Route(.get, "large") { _, _ in
                    APIReply(text: String(repeating: "x", count: 64 << 20), contentType: "text/plain")
                },
            ]
            listener = HTTPListener(
                host: "127.0.0.1", port: port, token: nil, routes: RouteTable(routes), limits: limits,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }
    }

    private let request = "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"

    @Test func manyRequestsGoOverOneConnection() async throws {
        let place = Workplace()
        let connection = try HTTPConnection(port: try await place.listener.start())
        for _ in 0..<3 {
            connection.send(request)
            #expect(try connection.receiveAnswer().status == 200)
        }
        connection.send(
            "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        #expect(try connection.receiveAnswer().body == #"{"bytes":3}"#)
        connection.send("HEAD /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        let head = String(decoding: try connection.receiveAll(), as: UTF8.self)
        #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n") && head.hasSuffix("\r\n\r\n"))
        #expect(head.lowercased().contains("content-length: 11\r\n"))
        #expect(place.listener.replyCounts == [2: 5])
        await place.listener.stop(within: .seconds(60))
    }

    @Test func aHeadThatComesTooSlowlyEndsTheConnection() async throws {
        let place = Workplace { $0.idleTime = .milliseconds(300) }
        let port = try await place.listener.start()
        let silent = try HTTPConnection(port: port)
        let slow = try HTTPConnection(port: port)
        slow.send("GET /echo HTTP/1.1\r\nX-A: ")
        #expect(try silent.receiveAll().isEmpty)
        while slow.send("a") {}
        await place.listener.stop(within: .seconds(60))
    }

    @Test func aBodyThatComesTooSlowlyEndsTheConnection() async throws {
        let place = Workplace { $0.exchangeTime = .milliseconds(300) }
        let connection = try HTTPConnection(port: try await place.listener.start())
        connection.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
        while connection.send("a") {}
        await place.listener.stop(within: .seconds(60))
    }

    @Test func anAnswerThatNobodyTakesEndsTheConnection() async throws {
        let place = Workplace { $0.exchangeTime = .milliseconds(300) }
        let connection = try HTTPConnection(port: try await place.listener.start())
        connection.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        // Stopping lets exchanges end: that it comes back before its patience does means that this one has.
        await place.listener.stop(within: .seconds(3600))
        #expect(try connection.receiveAll().count < 64 << 20)
    }

    @Test func aBodyThatIsTooLongIsRefusedWithoutBeingHeld() async throws {
        let place = Workplace { $0.bodyBytesMax = 1000 }
        let client = HTTPClient(port: try await place.listener.start())
        #expect(try client.ask("POST", "/echo", String(repeating: "a", count: 1000)).body == #"{"bytes":1000}"#)
        #expect(try client.ask("POST", "/echo", String(repeating: "a", count: 1001)).status == 413)
        // Without a length it is refused where it goes too far, and a client that sends on for ever is cut off.
        let connection = try HTTPConnection(port: client.port)
        connection.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        let chunk = "400\r\n" + String(repeating: "a", count: 1024) + "\r\n"
        connection.send(chunk)
        #expect(try connection.receiveAnswer().status == 413)
        while connection.send(chunk) {}
        await place.listener.stop(within: .seconds(60))
    }

    @Test func bodiesTogetherAreBoundedToo() async throws {
        let place = Workplace {
            $0.bodyBytesMax = 1000
            $0.bodiesBytesMax = 1500
        }
        let client = HTTPClient(port: try await place.listener.start())
        let first = try HTTPConnection(port: client.port)
        first.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
        #expect(String(decoding: try first.receive(), as: UTF8.self).hasPrefix("HTTP/1.1 100 "))
        let refused = try client.ask("POST", "/echo", String(repeating: "a", count: 501))
        #expect(refused.status == 503 && refused.fields["retry-after"] == "1")
        #expect(try client.ask("POST", "/echo", String(repeating: "a", count: 500)).status == 200)
        first.send(String(repeating: "a", count: 1000))
        #expect(try first.receiveAnswer().status == 200)
        #expect(try client.ask("POST", "/echo", String(repeating: "a", count: 1000)).status == 200)
        await place.listener.stop(within: .seconds(60))
    }

    @Test func headsThatAreTooLargeOrNoHTTPAreRefused() async throws {
        let place = Workplace { $0.lingerTime = .seconds(1) }
        let port = try await place.listener.start()
        for head in [
            "GET /echo HTTP/1.1\r\nX-A: " + String(repeating: "a", count: 100_000) + "\r\n\r\n",
            "GET /" + String(repeating: "a", count: 100_000) + " HTTP/1.1\r\n\r\n",
            "GET /echo HTTP/1.1\r\n" + String(repeating: "X-A: a\r\n", count: 5000) + "\r\n",
            "nonsense\r\n\r\n", "\u{16}\u{3}\u{1}\r\n\r\n", "GET /echo HTTP/1.1\r\nX A: b\r\n\r\n",
            "POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "POST /echo HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
            "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        ] {
            let connection = try HTTPConnection(port: port)
            connection.send(head)
            let answer = String(decoding: try connection.receiveAll(), as: UTF8.self)
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 4"), "\(head.prefix(40)): \(answer.prefix(80))")
        }
        #expect(try HTTPClient(port: port).ask("GET", "/echo").status == 200)
        await place.listener.stop(within: .seconds(60))
    }

    @Test func connectionsBeyondTheBoundWaitForOthersToEnd() async throws {
        let place = Workplace { $0.connectionCountMax = 4 }
        let port = try await place.listener.start()
        var held: [HTTPConnection] = []
        for _ in 0..<4 {
            let connection = try HTTPConnection(port: port)
            connection.send(request)
            #expect(try connection.receiveAnswer().status == 200)
            held.append(connection)
        }
        let fifth = try HTTPConnection(port: port)
        fifth.send(request)
        held.removeFirst()
        #expect(try fifth.receiveAnswer().status == 200)
        held = []
        await place.listener.stop(within: .seconds(60))
    }

    @Test func aSecondListenerOnThePortIsToldSo() async throws {
        let place = Workplace()
        let port = try await place.listener.start()
        let failure = await #expect(throws: ConnectorFailure.self) { try await Workplace(port: port).listener.start() }
        #expect(failure?.code == "http.address_in_use" && failure?.message.contains("\(port)") == true)
        await place.listener.stop(within: .seconds(60))
        // The port is free again at once.
        let next = Workplace(port: port)
        #expect(try await next.listener.start() == port)
        await next.listener.stop(within: .seconds(60))
    }

    @Test func stoppingLetsARequestEndAndClosesIdleConnections() async throws {
        let place = Workplace()
        let port = try await place.listener.start()
        let idle = try HTTPConnection(port: port)
        idle.send(request)
        #expect(try idle.receiveAnswer().status == 200)
        let busy = try HTTPConnection(port: port)
        busy.send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for await _ in place.arrivals { break }
        let stopping = Task { await place.listener.stop(within: .seconds(60)) }
        #expect(try idle.receiveAll().isEmpty)
        #expect(throws: ChildFailure.self) { try HTTPConnection(port: port) }
        place.gate.finish()
        #expect(try busy.receiveAnswer().body == #"{"waited":true}"#)
        await stopping.value
    }

    @Test func stoppingDoesNotWaitForEver() async throws {
        let place = Workplace()
        let busy = try HTTPConnection(port: try await place.listener.start())
        busy.send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for await _ in place.arrivals { break }
        await place.listener.stop(within: .milliseconds(200))
        place.gate.finish()
    }
}
