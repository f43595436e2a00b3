internal import ByteKit
internal import ConnectorKit
private import Glibc

/// Reads and writes the socket that libpq connected, without libpq: large reads into one buffer.
///
/// libpq reads 16 KiB at a time and wakes for each message that the server sends. The connection must be idle when this
/// begins, and libpq is only used again to close it.
final class SocketTransport: ReplicationTransport {
    private let connection: PostgresConnection
    private let slot: String
    private var output = OutputBuffer(capacity: 256)
    let descriptor: Int32

    init(_ connection: PostgresConnection, slot: String) {
        self.connection = connection
        self.slot = slot
        descriptor = connection.descriptor
    }

    var hasBufferedInput: Bool { false }
    var hasPendingOutput: Bool { output.count > 0 }

    func start(_ command: String, into input: inout OutputBuffer) throws(ConnectorFailure) {
        output.append(UInt8(ascii: "Q"))
        output.append(bigEndian: UInt32(clamping: command.utf8.count + 5))
        output.append(utf8: command)
        output.append(0)
        try flush()
        let deadline = ContinuousClock.now + .seconds(30)
        while try !hasStarted(&input) {
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else {
                throw PostgresFailure.connectionLost("no answer to START_REPLICATION within 30 s")
            }
            let events = hasPendingOutput ? POLLIN | POLLOUT : POLLIN
            _ = waitFor(descriptor, events, milliseconds: min(1000, left.milliseconds + 1))
            try flush()
            _ = try receive(into: &input, room: 64 << 10)
        }
    }

    /// Takes messages up to CopyBothResponse; false while it has not come.
    private func hasStarted(_ input: inout OutputBuffer) throws(ConnectorFailure) -> Bool {
        while true {
            let frame: WireFrame
            do throws(WireError) {
                guard case .whole(let whole) = try WireFrame.look(at: 0, in: input.bytes) else { return false }
                frame = whole
            } catch {
                throw PostgresFailure.damagedStream(error)
            }
            if frame.kind == WireFrame.Kind.error {
                let error = WireFrame.serverError(input.bytes.extracting(frame.body))
                throw PostgresFailure.because(of: error, .streaming(slot: slot))
            }
            input.removeFirst(frame.body.upperBound)
            switch frame.kind {
            case WireFrame.Kind.copyBoth: return true
            case WireFrame.Kind.notice, WireFrame.Kind.parameterStatus: continue
            case let other: throw PostgresFailure.damagedStream(.unexpectedFrame(other))
            }
        }
    }

    func receive(into input: inout OutputBuffer, room: Int) throws(ConnectorFailure) -> Int {
        while true {
            var code: Int32 = 0
            let count = unsafe input.appendUninitialized(room: room) { buffer in
                let got = unsafe recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
                code = errno
                return got
            }
            if count > 0 { return count }
            if count == 0 { throw PostgresFailure.connectionLost("the server closed it") }
            if code == EAGAIN || code == EWOULDBLOCK { return 0 }
            if code != EINTR { throw Self.broken(code) }
        }
    }

    func send(copyData body: RawSpan) throws(ConnectorFailure) {
        output.append(WireFrame.Kind.copyData)
        output.append(bigEndian: UInt32(clamping: body.byteCount + 4))
        output.append(body)
        try flush()
    }

    func sendCopyDone() throws(ConnectorFailure) {
        output.append(WireFrame.Kind.copyDone)
        output.append(bigEndian: UInt32(4))
        try flush()
    }

    func flush() throws(ConnectorFailure) {
        if let code = output.send(to: descriptor) { throw Self.broken(code) }
    }

    private static func broken(_ code: Int32) -> ConnectorFailure {
        PostgresFailure.connectionLost(unsafe String(cString: strerror(code)))
    }
}

extension OutputBuffer {
    /// Sends from the front what the socket takes now, and drops it. An errno when the socket is broken.
    fileprivate mutating func send(to descriptor: Int32) -> Int32? {
        while count > 0 {
            let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
            let sent = unsafe bytes.withUnsafeBytes { unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, flags) }
            let code = errno
            if sent > 0 {
                removeFirst(sent)
            } else if code == EAGAIN || code == EWOULDBLOCK {
                return nil
            } else if code != EINTR {
                return code
            }
        }
        return nil
    }
}
