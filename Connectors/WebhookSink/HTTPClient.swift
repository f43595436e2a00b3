internal import CLibCurl
internal import ConnectorKit
private import Glibc

/// Sends requests over connections that are kept, and gives back how they ended. Belongs to the courier's thread.
///
/// There are as many connections as requests were on their way at once. libcurl's multi interface makes them, see
/// libcurl-multi(3); it has nothing to do while they work.
@safe struct HTTPClient: ~Copyable {
    typealias Instant = ContinuousClock.Instant

    /// A request that is at its end.
    struct End {
        var delivery: Delivery
        var outcome: Outcome
    }

    private let settings: WebhookSettings
    private let idleMax: Duration
    private var head: RequestHead
    private let poller: Poller
    private let multi: UnsafeMutableRawPointer
    private let buffer: UnsafeMutableRawBufferPointer
    private var connections: [Connection] = []
    /// Places of connections that are there and have nothing to do, the last used one last.
    private var idle: [Int] = []
    /// Places of those that are to be made anew.
    private var closed: [Int] = []
    /// How many libcurl is making.
    private var connectingCount = 0
    private var ends = Queue<End>()
    /// True when idle connections were looked at for what came unasked since the last wait.
    private var hasLooked = false
    /// True when a look came upon a call of the waker: the next wait is over at once.
    private var isAwake = false
    /// What time it was when something last happened.
    private var now = Instant.now
    /// No request must be at its end before; nil when none is on its way.
    private(set) var nextDeadline: Instant?

    /// So much of a response is read at once.
    private static let bufferBytes = 64 << 10

    /// A client without connections. `contentType` is that of the body of requests that do not bring their own. A
    /// connection that had nothing to do for `idleMax` is made anew (118 s, as in transfers of libcurl): what
    /// stands between may have forgotten it without a word, and a request on it would wait for its time-out.
    init(
        _ settings: WebhookSettings, contentType: String?, idleMax: Duration = .seconds(118)
    ) throws(ConnectorFailure) {
        let head = try RequestHead(settings, contentType: contentType)
        let poller = try Poller()
        guard let multi = unsafe curl_multi_init() else { throw WebhookFailure.client("begin") }
        self.head = head
        self.poller = poller
        unsafe self.multi = multi
        self.settings = settings
        self.idleMax = idleMax
        unsafe buffer = .allocate(byteCount: Self.bufferBytes, alignment: 16)
    }

    deinit {
        for connection in connections { unsafe curl_multi_remove_handle(multi, connection.handle) }
        unsafe curl_multi_cleanup(multi)
        unsafe buffer.deallocate()
    }

    /// Ends a wait from any thread.
    var waker: Waker { poller.waker }

    /// The requests that are on their way.
    var deliveries: some Sequence<Delivery> { connections.lazy.compactMap(\.delivery) }

    /// Sends a request. How it ended is in ``popEnd()`` later.
    mutating func send(_ delivery: Delivery, at now: Instant) throws(ConnectorFailure) {
        self.now = now
        if !hasLooked { lookAtIdle() }
        let connection = try freeConnection()
        let deadline = now + settings.timeout
        try connection.begin(delivery, &head, timestamp: time(nil), deadline: deadline)
        nextDeadline = nextDeadline ?? deadline
        if connection.socket >= 0, connection.idleSince + idleMax > now,
            hasLooked && connection.isPlain || connection.isSilent
        {
            proceed(connection, unsafe connection.send(buffer))
        } else {
            if connection.socket >= 0 { close(connection) }
            connect(connection)
        }
    }

    /// The next request that is at its end.
    mutating func popEnd() -> End? { ends.popFirst() }

    /// Waits until something happens, somebody calls the waker or so many milliseconds are over, and goes on with what
    /// is on its way.
    mutating func wait(milliseconds: Int32) {
        if connectingCount > 0 { goOnConnecting() }
        let pause = ends.isEmpty && !isAwake ? milliseconds : 0
        (isAwake, hasLooked) = (false, false)
        if connectingCount > 0 {
            var others = curl_waitfd(fd: poller.descriptor, events: Int16(CURL_WAIT_POLLIN), revents: 0)
            unsafe curl_multi_poll(multi, &others, 1, pause, nil)
            goOnConnecting()
        }
        let readyCount = poller.wait(milliseconds: connectingCount > 0 ? 0 : pause)
        now = .now
        for number in 0..<readyCount {
            guard let ready = poller.ready(number), let connection = connection(ready) else { continue }
            goOn(connection, ready)
        }
        endLate()
    }

    /// Closes idle connections on which something came unasked, which must not be taken for the answer to the next
    /// request: once for all requests between two waits, unless there is too much to look at.
    private mutating func lookAtIdle() {
        if idle.isEmpty { return }
        let readyCount = poller.wait(milliseconds: 0)
        for number in 0..<readyCount {
            guard let ready = poller.ready(number) else {
                isAwake = true
                continue
            }
            // The others have their turn at the next wait.
            if let connection = connection(ready), connection.delivery == nil { goOn(connection, ready) }
        }
        hasLooked = readyCount < Poller.eventsMax
    }

    /// The connection that something is told of. What was closed since may be told once more: then nil.
    private func connection(_ ready: Poller.Ready) -> Connection? {
        let place = Int(ready.token & 0xFFFF_FFFF)
        guard place < connections.count, connections[place].token == ready.token, connections[place].socket >= 0
        else { return nil }
        return connections[place]
    }

    private mutating func goOn(_ connection: Connection, _ ready: Poller.Ready) {
        if connection.delivery == nil {
            // Nothing was asked: the endpoint ends the connection, or something is wrong with it.
            if case .waits = unsafe connection.receive(buffer) { return }
            idle.removeAll { $0 == connection.place }
            close(connection)
            closed.append(connection.place)
            return
        }
        if ready.canReceive {
            let step = unsafe connection.receive(buffer)
            proceed(connection, step)
            guard case .waits = step else { return }
        }
        if ready.canSend, connection.delivery != nil { proceed(connection, unsafe connection.send(buffer)) }
    }

    private mutating func proceed(_ connection: Connection, _ step: Connection.Step) {
        switch step {
        case .waits:
            let isSending = !connection.isSent
            guard isSending != connection.isWatchedForSending else { return }
            connection.isWatchedForSending = isSending
            watch(connection, isNew: false)
        case .ended(let outcome): end(connection, outcome)
        case .stale:
            close(connection)
            connection.beginAgain()
            connect(connection)
        }
    }

    /// Watches a connection. False when the system cannot, as when it watches too much for this user already: then the
    /// request is over, which would otherwise wait for its time-out with an answer that nobody reads.
    @discardableResult
    private mutating func watch(_ connection: Connection, isNew: Bool) -> Bool {
        let isSending = connection.isWatchedForSending
        if poller.watch(connection.socket, token: connection.token, isNew: isNew, isSending: isSending) { return true }
        var outcome = Outcome(.lost)
        outcome.reason = "the connection cannot be watched: \(unsafe String(cString: strerror(errno)).lowercased())"
        end(connection, outcome)
        return false
    }

    private mutating func end(_ connection: Connection, _ outcome: Outcome) {
        let delivery = connection.finish(at: now)
        if outcome.isReusable {
            idle.append(connection.place)
        } else {
            close(connection)
            closed.append(connection.place)
        }
        if let delivery { ends.append(End(delivery: delivery, outcome: outcome)) }
    }

    /// Ends requests that took too long.
    private mutating func endLate() {
        guard let earliest = nextDeadline, earliest <= now else { return }
        nextDeadline = nil
        for connection in connections {
            guard let deadline = connection.deadline else { continue }
            if deadline <= now {
                end(connection, Outcome(.timedOut))
            } else {
                nextDeadline = min(nextDeadline ?? deadline, deadline)
            }
        }
    }

    // MARK: Connections

    private mutating func freeConnection() throws(ConnectorFailure) -> Connection {
        if let place = idle.popLast() ?? closed.popLast() { return connections[place] }
        let connection = try Connection(settings, place: connections.count)
        connections.append(connection)
        return connection
    }

    private mutating func connect(_ connection: Connection) {
        connection.willConnect()
        connectingCount += 1
        guard unsafe curl_multi_add_handle(multi, connection.handle) == CURLM_OK else {
            end(connection, Outcome(.notConnected(CURLE_FAILED_INIT.rawValue)))
            return
        }
    }

    private mutating func close(_ connection: Connection) {
        if connection.isConnecting { connectingCount -= 1 }
        connection.willClose()
        unsafe curl_multi_remove_handle(multi, connection.handle)
    }

    private mutating func goOnConnecting() {
        var running: Int32 = 0
        unsafe curl_multi_perform(multi, &running)
        var left: Int32 = 0
        while let message = unsafe curl_multi_info_read(multi, &left) {
            let (handle, result) = unsafe (message.pointee.easy_handle, curl_message_result(message))
            guard let handle = unsafe handle, let connection = unsafe Connection.of(handle), connection.isConnecting
            else { continue }
            connectingCount -= 1
            if let outcome = connection.didConnect(result) {
                end(connection, outcome)
            } else {
                guard watch(connection, isNew: true) else { continue }
                proceed(connection, unsafe connection.send(buffer))
            }
        }
    }
}
