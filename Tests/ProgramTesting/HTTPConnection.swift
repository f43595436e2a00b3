package import Foundation

/// A connection to a listener on 127.0.0.1 over which a test says exactly what it wants, proper HTTP or not.
package final class HTTPConnection: Sendable {
    private let socket: Int32
    /// The longest that an answer is waited for; far beyond what it takes.
    private static let patience = 120

    /// Connects. With `receiveBuffer`, the system takes no more than about so many bytes that nobody reads.
    package init(port: Int, receiveBuffer: Int32? = nil) throws {
        socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var limit = timeval(tv_sec: Self.patience, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        if var receiveBuffer { setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, 4) }
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected else {
            close(socket)
            throw ChildFailure(description: "cannot connect to port \(port): \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(socket) }

    /// Sends bytes. False when the other end does not take them any more.
    @discardableResult
    package func send(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Foundation.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Sends text.
    @discardableResult
    package func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    /// Some bytes; empty at the end of the connection, however it came.
    package func receive() throws -> [UInt8] {
        var part = [UInt8](repeating: 0, count: 65536)
        let count = recv(socket, &part, part.count, 0)
        if count < 0, errno == EAGAIN { throw ChildFailure(description: "no answer within \(Self.patience) s") }
        return Array(part.prefix(max(0, count)))
    }

    /// Everything until the other end closes the connection.
    package func receiveAll() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let part = try receive()
            if part.isEmpty { return bytes }
            bytes += part
        }
    }

    /// One answer, by its Content-Length.
    package func receiveAnswer() throws -> HTTPAnswer {
        var bytes: [UInt8] = []
        while true {
            if let answer = HTTPAnswer(bytes) { return answer }
            let part = try receive()
            guard !part.isEmpty else {
                throw ChildFailure(description: "half an answer: \(String(decoding: bytes, as: UTF8.self))")
            }
            bytes += part
        }
    }
}

/// An HTTP answer.
package struct HTTPAnswer: Sendable {
    /// The status.
    package var status: Int
    /// The header fields by their names in small letters.
    package var fields: [String: String]
    /// The body.
    package var body: String

    /// Nil for bytes that are no whole answer. One to HEAD has no body, whatever its length says.
    package init?(_ bytes: [UInt8], isHead: Bool = false) {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.firstRange(of: "\r\n\r\n") else { return nil }
        let lines = text[..<end.lowerBound].split(separator: "\r\n")
        guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else { return nil }
        self.status = status
        fields = [:]
        for line in lines.dropFirst() {
            let sides = line.split(separator: ":", maxSplits: 1)
            guard sides.count == 2 else { return nil }
            fields[sides[0].lowercased()] = sides[1].trimmingCharacters(in: .whitespaces)
        }
        body = String(text[end.upperBound...])
        let length = isHead ? 0 : fields["content-length"].flatMap { Int($0) } ?? 0
        guard body.utf8.count >= length else { return nil }
    }

    /// The body as JSON.
    package var json: NSObject? {
        try? JSONSerialization.jsonObject(with: Data(body.utf8), options: .fragmentsAllowed) as? NSObject
    }

    /// The body as a JSON object; empty for anything else.
    package var object: [String: NSObject] { json as? [String: NSObject] ?? [:] }

    /// The code of an error.
    package var errorCode: Int? { (object["error_code"] as? NSNumber)?.intValue }
}
