package import Foundation
private import Synchronization

/// A receiver of webhooks on 127.0.0.1 that answers as a test says, also in ways that no server should.
package final class HTTPReceiver: @unchecked Sendable {
    /// A request as it came.
    package struct Request: Sendable {
        /// Counted from 0 in the order in which requests were complete.
        package var number: Int
        /// The connection, counted from 0.
        package var connection: Int
        /// The first line.
        package var line: String
        /// The header fields by their names in small letters; the values of one that came twice with `, ` between them
        /// (RFC 9110, 5.2).
        package var fields: [String: String]
        /// The body.
        package var body: [UInt8]
        /// When it was complete.
        package var time: ContinuousClock.Instant

        /// The body as text.
        package var text: String { String(decoding: body, as: UTF8.self) }
        /// The `webhook-id`.
        package var id: String { fields["webhook-id"] ?? "" }
        /// The body as JSON.
        package var json: NSObject? {
            try? JSONSerialization.jsonObject(with: Data(body), options: .fragmentsAllowed) as? NSObject
        }
    }

    /// What becomes of a request.
    package indirect enum Answer: Sendable {
        /// A proper response.
        case status(Int, fields: [String] = [], body: String = "")
        /// Bytes as they are, and the end of the connection.
        case bytes(String)
        /// These bytes, and the end of the connection by a reset.
        case reset(after: String = "")
        /// A proper response to the last request of a connection, which ends with it.
        case last(Int)
        /// These bytes one by one, with a time between them.
        case trickle(String, TimeInterval)
        /// An answer after a time.
        case late(TimeInterval, Answer)
        /// No response until the receiver is stopped.
        case silence
    }

    private struct State {
        var requests: [Request] = []
        var connections: [Int: Int32] = [:]
        var connectionCount = 0
        var underWay = 0
        var underWayMax = 0
        var isStopped = false
    }

    private let listener: Int32
    /// Where it listens.
    package let port: Int
    private let state = Mutex(State())
    private let answer: @Sendable (Request) -> Answer
    private let readsBodies: Bool

    /// Begins to listen. `answer` is asked about each request, by a thread for each connection. Without `readsBodies`
    /// it is asked before the body comes, which is left unread with the end of the connection.
    package init(
        port wanted: Int = 0, readsBodies: Bool = true, answer: @escaping @Sendable (Request) -> Answer
    ) throws {
        self.answer = answer
        self.readsBodies = readsBodies
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var one: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(wanted).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let socket = listener
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, length) == 0 && listen(socket, 512) == 0 && getsockname(socket, $0, &length) == 0
            }
        }
        guard isBound else {
            close(listener)
            throw ChildFailure(description: "cannot listen on port \(wanted): \(String(cString: strerror(errno)))")
        }
        port = Int(in_port_t(bigEndian: address.sin_port))
        // Who accepts closes the socket: were it closed beside the call, its number might be another receiver's by
        // then, whose connections would be taken away.
        Thread.detachNewThread { [weak self, listener] in
            while true {
                let connection = accept(listener, nil, nil)
                if connection < 0 {
                    // After the end of stop(), and not before.
                    if errno == EINVAL { break }
                } else if self?.takes(connection) != true {
                    close(connection)
                }
            }
            close(listener)
        }
    }

    deinit { stop() }

    /// All requests so far.
    package var requests: [Request] { state.withLock { $0.requests } }
    /// How many connections were made.
    package var connectionCount: Int { state.withLock { $0.connectionCount } }
    /// The most requests that were answered at the same time.
    package var concurrencyMax: Int { state.withLock { $0.underWayMax } }

    /// Says something on a connection without being asked, and returns when the other end has it.
    package func say(_ text: String, on connection: Int) throws {
        guard let socket = state.withLock({ $0.connections[connection] }), Self.send(socket, text) else {
            throw ChildFailure(description: "connection \(connection) is gone")
        }
        let end = Date(timeIntervalSinceNow: 60)
        var unacknowledged: Int32 = 1
        while ioctl(socket, UInt(TIOCOUTQ), &unacknowledged) == 0, unacknowledged > 0, Date() < end { usleep(1000) }
        guard unacknowledged == 0 else { throw ChildFailure(description: "\(unacknowledged) bytes never arrived") }
    }

    /// Ends everything.
    package func stop() {
        let wasStopped = state.withLock { state in
            for socket in state.connections.values { shutdown(socket, Int32(SHUT_RDWR)) }
            defer { state.isStopped = true }
            return state.isStopped
        }
        if !wasStopped { shutdown(listener, Int32(SHUT_RDWR)) }
    }

    private func takes(_ socket: Int32) -> Bool {
        let number = state.withLock { state -> Int? in
            if state.isStopped { return nil }
            state.connectionCount += 1
            state.connections[state.connectionCount - 1] = socket
            return state.connectionCount - 1
        }
        guard let number else { return false }
        Thread.detachNewThread { [weak self] in
            var pending: [UInt8] = []
            while let self, self.serve(socket, number, &pending) {}
            self?.state.withLock { _ = $0.connections.removeValue(forKey: number) }
            close(socket)
        }
        return true
    }

    /// Reads a request and answers it. False when the connection is at its end.
    private func serve(_ socket: Int32, _ connection: Int, _ pending: inout [UInt8]) -> Bool {
        guard let (line, fields, body) = request(socket, &pending) else { return false }
        let request = state.withLock { state in
            let request = Request(
                number: state.requests.count, connection: connection, line: line, fields: fields, body: body,
                time: .now)
            state.requests.append(request)
            state.underWay += 1
            state.underWayMax = max(state.underWayMax, state.underWay)
            return request
        }
        var answer = answer(request)
        if case .late(let pause, let real) = answer {
            Thread.sleep(forTimeInterval: pause)
            answer = real
        }
        state.withLock { $0.underWay -= 1 }
        switch answer {
        case .status(let status, let fields, let body):
            var head = ["HTTP/1.1 \(status) Status"] + fields
            if status != 204 { head.append("Content-Length: \(body.utf8.count)") }
            return Self.send(socket, head.joined(separator: "\r\n") + "\r\n\r\n" + body) && readsBodies
        case .bytes(let bytes):
            _ = Self.send(socket, bytes)
            return false
        case .last(let status):
            _ = Self.send(socket, "HTTP/1.1 \(status) Status\r\nContent-Length: 0\r\n\r\n")
            return false
        case .trickle(let bytes, let pause):
            for byte in bytes.unicodeScalars {
                guard Self.send(socket, String(byte)) else { return false }
                Thread.sleep(forTimeInterval: pause)
            }
            return true
        case .reset(let bytes):
            _ = Self.send(socket, bytes)
            var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
            setsockopt(socket, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
            return false
        case .late, .silence:
            var byte: UInt8 = 0
            while recv(socket, &byte, 1, 0) > 0 {}
            return false
        }
    }

    private func request(
        _ socket: Int32, _ pending: inout [UInt8]
    ) -> (line: String, fields: [String: String], body: [UInt8])? {
        while true {
            if let end = pending.firstRange(of: Array("\r\n\r\n".utf8)) {
                let head = String(decoding: pending[..<end.lowerBound], as: UTF8.self)
                let lines = head.components(separatedBy: "\r\n")
                var fields: [String: String] = [:]
                for line in lines.dropFirst() {
                    let parts = line.split(separator: ":", maxSplits: 1)
                    let value = parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
                    fields[parts[0].lowercased(), default: ""] +=
                        fields[parts[0].lowercased()] == nil ? value : ", \(value)"
                }
                let length = readsBodies ? fields["content-length"].flatMap { Int($0) } ?? 0 : 0
                if pending.count >= end.upperBound + length {
                    let body = Array(pending[end.upperBound..<(end.upperBound + length)])
                    pending.removeFirst(end.upperBound + length)
                    return (lines[0], fields, body)
                }
            }
            var part = [UInt8](repeating: 0, count: 65536)
            let count = recv(socket, &part, part.count, 0)
            if count <= 0 { return nil }
            pending += part[..<count]
        }
    }

    private static func send(_ socket: Int32, _ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Foundation.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
