internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

/// Turns the shape that the server announces into a relation of ours.
protocol RelationSource: AnyObject {
    /// Called once for each Relation message. Nil when the table is not captured.
    func relation(for message: RelationMessage) throws(ConnectorFailure) -> Relation?
    /// Called for each message that should have told the context of its transaction, and did not.
    func ignored(_ context: ContextProblem)
    /// What tables are called now, by oid. Those that are gone are not in it.
    func currentNames(of tables: [UInt32]) throws(ConnectorFailure) -> [UInt32: CurrentName]
}

/// The protocol as a value: received bytes in, row changes in a batch out. It does no I/O of its own.
///
/// Everything about a relation is done when the relation arrives; a row costs one switch, one check of its tuples and
/// one copy of its bytes.
struct ChangeDecoder: ~Copyable {
    /// How far the stream was read.
    var progress: ReplicationProgress
    /// True when the server asked for a status update since this was last cleared.
    var replyRequested = false
    /// The transaction between Begin and Commit.
    var transaction: OpenTransaction?
    var builder: ChangeBatchBuilder
    /// Grows by one with each batch, so that an index into an older batch is known as such.
    var batchNumber = 1
    var relations: [KnownRelation] = []
    var relationPlaces: [UInt32: Int] = [:]
    /// The types that were announced for the relation that follows.
    var announcedTypes: [TypeMessage] = []
    /// The place of the relation that the last row belonged to.
    var currentPlace = 0
    /// Grows when it must be looked anew under which keys rows were told.
    var keyRound = 1
    /// True when the server goes on under names that are not right any more: nothing may be decoded before the stream
    /// was begun anew.
    var isStale = false
    /// Those names and the right ones, for people.
    var staleNames: [String] = []
    /// The context of the open transaction; empty without one. It does not stand in ``transaction`` because
    /// that is copied for each row.
    var context: [UInt8] = []
    /// What the end of the open transaction will say.
    var boundary = TransactionBoundary()
    let checksText: Bool
    let slot: String
    let choice: MessageChoice
    /// Watches the stream for snapshots; nil where there are none.
    let snapshots: SnapshotTracker?

    struct OpenTransaction {
        var info: TransactionInfo
        var nextOrdinal: UInt32 = 0
        /// True once a row was changed, captured or not.
        var hasRows = false
        /// The transaction's index in the batch that is being filled; nil before its first change there.
        var index: UInt32?
    }

    struct KnownRelation {
        var id: UInt32
        /// Nil for a table that is in the publication and not in the configuration.
        var relation: Relation?
        /// `schema.table`, as it was announced.
        var name: String
        /// True once a change came under this name.
        var isNameMet = false
        /// What the table was called when that was asked last, and the server was right to go on under ``name``.
        var judgedAs: String?
        /// How many values its rows arrive with.
        var columnCount: Int
        /// Which of them are captured; nil for all.
        var kept: [Bool]?
        /// The relation's index in the batch of this number.
        var index: UInt32 = 0
        var batchNumber = 0
        /// The ``keyRound`` in which it was noted under which key its rows are told.
        var keyRound = 0
    }

    /// A decoder that continues from `progress`. `checksText`: the server may send text that is not UTF-8 (SQL_ASCII).
    init(
        progress: ReplicationProgress, slot: String, checksText: Bool, choice: MessageChoice = MessageChoice(),
        snapshots: SnapshotTracker? = nil
    ) {
        self.snapshots = snapshots
        self.progress = progress
        self.choice = choice
        self.slot = slot
        self.checksText = checksText
        builder = ChangeBatchBuilder(capacity: 4096)
    }

    /// Bytes in the batch that is being filled.
    var byteCount: Int { builder.byteCount }
    /// Changes in the batch that is being filled.
    var changeCount: Int { builder.changeCount }

    /// Decodes whole messages from the front of `input` until they end or the batch holds `byteLimit` bytes.
    ///
    /// Returns how many bytes were taken, and how many the message at the front of the rest needs at least (0 when the
    /// batch is full).
    mutating func consume(
        _ input: RawSpan, byteLimit: Int, relations source: some RelationSource
    ) throws(ConnectorFailure) -> (taken: Int, needed: Int) {
        var offset = 0
        while builder.byteCount < byteLimit {
            if isHeldUp || isStale { break }
            let step: Step
            do throws(WireError) {
                step = try next(input, at: offset)
            } catch {
                throw PostgresFailure.damagedStream(error)
            }
            switch step {
            case .partial(let needed): return (offset, needed)
            case .taken(let end): offset = end
            case .relation(let message, let end):
                remember(message, try source.relation(for: message))
                offset = end
            case .ignored(let problem, let end):
                source.ignored(problem)
                offset = end
            case .names(let position): try compareNames(at: position, source)
            case .failed(let error): throw PostgresFailure.because(of: error, .streaming(slot: slot))
            case .ended: throw PostgresFailure.streamEnded()
            }
        }
        return (offset, 0)
    }

    /// Seals what was decoded so far and begins a new batch. Throws when one change needs more than 4 GiB.
    mutating func seal() throws(ConnectorFailure) -> ChangeBatch {
        refreshSnapshots()
        var full = ChangeBatchBuilder(capacity: min(max(builder.byteCount + builder.byteCount / 4, 4096), 1 << 20))
        swap(&builder, &full)
        batchNumber &+= 1
        transaction?.index = nil
        do throws(ChangeBatchError) {
            return try full.seal(checkpoint: progress.checkpoint)
        } catch {
            throw PostgresFailure.batchTooLarge()
        }
    }
}

// MARK: - Messages

extension ChangeDecoder {
    /// What became of the message at the front. The rare cases are boxed, so that a row's answer stays small.
    private enum Step {
        case partial(needed: Int)
        case taken(end: Int)
        indirect case relation(RelationMessage, end: Int)
        case ignored(ContextProblem, end: Int)
        /// The message begins a transaction that was committed there, and is to be looked at again once names were
        /// compared.
        case names(LSN)
        indirect case failed(ServerError)
        case ended
    }

    private mutating func next(_ input: RawSpan, at offset: Int) throws(WireError) -> Step {
        let frame: WireFrame
        switch try WireFrame.look(at: offset, in: input) {
        case .partial(let needed): return .partial(needed: needed)
        case .whole(let whole): frame = whole
        }
        let body = input.extracting(frame.body)
        switch frame.kind {
        case WireFrame.Kind.copyData:
            let end = frame.body.upperBound
            switch try take(copyData: body) {
            case nil: return .taken(end: end)
            case .relation(let relation): return .relation(relation, end: end)
            case .ignored(let problem): return .ignored(problem, end: end)
            case .names(let position): return .names(position)
            }
        case WireFrame.Kind.notice, WireFrame.Kind.parameterStatus: return .taken(end: frame.body.upperBound)
        case WireFrame.Kind.error: return .failed(WireFrame.serverError(body))
        case WireFrame.Kind.copyDone, WireFrame.Kind.commandComplete, WireFrame.Kind.readyForQuery: return .ended
        default: throw .unexpectedFrame(frame.kind)
        }
    }

    /// What somebody else must hear of.
    private enum News {
        indirect case relation(RelationMessage)
        case ignored(ContextProblem)
        case names(LSN)
    }

    private mutating func take(copyData body: RawSpan) throws(WireError) -> News? {
        var reader = ByteReader(body)
        switch reader.byte() {
        case UInt8(ascii: "w"):
            guard body.byteCount >= XLogData.headLength else { throw .truncated("XLogData") }
            return try take(payload: body.extracting(droppingFirst: XLogData.headLength), of: body)
        case UInt8(ascii: "k"):
            let keepalive = try PrimaryKeepalive(body)
            if keepalive.replyRequested { replyRequested = true }
            // Outside of a transaction the server's word moves the position: this is how an idle slot advances.
            if transaction == nil { progress.reached(keepalive.walEnd) }
            return nil
        case let other: throw .unknownReplicationMessage(other ?? 0)
        }
    }

    private mutating func take(payload: RawSpan, of body: RawSpan) throws(WireError) -> News? {
        switch try PgOutputMessage.kind(of: payload) {
        case .insert: try take(InsertMessage(payload))
        case .update: try take(UpdateMessage(payload))
        case .delete: try take(DeleteMessage(payload))
        case .begin:
            let begin = try BeginMessage(payload)
            if let snapshots, begin.finalLSN >= snapshots.namesDue { return .names(begin.finalLSN) }
            try take(begin)
        case .commit: try take(CommitMessage(payload))
        case .truncate: try take(TruncateMessage(payload))
        case .relation:
            var relation = try RelationMessage(payload)
            swap(&relation.types, &announcedTypes)
            return .relation(relation)
        case .type: announcedTypes.append(try TypeMessage(payload))
        case .origin: _ = try OriginMessage(payload)
        case .message:
            return try take(LogicalMessage(payload), sentAt: XLogData(body).sendTime).map { .ignored($0) }
        }
        return nil
    }

    private mutating func take(_ begin: BeginMessage) throws(WireError) {
        guard transaction == nil else { throw .outOfPlace("Begin") }
        snapshots?.began(begin.xid)
        transaction = OpenTransaction(
            info: TransactionInfo(
                commit: begin.finalLSN.value, id: UInt64(begin.xid),
                committedAt: ServerClock.sinceUnixEpoch(begin.commitTimestamp)))
        if !context.isEmpty { context = [] }
    }

    private mutating func take(_ commit: CommitMessage) throws(WireError) {
        guard let open = transaction, open.info.commit == commit.commitLSN.value else { throw .outOfPlace("Commit") }
        if choice.marksTransactions { endBoundary(open) }
        progress.committed(at: commit.commitLSN, end: commit.endLSN)
        transaction = nil
        snapshots?.committed()
    }
}
