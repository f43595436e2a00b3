public import ChangeModel

/// Reads committed changes, in commit order, at least once.
///
/// One task calls `open`, `nextBatch` and `close`, one call at a time; `acknowledge` may come from any thread. After a
/// failure the pipeline calls `close`, and when the remedy is retry, `open` again.
public protocol ChangeSource: Sendable {
    /// Connects, checks what must hold, and begins after `checkpoint` (nil: the source has never been read). `expected`
    /// is the identity that the checkpoint was made on; a source that is another one refuses before it changes anything
    /// there.
    ///
    /// Throws instead of starting when changes between the checkpoint and now are gone: a gap is never passed over.
    func open(
        resumingAfter checkpoint: SourceCheckpoint?, of expected: SourceIdentity?
    ) async throws(ConnectorFailure) -> SourceIdentity

    /// The position that covers everything committed before this call. Callable while open.
    func endPosition() async throws(ConnectorFailure) -> ResumePosition

    /// The next changes. Returns an empty batch with a checkpoint when there are none by `deadline`; the checkpoint may
    /// have moved nevertheless. The source reads ahead by a bounded number of batches and no further.
    func nextBatch(until deadline: ContinuousClock.Instant) async throws(ConnectorFailure) -> ChangeBatch

    /// Everything up to `position` is durable here, so the source may forget it. Never blocks. A position below an
    /// earlier one is ignored.
    func acknowledge(_ position: ResumePosition)

    /// Reads the rows of tables again, as snapshot events between the changes. Called while open, between two calls of
    /// `nextBatch`; returns before the snapshot begins. A request that is remembered already changes nothing.
    ///
    /// Throws with the remedy ``ConnectorFailure/Remedy/stop`` what can never be carried out, such as a table that is
    /// not captured; the source stays open.
    func requestSnapshot(_ request: SnapshotRequest) async throws(ConnectorFailure)

    /// True when whoever resumes after `checkpoint` carries the request out, or need not any more, without being asked
    /// again.
    func remembers(_ request: SnapshotRequest, in checkpoint: SourceCheckpoint) -> Bool

    /// True when the source reads the rows of a table again whose columns changed. False where events tell of them as
    /// they change, and not of what the change of the table itself gave them.
    var readsChangedTablesAgain: Bool { get }

    /// True when nothing is left to be read beside the changes: no snapshot is under way at `checkpoint`. Whoever runs
    /// until everything is captured waits for this too.
    func isComplete(_ checkpoint: SourceCheckpoint) -> Bool

    /// Says of which tables (`schema.table`) changes are set aside now, and all later ones with them. A source that
    /// would read such a table again by itself may wait until it is not among them, and counts it as complete
    /// meanwhile. Called after `open` and when it changes, between two calls of `nextBatch`.
    func setAside(_ tables: Set<String>)

    /// How far the reading of old rows is; nil when none are being read. Callable from any thread.
    var snapshotProgress: SnapshotProgress? { get }

    /// What the source waits for while it is being opened, or while it reads rows beside the changes: it goes on
    /// waiting, and whoever cannot wait that long closes it. Nil when it waits for nothing that is worth a word.
    /// Callable from any thread.
    var obstacle: ConnectorFailure? { get }

    /// Tells the source what was acknowledged, where it needs telling, and disconnects. Callable in any state, twice
    /// too.
    func close() async
}

extension ChangeSource {
    /// Refuses: for a source that never reads rows again.
    public func requestSnapshot(_ request: SnapshotRequest) async throws(ConnectorFailure) {
        throw ConnectorFailure(
            "source.no_snapshot", .stop, "this source cannot read rows again",
            hint: "replay the log instead (`millrace tail --from earliest`)")
    }

    /// False: only row changes are told.
    public var readsChangedTablesAgain: Bool { false }

    /// True, for a source whose position says everything.
    public func isComplete(_ checkpoint: SourceCheckpoint) -> Bool { true }

    /// Does nothing, for a source that reads no table again by itself.
    public func setAside(_ tables: Set<String>) {}

    /// Nil, for a source that does not tell.
    public var snapshotProgress: SnapshotProgress? { nil }

    /// Nil, for a source that waits for nobody.
    public var obstacle: ConnectorFailure? { nil }

    /// False, as nothing is ever asked of such a source.
    public func remembers(_ request: SnapshotRequest, in checkpoint: SourceCheckpoint) -> Bool { false }
}
