import ChangeModel
import ConnectorKit
import EventLog
import Pipeline

/// A source with something to do around the calls of another.
struct ScriptedSource: ChangeSource {
    let inner: any ChangeSource
    var onOpen: @Sendable () async throws(ConnectorFailure) -> Void = { () async throws(ConnectorFailure) in }
    var onBatch: @Sendable (ChangeBatch) async throws(ConnectorFailure) -> ChangeBatch = {
        (batch) async throws(ConnectorFailure) in batch
    }
    /// What it waits for.
    var onObstacle: @Sendable () -> ConnectorFailure? = { nil }
    /// False while it reads something beside its changes.
    var isAtEnd = true
    /// True to answer at once when there is nothing, as a source does whose position moves all the time.
    var isRestless = false

    func open(
        resumingAfter checkpoint: SourceCheckpoint?, of expected: SourceIdentity?
    ) async throws(ConnectorFailure) -> SourceIdentity {
        try await onOpen()
        return try await inner.open(resumingAfter: checkpoint, of: expected)
    }

    func endPosition() async throws(ConnectorFailure) -> ResumePosition { try await inner.endPosition() }

    func nextBatch(until deadline: ContinuousClock.Instant) async throws(ConnectorFailure) -> ChangeBatch {
        try await onBatch(try await inner.nextBatch(until: isRestless ? .now : deadline))
    }

    var obstacle: ConnectorFailure? { onObstacle() }
    func isComplete(_ checkpoint: SourceCheckpoint) -> Bool { isAtEnd && inner.isComplete(checkpoint) }
    func acknowledge(_ position: ResumePosition) { inner.acknowledge(position) }
    func close() async { await inner.close() }
}

/// A sink with something to do before the calls of another, or another receipt.
struct ScriptedSink: EventSink {
    let inner: any EventSink
    var onOpen: @Sendable () async throws(ConnectorFailure) -> Void = { () async throws(ConnectorFailure) in }
    var onWrite: @Sendable (RecordBatch) async throws(ConnectorFailure) -> Void = {
        (_) async throws(ConnectorFailure) in
    }
    var receipt: @Sendable (DeliveryReceipt, RecordBatch) -> DeliveryReceipt = { receipt, _ in receipt }

    func open(_ context: SinkContext) async throws(ConnectorFailure) {
        try await onOpen()
        try await inner.open(context)
    }

    func write(_ batch: RecordBatch, _ durability: Durability) async throws(ConnectorFailure) -> DeliveryReceipt {
        try await onWrite(batch)
        return receipt(try await inner.write(batch, durability), batch)
    }

    func close() async { await inner.close() }
}

/// A log with something to do before the calls of the real one.
struct ScriptedLog: CaptureLog {
    let inner: EventLog
    var onRegister: @Sendable (String) async throws(ConnectorFailure) -> Void = { (_) async throws(ConnectorFailure) in
    }
    var onAppend: @Sendable (ChangeBatch) async throws(ConnectorFailure) -> Void = {
        (_) async throws(ConnectorFailure) in
    }
    var onSync: @Sendable () async throws(ConnectorFailure) -> Void = { () async throws(ConnectorFailure) in }
    /// Runs after a sync that worked.
    var afterSync: @Sendable (SourceCheckpoint?) -> Void = { _ in }

    func source() async throws(ConnectorFailure) -> SourceIdentity? { try await inner.source() }
    func bind(to identity: SourceIdentity) async throws(ConnectorFailure) { try await inner.bind(to: identity) }
    func checkpoint() async throws(ConnectorFailure) -> SourceCheckpoint? { try await inner.checkpoint() }

    func register(
        _ relation: Relation, subject: String, version: Int
    ) async throws(ConnectorFailure) -> RelationVersion {
        try await onRegister(subject)
        return try await inner.register(relation, subject: subject, version: version)
    }

    func append(_ batch: ChangeBatch, versions: [RelationVersion]) async throws(ConnectorFailure) -> LoggedBatch {
        try await onAppend(batch)
        return try await inner.append(batch, versions: versions)
    }

    func sync() async throws(ConnectorFailure) -> SourceCheckpoint? {
        try await onSync()
        let durable = try await inner.sync()
        afterSync(durable)
        return durable
    }
}
