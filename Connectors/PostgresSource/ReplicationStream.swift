internal import ByteKit
internal import ChangeModel
internal import ConnectorKit
private import Glibc

/// The thread of a replication connection: reads, decodes, hands batches over, and keeps the server informed by its own
/// clock.
///
/// Nothing here waits for the pipeline: when the mailbox is full it stops reading and goes on telling the server that
/// it lives. Only the thread touches it after ``start(_:)``.
@safe final class ReplicationStream: @unchecked Sendable {
    /// A batch is handed over at this age during a backlog, or in the middle of a transaction.
    static let batchAge = Duration.milliseconds(5)

    private static let beforeFeedback = HaltPoint("postgres.before_feedback")
    private static let beforeStaleEnd = HaltPoint("postgres.before_stale_end")

    private let transport: any ReplicationTransport
    private let mailbox: BatchMailbox
    private let wakeUp: WakeUp
    private let catalogue: RelationCatalogue
    private var intake: Intake
    private var feedback: FeedbackClock
    private var pace = ReadPace()
    private var silence: SilenceWatch
    private let walsender: WalsenderCheck
    /// When the batch that is being filled got its first change.
    private var batchSince: ContinuousClock.Instant?
    private var lastRead = ContinuousClock.now
    /// True when a batch is due and the mailbox is full: the mailbox wakes the thread.
    private var waitsForRoom = false
    /// True when the rows of a snapshot are waited for.
    private var isHeldUp = false
    /// Since when names of the server are known to be stale.
    private var staleSince: ContinuousClock.Instant?
    /// The socket and the wake-up, for poll(2).
    private var entries = [pollfd(), pollfd()]

    init(
        transport: any ReplicationTransport, mailbox: BatchMailbox, wakeUp: WakeUp, catalogue: RelationCatalogue,
        intake: consuming Intake, feedback: FeedbackClock, silence: SilenceWatch, walsender: WalsenderCheck
    ) {
        self.transport = transport
        self.mailbox = mailbox
        self.wakeUp = wakeUp
        self.catalogue = catalogue
        self.feedback = feedback
        self.silence = silence
        self.walsender = walsender
        self.intake = intake
    }

    /// Runs until the mailbox is closed or the stream fails, then says goodbye and calls `ended`.
    func start(_ ended: @escaping @Sendable () -> Void) {
        startThread(name: "pg-stream") { [self] in
            do throws(ConnectorFailure) {
                while !mailbox.isOver { try turn() }
                try leave()
            } catch {
                mailbox.fail(error)
            }
            ended()
        }
    }

    /// One round: decode what is there, hand over what is due, tell the server, wait, read.
    private func turn() throws(ConnectorFailure) {
        if let publication = mailbox.takePublication() { intake.decoder.progress.notes.publication = publication }
        intake.decoder.refreshSnapshots()
        let isStuck = try decodeAndDeliver()
        if isHeldUp != (isStuck && !waitsForRoom) {
            isHeldUp.toggle()
            mailbox.isHeldUp(isHeldUp)
        }
        try tellServer()
        try transport.flush()
        if try sleep(reading: !isStuck) {
            try read()
        } else if isStuck {
            silence.heard(at: .now)
        } else {
            try listen()
        }
    }
}

// MARK: - Reading and handing over

extension ReplicationStream {
    /// Decodes what was received. True when it cannot go on before the pipeline takes a batch.
    private func decodeAndDeliver() throws(ConnectorFailure) -> Bool {
        waitsForRoom = false
        while true {
            let isFull = try intake.decode(catalogue)
            if intake.decoder.changeCount > 0, batchSince == nil { batchSince = .now }
            if isFull || isBatchDue, intake.decoder.changeCount > 0 {
                guard mailbox.hasRoom() else {
                    waitsForRoom = true
                    return isFull
                }
                batchSince = nil
                mailbox.deliver(try intake.decoder.seal(), newest: intake.decoder.progress.checkpoint)
            }
            if !isFull { break }
            if intake.decoder.isHeldUp, try !tellChunk(), !intake.decoder.isStale { return true }
            if intake.decoder.isStale {
                try endStale()
                return true
            }
        }
        if intake.decoder.changeCount == 0 { mailbox.advance(to: intake.decoder.progress.checkpoint) }
        return false
    }

    /// Gives the chunk of a snapshot its place when the stream has come to it. False when the stream cannot go on
    /// before the pipeline takes a batch, or before a worker has read what it reads.
    private func tellChunk() throws(ConnectorFailure) -> Bool {
        while intake.decoder.isAtChunk, !intake.decoder.isStale {
            guard mailbox.hasRoom() else {
                waitsForRoom = true
                return false
            }
            switch try intake.decoder.tellChunk(catalogue) {
            case .batch(let batch): mailbox.deliver(batch, newest: intake.decoder.progress.checkpoint)
            case .nothing: mailbox.advance(to: intake.decoder.progress.checkpoint)
            case .notYet: return false
            }
        }
        return !intake.decoder.isHeldUp
    }

    /// Ends a stream on which the server goes on under names that tables do not bear any more, to be opened again
    /// behind the last whole transaction. Not before the log knows that place: from an earlier one the server would
    /// read those names again, and go on under them.
    private func endStale() throws(ConnectorFailure) {
        let since = staleSince ?? .now
        staleSince = since
        mailbox.advance(to: intake.decoder.progress.checkpoint)
        let isKnown = mailbox.acknowledgedPosition >= intake.decoder.progress.resume.value
        guard isKnown || since.duration(to: .now) >= Self.stalePatience else { return }
        Self.beforeStaleEnd.reached()
        throw PostgresFailure.staleNames(intake.decoder.staleNames)
    }

    /// So long it may take until a position is confirmed that the log stores once a second; where sinks confirm, that
    /// is not waited for.
    private static let stalePatience = Duration.seconds(5)

    /// Outside of a backlog a batch goes at the end of a transaction, because nothing more is expected at once;
    /// otherwise at its age.
    private var isBatchDue: Bool {
        guard let since = batchSince else { return false }
        if intake.decoder.transaction == nil && !pace.isBacklog { return true }
        return since.duration(to: .now) >= Self.batchAge
    }

    private func read() throws(ConnectorFailure) {
        let count = try intake.read(transport)
        lastRead = .now
        mailbox.didRead()
        pace.didRead(count, at: lastRead)
        silence.heard(at: lastRead)
    }

    /// Notices a server that is gone although the socket looks well. Called when nothing has come.
    private func listen() throws(ConnectorFailure) {
        switch silence.step(at: .now) {
        case .wait: return
        case .ask:
            if !transport.hasPendingOutput { try send(acknowledged, replyRequested: true) }
        case .giveUp:
            guard walsender.isAtWork(silentFor: silence.patience) else {
                throw PostgresFailure.connectionLost(
                    "the server has said nothing for \(silence.patience.components.seconds) s, though it was asked")
            }
            silence.heard(at: .now)
        }
    }
}

// MARK: - Waiting

extension ReplicationStream {
    /// Sleeps until bytes arrive, a wish is made, or something is due. True when there is something to read.
    private func sleep(reading: Bool) throws(ConnectorFailure) -> Bool {
        if reading, pace.isBacklog { rest() }
        mailbox.serveDeadline()
        let wake = mailbox.sleeps(until: nextTask(reading: reading))
        // A wish that was made before the line above woke nobody, so it is looked for once more.
        let isIdle = !mailbox.isOver && feedbackDue >= wake
        let hasInput = reading && transport.hasBufferedInput
        poll(reading: reading, for: isIdle && !hasInput ? ContinuousClock.now.duration(to: wake) : .zero)
        mailbox.isAwake()
        if entries[1].revents != 0 { wakeUp.clear() }
        let isGone = Int32(entries[0].revents) & (POLLERR | POLLHUP | POLLNVAL) != 0
        if isGone && !reading { throw PostgresFailure.connectionLost("the server closed it") }
        return hasInput || (reading && (isGone || Int32(entries[0].revents) & POLLIN != 0))
    }

    /// When something is due that no descriptor announces.
    private func nextTask(reading: Bool) -> ContinuousClock.Instant {
        let due = reading ? min(feedbackDue, silence.due) : feedbackDue
        guard let since = batchSince, !waitsForRoom else { return due }
        return min(due, since + Self.batchAge)
    }

    /// During a backlog: lets bytes gather, unless the last read was long enough ago.
    private func rest() {
        let left = ContinuousClock.now.duration(to: lastRead + ReadPace.pause)
        guard left > .zero else { return }
        var time = timespec(left)
        unsafe nanosleep(&time, nil)
    }

    private func poll(reading: Bool, for duration: Duration) {
        var events = reading ? POLLIN : 0
        if transport.hasPendingOutput { events |= POLLOUT }
        entries[0] = pollfd(fd: transport.descriptor, events: Int16(truncatingIfNeeded: events), revents: 0)
        entries[1] = pollfd(fd: wakeUp.descriptor, events: Int16(truncatingIfNeeded: POLLIN), revents: 0)
        // Rounded up, so that what is due has really come when the thread wakes.
        let milliseconds = duration > .zero ? Int32(clamping: duration.milliseconds + 1) : 0
        guard unsafe Glibc.poll(&entries, 2, milliseconds) > 0 else {
            entries[0].revents = 0
            entries[1].revents = 0
            return
        }
    }
}

// MARK: - Telling the server

extension ReplicationStream {
    /// What may be confirmed: what the pipeline holds durably, and never less than what the server knows already.
    private var acknowledged: LSN { max(LSN(mailbox.acknowledgedPosition), feedback.told) }

    /// What could not be sent yet says enough; the next word follows once it is out, which poll(2) announces.
    private var feedbackDue: ContinuousClock.Instant {
        transport.hasPendingOutput ? .now + .seconds(1) : feedback.due(acknowledged: acknowledged)
    }

    private func tellServer() throws(ConnectorFailure) {
        guard !transport.hasPendingOutput, intake.decoder.replyRequested || feedbackDue <= .now else { return }
        intake.decoder.replyRequested = false
        try send(acknowledged)
    }

    private func send(_ flushed: LSN, replyRequested: Bool = false) throws(ConnectorFailure) {
        if flushed > feedback.told { Self.beforeFeedback.reached() }
        let update = StandbyStatusUpdate(
            written: flushed, flushed: flushed, applied: flushed, time: ServerClock.now,
            replyRequested: replyRequested)
        var body = OutputBuffer(capacity: 64)
        update.encode(into: &body)
        try transport.send(copyData: body.bytes)
        feedback.sent(flushed, at: .now)
    }

    /// Tells the server the last word and lets it end its side, so that the slot is free when this returns. A server
    /// that sends on for a second is left alone.
    private func leave() throws(ConnectorFailure) {
        if acknowledged > feedback.told { try send(acknowledged) }
        try transport.sendCopyDone()
        let deadline = ContinuousClock.now + .seconds(1)
        while ContinuousClock.now < deadline {
            poll(reading: true, for: min(.milliseconds(100), ContinuousClock.now.duration(to: deadline)))
            try transport.flush()
            if try intake.discard(transport) { return }
        }
    }
}

extension timespec {
    fileprivate init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.init(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
    }
}
