import ConnectorKit
import Glibc
import Testing

/// A port on this machine that answers every connection's first bytes with the same text.
final class SpeakingHost: Sendable {
    let port: String
    private let listener: Int32

    init(_ answer: String) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
                bind(listener, place, length) == 0 && listen(listener, 100) == 0
                    && getsockname(listener, place, &length) == 0
            }
        }
        try #require(isListening)
        port = String(UInt16(bigEndian: address.sin_port))
        self.listener = listener
        let bytes = Array(answer.utf8)
        startThread(name: "test-host") { Self.serve(listener, bytes) }
    }

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    private static func serve(_ listener: Int32, _ answer: [UInt8]) {
        while true {
            let client = accept(listener, nil, nil)
            if client < 0 { break }
            var question = [UInt8](repeating: 0, count: 4096)
            if recv(client, &question, question.count, 0) > 0 {
                _ = send(client, answer, answer.count, Int32(MSG_NOSIGNAL))
            }
            close(client)
        }
        close(listener)
    }
}
