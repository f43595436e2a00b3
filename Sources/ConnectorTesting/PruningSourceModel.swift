import ByteKit
package import ChangeModel
package import ConnectorKit
private import Synchronization

/// A source on a ``PruningDatabase``: it does what every source must, at once and from a seed.
///
/// Batches cut transactions anywhere; some are empty though changes wait; chosen calls of `nextBatch` fail. Rules of
/// ``ChangeSource`` that its caller breaks are recorded in ``PruningDatabase/violations``. With ``SourceFault``s it
/// breaks rules itself.
package final class PruningSourceModel: ChangeSource {
    private let database: PruningDatabase
    private let changesMax: Int
    private let failures: Set<Int>
    private let faults: Set<SourceFault>
    private let state = Mutex(Session())

    /// A source that is not open. `changesMax` is the largest number of changes in a batch. Calls of `nextBatch` whose
    /// number, counted from 1 over all sources of the database, is in `failures` fail and ask for a retry.
    package init(
        of database: PruningDatabase, changesMax: Int = 5, failures: Set<Int> = [], faults: Set<SourceFault> = []
    ) {
        self.database = database
        self.changesMax = changesMax
        self.failures = failures
        self.faults = faults
    }

    /// No batch of a model with this many changes at most has a longer body.
    package static func batchBytesMax(changesMax: Int) -> Int { 64 + changesMax * 220 }

    /// Begins behind a checkpoint; fails when the database no longer has what follows it.
    package func open(
        resumingAfter checkpoint: SourceCheckpoint?, of expected: SourceIdentity?
    ) async throws(ConnectorFailure) -> SourceIdentity {
        try state.withLock { session throws(ConnectorFailure) in
            if session.isOpen { database.report("openedWithoutClose", "open was called on an open source") }
            if session.wasOpened && faults.contains(.opensOnlyOnce) {
                throw ConnectorFailure("model.opened_before", .stop, "the model was opened before")
            }
            if let expected, expected != Self.identity, !faults.contains(.opensForAnyIdentity) {
                throw ConnectorFailure("model.other_database", .stop, "the log was made from another database")
            }
            guard let opening = database.open(after: checkpoint) else {
                throw ConnectorFailure("model.pruned", .stop, "what follows the checkpoint is gone")
            }
            session.begin(opening: opening, after: checkpoint, faults: faults)
        }
        return Self.identity
    }

    private static let identity = SourceIdentity(kind: "model", fingerprint: ["database": "model"])

    /// The position of the last commit, or a little behind.
    package func endPosition() async throws(ConnectorFailure) -> ResumePosition {
        let end = database.endPosition
        return faults.contains(.endPositionTooFar) ? ResumePosition(end.value + 1000) : end
    }

    /// The next batch, at once when there is something to say, else at the deadline.
    package func nextBatch(until deadline: ContinuousClock.Instant) async throws(ConnectorFailure) -> ChangeBatch {
        try enter()
        defer { state.withLock { $0.isBusy = false } }
        let call = database.countRead()
        if failures.contains(call) {
            throw ConnectorFailure("model.injected", .retry, "call \(call) of nextBatch fails on purpose")
        }
        while true {
            if let batch = try state.withLock({ session throws(ConnectorFailure) in try advance(&session) }) {
                return batch
            }
            let isOver = ContinuousClock.now >= deadline && !faults.contains(.ignoresDeadline)
            if isOver || Task.isCancelled { break }
            try? await Task.sleep(for: .milliseconds(1))
        }
        return try state.withLock { session throws(ConnectorFailure) in try seal([], &session) }
    }

    /// Notes that changes may be forgotten; told to the database at the next call.
    package func acknowledge(_ position: ResumePosition) {
        database.check(acknowledged: position, delivered: state.withLock(\.delivered))
        state.withLock { session in
            let mayGoBack = faults.contains(.acknowledgeGoesBack)
            session.acknowledged = mayGoBack ? position : max(position, session.acknowledged ?? position)
        }
    }

    /// Tells the database what was acknowledged.
    package func close() async {
        let hangs = state.withLock { session in
            if session.isOpen { confirm(&session) }
            defer { (session.isOpen, session.isClosed) = (false, true) }
            return session.isClosed && faults.contains(.secondCloseHangs)
        }
        while hangs && !Task.isCancelled { try? await Task.sleep(for: .milliseconds(5)) }
    }

    private func enter() throws(ConnectorFailure) {
        try state.withLock { session throws(ConnectorFailure) in
            if session.isBusy { database.report("overlappingCalls", "nextBatch was called during another call") }
            guard session.isOpen else {
                database.report("calledWhileNotOpen", "nextBatch was called on a source that is not open")
                throw ConnectorFailure("model.not_open", .stop, "the model is not open")
            }
            session.isBusy = true
        }
    }

    private func confirm(_ session: inout Session) {
        defer { if faults.contains(.confirmsWhatWasRead) { database.pretendConfirmed(session.delivered) } }
        guard let position = session.acknowledged, !faults.contains(.neverConfirms) else { return }
        database.confirm(position, faults: faults)
        session.acknowledged = nil
    }

    /// A batch when there are changes or the position moved, or, now and then, an empty one; else nil.
    private func advance(_ session: inout Session) throws(ConnectorFailure) -> ChangeBatch? {
        confirm(&session)
        var count = Int.random(in: 1...changesMax, using: &session.random)
        // One change may be the repeated one; a reader that takes one batch at a time must get ahead nevertheless.
        if faults.contains(.repeatsLastAfterReopen) { count += 1 }
        if faults.contains(.batchesGrowWithoutBound) { count = .max }
        let reading = database.read(after: session.position, count: count)
        if !reading.items.isEmpty && Int.random(in: 0..<6, using: &session.random) == 0 {
            return try seal([], &session)
        }
        let isMove = reading.resume > session.delivered.value
        if reading.items.isEmpty && !isMove { return nil }
        session.take(reading, faults: faults)
        return try seal(reading.items, &session)
    }

    private func seal(
        _ items: [(transaction: PruningDatabase.Transaction, ordinal: UInt32)], _ session: inout Session
    ) throws(ConnectorFailure) -> ChangeBatch {
        var builder = ChangeBatchBuilder(capacity: 1024)
        var transaction: (commit: UInt64, index: UInt32)?
        for item in items where !isLost(item.transaction, item.ordinal) {
            if transaction?.commit != item.transaction.commit {
                transaction = (item.transaction.commit, builder.begin(item.transaction.info))
            }
            append(
                item.transaction.changes[Int(item.ordinal)], item.ordinal, transaction?.index ?? 0, &builder,
                opening: session.opening)
        }
        do {
            return try builder.seal(checkpoint: session.checkpoint(faults: faults))
        } catch {
            throw ConnectorFailure("model.batch", .stop, "the batch is too large")
        }
    }

    private func isLost(_ transaction: PruningDatabase.Transaction, _ ordinal: UInt32) -> Bool {
        faults.contains(.losesAChange) && ordinal == 1 && transaction.changes.count > 2
    }

    private func append(
        _ change: PruningDatabase.Change, _ ordinal: UInt32, _ transaction: UInt32,
        _ builder: inout ChangeBatchBuilder, opening: Int
    ) {
        var after = faults.contains(.deliversStaleRows) && !change.stale.isEmpty ? change.stale : change.after
        if !after.isEmpty && faults.contains(.trailingByteAfterTuple) { after.append(0) }
        if after.count > 20 && faults.contains(.changesBytesWhenReadAgain) && opening > 1 { after[20] ^= 1 }
        let before = change.before.isEmpty ? ByteRange.empty : builder.append(tuple: change.before.rawBytes)
        let range = after.isEmpty ? ByteRange.empty : builder.append(tuple: after.rawBytes)
        builder.append(
            RowChange(
                operation: change.operation, relation: builder.index(of: PruningDatabase.relations[change.relation]),
                transaction: transaction, ordinal: Session.shown(ordinal, faults), beforeImage: change.beforeImage,
                before: before, after: range))
    }
}

/// What a source object remembers while it is open.
private struct Session: Sendable {
    var isOpen = false
    var isClosed = false
    var isBusy = false
    var wasOpened = false
    var opening = 0
    var random = SeededGenerator(seed: 0)
    /// The last change that was delivered, and the one before, in the database's own ordinals.
    var position: ChangeIdentity?
    var previous: ChangeIdentity?
    /// The largest resume position that was handed out.
    var delivered = ResumePosition(0)
    var acknowledged: ResumePosition?
    var batches = 0
    var isBacklogged = false

    mutating func begin(opening: Int, after checkpoint: SourceCheckpoint?, faults: Set<SourceFault>) {
        self = Session()
        (isOpen, wasOpened, self.opening) = (true, true, opening)
        random = SeededGenerator(seed: UInt64(opening))
        delivered = checkpoint?.resume ?? ResumePosition(0)
        position = checkpoint?.last.map { ChangeIdentity(commit: $0.commit, ordinal: Self.hidden($0.ordinal, faults)) }
        if let notes = checkpoint?.notes, let noted = Self.read(notes) { position = noted }
        previous = position
        if faults.contains(.repeatsLastAfterReopen), let last = position { position = Self.before(last) }
    }

    mutating func take(_ reading: PruningDatabase.Reading, faults: Set<SourceFault>) {
        delivered = max(delivered, ResumePosition(reading.resume))
        isBacklogged = !reading.isAtEnd
        let identities = reading.items.map { ChangeIdentity(commit: $0.transaction.commit, ordinal: $0.ordinal) }
        guard let last = identities.last else { return }
        batches += 1
        previous = identities.count > 1 ? identities[identities.count - 2] : position
        position = last
    }

    func checkpoint(faults: Set<SourceFault>) -> SourceCheckpoint {
        let lags = faults.contains(.checkpointLagsBehindBatch)
        let last = (lags ? previous : position).map {
            ChangeIdentity(commit: $0.commit, ordinal: Self.shown($0.ordinal, faults))
        }
        let goesBack = faults.contains(.resumeGoesBack) && isBacklogged && batches.isMultiple(of: 2) && batches > 0
        return SourceCheckpoint(
            last: last, resume: goesBack ? ResumePosition(0) : delivered, notes: lags ? Self.notes(position) : [])
    }

    /// The ordinal that a reader sees.
    static func shown(_ ordinal: UInt32, _ faults: Set<SourceFault>) -> UInt32 {
        faults.contains(.leavesOrdinalGap) && ordinal > 0 ? ordinal + 1 : ordinal
    }

    private static func hidden(_ ordinal: UInt32, _ faults: Set<SourceFault>) -> UInt32 {
        faults.contains(.leavesOrdinalGap) && ordinal > 0 ? ordinal - 1 : ordinal
    }

    private static func before(_ identity: ChangeIdentity) -> ChangeIdentity {
        identity.ordinal > 0
            ? ChangeIdentity(commit: identity.commit, ordinal: identity.ordinal - 1)
            : ChangeIdentity(commit: identity.commit - 1, ordinal: .max)
    }

    private static func notes(_ position: ChangeIdentity?) -> [UInt8] {
        guard let position else { return [] }
        var buffer = OutputBuffer(capacity: 16)
        buffer.append(bigEndian: position.commit)
        buffer.append(bigEndian: position.ordinal)
        return [UInt8](copying: buffer.bytes)
    }

    private static func read(_ notes: [UInt8]) -> ChangeIdentity? {
        var reader = ByteReader(notes.rawBytes)
        guard let commit = reader.bigEndian(UInt64.self), let ordinal = reader.bigEndian(UInt32.self) else {
            return nil
        }
        return ChangeIdentity(commit: commit, ordinal: ordinal)
    }
}
