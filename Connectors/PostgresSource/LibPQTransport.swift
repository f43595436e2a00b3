internal import ByteKit
private import CLibPQ
internal import ConnectorKit
private import Glibc

/// Lets libpq read and write, for connections under TLS or GSS, and gives what it read the protocol's form again.
///
/// Slower than ``SocketTransport``, and right with every encryption that libpq knows.
@safe final class LibPQTransport: ReplicationTransport {
    private let connection: PostgresConnection
    private let slot: String
    private let libpq: OpaquePointer
    /// True when libpq could not send everything.
    private(set) var hasPendingOutput = false
    /// True when the last read stopped because it had enough, not because there was no more.
    private(set) var hasBufferedInput = false
    let descriptor: Int32

    init(_ connection: PostgresConnection, slot: String) {
        self.connection = connection
        self.slot = slot
        unsafe libpq = unsafe connection.libpq
        descriptor = connection.descriptor
    }

    func start(_ command: String, into input: inout OutputBuffer) throws(ConnectorFailure) {
        do throws(ServerError) {
            try connection.sendQuery(command)
            try connection.awaitAnswer(within: .seconds(30))
            _ = try connection.collectResults()
        } catch {
            throw PostgresFailure.because(of: error, .streaming(slot: slot))
        }
        guard unsafe PQsetnonblocking(libpq, 1) == 0 else { throw lost() }
        hasBufferedInput = true
    }

    /// Goes on until the socket is empty: a TLS record holds a single change, and libpq takes one record at a time.
    func receive(into input: inout OutputBuffer, room: Int) throws(ConnectorFailure) -> Int {
        let start = input.count
        var idleReads = 0
        hasBufferedInput = true
        while input.count - start < room {
            var body: UnsafeMutablePointer<CChar>?
            let length = unsafe PQgetCopyData(libpq, &body, 1)
            if length > 0, let body = unsafe body {
                input.append(WireFrame.Kind.copyData)
                input.append(bigEndian: UInt32(clamping: Int(length) + 4))
                input.append(unsafe RawSpan(_unsafeStart: body, byteCount: Int(length)))
                unsafe PQfreemem(body)
                idleReads = 0
            } else if length == 0 {
                let isReadable = waitFor(descriptor, POLLIN, milliseconds: 0)
                idleReads = isReadable ? 0 : idleReads + 1
                if idleReads > Self.idleReadsMax {
                    hasBufferedInput = false
                    break
                }
                // What came before the end is decoded first; the next call finds the end again.
                guard unsafe PQconsumeInput(libpq) == 1 else {
                    if input.count > start { break }
                    throw lost()
                }
            } else {
                if input.count > start { break }
                throw ended(length)
            }
        }
        return input.count - start
    }

    /// A decrypted record of 16 KiB may wait inside the TLS library, where poll(2) does not see it; each read of libpq
    /// takes at least half of it.
    private static let idleReadsMax = 3

    func send(copyData body: RawSpan) throws(ConnectorFailure) {
        let sent = unsafe body.withUnsafeBytes { bytes in
            unsafe PQputCopyData(libpq, bytes.bindMemory(to: CChar.self).baseAddress, Int32(clamping: bytes.count))
        }
        guard sent == 1 else { throw lost() }
        try flush()
    }

    func sendCopyDone() throws(ConnectorFailure) {
        guard unsafe PQputCopyEnd(libpq, nil) == 1 else { throw lost() }
        try flush()
    }

    func flush() throws(ConnectorFailure) {
        let result = unsafe PQflush(libpq)
        guard result >= 0 else { throw lost() }
        hasPendingOutput = result == 1
    }

    /// The stream is over: with an error of the server, or in order.
    private func ended(_ code: Int32) -> ConnectorFailure {
        if code == -2 { return lost() }
        do throws(ServerError) {
            _ = try connection.collectResults()
            return PostgresFailure.streamEnded()
        } catch {
            return PostgresFailure.because(of: error, .streaming(slot: slot))
        }
    }

    private func lost() -> ConnectorFailure { PostgresFailure.because(of: connection.lost(), .streaming(slot: slot)) }
}
