internal import ChangeModel
internal import ConnectorKit

/// Checks what must hold on the server before a stream may start, and makes what is missing. Everything that it makes
/// or changes is shown first.
struct ServerPreparation {
    let settings: PostgresSettings
    let side: SideConnection
    let notice: @Sendable (String) -> Void
    let warning: @Sendable (String) -> Void
    /// Is told what the preparation waits for.
    var waiting: @Sendable (ConnectorFailure) -> Void = { _ in }
    /// True on a standby, where nothing but the slot can be made.
    var isStandby = false
    /// What may be overcome, and was.
    var recovery = Recovery(isAllowed: false)

    /// A walsender connection and what it says about its system.
    struct Replication {
        var connection: PostgresConnection
        var systemIdentifier: String
        var timeline: TimelineMemory
    }

    /// Version, WAL level, standby.
    func checkServer() throws(ConnectorFailure) -> ServerFacts {
        let facts = try ServerFacts(side)
        try facts.check()
        return facts
    }

    /// Connects as a walsender; a role without REPLICATION is refused here, by the server.
    ///
    /// A database with the encoding SQL_ASCII holds any bytes as text. Asked for UTF-8 the server would end the stream
    /// at the first value that is none, so it is asked for the bytes as they are.
    func connectReplication(_ facts: ServerFacts) throws(ConnectorFailure) -> Replication {
        do throws(ServerError) {
            let connection = try PostgresConnection(
                opening: settings.url, for: .replication, applicationName: settings.applicationName)
            if facts.holdsAnyBytes { _ = try connection.execute("SET client_encoding TO 'SQL_ASCII'") }
            let system = try connection.execute("IDENTIFY_SYSTEM")
            let started = try connection.execute(ServerFacts.startQuery).first?.text("started")
            guard started == facts.started else {
                throw ServerError(
                    sqlState: nil, message: "the stream came to another server than the query before it",
                    isConnectionLost: true)
            }
            return Replication(
                connection: connection, systemIdentifier: system.first?.text("systemid") ?? "",
                timeline: try Self.timeline(system.first?.integer("timeline") ?? 1, connection))
        } catch {
            // What is no walsender takes this command for SQL.
            if error.sqlState == "42601" { throw PostgresFailure.pooler(error.message) }
            if error.sqlState == "42501" {
                throw PostgresFailure.noReplicationPrivilege(role: facts.role)
            }
            throw PostgresFailure.because(of: error, .connecting)
        }
    }

    /// The timeline with the ends of those before it. Its history file may be gone on a server that was restored
    /// without it; then the number alone counts.
    private static func timeline(
        _ number: Int, _ connection: PostgresConnection
    ) throws(ServerError) -> TimelineMemory {
        let number = UInt32(clamping: number)
        if number == 1 { return TimelineMemory(number: 1, forks: [:]) }
        do throws(ServerError) {
            let answer = try connection.execute("TIMELINE_HISTORY \(number)").first?["content"] ?? ""
            // A walsender sends the file as bytea, in the form that bytea_output says.
            return TimelineMemory(number: number, history: byteaText(answer))
        } catch {
            if error.isConnectionLost { throw error }
            return TimelineMemory(number: number, forks: [:])
        }
    }

    /// The text of a bytea value in hex form; a value in no such form is text already.
    private static func byteaText(_ value: String) -> String {
        guard value.hasPrefix("\\x") else { return value }
        var (bytes, high) = ([UInt8](), UInt8?.none)
        for digit in value.dropFirst(2) {
            guard let nibble = digit.hexDigitValue.flatMap({ UInt8(exactly: $0) }) else { return value }
            if let first = high { bytes.append(first << 4 | nibble) }
            high = high == nil ? nibble : nil
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Refuses a server that took another way than the one that was read, unless nothing of it was passed over.
    ///
    /// A slot on a standby lives through its promotion, and the stream goes on over it.
    mutating func checkTimeline(
        _ now: TimelineMemory, after checkpoint: SourceCheckpoint?, _ notes: SourceNotes, _ facts: ServerFacts
    ) throws(ConnectorFailure) {
        guard let checkpoint, let before = notes.timeline, before != now else { return }
        if notes.standby == facts.started {
            return notice(
                "the server is on timeline \(now.number) now, not \(before.number); it is the standby that was read")
        }
        let position = LSN(max(checkpoint.resume.value, checkpoint.last?.commit ?? 0))
        if let why = before.obstacle(to: now, readUpTo: position) {
            let loss = PostgresFailure.timelineChanged(from: before.number, to: now.number, why)
            return try recovery.overcome(loss, needsNewSlot: true, warning)
        }
        notice(
            "the server is on timeline \(now.number) now, not \(before.number): it was promoted, and what was read up "
                + "to \(position) lies before that")
    }

    /// wal_sender_timeout as it holds for this connection; nil when it is off.
    func senderTimeout(_ replication: PostgresConnection) throws(ConnectorFailure) -> Duration? {
        do throws(ServerError) {
            let result = try replication.execute(
                "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'")
            let milliseconds = result.first?.integer("setting") ?? 0
            return milliseconds > 0 ? .milliseconds(milliseconds) : nil
        } catch {
            throw PostgresFailure.because(of: error, .preparing)
        }
    }
}

// MARK: - Publication

extension ServerPreparation {
    /// Makes the publication, or adds the tables that it lacks, and returns what is published then. A table is never
    /// published before it is certain that the application's UPDATE and DELETE go on working.
    ///
    /// A source that was read before and whose publication is gone is refused: the server decodes old changes by the
    /// publication of their time, so one that is made now helps none of them. One that was altered, or whose tables
    /// were taken out, is refused too, because what changed there meanwhile never came.
    mutating func preparePublication(
        isResuming: Bool, memory: PublicationMemory?, version: Int
    ) throws(ConnectorFailure) -> PublicationMemory {
        let look = try PublicationLook(settings, side, version: version, memory: memory)
        for line in look.selection.idlePatterns { notice(line) }
        if !isResuming { try checkReadable(look.selection.tables) }
        guard look.state.exists else {
            if isResuming {
                let hasSlot = try SlotState.find(settings.slot, side) != nil
                let loss =
                    hasSlot
                    ? PostgresFailure.publicationMissing(settings.publication)
                    : PostgresFailure.slotMissing(settings.slot)
                try recovery.overcome(loss, needsNewSlot: true, warning)
            }
            try checkReplicaIdentity(look.selection.tables.filter { !$0.hasReplicaIdentity })
            let difference = try PublicationDifference(
                settings, look.selection.tables, look.state, version, side, isResuming: isResuming)
            for line in difference.notices { notice(line) }
            try apply(difference.steps)
            return try rememberedNow(version, memory)
        }
        try check(look.state, against: look.selection, isResuming: isResuming)
        let review = look.review(memory)
        if review.isLoss || isDoubtful(review) { try overcome(review) }
        announce(review)
        for table in review.lacking { warning(PostgresFailure.lackingWarning(table)) }
        try leaveOutKeyless(review, look, isResuming)
        let keyless = Set(review.keyless.map(\.id))
        let difference = try PublicationDifference(
            settings, look.selection.tables.filter { !keyless.contains($0.id) }, look.state, version, side,
            isResuming: isResuming)
        for line in difference.notices { notice(line) }
        for line in difference.warnings { warning(line) }
        if difference.steps.isEmpty && recovery.scope == .nothing { return review.memory }
        try apply(difference.steps, hasGap: isResuming)
        return try rememberedNow(version, memory)
    }

    /// True when a recovery is asked for, and nobody knows whether the slot has changes from before the publication's
    /// row was written. A stream that ended with `postgres.object_missing` has such.
    private func isDoubtful(_ review: PublicationReview) -> Bool { recovery.isAllowed && review.memory.row == nil }

    private mutating func overcome(_ review: PublicationReview) throws(ConnectorFailure) {
        let loss =
            review.isLoss
            ? PostgresFailure.unpublished(review, settings) : PostgresFailure.publicationDoubtful(settings)
        let needsNewSlot = review.isAltered || isDoubtful(review)
        if !needsNewSlot && review.lostOperations.isEmpty {
            return try recovery.overcome(
                loss, tables: Set(review.unpublished.map(\.id)), needsNewSlot: false, warning)
        }
        try recovery.overcome(loss, needsNewSlot: needsNewSlot, warning)
        if review.lostOperations.isEmpty { return }
        try execute(
            "ALTER PUBLICATION \(SQLText.identifier(settings.publication)) "
                + "SET (publish = 'insert, update, delete, truncate');",
            "publication \"\(settings.publication)\" left out \(review.lostOperations.joined(separator: ", "))")
    }

    /// Adds tables to the publication while the stream runs, showing the statement first. Returns those that the
    /// configuration wants in a way that cannot be, with the reason.
    func add(
        _ tables: [TableSelection.Table], to state: PublicationState, version: Int
    ) throws(ConnectorFailure) -> [(table: TableSelection.Table, failure: ConnectorFailure)] {
        var refused: [(table: TableSelection.Table, failure: ConnectorFailure)] = []
        for table in tables {
            do throws(ConnectorFailure) {
                let difference = try PublicationDifference(
                    settings, [table], state, version, side, isResuming: false)
                try apply(difference.steps, hasGap: true)
            } catch {
                guard error.remedy == .stop else { throw error }
                refused.append((table, error))
            }
        }
        return refused
    }

    /// Says what happened to tables that is no loss.
    func announce(_ review: PublicationReview) {
        for name in review.dropped { notice("table \(name) was dropped: no more changes will come from it") }
        for rename in review.renamed {
            notice(
                "table \(rename.old) is called \(rename.new) now"
                    + (rename.isWanted ? "" : ", which no pattern matches: its changes are left out"))
        }
    }

    /// Executes statements about the publication, each shown before.
    private func apply(_ steps: [PublicationDifference.Step], hasGap: Bool = false) throws(ConnectorFailure) {
        for step in steps {
            if isStandby {
                throw PostgresFailure.publicationOnStandby(
                    step, mark: PublicationOrigin.statement(settings.publication))
            }
            let gap = hasGap && step.kind == .addition ? "; what changed there until now is not captured" : ""
            notice("\(step.why)\(gap): \(step.statement)")
            // One implicit transaction: a publication without its mark would never be recognised as ours.
            let mark = step.kind == .creation ? " " + PublicationOrigin.statement(settings.publication) : ""
            do throws(ConnectorFailure) {
                _ = try side.query(step.statement + mark)
            } catch {
                // An error inside of BEGIN … COMMIT leaves the transaction open.
                if step.kind == .replacement { _ = try? side.query("ROLLBACK") }
                let isRefused = ["postgres.server_error", "postgres.unsupported"].contains(error.code)
                throw isRefused ? PostgresFailure.publicationRefused(step.statement, error.message) : error
            }
        }
    }

    private func rememberedNow(
        _ version: Int, _ before: PublicationMemory?
    ) throws(ConnectorFailure) -> PublicationMemory {
        let look = try PublicationLook(settings, side, version: version, memory: before)
        var now = look.review(nil).memory
        now.inherit(before)
        // A slot that is made after this look has nothing from before it.
        now.row = recovery.needsNewSlot ? look.state.row : before?.row ?? now.row
        return now
    }

    /// At the first start, before anything is made: a slot that nobody reads would keep WAL.
    private func checkReadable(_ tables: [TableSelection.Table]) throws(ConnectorFailure) {
        let unreadable = tables.filter(\.lacksRows)
        guard settings.readsOldRows, settings.snapshotURL == nil, !unreadable.isEmpty else { return }
        let role = try side.query("SELECT current_user AS role").first?.text("role") ?? ""
        throw PostgresFailure.notReadable(unreadable, role: role, isAvoidable: true)
    }

    private func checkReplicaIdentity(_ tables: [TableSelection.Table]) throws(ConnectorFailure) {
        if tables.isEmpty { return }
        throw PostgresFailure.noReplicaIdentity(tables)
    }

    /// Refuses tables without a replica identity, or says that they are left out; see
    /// ``PostgresSettings/refusesKeyless(_:isResuming:isPublished:)``.
    private func leaveOutKeyless(
        _ review: PublicationReview, _ look: PublicationLook, _ isResuming: Bool
    ) throws(ConnectorFailure) {
        let keyless = look.tables(review.keyless)
        let isPublished = { (table: TableSelection.Table) in review.memory.tables[table.id] != nil }
        try checkReplicaIdentity(
            keyless.filter { settings.refusesKeyless($0, isResuming: isResuming, isPublished: isPublished($0)) })
        for table in keyless {
            warning(PostgresFailure.keylessWarning(table, isPublished: isPublished(table)))
        }
    }

    /// A publication that somebody else made may leave things out.
    private func check(
        _ state: PublicationState, against selection: TableSelection, isResuming: Bool
    ) throws(ConnectorFailure) {
        let name = settings.publication
        if !state.sendsPartitionsAsRoot, let root = selection.tables.first(where: \.isPartitioned) {
            throw PostgresFailure.publicationOptions(
                name, "sends the changes of \(root.qualifiedName) under the names of its partitions",
                fix: PostgresFailure.altering(PublicationDifference.rootStatement(name), isResuming: isResuming))
        }
        if !state.unpublished.isEmpty {
            notice("publication \"\(name)\" leaves out \(state.unpublished.joined(separator: ", "))")
        }
    }

    func execute(_ statement: String, _ why: String) throws(ConnectorFailure) {
        notice("\(why): \(statement)")
        _ = try side.query(statement)
    }
}

// MARK: - Slot

extension ServerPreparation {
    /// Makes sure that the slot is ours and continues at the checkpoint; makes it for a source that was never read.
    /// Returns its confirmed position.
    mutating func prepareSlot(
        resumingAfter checkpoint: SourceCheckpoint?, _ facts: ServerFacts, _ replication: Replication
    ) throws(ConnectorFailure) -> LSN {
        let name = settings.slot
        let found = try releasedSlot()
        if let checkpoint, found != nil || recovery.isAllowed { try checkServerHasReached(checkpoint) }
        guard let slot = found else {
            if checkpoint != nil {
                try recovery.overcome(PostgresFailure.slotMissing(name), needsNewSlot: true, warning)
            }
            return try newSlot(replacing: nil, checkpoint, facts, replication)
        }
        try checkBelongsToUs(slot, facts)
        if isStandby && slot.isSynced { throw PostgresFailure.slotSynced(name) }
        if let reason = slot.lostBecause {
            let loss = PostgresFailure.slotLost(name, why: reason, try SlotLimits(side))
            try recovery.overcome(loss, needsNewSlot: true, warning)
        }
        if slot.activeProcess != nil { throw PostgresFailure.slotActive(name, try SlotHolder.find(slot, side)) }
        let confirmed = slot.confirmed ?? LSN(0)
        if checkpoint == nil {
            warning(
                "slot \"\(name)\" is there already, though this log is empty: it is read from \(confirmed) on. Another "
                    + "pipeline that reads it would miss what is confirmed here: give each a name of its own")
        }
        if let checkpoint, confirmed.value > checkpoint.resume.value {
            let loss = PostgresFailure.slotAhead(
                name, confirmed: confirmed.description, checkpoint: LSN(checkpoint.resume.value).description)
            try recovery.overcome(loss, needsNewSlot: true, warning)
        }
        return recovery.needsNewSlot ? try newSlot(replacing: slot, checkpoint, facts, replication) : confirmed
    }

    private func checkBelongsToUs(_ slot: SlotState, _ facts: ServerFacts) throws(ConnectorFailure) {
        if slot.plugin != "pgoutput" {
            let kind = slot.plugin.isEmpty ? "is a physical slot" : "decodes by \(slot.plugin), not pgoutput"
            throw PostgresFailure.slotForeign(settings.slot, kind)
        }
        if slot.database != facts.database {
            throw PostgresFailure.slotForeign(settings.slot, "belongs to database \"\(slot.database)\"")
        }
    }

    /// Makes the slot, in place of one that is of no use any more, and names the gap that this leaves.
    private func newSlot(
        replacing old: SlotState?, _ checkpoint: SourceCheckpoint?, _ facts: ServerFacts, _ replication: Replication
    ) throws(ConnectorFailure) -> LSN {
        if old != nil {
            let statement = "SELECT pg_catalog.pg_drop_replication_slot(\(SQLText.literal(settings.slot)))"
            try execute(statement, "slot \"\(settings.slot)\" is of no use any more")
        }
        let position = try createSlot(replication.connection, facts)
        if let checkpoint {
            warning(
                "GAP: changes between \(LSN(checkpoint.resume.value)), where the log ends, and \(position), where the "
                    + "new slot begins, are lost as changes")
        }
        return position
    }

    /// A server that was restored from a copy would pass over everything up to the checkpoint without a word. A standby
    /// may only lag, or be starting.
    private func checkServerHasReached(_ checkpoint: SourceCheckpoint) throws(ConnectorFailure) {
        let end = try WALEnd(side).position
        guard end.value < checkpoint.resume.value else { return }
        let (server, log) = (end.description, LSN(checkpoint.resume.value).description)
        throw isStandby
            ? PostgresFailure.standbyBehind(standby: server, checkpoint: log)
            : PostgresFailure.serverBehind(server: server, checkpoint: log)
    }

    /// The slot, after a moment's patience with a walsender that is about to let go of it.
    private func releasedSlot() throws(ConnectorFailure) -> SlotState? {
        for _ in 0..<20 {
            guard let slot = try SlotState.find(settings.slot, side), slot.activeProcess != nil else { break }
            _ = try side.query("SELECT pg_catalog.pg_sleep(0.1)")
        }
        return try SlotState.find(settings.slot, side)
    }
}
