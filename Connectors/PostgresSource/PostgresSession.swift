internal import ByteKit
internal import ChangeModel
internal import ConnectorKit
private import Synchronization

/// One connection's life, from open to close: the side connection on a thread of its own, and the stream on another.
actor PostgresSession {
    private let settings: PostgresSettings
    private let notice: @Sendable (String) -> Void
    private let warning: @Sendable (String) -> Void
    private let watchesKey: @Sendable (Relation) -> Bool
    private let side: SideConnection
    private let thread = BlockingThread(name: "pg-side")
    private let ended = Latch()
    private let streaming = Mutex<BatchMailbox?>(nil)
    private let reading = Mutex<SnapshotCrew?>(nil)
    private let preparing = Mutex<ConnectorFailure?>(nil)
    private let watching = Mutex<Task<Void, Never>?>(nil)

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    init(
        settings: PostgresSettings, notice: @escaping @Sendable (String) -> Void,
        warning: @escaping @Sendable (String) -> Void, watchesKey: @escaping @Sendable (Relation) -> Bool
    ) {
        self.watchesKey = watchesKey
        self.settings = settings
        self.notice = notice
        self.warning = warning
        side = SideConnection(url: settings.url, applicationName: settings.applicationName)
    }

    /// Those who read rows for snapshots; nil before the stream runs.
    nonisolated var crew: SnapshotCrew? { reading.withLock { $0 } }
    /// The stream's mailbox; nil before it runs.
    nonisolated var mailbox: BatchMailbox? { streaming.withLock { $0 } }

    /// What the source waits for: in preparation, or for its snapshots; nil for nothing.
    nonisolated var obstacle: ConnectorFailure? { preparing.withLock { $0 } ?? crew?.coordinator.obstacle }

    /// Where rows are read; nil before ``open(resumingAfter:of:recovers:)``.
    private var rowsPlace: SnapshotPlace?
    /// True when a loss was overcome on the way, which takes `recovers`.
    private(set) var didRecover = false

    /// Prepares the server and starts the stream. Nothing is made on a server that is not the expected one.
    func open(
        resumingAfter checkpoint: SourceCheckpoint?, of expected: SourceIdentity?, recovers: Bool
    ) throws(ConnectorFailure) -> SourceIdentity {
        var preparation = ServerPreparation(settings: settings, side: side, notice: notice, warning: warning)
        preparation.recovery = Recovery(isAllowed: recovers)
        preparation.waiting = { [weak self] failure in self?.waits(for: failure) }
        let facts = try preparation.checkServer()
        preparation.isStandby = facts.isInRecovery
        let replication = try preparation.connectReplication(facts)
        let identity = Self.identity(facts, replication, slot: settings.slot)
        if let expected, identity != expected { throw PostgresFailure.otherDatabase(identity, expected: expected) }
        var notes = try SourceNotes(decoding: checkpoint?.notes ?? [])
        try preparation.checkTimeline(replication.timeline, after: checkpoint, notes, facts)
        notes.timeline = replication.timeline
        notes.standby = facts.isInRecovery ? facts.started : nil
        let place = SnapshotPlace(settings, facts, replication)
        rowsPlace = place
        if checkpoint == nil && settings.readsOldRows { try place.check() }
        let publication = try preparation.preparePublication(
            isResuming: checkpoint != nil, memory: notes.publication, version: facts.versionNumber)
        notes.publication = publication
        let confirmed = try preparation.prepareSlot(resumingAfter: checkpoint, facts, replication)
        waits(for: nil)
        let senderTimeout = try preparation.senderTimeout(replication.connection)
        let start = LSN(max(checkpoint?.resume.value ?? 0, confirmed.value))
        let transport = transport(replication.connection)
        didRecover = preparation.recovery.scope != .nothing
        var input = OutputBuffer(capacity: 64 << 10)
        try transport.start(startCommand(start), into: &input)

        let before = notes.snapshot
        let plan = try planSnapshots(&notes, place, isResuming: checkpoint != nil, preparation.recovery.scope)
        guard let wakeUp = WakeUp(),
            let crew = SnapshotCrew(
                notes, plan, settings, timeline: replication.timeline.number,
                readsByItself: settings.readsOldRows && place.isPossible, streamWakeUp: wakeUp, notice: notice,
                warning: warning)
        else { throw PostgresFailure.connectionLost("no file descriptor is left") }
        crew.coordinator.wereCalled(before, until: plan.position)
        crew.coordinator.looked(before: try WALEnd(side).position)
        if checkpoint == nil { crew.coordinator.becomeStrict() }
        let progress = ReplicationProgress(after: checkpoint, slotPosition: confirmed, notes: notes)
        let mailbox = BatchMailbox(newest: progress.checkpoint, wakeUp: wakeUp)
        let stream = ReplicationStream(
            transport: transport, mailbox: mailbox, wakeUp: wakeUp,
            catalogue: RelationCatalogue(side: side, settings: settings, notice: notice),
            intake: Intake(
                decoder: ChangeDecoder(
                    progress: progress, slot: settings.slot, checksText: facts.holdsAnyBytes,
                    choice: settings.messages,
                    snapshots: SnapshotTracker(
                        coordinator: crew.coordinator, run: crew.run, watchesKey: watchesKey)),
                input: input, batchBytes: settings.batchBytes),
            feedback: FeedbackClock(
                interval: settings.statusInterval, senderTimeout: senderTimeout, told: confirmed, now: .now),
            silence: SilenceWatch(senderTimeout: senderTimeout, now: .now),
            walsender: WalsenderCheck(
                settings: settings, processID: replication.connection.processID, notice: notice))
        streaming.withLock { $0 = mailbox }
        reading.withLock { $0 = crew }
        crew.start { failure in mailbox.end(failure) }
        stream.start { [ended] in ended.open() }
        watch(crew, mailbox, publication, facts, replication)
        return identity
    }

    /// Puts into the notes which rows are left to be read.
    private func planSnapshots(
        _ notes: inout SourceNotes, _ place: SnapshotPlace, isResuming: Bool, _ renewed: Recovery.Scope
    ) throws(ConnectorFailure) -> SnapshotPlan {
        let plan = try SnapshotPlan(settings, side)
        let mixed = (settings.readsOldRows && place.isPossible ? plan.mixed(notes.keys) : []).filter {
            watchesKey(Relation(sourceID: $0.oid, schema: $0.schema, name: $0.name, columns: []))
        }
        for table in mixed where notes.snapshot?.tables[table.oid]?.stage == .done {
            warning(
                "consumers have rows of \(table.qualifiedName) under several keys: they are told to forget the table, "
                    + "and all of them are read again")
        }
        let snapshot = plan.notes(
            before: notes.snapshot, isResuming: isResuming, readsOldRows: settings.readsOldRows, renewed: renewed,
            mixed: Set(mixed.map(\.oid)))
        notes.snapshot = snapshot
        notes.keys.keep(Set(plan.tables.map(\.qualifiedName)))
        if !snapshot.isFinished && isResuming { try place.check() }
        return plan
    }

    private nonisolated func waits(for failure: ConnectorFailure?) { preparing.withLock { $0 = failure } }

    private func transport(_ connection: PostgresConnection) -> any ReplicationTransport {
        connection.isEncrypted || settings.readsThroughLibPQ
            ? LibPQTransport(connection, slot: settings.slot) : SocketTransport(connection, slot: settings.slot)
    }

    private func watch(
        _ crew: SnapshotCrew, _ mailbox: BatchMailbox, _ publication: PublicationMemory, _ facts: ServerFacts,
        _ replication: ServerPreparation.Replication
    ) {
        let watch = ServerWatch(
            settings: settings, version: facts.versionNumber, walsender: replication.connection.processID,
            standbyTimeline: facts.isInRecovery ? replication.timeline.number : nil, mailbox: mailbox,
            publication: publication, coordinator: crew.coordinator,
            readsOldRows: settings.readsOldRows && (rowsPlace?.isPossible ?? false), notice: notice, warning: warning)
        watching.withLock { $0 = Task { await watch.run() } }
    }

    /// What tells this source from every other.
    static func identity(
        _ facts: ServerFacts, _ replication: ServerPreparation.Replication, slot: String
    ) -> SourceIdentity {
        SourceIdentity(
            kind: "postgres",
            fingerprint: [
                "system identifier": replication.systemIdentifier, "database": facts.database,
                "database oid": facts.databaseID, "slot": slot,
            ])
    }

    /// The insert position, rounded down to where the flush position can come to.
    ///
    /// What was committed asynchronously lies before it and is flushed a little later. When something unflushed is
    /// there, an empty transaction of ours makes the server's WAL writer flush past it; otherwise that might wait for
    /// others.
    ///
    /// Whoever asks waits until everything is read: from now on a table that cannot be read ends the source.
    func endPosition() throws(ConnectorFailure) -> ResumePosition {
        crew?.coordinator.becomeStrict()
        let end = try WALEnd(side)
        if !end.isFlushed && !end.isInRecovery { _ = try? side.query("SELECT pg_catalog.pg_current_xact_id()") }
        return ResumePosition(end.position.value)
    }

    /// Begins to read tables again.
    func requestSnapshot(_ request: SnapshotRequest) throws(ConnectorFailure) {
        guard let crew, let rowsPlace else { throw PostgresFailure.notOpen() }
        try rowsPlace.check()
        let tables = try SnapshotPlan(settings, side).tables(of: request)
        try rowsPlace.checkReadable(tables.map(\.oid), side)
        crew.coordinator.request(request.id, tables)
    }

    /// Ends the stream after its last word to the server.
    nonisolated func close() async {
        let watch = watching.withLock { $0 }
        watch?.cancel()
        await watch?.value
        await crew?.close()
        if let mailbox {
            mailbox.close()
            await ended.wait()
        }
        await disconnect()
    }

    private func disconnect() { side.close() }

    private func startCommand(_ start: LSN) -> String {
        "START_REPLICATION SLOT \(SQLText.identifier(settings.slot)) LOGICAL \(start) (proto_version '1', "
            + "messages 'true', publication_names \(SQLText.literal(SQLText.identifier(settings.publication))))"
    }
}
