package import ChangeModel
package import ConnectorKit
private import Synchronization

/// Captures committed row changes of a PostgreSQL database through a logical replication slot.
///
/// See "Logical Decoding" and "Logical Streaming Replication Protocol" in the PostgreSQL manual. Rows that
/// were there before the stream are read by chunks while it flows; see ``SnapshotTracker``.
package final class PostgresSource: ChangeSource {
    private let settings: PostgresSettings
    private let notice: @Sendable (String) -> Void
    private let warning: @Sendable (String) -> Void
    private let watchesKey: @Sendable (Relation) -> Bool
    private let session = Mutex<PostgresSession?>(nil)
    private let leave: Mutex<RecoveryLeave>
    /// What the last batch covers that was given away.
    private let given = Mutex<SourceCheckpoint?>(nil)

    /// A source that is not connected yet. `notice` is told what was made or changed on the server, and what is left
    /// out; `warning`, what endangers the slot, the application or what is captured. Without a `warning` both go to
    /// `notice`. They may be called from any thread.
    ///
    /// A table that `watchesKey` says no of may get another key without anything being told anew: its events do not
    /// have it. With `recovers`, one loss is overcome instead of refused: the tables that it concerns are read anew.
    package init(
        settings: PostgresSettings, notice: @escaping @Sendable (String) -> Void = { _ in },
        warning: (@Sendable (String) -> Void)? = nil, recovers: Bool = false,
        watchesKey: @escaping @Sendable (Relation) -> Bool = { _ in true }
    ) {
        self.watchesKey = watchesKey
        self.settings = settings
        self.notice = notice
        self.warning = warning ?? notice
        leave = Mutex(RecoveryLeave(isGiven: recovers))
    }

    /// Checks the server, makes publication and slot if they are missing, and starts the stream.
    ///
    /// Without a checkpoint an existing slot is read from its confirmed position. With one, a slot that is missing,
    /// lost or confirmed beyond it is refused.
    package func open(
        resumingAfter checkpoint: SourceCheckpoint?, of expected: SourceIdentity?
    ) async throws(ConnectorFailure) -> SourceIdentity {
        await close()
        let opened = PostgresSession(
            settings: settings, notice: notice, warning: warning, watchesKey: watchesKey)
        session.withLock { $0 = opened }
        given.withLock { $0 = nil }
        let recovers = leave.withLock { $0.isGiven }
        let identity = try await opened.open(resumingAfter: checkpoint, of: expected, recovers: recovers)
        let didRecover = await opened.didRecover
        if recovers, !didRecover {
            let left = opened.crew?.coordinator.progress?.tablesLeft ?? 0
            notice(
                left == 0
                    ? "nothing is lost: there was nothing to recover"
                    : "nothing more is lost; tables whose rows are still to be read: \(left)")
        }
        leave.withLock { $0.opened(after: checkpoint, didRecover: didRecover) }
        return identity
    }

    /// The server's insert position, which an idle stream reaches by keepalives.
    package func endPosition() async throws(ConnectorFailure) -> ResumePosition {
        guard let session = current else { throw PostgresFailure.notOpen() }
        return try await session.endPosition()
    }

    /// The next changes; see ``ChangeSource/nextBatch(until:)``.
    package func nextBatch(until deadline: ContinuousClock.Instant) async throws(ConnectorFailure) -> ChangeBatch {
        guard let session = current, let mailbox = session.mailbox else { throw PostgresFailure.notOpen() }
        // Who asks for more has dealt with what was given before.
        if let last = given.withLock({ $0 }) { session.crew?.coordinator.handled(last) }
        let batch = try await mailbox.next(until: deadline)
        given.withLock { $0 = batch.checkpoint }
        return batch
    }

    /// Confirms a position to the server within a tenth of a second.
    package func acknowledge(_ position: ResumePosition) {
        leave.withLock { $0.acknowledged(position) }
        current?.mailbox?.acknowledge(position.value)
    }

    /// Reads the rows of tables again, by chunks between the changes.
    package func requestSnapshot(_ request: SnapshotRequest) async throws(ConnectorFailure) {
        guard let session = current else { throw PostgresFailure.notOpen() }
        try await session.requestSnapshot(request)
    }

    /// True when the notes of the checkpoint name the request.
    package func remembers(_ request: SnapshotRequest, in checkpoint: SourceCheckpoint) -> Bool {
        Self.snapshotNotes(checkpoint)?.requests.contains(request.id) ?? false
    }

    /// True when no table is left to be read.
    package func isComplete(_ checkpoint: SourceCheckpoint) -> Bool {
        guard let notes = Self.snapshotNotes(checkpoint), !notes.isFinished else { return true }
        return current?.crew?.coordinator.waitsForOthers(notes) ?? false
    }

    /// Tables that are to be read because of another key wait until their changes are not set aside any more.
    package func setAside(_ tables: Set<String>) { current?.crew?.coordinator.setAside(tables) }

    /// How far the workers are; nil when nothing is left to read.
    package var snapshotProgress: SnapshotProgress? { current?.crew?.coordinator.progress }

    /// A transaction of somebody else that a slot or a snapshot waits for, or a lock; nil for none.
    package var obstacle: ConnectorFailure? { current?.obstacle }

    static func snapshotNotes(_ checkpoint: SourceCheckpoint?) -> SnapshotNotes? {
        do throws(ConnectorFailure) {
            return try SourceNotes(decoding: checkpoint?.notes ?? []).snapshot
        } catch {
            return nil
        }
    }

    /// Confirms what was acknowledged, ends the stream and disconnects.
    package func close() async {
        let closing = session.withLock { session in
            defer { session = nil }
            return session
        }
        await closing?.close()
    }

    private var current: PostgresSession? { session.withLock { $0 } }
}
