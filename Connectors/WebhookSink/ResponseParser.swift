internal import ByteKit

/// Reads a response of HTTP/1.1 or 1.0 as it comes, in pieces of any length, and keeps nothing of it but what decides
/// about the request. Knows bytes only; does no I/O.
///
/// It is strict where a lenient reader could take the end of a response for another place than the endpoint does; see
/// RFC 9112. What it holds is bounded by ``lineBytesMax``, what it reads by the limit that it is given.
struct ResponseParser: ~Copyable {
    /// What comes next.
    enum Phase: Sendable, Equatable {
        case statusLine
        case field
        case body(left: Int)
        case bodyUntilEnd
        case chunkSize
        case chunk(left: Int)
        case chunkEnd
        case trailer
        /// The response is whole.
        case done
        /// The response is longer than what is read of it, and has its status.
        case tooLong
        /// This is no HTTP/1.1: the part that cannot be read.
        case malformed(Part)
    }

    /// Parts of a response, in words for people.
    enum Part: String, Sendable {
        case statusLine = "status line"
        case field = "header fields"
        case length = "length"
        case chunk = "chunks"
    }

    /// What comes next.
    private(set) var phase = Phase.statusLine
    /// The status of the response that counts; 0 before its status line, whatever came before it.
    private(set) var status = 0
    /// True when another request may follow on the connection, once the response is whole.
    private(set) var keepsConnection = true
    /// What `Retry-After` says; empty without it.
    private(set) var retryAfter: [UInt8] = []
    /// How many bytes came.
    private(set) var byteCount = 0

    private var bytesMax = 0
    /// The first part of a line that came in several pieces.
    private var line = OutputBuffer(capacity: 256)
    private var head = Head()

    /// What the fields of a head say about its end.
    struct Head {
        var isInterim = false
        var isOldVersion = false
        var contentLength: Int?
        var hasTransferEncoding = false
        var isChunked = false
        var saysClose = false
        var saysKeepAlive = false
        /// True when the last field decides about the end, and may not go on in the next line.
        var isDecisive = false
        /// True once there is a field.
        var hasField = false
    }

    /// Lines beyond this length are read no further.
    static let lineBytesMax = 64 << 10
    /// So much is read in any case to find the status.
    private static let statusBytesMax = 8 << 10
    /// More of a `Retry-After` is no number and no date.
    private static let retryAfterBytesMax = 64

    /// True when nothing more is read.
    var isOver: Bool {
        switch phase {
        case .done, .tooLong, .malformed: true
        default: false
        }
    }

    /// Begins with the response to the next request, of which about `bytesMax` bytes are read.
    mutating func begin(bytesMax: Int) {
        phase = .statusLine
        (status, byteCount, keepsConnection) = (0, 0, true)
        self.bytesMax = bytesMax
        head = Head()
        line.removeAll()
        if !retryAfter.isEmpty { retryAfter = [] }
    }

    /// Reads what came next. Gives how many bytes of it belong to the response: all, unless it is over.
    mutating func feed(_ bytes: RawSpan) -> Int {
        var place = 0
        while place < bytes.byteCount, !isOver {
            let start = place
            switch phase {
            case .statusLine, .field, .chunkSize, .chunkEnd, .trailer: place = feedLine(bytes, place)
            case .body(let left):
                place += min(left, bytes.byteCount - place)
                phase = place - start == left ? .done : .body(left: left - (place - start))
            case .chunk(let left):
                place += min(left, bytes.byteCount - place)
                phase = place - start == left ? .chunkEnd : .chunk(left: left - (place - start))
            case .bodyUntilEnd: place = bytes.byteCount
            case .done, .tooLong, .malformed: break
            }
            byteCount += place - start
            if !isOver, byteCount > (status == 0 ? max(bytesMax, Self.statusBytesMax) : bytesMax) { endEarly() }
        }
        return place
    }

    /// Says that nothing more comes. True when the response is whole: one without a length ends so.
    mutating func end() -> Bool {
        if phase == .bodyUntilEnd { phase = .done }
        return phase == .done
    }

    private mutating func endEarly() { phase = status == 0 ? .malformed(.statusLine) : .tooLong }

    private mutating func feedLine(_ bytes: RawSpan, _ start: Int) -> Int {
        var end = start
        while end < bytes.byteCount, bytes.byte(end) != 10 { end += 1 }
        let part = bytes.extracting(start..<end)
        guard end < bytes.byteCount else {
            line.append(part)
            if line.count > Self.lineBytesMax { endEarly() }
            return end
        }
        if line.count == 0 {
            take(part)
        } else {
            var whole = OutputBuffer(capacity: 16)
            swap(&whole, &line)
            whole.append(part)
            take(whole.bytes)
            whole.removeAll()
            swap(&whole, &line)
        }
        return end + 1
    }

    /// Takes a line without its line feed.
    private mutating func take(_ bytes: RawSpan) {
        let hasReturn = bytes.byteCount > 0 && bytes.byte(bytes.byteCount - 1) == 13
        let line = bytes.extracting(0..<(bytes.byteCount - (hasReturn ? 1 : 0)))
        switch phase {
        case .statusLine: takeStatusLine(line)
        case .field: line.byteCount == 0 ? endHead() : takeField(line)
        case .chunkSize: takeChunkSize(line)
        case .chunkEnd: phase = line.byteCount == 0 ? .chunkSize : .malformed(.chunk)
        case .trailer: if line.byteCount == 0 { phase = .done }
        case .body, .bodyUntilEnd, .chunk, .done, .tooLong, .malformed: break
        }
    }

    // MARK: The head

    /// `HTTP/1.1 204 No Content`: the words behind the status may be missing.
    private mutating func takeStatusLine(_ line: RawSpan) {
        let minor = line.byte(7)
        var number = 0
        for place in 9..<12 {
            let digit = Int(line.byte(place)) - 48
            number = (0...9).contains(digit) ? number * 10 + digit : -1000
        }
        guard line.byteCount >= 12, line.extracting(0..<7).hasSameBytes(as: Self.version.rawBytes),
            minor == UInt8(ascii: "0") || minor == UInt8(ascii: "1"), line.byte(8) == 32,
            number >= 100,
            line.byteCount == 12 || line.byte(12) == 32, !line.hasControls
        else {
            phase = .malformed(.statusLine)
            return
        }
        head = Head()
        head.isOldVersion = minor == UInt8(ascii: "0")
        head.isInterim = number < 200
        // Nothing was asked for that another protocol could be the answer to.
        if number == 101 {
            phase = .malformed(.statusLine)
            return
        }
        if !head.isInterim { status = number }
        phase = .field
    }

    private mutating func takeField(_ line: RawSpan) {
        if line.byte(0) == 32 || line.byte(0) == 9 {
            // The line before goes on. Where that would matter, it is not guessed what is meant.
            if !head.hasField || head.isDecisive || line.hasControls { phase = .malformed(.field) }
            return
        }
        var colon = 0
        while colon < line.byteCount, WebhookSettings.isTokenByte(line.byte(colon)) { colon += 1 }
        guard colon > 0, colon < line.byteCount, line.byte(colon) == UInt8(ascii: ":"), !line.hasControls else {
            phase = .malformed(.field)
            return
        }
        head.hasField = true
        let name = line.extracting(0..<colon)
        let value = line.extracting((colon + 1)..<line.byteCount).trimmed
        head.isDecisive = true
        if name.isWord(Self.contentLength) {
            takeContentLength(value)
        } else if name.isWord(Self.transferEncoding) {
            takeTransferEncoding(value)
        } else if name.isWord(Self.connection) {
            head.saysClose = head.saysClose || value.lists(Self.close)
            head.saysKeepAlive = head.saysKeepAlive || value.lists(Self.keepAlive)
        } else {
            head.isDecisive = false
            if !head.isInterim, name.isWord(Self.retryAfterName), value.byteCount <= Self.retryAfterBytesMax {
                retryAfter = (0..<value.byteCount).map { value.byte($0) }
            }
        }
    }

    private mutating func takeContentLength(_ value: RawSpan) {
        var length = 0
        // More digits than these do not fit into an Int.
        guard (1...18).contains(value.byteCount) else {
            phase = .malformed(.length)
            return
        }
        for place in 0..<value.byteCount {
            let digit = Int(value.byte(place)) - 48
            guard (0...9).contains(digit) else {
                phase = .malformed(.length)
                return
            }
            length = length * 10 + digit
        }
        if let earlier = head.contentLength, earlier != length { phase = .malformed(.length) }
        head.contentLength = length
    }

    private mutating func takeTransferEncoding(_ value: RawSpan) {
        // Behind `chunked` nothing may come, and it may not come twice.
        guard !head.isChunked, value.byteCount > 0 else {
            phase = .malformed(.length)
            return
        }
        if value.isWord(Self.identity) { return }
        head.hasTransferEncoding = true
        if value.isWord(Self.chunked) {
            head.isChunked = true
        } else if value.lists(Self.chunked) {
            let last = value.extracting(value.afterLastComma..<value.byteCount).trimmed
            if last.isWord(Self.chunked), value.extracting(0..<value.afterLastComma).lists(Self.chunked) == false {
                head.isChunked = true
            } else {
                phase = .malformed(.length)
            }
        }
    }

    private mutating func endHead() {
        if head.isInterim {
            phase = .statusLine
            return
        }
        keepsConnection = head.isOldVersion ? head.saysKeepAlive && !head.saysClose : !head.saysClose
        if status == 204 || status == 304 {
            phase = .done
        } else if head.isChunked {
            // Both lengths, or chunks in a version that has none: whoever sent that may mean another end.
            if head.contentLength != nil || head.isOldVersion { keepsConnection = false }
            phase = .chunkSize
        } else if let length = head.contentLength, !head.hasTransferEncoding {
            phase = length == 0 ? .done : .body(left: length)
        } else {
            keepsConnection = false
            phase = .bodyUntilEnd
        }
    }

    // MARK: Chunks

    /// `1A3` with extensions behind a semicolon, which mean nothing here.
    private mutating func takeChunkSize(_ line: RawSpan) {
        var (size, place) = (0, 0)
        while place < line.byteCount, let digit = Self.hexDigit(line.byte(place)) {
            guard place < 15 else {
                phase = .malformed(.chunk)
                return
            }
            size = size << 4 | digit
            place += 1
        }
        let digitCount = place
        while line.byte(place) == 32 || line.byte(place) == 9 { place += 1 }
        guard digitCount > 0, place == line.byteCount || line.byte(place) == UInt8(ascii: ";"), !line.hasControls
        else {
            phase = .malformed(.chunk)
            return
        }
        phase = size == 0 ? .trailer : .chunk(left: size)
    }

    private static func hexDigit(_ byte: UInt8) -> Int? {
        switch byte {
        case 0x30...0x39: Int(byte) - 0x30
        case 0x41...0x46: Int(byte) - 0x41 + 10
        case 0x61...0x66: Int(byte) - 0x61 + 10
        default: nil
        }
    }

    private static let version = Array("HTTP/1.".utf8)
    private static let contentLength = Array("content-length".utf8)
    private static let transferEncoding = Array("transfer-encoding".utf8)
    private static let connection = Array("connection".utf8)
    private static let retryAfterName = Array("retry-after".utf8)
    private static let close = Array("close".utf8)
    private static let keepAlive = Array("keep-alive".utf8)
    private static let identity = Array("identity".utf8)
    private static let chunked = Array("chunked".utf8)
}

extension RawSpan {
    /// True when these are the letters of `word`, which is in small ones, whether small or capital.
    fileprivate func isWord(_ word: [UInt8]) -> Bool {
        guard byteCount == word.count else { return false }
        for place in 0..<byteCount {
            let byte = byte(place)
            guard (0x41...0x5A).contains(byte) ? byte | 0x20 == word[place] : byte == word[place] else { return false }
        }
        return true
    }

    /// True when `word` is an element of this list with commas.
    fileprivate func lists(_ word: [UInt8]) -> Bool {
        var start = 0
        for place in 0...byteCount where place == byteCount || byte(place) == UInt8(ascii: ",") {
            if extracting(start..<place).trimmed.isWord(word) { return true }
            start = place + 1
        }
        return false
    }

    /// The place behind the last comma; 0 without one.
    fileprivate var afterLastComma: Int {
        var place = byteCount
        while place > 0, byte(place - 1) != UInt8(ascii: ",") { place -= 1 }
        return place
    }

    /// True when bytes are in it that no line of a head may have.
    fileprivate var hasControls: Bool {
        for place in 0..<byteCount where byte(place) < 0x20 && byte(place) != 9 { return true }
        return false
    }

    /// Without blanks around it.
    fileprivate var trimmed: RawSpan {
        @_lifetime(copy self)
        get {
            var (start, end) = (0, byteCount)
            while start < end, byte(start) == 32 || byte(start) == 9 { start += 1 }
            while end > start, byte(end - 1) == 32 || byte(end - 1) == 9 { end -= 1 }
            return extracting(start..<end)
        }
    }
}
