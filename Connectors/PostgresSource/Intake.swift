internal import ByteKit
internal import ConnectorKit

/// Received bytes and the decoder that eats them: one owner, no locks.
struct Intake: ~Copyable {
    /// One read takes so much at most, unless one message needs more.
    static let readBytes = 1 << 20
    /// A larger buffer, made for one giant row, is given back.
    private static let keptBytes = 4 << 20

    var decoder: ChangeDecoder
    private var input: OutputBuffer
    /// A batch of this size is full.
    private let batchBytes: Int
    /// Bytes that the message at the front of ``input`` takes in all.
    private var needed = 0
    /// The most that ``input`` held since it was made.
    private var peak = 0

    init(decoder: consuming ChangeDecoder, input: consuming OutputBuffer, batchBytes: Int) {
        self.decoder = decoder
        self.input = input
        self.batchBytes = batchBytes
    }

    /// Decodes what was received; true when the batch is full and must be sealed before more can be decoded.
    mutating func decode(_ catalogue: some RelationSource) throws(ConnectorFailure) -> Bool {
        let outcome = try Self.decode(input, with: &decoder, upTo: batchBytes, catalogue)
        input.removeFirst(outcome.taken)
        needed = outcome.needed
        if input.count == 0, peak > Self.keptBytes {
            input = OutputBuffer(capacity: Self.readBytes)
            peak = 0
        }
        return outcome.needed == 0
    }

    private static func decode(
        _ input: borrowing OutputBuffer, with decoder: inout ChangeDecoder, upTo batchBytes: Int,
        _ catalogue: some RelationSource
    ) throws(ConnectorFailure) -> (taken: Int, needed: Int) {
        try decoder.consume(input.bytes, byteLimit: batchBytes, relations: catalogue)
    }

    /// Reads what has arrived; how many bytes there were.
    mutating func read(_ transport: any ReplicationTransport) throws(ConnectorFailure) -> Int {
        let count = try transport.receive(into: &input, room: max(Self.readBytes, needed - input.count))
        peak = max(peak, input.count)
        return count
    }

    /// Reads and forgets; true when the last message is ReadyForQuery (`Z`, length 5, state), with which a server ends
    /// a stream that we ended.
    mutating func discard(_ transport: any ReplicationTransport) throws(ConnectorFailure) -> Bool {
        _ = try transport.receive(into: &input, room: Self.readBytes)
        guard input.count >= 6 else { return false }
        input.removeFirst(input.count - 6)
        var reader = ByteReader(input.bytes)
        return reader.byte() == WireFrame.Kind.readyForQuery && reader.bigEndian(UInt32.self) == 5
    }
}
