import JSONText
import Logging
import ProgramTesting
import Synchronization
import Testing

@testable import HTTPAPI

struct ClientCutTests {
    private final class Closings: Sendable {
        private let number = Mutex(0)
        var count: Int { number.withLock { $0 } }
        func add() { number.withLock { $0 += 1 } }
    }

    @Test func anAnswerThatIsUnderWayIsCutOnce() {
        let (cut, closings) = (ClientCut(), Closings())
        cut.begin { closings.add() }
        cut.end()
        cut.end()
        #expect(closings.count == 1)
        #expect(!cut.finish(), "the connection ends, and is for no other request")
    }

    @Test func oneThatIsCutBeforeItsAnswerBeginsIsCutThen() {
        let (cut, closings) = (ClientCut(), Closings())
        cut.end()
        cut.begin { closings.add() }
        #expect(closings.count == 1)
        #expect(!cut.finish())
    }

    @Test func anAnswerThatIsOverIsNotCut() {
        let (cut, closings) = (ClientCut(), Closings())
        cut.begin { closings.add() }
        #expect(cut.finish())
        cut.end()
        #expect(closings.count == 0)
    }
}

// It blocks a thread of all tasks, as the others there do: one at a time.
extension ListenerTests {
    /// Who had taken a large answer in time lost the connection, and with it the answer to the next request.
    @Test func theNextRequestIsAnsweredAlthoughTheAnswerBeforeItIsCutLate() async throws {
        let cut = ClientCut()
        let routes = [
            Route(.get, "first") { _, _ in
                APIReply(ReplyStream(Array("abc".utf8), cut: cut, end: {}), contentType: "text/plain")
            },
            Route(.get, "second") { _, _ in
                cut.end()
                return APIReply(["bytes": 0])
            },
        ]
        let listener = HTTPListener(
            host: "127.0.0.1", port: 0, token: nil, routes: RouteTable(routes), limits: ListenerLimits(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let connection = try HTTPConnection(port: try await listener.start())
        connection.send("GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n")
        var first = ""
        while !first.hasSuffix("\r\n0\r\n\r\n") {
            let part = try connection.receive()
            try #require(!part.isEmpty)
            first += String(decoding: part, as: UTF8.self)
        }
        connection.send("GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n")
        #expect(try connection.receiveAnswer().status == 200)
        await listener.stop(within: .seconds(60))
    }
}
