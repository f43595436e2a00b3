internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

/// The changes that wait in the slot, read without moving it ("pg_logical_slot_peek_binary_changes").
///
/// They go through the same decoder as the stream's, so they are the changes that the next run will log.
final class SlotPeek {
    private let connection: PostgresConnection
    private let side: SideConnection
    private let settings: PostgresSettings
    private let checkpoint: SourceCheckpoint?
    private let catalogue: RelationCatalogue
    private var intake: PeekIntake
    /// True when ``intake`` holds a message that was not decoded yet.
    private var hasFrame = false
    private var isAtEnd = false
    private static let batchBytes = 256 << 10

    /// Begins to read up to `end`. Nil when the slot was taken by somebody, or went on beyond the checkpoint.
    init?(
        _ settings: PostgresSettings, connection: PostgresConnection, side: SideConnection, slot: SlotState,
        after checkpoint: SourceCheckpoint?, end: LSN, holdsAnyBytes: Bool
    ) throws(ConnectorFailure) {
        let confirmed = slot.confirmed ?? LSN(0)
        if let checkpoint, confirmed.value > checkpoint.resume.value { return nil }
        self.connection = connection
        self.side = side
        self.settings = settings
        self.checkpoint = checkpoint
        catalogue = RelationCatalogue(side: side, settings: settings, notice: { _ in })
        intake = PeekIntake(
            ChangeDecoder(
                progress: ReplicationProgress(
                    after: checkpoint, slotPosition: confirmed,
                    notes: try SourceNotes(decoding: checkpoint?.notes ?? [])), slot: settings.slot,
                checksText: holdsAnyBytes))
        do throws(ServerError) {
            try connection.beginRows(Self.query(settings, end), isBinary: true)
            hasFrame = try takeMessage()
        } catch {
            if error.sqlState == "55006" { return nil }
            throw PostgresFailure.because(of: error, .streaming(slot: settings.slot))
        }
    }

    /// Puts the next message into ``intake``; false at the end.
    private func takeMessage() throws(ServerError) -> Bool {
        try connection.nextRow { row in
            row.withBytes(0) { payload in intake.frame(payload) }
            return true
        } ?? false
    }

    private static func query(_ settings: PostgresSettings, _ end: LSN) -> String {
        "SELECT data FROM pg_catalog.pg_logical_slot_peek_binary_changes(\(SQLText.literal(settings.slot)), "
            + "\(SQLText.literal(end.description)), NULL, 'proto_version', '1', 'publication_names', "
            + SQLText.literal(SQLText.identifier(settings.publication)) + ")"
    }

    /// The next changes; nil at their end.
    func next() throws(ConnectorFailure) -> ChangeBatch? {
        if isAtEnd { return nil }
        while intake.byteCount < Self.batchBytes {
            guard hasFrame else {
                isAtEnd = true
                try checkSlotStands()
                break
            }
            try intake.decode(catalogue)
            do throws(ServerError) {
                hasFrame = try takeMessage()
            } catch {
                throw PostgresFailure.because(of: error, .streaming(slot: settings.slot))
            }
        }
        return try intake.seal()
    }

    /// A run that was shorter than the reading may have moved the slot before it began: then changes were left out.
    private func checkSlotStands() throws(ConnectorFailure) {
        guard let checkpoint, let slot = try SlotState.find(settings.slot, side) else { return }
        guard (slot.confirmed ?? LSN(0)).value <= checkpoint.resume.value else {
            throw ConnectorFailure(
                "verify.interfered", .retry, "somebody else read the slot while the comparison was made",
                hint: "run millrace verify again")
        }
    }
}

/// A decoder and the message that it reads next.
private struct PeekIntake: ~Copyable {
    private var decoder: ChangeDecoder
    private var input = OutputBuffer(capacity: 64 << 10)

    init(_ decoder: consuming ChangeDecoder) { self.decoder = decoder }

    /// Bytes in the batch that is being filled.
    var byteCount: Int { decoder.byteCount }

    /// Puts a message into the frame that a walsender puts it into.
    mutating func frame(_ payload: RawSpan) {
        input.removeAll()
        input.append(WireFrame.Kind.copyData)
        input.append(bigEndian: Int32(clamping: payload.byteCount + XLogData.headLength + 4))
        input.append(UInt8(ascii: "w"))
        for _ in 0..<3 { input.append(bigEndian: UInt64(0)) }
        input.append(payload)
    }

    /// Decodes the message.
    mutating func decode(_ catalogue: RelationCatalogue) throws(ConnectorFailure) {
        try Self.decode(input, with: &decoder, catalogue)
    }

    private static func decode(
        _ input: borrowing OutputBuffer, with decoder: inout ChangeDecoder, _ catalogue: RelationCatalogue
    ) throws(ConnectorFailure) {
        _ = try decoder.consume(input.bytes, byteLimit: .max, relations: catalogue)
    }

    /// What was decoded.
    mutating func seal() throws(ConnectorFailure) -> ChangeBatch { try decoder.seal() }
}
