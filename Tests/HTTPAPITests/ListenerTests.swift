import ConnectorKit
import Foundation
import JSONText
import Logging
import ProgramTesting
import Synchronization
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
        /// How many streams were ended.
        let ended = Ends()
        /// How many pieces of the flood were asked for.
        let flooded = Ends()

        /// A route whose answer has some pieces and then whatever is made.
        private static func stream(
            _ path: String, _ ended: Ends, _ pieces: [ReplyStream.Step] = [],
            _ then: @escaping @Sendable () async -> ReplyStream.Step
        ) -> Route {
            Route(.get, path) { _, _ in
                let rest = Mutex(pieces)
                let next: @Sendable () async -> ReplyStream.Step = {
                    if let piece = rest.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return piece }
                    return await then()
                }
                return APIReply(ReplyStream(next: next, end: { ended.add() }), contentType: "text/plain")
            }
        }

        init(port: Int = 0, _ change: (inout ListenerLimits) -> Void = { _ in }) {
            var limits = ListenerLimits()
            limits.lingerTime = .milliseconds(200)
            change(&limits)
            let (waits, gate) = AsyncStream.makeStream(of: Void.self)
            self.gate = gate
            let (arrivals, arrival) = AsyncStream.makeStream(of: Void.self)
            self.arrivals = arrivals
            let (ended, flooded) = (ended, flooded)
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
                Self.stream("stream", ended, [.piece(Array("abc".utf8))]) { .end },
                Self.stream("broken", ended, [.piece(Array("abc".utf8))]) { .broken },
                Self.stream("flood", ended) {
                    flooded.add()
                    return .piece([UInt8](repeating: 0x78, count: 1 << 20))
                },
                Route(.post, "wait") { _, _ in
                    arrival.yield()
                    for await _ in waits {}
                    return APIReply(["waited": true])
                },
                Self.stream("ticks", ended) {
                    var count = 0
                    while count < 1000, !Task.isCancelled {
                        await Task.yield()
                        count += 1
                    }
                    return Task.isCancelled ? .end : .piece(Array("tick".utf8))
                },
                Self.stream("silence", ended) {
                    arrival.yield()
                    for await _ in waits {}
                    return .end
                },
            ]
            listener = HTTPListener(
                host: "127.0.0.1", port: port, token: nil, routes: RouteTable(routes), limits: limits,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }
    }

    /// How many streams were ended.
    private final class Ends: Sendable {
        private let count = Mutex(0)
        private let (news, newsTeller) = AsyncStream.makeStream(of: Void.self)
        var value: Int { count.withLock { $0 } }

        func add() {
            count.withLock { $0 += 1 }
            newsTeller.yield()
        }

        /// Returns when a stream was ended.
        func waitForOne() async { for await _ in news { return } }
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
        let place = Workplace { $0.headTime = .milliseconds(300) }
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

    @Test func aRequestOfUnknownLengthThatWaitsHoldsOnlyWhatItSent() async throws {
        let place = Workplace { $0.bodiesBytesMax = $0.bodyBytesMax + 100 }
        let port = try await place.listener.start()
        let head = "HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        let waiting = try HTTPConnection(port: port)
        waiting.send("POST /wait " + head)
        for await _ in place.arrivals { break }
        let other = try HTTPConnection(port: port)
        other.send("POST /echo " + head)
        #expect(try other.receiveAnswer().body == #"{"bytes":3}"#)
        place.gate.finish()
        #expect(try waiting.receiveAnswer().body == #"{"waited":true}"#)
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
            #expect(
                answer.isEmpty || answer.hasPrefix("HTTP/1.1 4") || answer.hasPrefix("HTTP/1.1 501 "),
                "\(head.prefix(40)): \(answer.prefix(80))")
        }
        #expect(try HTTPClient(port: port).ask("GET", "/echo").status == 200)
        await place.listener.stop(within: .seconds(60))
    }

    @Test func connectionsBeyondTheBoundWaitForBusyOnesToEnd() async throws {
        let place = Workplace { $0.connectionCountMax = 4 }
        let port = try await place.listener.start()
        var busy: [HTTPConnection] = []
        for _ in 0..<4 {
            let connection = try HTTPConnection(port: port)
            connection.send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for await _ in place.arrivals { break }
            busy.append(connection)
        }
        let fifth = try HTTPConnection(port: port)
        fifth.send(request)
        place.gate.finish()
        #expect(try fifth.receiveAnswer().status == 200)
        for connection in busy { #expect(try connection.receiveAnswer().status == 200) }
        await place.listener.stop(within: .seconds(60))
    }

    /// Slow heads by the hundred are what an attack of the name Slowloris does.
    @Test func halfSentHeadsKeepNobodyOut() async throws {
        let place = Workplace {
            $0.connectionCountMax = 8
            $0.headTime = .seconds(3600)
            $0.idleTime = .seconds(3600)
        }
        let port = try await place.listener.start()
        let known = try HTTPConnection(port: port)
        known.send(request)
        #expect(try known.receiveAnswer().status == 200)
        var half: [HTTPConnection] = []
        for _ in 0..<20 {
            let connection = try HTTPConnection(port: port)
            connection.send("GET /echo HTTP/1.1\r\nX-A: ")
            half.append(connection)
            #expect(try HTTPClient(port: port).ask("GET", "/echo").status == 200)
        }
        #expect(try half[0].receiveAll().isEmpty, "the oldest was closed")
        known.send(request)
        #expect(try known.receiveAnswer().status == 200, "those who asked before stay longer")
        await place.listener.stop(within: .seconds(60))
    }

    @Test func aConnectionOfHTTP10EndsWithItsAnswer() async throws {
        let place = Workplace {
            $0.lingerTime = .seconds(3600)
            $0.idleTime = .seconds(3600)
        }
        let port = try await place.listener.start()
        for head in [
            "GET /echo HTTP/1.0\r\n\r\n", "GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Close\r\n\r\n",
        ] {
            let connection = try HTTPConnection(port: port)
            connection.send(head)
            let text = String(decoding: try connection.receiveAll(), as: UTF8.self)
            #expect(text.hasPrefix("HTTP/1.\(head.contains("1.0") ? 0 : 1) 200 "), "\(text)")
            #expect(text.lowercased().contains("\r\nconnection: close\r\n"), "\(text)")
            #expect(text.hasSuffix(#"{"bytes":0}"#))
        }
        await place.listener.stop(within: .seconds(1))
    }

    @Test func aStreamForHTTP10HasNoChunks() async throws {
        let place = Workplace()
        let connection = try HTTPConnection(port: try await place.listener.start())
        connection.send("GET /stream HTTP/1.0\r\n\r\n")
        let text = String(decoding: try connection.receiveAll(), as: UTF8.self)
        #expect(!text.lowercased().contains("transfer-encoding") && text.hasSuffix("\r\n\r\nabc"), "\(text)")
        await place.listener.stop(within: .seconds(60))
    }

    @Test func aRequestHasOneValidHost() async throws {
        let place = Workplace()
        let port = try await place.listener.start()
        for fields in [
            "", "Host: localhost\r\nHost: localhost\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: a,b@c\r\n",
        ] {
            let connection = try HTTPConnection(port: port)
            connection.send("GET /echo HTTP/1.1\r\n\(fields)\r\n")
            let answer = try #require(HTTPAnswer(try connection.receiveAll()), "\(fields)")
            #expect(answer.status == 400 && answer.errorCode == 400 && answer.body.contains("Host"), "\(fields)")
            #expect(answer.fields["connection"] == "close")
        }
        #expect(place.listener.replyCounts == [4: 5])
        await place.listener.stop(within: .seconds(60))
    }

    @Test func anUnknownMethodIsAProblemInJSON() async throws {
        let place = Workplace()
        let port = try await place.listener.start()
        for (head, status) in [
            ("BREW /echo HTTP/1.1\r\nHost: localhost\r\n\r\n", 501), ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501),
            ("nonsense\r\n\r\n", 501), ("GET /echo HTTP/1.1\r\nX A: b\r\n\r\n", 400),
        ] {
            let connection = try HTTPConnection(port: port)
            connection.send(head)
            let answer = try #require(HTTPAnswer(try connection.receiveAll()), "\(head)")
            #expect(answer.errorCode != nil && answer.fields["content-type"] == "application/json", "\(head)")
            #expect(answer.status == status, "\(head): \(answer.status)")
        }
        await place.listener.stop(within: .seconds(60))
    }

    @Test func whatIsRefusedComesBehindTheAnswersBeforeIt() async throws {
        let place = Workplace()
        let connection = try HTTPConnection(port: try await place.listener.start())
        connection.send(request + request + "GET /echo HTTP/1.1\r\n\r\n" + request)
        let text = String(decoding: try connection.receiveAll(), as: UTF8.self)
        let answers = text.split(separator: "HTTP/1.1 ").map { $0.prefix(3) }
        #expect(answers.prefix(3) == ["200", "200", "400"] && !text.hasSuffix(#"{"bytes":0}"#), "\(text)")
        await place.listener.stop(within: .seconds(60))
    }

    @Test func aStreamGoesOnBeyondTheTimeOfARequestAndEndsWithTheListener() async throws {
        let place = Workplace { $0.exchangeTime = .milliseconds(200) }
        let connection = try HTTPConnection(port: try await place.listener.start())
        connection.send("GET /ticks HTTP/1.1\r\nHost: localhost\r\n\r\n")
        var text = ""
        let begin = ContinuousClock.now
        while ContinuousClock.now - begin < .milliseconds(600) {
            text += String(decoding: try connection.receive(), as: UTF8.self)
        }
        #expect(text.contains("tick"))
        await place.listener.stop(within: .seconds(3600))
        text += String(decoding: try connection.receiveAll(), as: UTF8.self)
        #expect(text.hasSuffix("\r\n0\r\n\r\n"), "a whole answer")
        #expect(place.ended.value == 1)
    }

    @Test func aReaderThatTakesNothingIsCut() async throws {
        let place = Workplace { $0.stallTime = .milliseconds(300) }
        let port = try await place.listener.start()
        let connection = try HTTPConnection(port: port, receiveBuffer: 4096)
        connection.send("GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await place.ended.waitForOne()
        // The flood has no end. What it was asked for is being sent, or lies in the listener's own buffer, which the
        // kernel lets grow beyond its limit for a moment.
        let sizes = try String(contentsOfFile: "/proc/sys/net/ipv4/tcp_wmem", encoding: .utf8)
        let most = try #require(sizes.split(whereSeparator: \.isWhitespace).last.flatMap { Int($0) })
        #expect(place.flooded.value <= 2 + (8 * most) >> 20, "\(place.flooded.value)")
        #expect(try HTTPClient(port: port).ask("GET", "/echo").status == 200)
        await place.listener.stop(within: .seconds(60))
    }

    @Test func aReaderThatGoesEndsItsStreamAtOnce() async throws {
        let place = Workplace()
        let port = try await place.listener.start()
        do {
            let connection = try HTTPConnection(port: port)
            connection.send("GET /silence HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for await _ in place.arrivals { break }
        }
        await place.ended.waitForOne()
        await place.listener.stop(within: .seconds(60))
    }

    @Test func aStreamThatBreaksIsNotTakenForWhole() async throws {
        let place = Workplace()
        let connection = try HTTPConnection(port: try await place.listener.start())
        connection.send("GET /broken HTTP/1.1\r\nHost: localhost\r\n\r\n")
        let text = String(decoding: try connection.receiveAll(), as: UTF8.self)
        #expect(text.contains("abc") && !text.contains("\r\n0\r\n"), "\(text)")
        await place.listener.stop(within: .seconds(60))
    }

    @Test func theHeadOfAStreamAloneBeginsNone() async throws {
        let place = Workplace()
        let connection = try HTTPConnection(port: try await place.listener.start())
        connection.send("HEAD /ticks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        let text = String(decoding: try connection.receiveAll(), as: UTF8.self)
        #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n") && text.hasSuffix("\r\n\r\n"), "\(text)")
        #expect(place.ended.value == 1)
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
