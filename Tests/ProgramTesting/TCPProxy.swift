private import Foundation
private import Synchronization

/// A network between a program and a server on this machine that a test can cut.
package final class TCPProxy: Sendable {
    /// What happens to what is sent.
    package enum Mode: Int, Sendable {
        /// It arrives.
        case forward
        /// It is taken and thrown away, and the connections stay: both ends believe the other to be there.
        case swallow
        /// Connections are reset, and new ones too.
        case reset
    }

    /// Where the program connects, on 127.0.0.1.
    package let port: String
    private let listener: Int32
    private let mode = Atomic<Int>(Mode.forward.rawValue)
    private let limit = Mutex<Data?>(nil)

    /// Forwards to a port on 127.0.0.1.
    package init(to target: String) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = Self.loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
                bind(listener, place, length) == 0 && listen(listener, 100) == 0
                    && getsockname(listener, place, &length) == 0
            }
        }
        guard isListening, let target = UInt16(target) else { throw ChildFailure(description: "no proxy") }
        port = String(UInt16(bigEndian: address.sin_port))
        self.listener = listener
        Thread.detachNewThread { [weak self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0, let self else { break }
                Thread.detachNewThread { [self] in serve(client, target) }
            }
            close(listener)
        }
    }

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    /// Changes what happens, for all connections.
    package func set(_ mode: Mode) { self.mode.store(mode.rawValue, ordering: .sequentiallyConsistent) }

    /// From the piece on that a program sends with this text in it, everything is swallowed.
    package func swallow(from text: String) { limit.withLock { $0 = Data(text.utf8) } }

    private func isLimit(_ bytes: ArraySlice<UInt8>) -> Bool {
        limit.withLock { limit in
            guard let text = limit, Data(bytes).range(of: text) != nil else { return false }
            limit = nil
            return true
        }
    }

    private var current: Mode { Mode(rawValue: mode.load(ordering: .sequentiallyConsistent)) ?? .forward }

    private func serve(_ client: Int32, _ target: UInt16) {
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer {
            close(client)
            close(server)
        }
        var address = Self.loopback(port: target)
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        var wasSwallowed = false
        // A side that ends in the hole is not heard of on the other; poll(2) passes over -1.
        var sockets = [client, server]
        var buffer = [UInt8](repeating: 0, count: 65536)
        while isConnected {
            var entries = sockets.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            _ = poll(&entries, 2, 20)
            var mode = current
            // What a hole was torn into is never taken up again.
            if mode == .reset || (mode == .forward && wasSwallowed) { return reset(client, server) }
            if mode == .swallow { wasSwallowed = true }
            for (index, entry) in entries.enumerated() where entry.revents != 0 {
                let count = recv(entry.fd, &buffer, buffer.count, 0)
                if count <= 0 {
                    if mode != .swallow { return }
                    sockets[index] = -1
                    continue
                }
                if mode == .forward, index == 0, isLimit(buffer[..<count]) {
                    set(.swallow)
                    (mode, wasSwallowed) = (.swallow, true)
                }
                if mode == .forward, !Self.sendAll(buffer[..<count], to: index == 0 ? server : client) { return }
            }
        }
    }

    private func reset(_ sockets: Int32...) {
        var now = linger(l_onoff: 1, l_linger: 0)
        for socket in sockets {
            setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        }
    }

    private static func sendAll(_ bytes: ArraySlice<UInt8>, to socket: Int32) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count <= 0 { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    private static func loopback(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = port.bigEndian
        return address
    }
}
