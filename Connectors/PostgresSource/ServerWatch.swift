internal import ChangeModel
internal import ConnectorKit

/// Looks at publication, slot and server again and again while the stream runs, over a connection of its own, and says
/// what people should know before it hurts. A loss ends the stream.
///
/// What is a loss, a danger or a stall is decided by values without I/O: ``PublicationReview``, ``WALForecast``,
/// ``RestartWatch`` and ``StallWatch``.
actor ServerWatch {
    private let thread = BlockingThread(name: "pg-watch")
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    private let settings: PostgresSettings
    private let version: Int
    /// The process that serves the stream.
    private let walsender: Int
    /// The timeline that the stream began on, on a standby; nil on a primary.
    private let standbyTimeline: UInt32?
    private let mailbox: BatchMailbox
    /// Is told which tables are captured.
    private let coordinator: SnapshotCoordinator
    private let readsOldRows: Bool
    private let side: SideConnection
    private let notice: @Sendable (String) -> Void
    private let warning: @Sendable (String) -> Void
    private var publication: PublicationMemory
    /// The names of the tables that snapshots know of, by oid.
    private var readTables: [UInt32: String]
    private var forecast: WALForecast
    private var restart: RestartWatch
    private var stall: StallWatch
    /// When each keyless table was last spoken of.
    private var keylessSaid: [UInt32: ContinuousClock.Instant] = [:]
    /// The new tables that cannot be captured as the configuration wants, which is said once.
    private var refusalsSaid: Set<UInt32> = []
    /// Since when the server does not answer.
    private var blindSince: ContinuousClock.Instant?
    /// What was said last about not seeing anything, so that it is said once.
    private var isBlindSaid = false

    /// A keyless table is spoken of again after this time.
    private static let keylessRepetition = Duration.seconds(3600)
    /// Not seeing anything for so long is said.
    private static let blindPatience = Duration.seconds(120)

    init(
        settings: PostgresSettings, version: Int, walsender: Int, standbyTimeline: UInt32?, mailbox: BatchMailbox,
        publication: PublicationMemory, coordinator: SnapshotCoordinator, readsOldRows: Bool,
        notice: @escaping @Sendable (String) -> Void, warning: @escaping @Sendable (String) -> Void
    ) {
        self.settings = settings
        self.version = version
        self.walsender = walsender
        self.standbyTimeline = standbyTimeline
        self.mailbox = mailbox
        self.publication = publication
        self.coordinator = coordinator
        self.readsOldRows = readsOldRows
        readTables = publication.tables.mapValues(\.name)
        self.notice = notice
        self.warning = warning
        side = SideConnection(url: settings.url, applicationName: settings.applicationName)
        forecast = WALForecast(spanMin: settings.forecastSpan)
        restart = RestartWatch(patience: settings.restartPatience, retainedMin: settings.restartRetainedMin)
        stall = StallWatch(patience: settings.stallPatience)
    }

    /// Looks until the task is cancelled or the stream was ended.
    func run() async {
        while !Task.isCancelled, !mailbox.isOver {
            try? await Task.sleep(for: settings.watchInterval)
            if Task.isCancelled { break }
            look()
        }
        side.close()
    }

    private func look() {
        do throws(ConnectorFailure) {
            try lookAtStandby()
            try lookAtPublication()
            coordinator.looked(before: try WALEnd(side).position)
            try lookAtSlot()
            if isBlindSaid { notice("the server can be looked at again") }
            (blindSince, isBlindSaid) = (nil, false)
        } catch {
            // The stream itself finds out when the server is gone; here it is only not seen for a while.
            let since = blindSince ?? .now
            blindSince = since
            if !isBlindSaid, since.duration(to: .now) >= Self.blindPatience {
                isBlindSaid = true
                warning("slot and publication cannot be looked at: [\(error.code)] \(error.message)")
            }
        }
    }
}

// MARK: - Standby

extension ServerWatch {
    /// A standby that was promoted, or follows another primary now, is opened again, so that the log knows its timeline
    /// before the server is stopped.
    private func lookAtStandby() throws(ConnectorFailure) {
        guard let standbyTimeline, let row = try side.query(Self.standbyQuery).first else { return }
        let timeline = row.integer("timeline_id") ?? 0
        if row.flag("in_recovery"), timeline <= Int(standbyTimeline) { return }
        mailbox.end(PostgresFailure.promoted())
    }

    private static let standbyQuery = """
        SELECT pg_catalog.pg_is_in_recovery() AS in_recovery, c.timeline_id FROM pg_catalog.pg_control_checkpoint() c
        """
}

// MARK: - Publication

extension ServerWatch {
    private func lookAtPublication() throws(ConnectorFailure) {
        let look = try PublicationLook(settings, side, version: version, memory: publication, isRunning: true)
        guard look.state.exists else {
            return mailbox.end(PostgresFailure.publicationMissing(settings.publication))
        }
        let review = look.review(publication)
        if review.isLoss { return mailbox.end(PostgresFailure.unpublished(review, settings)) }
        var preparation = ServerPreparation(settings: settings, side: side, notice: notice, warning: warning)
        preparation.isStandby = standbyTimeline != nil
        preparation.announce(review)
        for table in review.lacking where table.isNews { warning(PostgresFailure.lackingWarning(table)) }
        warnOfKeyless(look.tables(review.keyless), review)
        for (table, root) in look.hidden {
            warnOfRefused(table, PostgresFailure.partitionHidden(table, by: root, in: look.state, settings))
        }
        remember(review.memory)
        guard !review.missing.isEmpty else { return try readNewTables() }
        let refused = try preparation.add(look.tables(review.missing), to: look.state, version: version)
        for (table, failure) in refused { warnOfRefused(table, failure) }
        if refused.count < review.missing.count {
            let look = try PublicationLook(settings, side, version: version, memory: publication, isRunning: true)
            remember(look.review(publication).memory)
        }
        try readNewTables()
    }

    /// Has the rows read that are in tables which are captured since the last look, or have another name, or were away
    /// meanwhile.
    private func readNewTables() throws(ConnectorFailure) {
        let tables = publication.tables.mapValues(\.name)
        guard tables != readTables || coordinator.isBehind(tables) else { return }
        coordinator.adopt(try SnapshotPlan(settings, side), readsOldRows: readsOldRows)
        readTables = tables
    }

    private func remember(_ memory: PublicationMemory) {
        guard memory != publication else { return }
        publication = memory
        mailbox.remember(memory)
    }

    private func warnOfRefused(_ table: TableSelection.Table, _ failure: ConnectorFailure) {
        guard refusalsSaid.insert(table.id).inserted else { return }
        warning(PostgresFailure.refusedWarning(table, failure))
    }

    private func warnOfKeyless(_ tables: [TableSelection.Table], _ review: PublicationReview) {
        let known = keylessSaid
        keylessSaid = [:]
        for table in tables {
            if let said = known[table.id], said.duration(to: .now) < Self.keylessRepetition {
                keylessSaid[table.id] = said
                continue
            }
            keylessSaid[table.id] = .now
            warning(PostgresFailure.keylessWarning(table, isPublished: review.memory.tables[table.id] != nil))
        }
    }
}

// MARK: - Slot

extension ServerWatch {
    private func lookAtSlot() throws(ConnectorFailure) {
        let sample = try SlotSample(slot: settings.slot, walsender: walsender, side)
        guard let slot = sample.slot else { return }
        if let said = forecast.take(
            WALForecast.Sample(time: .now, safeBytes: slot.safeBytes, status: slot.walStatus))
        {
            try announce(said, slot)
        }
        if let restart = slot.restart, let confirmed = slot.confirmed,
            let said = self.restart.take(
                RestartWatch.Sample(
                    time: .now, restart: restart, confirmed: confirmed, retainedBytes: slot.retainedBytes ?? 0))
        {
            try announce(said)
        }
        watchForStall(sample)
    }

    private func announce(_ forecast: WALForecast.Announcement, _ slot: SlotState) throws(ConnectorFailure) {
        let name = "slot \"\(settings.slot)\""
        switch forecast {
        case .endangered(let seconds, let safe, let rate):
            warning(
                "\(name) will lose its WAL in about \(TimeText.of(seconds)): \(safe >> 20) MiB of room are left and "
                    + "shrink by \(rate >> 10) KiB a second. \(try whatHelps(slot))")
        case .unreserved:
            warning(
                "\(name) has no room left and loses its WAL at the server's next checkpoint. \(try whatHelps(slot))")
        case .recovered: notice("\(name) is out of danger: its WAL is kept")
        }
    }

    /// What holds the slot back, or how to make room.
    private func whatHelps(_ slot: SlotState) throws(ConnectorFailure) -> String {
        let limits = try SlotLimits(side)
        return "Raise max_slot_wal_keep_size (now \(limits.keepSize)): "
            + "ALTER SYSTEM SET max_slot_wal_keep_size = …; SELECT pg_reload_conf();"
            + (mailbox.pulse.isFull ? " Capture itself is waiting: look at the log's disk" : "")
    }

    private func announce(_ restart: RestartWatch.Announcement) throws(ConnectorFailure) {
        switch restart {
        case .held(let time, let retained):
            let holder = try TransactionHolder.oldest(side)
            warning(
                "slot \"\(settings.slot)\" was confirmed, and yet the server keeps \(retained >> 20) MiB of WAL for "
                    + "it: nothing was let go for \(TimeText.of(Int(time.components.seconds))). "
                    + (holder.map { "The oldest transaction is \($0.text): \($0.fix)" }
                        ?? "No transaction is known that holds it; a CHECKPOINT may release it"))
        case .released: notice("slot \"\(settings.slot)\": the server lets go of WAL again")
        }
    }

    private func watchForStall(_ sample: SlotSample) {
        let pulse = mailbox.pulse
        let verdict = stall.take(
            StallWatch.Sample(
                time: .now, serverEnd: sample.serverEnd, reached: LSN(pulse.reached), heard: pulse.readCount,
                sent: sample.sent, isBusy: sample.isSenderBusy,
                isFull: pulse.isFull || pulse.isHeldUp))
        switch verdict {
        case .stalled(let time) where sample.isWaitingForStandbys:
            warning(
                "nothing has come for \(time.components.seconds) s: the server waits until the standbys that "
                    + "synchronized_standby_slots names have received it")
        case .givenUp where sample.isWaitingForStandbys: break
        case .stalled(let time):
            warning(
                "the stream has stalled: the server has WAL up to \(sample.serverEnd), we have \(LSN(pulse.reached)), "
                    + "and nothing has come for \(time.components.seconds) s")
        case .givenUp(let time):
            mailbox.end(PostgresFailure.stalled(time, at: LSN(pulse.reached), of: sample.serverEnd))
        case .recovered: notice("the stream moves again")
        case nil: break
        }
    }
}
