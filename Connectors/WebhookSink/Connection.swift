internal import ByteKit
internal import CLibCurl
internal import ConnectorKit
private import Glibc

/// One connection to the endpoint, and the request that is on its way on it. Belongs to the courier's thread.
///
/// libcurl makes the connection, with everything that belongs to that: names, addresses, proxies, TLS. What is said on
/// it is written and read here, because libcurl takes longer for a transfer than the system does for a request. See
/// CURLOPT_CONNECT_ONLY(3).
@safe final class Connection {
    typealias Instant = ContinuousClock.Instant

    /// What a call that sends or receives leaves behind.
    enum Step {
        /// It goes on when there is something to read, or room to send.
        case waits
        /// The request is at its end.
        case ended(Outcome)
        /// The endpoint ended the connection before it can have seen the request: it is sent again on a new one.
        case stale
    }

    /// What reading or writing gave.
    private enum Passed {
        case bytes(Int)
        case nothingYet
        case broken(String)
    }

    /// libcurl's easy handle.
    let handle: UnsafeMutableRawPointer
    /// Its place among the client's connections.
    let place: Int
    /// What it is watched with: another number for each time that it is made.
    private(set) var token: UInt64
    /// What is on its way; nil when nothing is.
    private(set) var delivery: Delivery?
    /// When that must be at its end.
    private(set) var deadline: Instant?
    /// When the last request was at its end.
    private(set) var idleSince = Instant.now
    /// True while it comes about.
    private(set) var isConnecting = false
    /// The descriptor; -1 when there is none.
    private(set) var socket: Int32 = -1
    /// True when the poller looks for room to send.
    var isWatchedForSending = false
    /// True when an address was refused.
    var isAddressRefused = false

    /// The head of the request, and its body where that is small.
    private var request = OutputBuffer(capacity: 2048)
    /// How much of the body is sent from where it lies.
    private var bodyCount = 0
    private var sentCount = 0
    private var parser = ResponseParser()
    /// True until the endpoint has answered something on this connection.
    private var isFresh = true
    private let responseBytesMax: Int
    /// True when the descriptor can be read and written without libcurl: nothing of it is encrypted.
    let isPlain: Bool
    let allowsPrivateAddresses: Bool
    /// Where libcurl writes what went wrong, ended by a zero.
    let errorText: UnsafeMutableBufferPointer<CChar>

    /// Bodies up to this length are sent together with the head.
    private static let smallBodyMax = 16 << 10

    /// A connection that is not made yet.
    init(_ settings: WebhookSettings, place: Int) throws(ConnectorFailure) {
        guard let handle = unsafe curl_easy_init() else { throw WebhookFailure.client("begin") }
        unsafe self.handle = handle
        self.place = place
        token = UInt64(place)
        unsafe errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe errorText.initialize(repeating: 0)
        responseBytesMax = settings.responseBytesMax
        isPlain = !settings.url.isEncrypted && !(settings.proxy?.lowercased().hasPrefix("https") ?? false)
        // A proxy's address is its own matter, and where it connects to is the proxy's.
        allowsPrivateAddresses = settings.allowsPrivateAddresses || settings.proxy != nil
        guard setUp(settings) else { throw WebhookFailure.client("take its options") }
    }

    deinit {
        unsafe curl_easy_cleanup(handle)
        unsafe errorText.deallocate()
    }

    /// The connection that a handle belongs to.
    static func of(_ handle: UnsafeMutableRawPointer) -> Connection? {
        var pointer: UnsafeMutableRawPointer?
        guard unsafe curl_get_pointer(handle, CURLINFO_PRIVATE, &pointer) == CURLE_OK, let pointer = unsafe pointer
        else { return nil }
        return unsafe Unmanaged<Connection>.fromOpaque(pointer).takeUnretainedValue()
    }

    // MARK: Being made

    /// Before the handle is given to libcurl.
    func willConnect() {
        (isConnecting, isFresh, isAddressRefused, isWatchedForSending) = (true, true, false, false)
        unsafe errorText[0] = 0
        token &+= 1 << 32
    }

    /// After libcurl is done with it. Nil when the connection is there; how the request ended when it is not.
    func didConnect(_ result: CURLcode) -> Outcome? {
        isConnecting = false
        guard result == CURLE_OK else { return notConnected(result) }
        var descriptor = CURL_SOCKET_BAD
        unsafe curl_get_socket(handle, CURLINFO_ACTIVESOCKET, &descriptor)
        guard descriptor != CURL_SOCKET_BAD else { return lost("libcurl has no connection") }
        socket = descriptor
        // The first call ties the connection to the handle, so that libcurl does not take it for one that nobody uses
        // and ends it. Few have anything to say yet, for instance that they are overloaded.
        var (byte, count): (UInt8, Int) = (0, 0)
        let first = unsafe curl_easy_recv(handle, &byte, 1, &count)
        if first == CURLE_AGAIN { return nil }
        if let reason = reason(first) { return lost(reason) }
        if count == 0 { return Outcome(.cut) }
        _ = parser.feed([byte].rawBytes)
        return nil
    }

    /// What the endpoint says against a connection that was just made, within a time: with TLS 1.3 it looks at the
    /// client's certificate only then. Nil when it says nothing. Blocks.
    func objection(within pause: Duration) -> Outcome? {
        let end = Instant.now + pause
        var now = Instant.now
        while now < end {
            var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&entry, 1, Int32(clamping: max((end - now).milliseconds, 1))) > 0 else { return nil }
            var (byte, count): (UInt8, Int) = (0, 0)
            let result = unsafe curl_easy_recv(handle, &byte, 1, &count)
            if result != CURLE_AGAIN { return reason(result).map(lost) }
            now = Instant.now
        }
        return nil
    }

    /// Before the handle is taken from libcurl, which ends the connection.
    func willClose() {
        isConnecting = false
        socket = -1
    }

    /// How connecting ended when it did not succeed.
    func notConnected(_ result: CURLcode) -> Outcome {
        var outcome = Outcome(.notConnected(result.rawValue))
        outcome.isAddressRefused = isAddressRefused
        unsafe curl_get_long(handle, CURLINFO_HTTP_CONNECTCODE, &outcome.proxyStatus)
        unsafe curl_get_long(handle, CURLINFO_SSL_VERIFYRESULT, &outcome.verifyResult)
        outcome.reason = libcurlsWords ?? ""
        return outcome
    }

    private var libcurlsWords: String? {
        guard let text = unsafe errorText.baseAddress, unsafe text.pointee != 0 else { return nil }
        return unsafe String(cString: text)
    }

    private func reason(_ result: CURLcode) -> String? {
        if result == CURLE_OK { return nil }
        if let words = libcurlsWords { return words }
        return unsafe String(cString: curl_easy_strerror(result))
    }

    // MARK: A request

    /// Takes a request, which is sent once there is a connection.
    func begin(
        _ delivery: Delivery, _ head: inout RequestHead, timestamp: Int, deadline: Instant
    ) throws(ConnectorFailure) {
        self.delivery = delivery
        self.deadline = deadline
        request.removeAll()
        let content = delivery.content
        let isWritten = content.source.flatMap { source in
            source.parcel.heads?.append(source.index, ofSecond: timestamp, to: &request)
        }
        if isWritten != true { try head.append(content, timestamp: timestamp, to: &request) }
        let bytes = content.bytes
        let isSmall = content.body.count <= Self.smallBodyMax
        if isSmall { request.append(bytes.bytes.extracting(content.body)) }
        bodyCount = isSmall ? 0 : content.body.count
        beginAgain()
    }

    /// Sends the same from its start, on a new connection.
    func beginAgain() {
        sentCount = 0
        parser.begin(bytesMax: responseBytesMax)
    }

    /// The request is at its end.
    func finish(at now: Instant) -> Delivery? {
        deadline = nil
        idleSince = now
        return delivery.take()
    }

    /// True when nothing came since the last answer. What comes unasked must not be taken for the answer to the next
    /// request; an endpoint that sends it later still cannot be told from one that answers.
    var isSilent: Bool {
        var byte: UInt8 = 0
        if isPlain {
            let count = unsafe recv(socket, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
            return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)
        }
        var count = 0
        return unsafe curl_easy_recv(handle, &byte, 1, &count) == CURLE_AGAIN
    }

    /// True when all of the request is sent.
    var isSent: Bool { sentCount == request.count + bodyCount }

    /// Sends as much as there is room for.
    func send(_ buffer: UnsafeMutableRawBufferPointer) -> Step {
        while !isSent {
            switch sendPart() {
            case .bytes(let count): sentCount += count
            case .nothingYet: return .waits
            case .broken(let reason):
                // The endpoint may have said why, for instance that the body is too large or that it wants a
                // certificate.
                if case .ended(let outcome) = unsafe receive(buffer), outcome.ending != .cut { return .ended(outcome) }
                return isFresh || parser.byteCount > 0 ? .ended(lost(reason)) : .stale
            }
        }
        return .waits
    }

    private func sendPart() -> Passed {
        if sentCount < request.count { return write(restOf: request) }
        guard let delivery else { return .broken("there is no request") }
        let body = unsafe delivery.content.bytes.unsafeBytes(delivery.content.body)
        return unsafe write(UnsafeRawBufferPointer(rebasing: body[(sentCount - request.count)...]), isLast: true)
    }

    private func write(restOf request: borrowing OutputBuffer) -> Passed {
        unsafe request.bytes.withUnsafeBytes { bytes in
            unsafe write(UnsafeRawBufferPointer(rebasing: bytes[sentCount...]), isLast: bodyCount == 0)
        }
    }

    /// Reads what is there. `buffer` is room for it, which nothing is kept in.
    func receive(_ buffer: UnsafeMutableRawBufferPointer) -> Step {
        while true {
            switch unsafe read(buffer) {
            case .nothingYet: return .waits
            case .broken(let reason): return parser.byteCount > 0 || isFresh ? .ended(lost(reason)) : .stale
            case .bytes(0):
                if parser.end() { return .ended(answered(isReusable: false)) }
                return parser.byteCount > 0 || isFresh ? .ended(Outcome(.cut)) : .stale
            case .bytes(let count):
                // Nothing was asked.
                guard delivery != nil else { return .ended(Outcome(.cut)) }
                let used = unsafe parser.feed(
                    RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: buffer.baseAddress, count: count)))
                if parser.isOver { return .ended(answered(isReusable: used == count)) }
                // What there is more of, the poller tells. libcurl may hold back what it has decrypted.
                if isPlain, count < buffer.count { return .waits }
            }
        }
    }

    /// How the request ended with a response, or with something that is none.
    private func answered(isReusable: Bool) -> Outcome {
        if case .malformed(let part) = parser.phase { return Outcome(.malformed(part)) }
        var outcome = Outcome(.answered, status: parser.status)
        outcome.retryAfter = Self.seconds(parser.retryAfter)
        outcome.isReusable = isReusable && isSent && parser.phase == .done && parser.keepsConnection
        isFresh = false
        return outcome
    }

    private func lost(_ reason: String) -> Outcome {
        var outcome = Outcome(.lost)
        outcome.reason = reason
        return outcome
    }

    /// A number of seconds, or a date of HTTP: how far it is from now. 0 for anything else.
    private static func seconds(_ text: [UInt8]) -> Int {
        if text.isEmpty { return 0 }
        let text = String(decoding: text, as: UTF8.self)
        if text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { return Int(text) ?? .max }
        let date = unsafe curl_getdate(text, nil)
        return date < 0 ? 0 : max(Int(date) - time(nil), 0)
    }

    // MARK: Bytes

    private func write(_ bytes: UnsafeRawBufferPointer, isLast: Bool) -> Passed {
        if isPlain {
            let flags = Int32(MSG_NOSIGNAL) | (isLast ? 0 : Int32(MSG_MORE))
            let count = unsafe Glibc.send(socket, bytes.baseAddress, bytes.count, flags)
            return count >= 0 ? .bytes(count) : Self.failed()
        }
        var count = 0
        let result = unsafe curl_easy_send(handle, bytes.baseAddress, bytes.count, &count)
        if result == CURLE_AGAIN { return .nothingYet }
        return reason(result).map { .broken($0) } ?? .bytes(count)
    }

    private func read(_ buffer: UnsafeMutableRawBufferPointer) -> Passed {
        if isPlain {
            let count = unsafe recv(socket, buffer.baseAddress, buffer.count, 0)
            return count >= 0 ? .bytes(count) : Self.failed()
        }
        var count = 0
        let result = unsafe curl_easy_recv(handle, buffer.baseAddress, buffer.count, &count)
        if result == CURLE_AGAIN { return .nothingYet }
        return reason(result).map { .broken($0) } ?? .bytes(count)
    }

    /// What the system says about the call that failed last.
    private static func failed() -> Passed {
        let error = errno
        if error == EAGAIN || error == EWOULDBLOCK || error == EINTR { return .nothingYet }
        return .broken(unsafe String(cString: strerror(error)).lowercased())
    }
}
