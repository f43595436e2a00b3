internal import ByteKit
internal import ConnectorKit

/// A walsender's byte stream: whoever reads it gets the server's messages as they stand in the protocol.
///
/// One thread uses it at a time. Nothing but ``start(_:into:)`` waits.
protocol ReplicationTransport: AnyObject {
    /// What poll(2) waits for.
    var descriptor: Int32 { get }
    /// True when bytes are at hand that poll(2) does not know of.
    var hasBufferedInput: Bool { get }
    /// True when bytes wait to be sent, so that poll(2) must look for room too.
    var hasPendingOutput: Bool { get }

    /// Sends START_REPLICATION and waits for the server's answer. Bytes that came behind it are left in `input`.
    func start(_ command: String, into input: inout OutputBuffer) throws(ConnectorFailure)

    /// Appends what has arrived, about `room` bytes at most; 0 when there is nothing now. The end of the stream is an
    /// error.
    func receive(into input: inout OutputBuffer, room: Int) throws(ConnectorFailure) -> Int

    /// Sends one CopyData message, or keeps what does not fit for ``flush()``.
    func send(copyData body: RawSpan) throws(ConnectorFailure)

    /// Sends what is pending, as far as it goes.
    func flush() throws(ConnectorFailure)

    /// Says that nothing more will be sent; the server then ends its side.
    func sendCopyDone() throws(ConnectorFailure)
}
