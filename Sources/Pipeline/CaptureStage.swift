import ChangeModel
package import ConnectorKit
package import EventLog
package import Logging
package import Masking
package import Outbox

/// Moves batches from the source into the log: append, then sync, then acknowledge, in this order and no other (law 1).
///
/// Delivery may see a batch before it is synced, unless the batch says otherwise: after a power cut cursors and
/// events of the log go back together, and what is captured again has the same identities.
package struct CaptureStage {
    let source: any ChangeSource
    let log: any CaptureLog
    let feed: LogFeed
    let progress: PipelineProgress
    let stop: StopSignal
    let desk: RequestDesk
    let logger: Logger
    /// True to end when everything that was committed before the start is in the log.
    let endsWhenCaughtUp: Bool
    private var masking: BatchMasking
    private var routing: OutboxRouting
    /// When the source is told what it may forget.
    let acknowledgement: Acknowledgement
    /// The names of the sinks that ``Acknowledgement/delivered`` waits for.
    let sinks: @Sendable () -> [String]
    /// Called once when everything that was committed before the start is in the log, if the stage ends then.
    let caughtUp: @Sendable () -> Void
    /// Positions that not every sink has yet.
    var delivered = DeliveredPositions()
    /// Log offset behind the newest event.
    var loggedEnd: UInt64
    var quarantine: Quarantine
    /// What was committed before the start lies before it; nil where the run has no end.
    private(set) var target: ResumePosition?
    var backoff = Backoff()
    var patience: Patience
    private var bulkPatience = BulkPatience(.now)

    /// How long appended batches wait for a sync that covers them while more keep coming.
    static let syncInterval = Duration.milliseconds(200)
    /// How long the source may be silent before what was appended is synced.
    static let quietInterval = Duration.milliseconds(10)
    /// How often a position is stored that moved without any change (an idle slot on a busy server).
    static let idleCheckpointInterval = Duration.seconds(1)
    /// How long the source may be silent before the stage looks whether it should end.
    static let idleInterval = Duration.milliseconds(250)

    /// A stage that has not begun.
    package init(
        source: any ChangeSource, masking: BatchMasking, routing: OutboxRouting, log: any CaptureLog, feed: LogFeed,
        quarantine: Quarantine, progress: PipelineProgress, stop: StopSignal, desk: RequestDesk, logger: Logger,
        endsWhenCaughtUp: Bool, patience: Duration?,
        acknowledgement: Acknowledgement, sinks: @escaping @Sendable () -> [String],
        caughtUp: @escaping @Sendable () -> Void
    ) {
        self.source = source
        self.masking = masking
        self.routing = routing
        self.log = log
        self.feed = feed
        self.progress = progress
        self.stop = stop
        self.desk = desk
        self.logger = logger
        self.endsWhenCaughtUp = endsWhenCaughtUp
        self.patience = Patience(limit: patience)
        self.acknowledgement = acknowledgement
        self.sinks = sinks
        self.caughtUp = caughtUp
        loggedEnd = feed.nextOffset
        self.quarantine = quarantine
    }

    /// Captures until asked to stop, or until caught up when that was wanted. Failures that may pass are retried with
    /// growing pauses, for ever or as long as the patience lasts; others are thrown.
    package mutating func run() async throws(ConnectorFailure) {
        while !stop.isRequested {
            do throws(ConnectorFailure) {
                try await captureUntilFailure()
                await source.close()
                return
            } catch {
                progress.waits(for: error)
                await source.close()
                guard error.remedy == .retry else { throw error }
                // Whoever is asked to stop while it waits for a server fails on request.
                if stop.isRequested { return }
                patience.failed()
                if patience.isOver { throw patience.givenUp(error) }
                await pause(after: error)
            }
        }
    }

    private mutating func captureUntilFailure() async throws(ConnectorFailure) {
        let checkpoint = try await log.checkpoint()
        let identity = try await open(resumingAfter: checkpoint, of: try await log.source())
        try await log.bind(to: identity)
        if endsWhenCaughtUp, target == nil { target = try await source.endPosition() }
        logger.info("capturing", metadata: ["source": "\(identity.kind)"])
        progress.captures()
        var turn = Turn(after: checkpoint)
        while !stop.isRequested {
            try await releaseAccepted(&turn)
            // Before somebody's wishes: what is set aside is not read.
            tellWhatIsSetAside(&turn)
            try await carryOutRequests(&turn)
            try await take(&turn)
            if isCaughtUp(turn), !quarantine.isReleasing {
                guard try await sync(&turn) else { return }
                progress.caughtUp()
                caughtUp()
                return await awaitDelivery()
            }
        }
        try await sync(&turn)
        acknowledgeDelivered()
    }

    /// Tells the source of which tables changes are set aside, when that is not what it knows.
    private func tellWhatIsSetAside(_ turn: inout Turn) {
        guard quarantine.tablesSetAside != turn.setAside else { return }
        turn.setAside = quarantine.tablesSetAside
        source.setAside(quarantine.tablesSetAside)
    }

    /// True when everything that was committed before the start is in the log, and what the source reads beside its
    /// changes too, also what somebody asked for just now.
    private func isCaughtUp(_ turn: Turn) -> Bool {
        guard let target, let appended = turn.appended, appended.resume >= target,
            turn.asked.areAllRemembered(in: appended, by: source)
        else { return false }
        return source.isComplete(appended) && (turn.newest.map { source.isComplete($0) } ?? true)
    }

    /// Where the loop stands between two batches.
    struct Turn {
        /// The newest checkpoint in the log.
        var appended: SourceCheckpoint?
        /// The newest checkpoint that the source gave.
        var newest: SourceCheckpoint?
        /// When the oldest append that no sync covers was made; nil when all are covered.
        var unsyncedSince: ContinuousClock.Instant?
        /// When a checkpoint without changes was last stored.
        var idleCheckpointAt = ContinuousClock.now - CaptureStage.idleCheckpointInterval
        /// Requests that no durable checkpoint remembers yet.
        var asked = AskedSnapshots()
        /// The tables that the source knows to be set aside; nil before it was told.
        var setAside: Set<String>?
        /// When the source was opened.
        let openedAt = ContinuousClock.now

        /// What an earlier attempt or process appended may not be synced, nor acknowledged.
        init(after checkpoint: SourceCheckpoint?) {
            appended = checkpoint
            unsyncedSince = checkpoint == nil ? nil : .now
        }
    }

    private mutating func take(_ turn: inout Turn) async throws(ConnectorFailure) {
        let pause = turn.unsyncedSince == nil ? Self.idleInterval : Self.quietInterval
        let routed = try await nextBatch(until: .now + pause)
        let batch = routed.batch
        turn.newest = batch.checkpoint
        progress.reads(source.snapshotProgress)
        try judgeProgress(batch, turn)
        if batch.changeCount > 0 {
            try await append(routed, &turn)
        } else {
            try await storeIdleCheckpoint(batch, &turn)
        }
        acknowledgeDelivered()
        guard let since = turn.unsyncedSince else { return }
        if batch.changeCount == 0 || ContinuousClock.now - since >= Self.syncInterval { try await sync(&turn) }
    }

    /// The next batch with its masks on, and its outboxes told apart: nothing behind this has seen what is masked.
    private mutating func nextBatch(until deadline: ContinuousClock.Instant) async throws(ConnectorFailure)
        -> OutboxRouting.Routed
    {
        let batch = try await source.nextBatch(until: deadline)
        let routed = try routing.apply(to: try masking.apply(to: batch))
        for warning in masking.takeWarnings() + routing.takeWarnings() { logger.warning("\(warning)") }
        return routed
    }

    private mutating func append(
        _ routed: OutboxRouting.Routed, _ turn: inout Turn
    ) async throws(ConnectorFailure) {
        let batch = routed.batch
        let sorted = try await patiently { (stage) async throws(ConnectorFailure) in
            try await stage.quarantine.sort(routed)
        }
        guard let sorted else { return }
        guard let logged = try await store(sorted, &turn) else { return }
        loggedEnd = max(loggedEnd, logged.nextOffset)
        turn.appended = batch.checkpoint ?? turn.appended
        turn.unsyncedSince = turn.unsyncedSince ?? .now
        if batch.mustBeDurableBeforeDelivery {
            guard try await sync(&turn) else { return }
            await waitForConsumers(of: logged)
        }
        feed.publish(logged)
        let newest = batch.transactionCount > 0 ? batch.transaction(at: batch.transactionCount - 1).committedAt : nil
        progress.captured(
            batch.changeCount, newestCommit: newest, nextOffset: logged.nextOffset)
    }

    /// Lets the sinks that keep up read what is in memory before bulk pushes it out.
    private mutating func waitForConsumers(of logged: LoggedBatch) async {
        let start = ContinuousClock.now
        await feed.makeRoom(for: logged, until: start + bulkPatience.available(at: start))
        bulkPatience.spent(from: start, to: .now)
    }

    /// A position that moved without changes is stored now and then only, or at once when it is the one waited for.
    private mutating func storeIdleCheckpoint(_ batch: ChangeBatch, _ turn: inout Turn) async throws(ConnectorFailure) {
        guard let checkpoint = batch.checkpoint else { return }
        let resume = checkpoint.resume
        let isAwaited = turn.asked.isAnyRemembered(in: checkpoint, by: source)
        guard isAwaited || checkpoint != turn.appended else { return }
        let isTarget = (target.map { resume >= $0 } ?? false) && source.isComplete(checkpoint)
        guard isAwaited || isTarget || ContinuousClock.now - turn.idleCheckpointAt >= Self.idleCheckpointInterval else {
            return
        }
        let logged = try await patiently { (stage) async throws(ConnectorFailure) in
            try await stage.log.append(batch, versions: [])
        }
        guard logged != nil else { return }
        turn.idleCheckpointAt = .now
        turn.appended = checkpoint
        turn.unsyncedSince = turn.unsyncedSince ?? .now
    }

    /// Makes what was appended durable, and only then tells the source. False when asked to stop before it worked.
    @discardableResult
    private mutating func sync(_ turn: inout Turn) async throws(ConnectorFailure) -> Bool {
        guard turn.unsyncedSince != nil else { return true }
        let synced = try await patiently { (stage) async throws(ConnectorFailure) in try await stage.log.sync() }
        guard let synced else { return false }
        turn.unsyncedSince = nil
        if let durable = synced {
            switch acknowledgement {
            case .logged: source.acknowledge(durable.resume)
            case .delivered: delivered.add(offset: loggedEnd, resume: durable.resume)
            }
            answerRemembered(&turn.asked, in: durable)
        }
        return true
    }

    /// Repeats what the log or the schema folder cannot do now; the source stays open and keeps what is not
    /// acknowledged.
    mutating func patiently<T: Sendable>(
        _ work: (inout CaptureStage) async throws(ConnectorFailure) -> T
    ) async throws(ConnectorFailure) -> T? {
        let (progress, limit) = (progress, patience.limit)
        do throws(ConnectorFailure) {
            return try await stop.retrying(
                "capture waits", logger, on: &self, for: limit, told: progress.waits, work)
        } catch {
            if error.remedy == .retry { patience.spend() }
            throw error
        }
    }

    private mutating func pause(after failure: ConnectorFailure) async {
        let pause = patience.shortened(backoff.nextPause())
        logger.warning("source failed, will open it again", metadata: .failure(failure, retryIn: pause))
        await stop.wait(upTo: pause)
    }
}
