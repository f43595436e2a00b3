import ByteKit
import ConnectorTesting
import ProgramTesting
import Testing

@testable import WebhookSink

/// Responses as endpoints write them, whole and in pieces, and what is none.
struct ResponseParserTests {
    /// What a parser makes of a response.
    struct Reading: Equatable {
        var status = 0
        var phase = ResponseParser.Phase.statusLine
        var keepsConnection = false
        var retryAfter = ""
        /// How much of the text belongs to the response.
        var used = 0
        /// True when the end of the connection made it whole.
        var isWholeAtEnd = false
    }

    /// Feeds a text in pieces that end at `cuts`, and then the end of the connection.
    private func reading(_ text: String, cuts: [Int] = [], bytesMax: Int = 64 << 10) -> Reading {
        var parser = ResponseParser()
        parser.begin(bytesMax: bytesMax)
        let bytes = Array(text.utf8)
        var reading = Reading()
        var start = 0
        for end in cuts + [bytes.count] where !parser.isOver && end > start {
            let piece = Array(bytes[start..<end])
            let used = parser.feed(piece.rawBytes)
            reading.used += used
            if used < piece.count { break }
            start = end
        }
        reading.phase = parser.phase
        reading.isWholeAtEnd = parser.end()
        reading.status = parser.status
        reading.keepsConnection = parser.keepsConnection
        reading.retryAfter = String(decoding: parser.retryAfter, as: UTF8.self)
        #expect(parser.byteCount == reading.used)
        return reading
    }

    /// Responses that are whole, with their status and whether the connection goes on.
    static let whole: [(text: String, status: Int, keeps: Bool)] = [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, true),
        ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, true),
        ("HTTP/1.1 200 \r\nCONTENT-LENGTH:5\r\n\r\nhello", 200, true),
        ("HTTP/1.1 200 OK\ncontent-length: \t 5 \t\n\nhello", 200, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 200, true),
        ("HTTP/1.1 503 Later\r\nRetry-After: 7\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", 503, false),
        ("HTTP/1.1 200 OK\r\nConnection: Upgrade, CLOSE\r\nContent-Length: 0\r\n\r\n", 200, false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", 200, true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=\"y\"\r\nhello\r\nA \r\n0123456789\r\n"
                + "000\r\nX-Trailer: 1\r\n\r\n", 200, true
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 200, true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx", 200, true),
        // Two lengths, or chunks in the old version: whoever sent it may see another end.
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 200, false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, false),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
                + "HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n", 201, true
        ),
        ("HTTP/1.1 304 Same\r\nContent-Length: 500\r\n\r\n", 304, true),
        ("HTTP/1.1 204 No\r\nContent-Length: 500\r\nTransfer-Encoding: chunked\r\n\r\n", 204, true),
        ("HTTP/1.1 999 Odd\r\nX-Folded: a\r\n  b\r\nContent-Length: 0\r\n\r\n", 999, true),
        ("HTTP/1.1 200 \u{e4}\r\nX: \u{e4}\r\nContent-Length: 0\r\n\r\n", 200, true),
    ]

    @Test(arguments: whole.indices)
    func aResponseIsTheSameHoweverItIsCut(index: Int) {
        let (text, status, keeps) = Self.whole[index]
        let whole = reading(text)
        let count = text.utf8.count
        #expect(whole.phase == .done && whole.status == status && whole.keepsConnection == keeps, "\(text)")
        #expect(whole.used == count)
        for cut in 1..<count { #expect(reading(text, cuts: [cut]) == whole, "\(text) cut at \(cut)") }
        #expect(reading(text, cuts: Array(1..<count)) == whole)
        // What comes behind it is not of it.
        #expect(reading(text + "HTTP/1.1 500 Never\r\n\r\n").used == count)
        // Less is not all of it.
        for end in 0..<count {
            let part = String(decoding: Array(text.utf8)[..<end], as: UTF8.self)
            #expect(!reading(part).isWholeAtEnd, "\(text) ended at \(end)")
        }
    }

    @Test func aResponseWithoutALengthEndsWithTheConnection() {
        for text in [
            "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nhello",
        ] {
            let found = reading(text)
            #expect(found.isWholeAtEnd && found.phase == .bodyUntilEnd && !found.keepsConnection, "\(text)")
        }
    }

    @Test(arguments: [
        "this is not HTTP\r\n\r\n", "\r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/1.1200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 +20 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 O\0K\r\n\r\n", "HTTP/1.1 200 OK\r\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : x\r\n\r\n", "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: \u{1}\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 x\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n",
    ])
    func whatIsNoResponseIsSaidSo(text: String) {
        guard case .malformed = reading(text).phase else {
            Issue.record("\(text) is \(reading(text).phase)")
            return
        }
        for cut in 1..<text.utf8.count {
            #expect(reading(text, cuts: [cut]).phase == reading(text).phase, "\(text) cut at \(cut)")
        }
    }

    @Test func aLongResponseIsReadNoFurtherAndHasItsStatus() {
        let filler = String(repeating: "x", count: 5000)
        let heads = "HTTP/1.1 202 OK\r\n" + String(repeating: "X: \(filler)\r\n", count: 20)
        for (text, limit) in [
            ("HTTP/1.1 202 OK\r\nContent-Length: 999999\r\n\r\n" + filler, 1000),
            ("HTTP/1.1 202 OK\r\n\r\n" + filler, 1000),
            (heads, 1000), ("HTTP/1.1 202 OK\r\nX: " + String(repeating: filler, count: 20), 1 << 30),
            ("HTTP/1.1 202 OK\r\nContent-Length: 1\r\n\r\n", 1),
            ("HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + filler, 1000),
        ] {
            let found = reading(text, cuts: Array(stride(from: 1, to: text.utf8.count, by: 7)), bytesMax: limit)
            #expect(found.phase == .tooLong && found.status == 202, "\(text.prefix(60)) is \(found.phase)")
            #expect(found.used < max(limit, 17) + 80_000)
        }
    }

    @Test func interimResponsesWithoutAnEndAreNoResponse() {
        let text = String(repeating: "HTTP/1.1 100 Continue\r\nRetry-After: 9\r\n\r\n", count: 2000)
        let found = reading(text, bytesMax: 10_000)
        #expect(found.phase == .malformed(.statusLine) && found.status == 0 && found.used < 11_000)
    }

    @Test func retryAfterIsKeptAsItIs() {
        func value(_ text: String) -> String {
            reading("HTTP/1.1 503 No\r\nretry-AFTER: \(text)\r\nContent-Length: 0\r\n\r\n").retryAfter
        }
        #expect(value(" 120 ") == "120" && value("Fri, 31 Dec 1999 23:59:59 GMT") == "Fri, 31 Dec 1999 23:59:59 GMT")
        #expect(value(String(repeating: "1", count: 1000)) == "")
    }

    @Test func aParserBeginsAnewWithEachResponse() {
        var parser = ResponseParser()
        for (text, status) in [
            ("HTTP/1.1 503 No\r\nRetry-After: 5\r\nConnection: close\r\nContent-Le", 503),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        ] {
            parser.begin(bytesMax: 1000)
            _ = parser.feed(Array(text.utf8).rawBytes)
            #expect(parser.status == status)
        }
        #expect(parser.phase == .done && parser.keepsConnection && parser.retryAfter.isEmpty)
    }

    /// Whatever an endpoint sends is read without a trap, within its limit, and means the same however it is cut.
    @Test func bytesAtRandomAreReadAlike() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<4000 {
            var bytes = Array(Self.whole.randomElement(using: &random)?.text.utf8 ?? "".utf8)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...127, using: &random)
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(Array(" \t\r\n:;,0".utf8).randomElement(using: &random) ?? 0, at: place)
                default: bytes.insert(contentsOf: bytes[place..<min(place + 9, bytes.count)], at: place)
                }
                if bytes.isEmpty { bytes = [10] }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            let cuts = (0..<5).map { _ in Int.random(in: 0...text.utf8.count, using: &random) }.sorted()
            #expect(
                reading(text, bytesMax: 200).status == reading(text, cuts: cuts, bytesMax: 200).status, "seed \(seed)")
            #expect(reading(text) == reading(text, cuts: cuts), "seed \(seed): \(text.debugDescription)")
        }
    }
}
