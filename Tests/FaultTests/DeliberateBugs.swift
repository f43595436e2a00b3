import ChangeModel
import ConnectorKit
import EventLog
import Pipeline
import Synchronization

/// A source that confirms a batch as soon as it was read.
struct EarlyAcknowledgingSource: ChangeSource {
    let inner: any ChangeSource

    func open(
        resumingAfter checkpoint: SourceCheckpoint?, of expected: SourceIdentity?
    ) async throws(ConnectorFailure) -> SourceIdentity {
        try await inner.open(resumingAfter: checkpoint, of: expected)
    }

    func endPosition() async throws(ConnectorFailure) -> ResumePosition { try await inner.endPosition() }

    func nextBatch(until deadline: ContinuousClock.Instant) async throws(ConnectorFailure) -> ChangeBatch {
        let batch = try await inner.nextBatch(until: deadline)
        if let resume = batch.checkpoint?.resume { inner.acknowledge(resume) }
        return batch
    }

    func acknowledge(_ position: ResumePosition) { inner.acknowledge(position) }
    func close() async { await inner.close() }
}

/// What a ``BrokenLog`` does wrong.
enum LogBug: Sendable {
    /// `sync` answers with the checkpoint of the log without syncing.
    case reportsWithoutSync
    /// `append` leaves out the last change of every third batch.
    case losesAChange
    /// `append` counts the changes of a transaction from 0, 2.
    case skipsAnOrdinal
    /// Every third `append` returns without writing.
    case losesTheOpenBatch
}

/// A log with a deliberate bug.
final class BrokenLog: CaptureLog {
    private let inner: any CaptureLog
    private let bug: LogBug
    private let appended = Mutex((count: 0, nextOffset: UInt64(0)))

    init(_ inner: any CaptureLog, _ bug: LogBug) {
        self.inner = inner
        self.bug = bug
    }

    func source() async throws(ConnectorFailure) -> SourceIdentity? { try await inner.source() }
    func bind(to identity: SourceIdentity) async throws(ConnectorFailure) { try await inner.bind(to: identity) }
    func checkpoint() async throws(ConnectorFailure) -> SourceCheckpoint? { try await inner.checkpoint() }

    func register(
        _ relation: Relation, subject: String, version: Int
    ) async throws(ConnectorFailure) -> RelationVersion {
        try await inner.register(relation, subject: subject, version: version)
    }

    func append(_ batch: ChangeBatch, versions: [RelationVersion]) async throws(ConnectorFailure) -> LoggedBatch {
        guard batch.changeCount > 0 else { return try await inner.append(batch, versions: versions) }
        let (count, offset) = appended.withLock { appended in
            appended.count += 1
            return appended
        }
        let isThird = count % 3 == 0
        if bug == .losesTheOpenBatch && isThird {
            return LoggedBatch(firstOffset: offset, batch: batch, versions: versions)
        }
        let logged = try await inner.append(try changed(batch, isThird), versions: versions)
        appended.withLock { $0.nextOffset = logged.nextOffset }
        return logged
    }

    func sync() async throws(ConnectorFailure) -> SourceCheckpoint? {
        bug == .reportsWithoutSync ? try await inner.checkpoint() : try await inner.sync()
    }

    private func changed(_ batch: ChangeBatch, _ isThird: Bool) throws(ConnectorFailure) -> ChangeBatch {
        switch bug {
        case .losesAChange where isThird && batch.changeCount > 1: try batch.copy { $0.dropLast() }
        case .skipsAnOrdinal:
            try batch.copy { changes in
                changes.map { change in
                    var moved = change
                    moved.ordinal += change.ordinal > 0 ? 1 : 0
                    return moved
                }
            }
        default: batch
        }
    }
}

extension ChangeBatch {
    /// The same batch with other changes.
    func copy(
        mustBeDurableBeforeDelivery: Bool = false, _ edit: ([RowChange]) -> [RowChange] = { $0 }
    ) throws(ConnectorFailure) -> ChangeBatch {
        var builder = ChangeBatchBuilder(capacity: 1024)
        for relation in relations { _ = builder.index(of: relation) }
        for index in 0..<transactionCount { _ = builder.begin(transaction(at: index)) }
        for change in edit((0..<changeCount).map { change(at: $0) }) {
            var copy = change
            if !change.before.isEmpty { copy.before = builder.append(tuple: tuple(change.before)) }
            if !change.after.isEmpty { copy.after = builder.append(tuple: tuple(change.after)) }
            builder.append(copy)
        }
        guard let checkpoint,
            let batch = try? builder.seal(
                checkpoint: checkpoint, mustBeDurableBeforeDelivery: mustBeDurableBeforeDelivery)
        else { throw ConnectorFailure("test.copy", .stop, "a batch cannot be copied") }
        return batch
    }
}

/// A sink that calls records durable when it has only taken them.
struct BoastingSink: EventSink {
    let inner: any EventSink

    func open(_ context: SinkContext) async throws(ConnectorFailure) { try await inner.open(context) }

    func write(_ batch: RecordBatch, _ durability: Durability) async throws(ConnectorFailure) -> DeliveryReceipt {
        let receipt = try await inner.write(batch, .whenConvenient)
        return .durable(before: batch.nextOffset, state: receipt.state)
    }

    func close() async { await inner.close() }
}
