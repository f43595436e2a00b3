package import ChangeModel
package import ConnectorKit
private import Synchronization

/// Captures the changes of a SQLite database through triggers that write a change log into the database itself.
///
/// It has a thread and a connection of its own, looks for new rows in the log every few milliseconds, and removes what
/// was acknowledged. Rows that were there before the start come as snapshot events between the changes.
package actor SQLiteSource: ChangeSource {
    private let settings: SQLiteSettings
    private let notice: @Sendable (String) -> Void
    private let thread = BlockingThread(name: "millrace-sqlite")
    private let acknowledged = AcknowledgedPosition()
    private var session: CaptureSession?
    private var pause = PollPause()

    /// A source that is not open yet. `notice` gets sentences for the operator, such as tables that are passed over.
    package init(_ settings: SQLiteSettings, notice: @escaping @Sendable (String) -> Void) {
        self.settings = settings
        self.notice = notice
    }

    /// Its triggers name the columns: a table that has others is captured and read anew.
    package nonisolated var readsChangedTablesAgain: Bool { true }

    /// The source's own thread.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    /// Installs tables and triggers where they are missing, in one transaction, and begins after `checkpoint`.
    ///
    /// Another database than the one of the checkpoint, or than `expected`, is refused before anything is installed in
    /// it.
    package func open(
        resumingAfter checkpoint: SourceCheckpoint?, of expected: SourceIdentity?
    ) async throws(ConnectorFailure) -> SourceIdentity {
        session = nil
        do {
            let opened = try CaptureSession.open(
                settings, resumingAfter: checkpoint, of: expected, notice: notice)
            session = opened
            return CaptureSession.identity(opened.progress.database)
        } catch {
            throw ConnectorFailure(error, path: settings.path, while: "preparing the capture")
        }
    }

    /// The newest row of the change log, and the end of the snapshot that is being taken.
    package func endPosition() async throws(ConnectorFailure) -> ResumePosition {
        let session = try openSession()
        do {
            return try session.endPosition()
        } catch {
            throw ConnectorFailure(error, path: settings.path, while: "reading the end of the change log")
        }
    }

    /// The next changes, in batches of about 512 KiB. A cancelled task gets an empty batch at once.
    package func nextBatch(until deadline: ContinuousClock.Instant) async throws(ConnectorFailure) -> ChangeBatch {
        do {
            while true {
                let session = try openSession()
                try session.prune(upTo: acknowledged.value)
                if let batch = try session.poll() {
                    pause.reset()
                    return batch
                }
                let now = ContinuousClock.now
                guard now < deadline, !Task.isCancelled else { return try session.emptyBatch() }
                try? await Task.sleep(for: min(pause.next(longest: settings.pollInterval), deadline - now))
            }
        } catch let failure as ConnectorFailure {
            throw failure
        } catch let error as SQLiteError {
            throw ConnectorFailure(error, path: settings.path, while: "reading changes")
        } catch {
            throw ConnectorFailure(
                "sqlite.query_failed", .stop, "\(settings.path): reading changes failed",
                hint: "PRAGMA integrity_check in the database; if it finds nothing, please report this")
        }
    }

    /// Reads the rows of tables again, as of the moments at which they are read.
    package func requestSnapshot(_ request: SnapshotRequest) async throws(ConnectorFailure) {
        let session = try openSession()
        do {
            try session.takeSnapshot(request)
        } catch {
            throw ConnectorFailure(error, path: settings.path, while: "beginning a snapshot")
        }
    }

    /// True when the checkpoint's notes name the request.
    package nonisolated func remembers(_ request: SnapshotRequest, in checkpoint: SourceCheckpoint) -> Bool {
        SourceProgress(checkpoint)?.requests.contains(request.id) ?? false
    }

    /// Lets the rows up to `position` be removed from the change log, soon.
    package nonisolated func acknowledge(_ position: ResumePosition) { acknowledged.raise(to: position) }

    /// Removes what was acknowledged, a bounded number of rows, and closes the connection.
    package func close() async {
        try? session?.prune(upTo: acknowledged.value, isClosing: true)
        session = nil
    }

    private func openSession() throws(ConnectorFailure) -> CaptureSession {
        guard let session else {
            throw ConnectorFailure(
                "sqlite.not_open", .retry, "\(settings.path) is not open",
                setting: "source.sqlite.path")
        }
        return session
    }
}

/// The highest position that was acknowledged, written by any thread.
private final class AcknowledgedPosition: Sendable {
    private let position = Atomic<UInt64>(0)

    var value: ResumePosition { ResumePosition(position.load(ordering: .acquiring)) }

    func raise(to other: ResumePosition) { position.max(other.value, ordering: .releasing) }
}

/// How long to wait before the next look: short while changes arrive, longer and longer when none do.
private struct PollPause {
    private static let shortest: Duration = .milliseconds(2)
    private static let shortCount = 50
    private var count = 0
    private var length = shortest

    mutating func reset() {
        count = 0
        length = Self.shortest
    }

    mutating func next(longest: Duration) -> Duration {
        count += 1
        if count > Self.shortCount { length = min(length * 2, longest) }
        return min(length, longest)
    }
}
