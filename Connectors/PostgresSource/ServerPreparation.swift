internal import ChangeModel
internal import ConnectorKit

/// Checks what must hold on the server before a stream may start, and makes what is missing. Everything that it makes
/// or changes is shown first.
struct ServerPreparation {
    let settings: PostgresSettings
    let side: SideConnection
    let notice: @Sendable (String) -> Void

    /// A walsender connection and what it says about its system.
    struct Replication {
        var connection: PostgresConnection
        var systemIdentifier: String
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
            return Replication(connection: connection, systemIdentifier: system.first?.text("systemid") ?? "")
        } catch {
            // What is no walsender takes this command for SQL.
            if error.sqlState == "42601" { throw PostgresFailure.pooler(error.message) }
            if error.sqlState == "42501" {
                throw PostgresFailure.noReplicationPrivilege(role: facts.role)
            }
            throw PostgresFailure.because(of: error, .connecting)
        }
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
    /// Makes the publication, or adds the tables that it lacks. A table is never published before it is certain that
    /// the application's UPDATE and DELETE go on working.
    ///
    /// A source that was read before and whose publication is gone is refused: the server decodes old changes by the
    /// publication of their time, so one that is made now helps none of them.
    func preparePublication(isResuming: Bool) throws(ConnectorFailure) {
        let selection = try TableSelection(settings, side)
        for pattern in selection.idlePatterns { notice("no table matches \(pattern)") }
        let name = settings.publication
        let state = try PublicationState(name, side)
        if state.needsReplicaIdentity || !state.exists { try checkReplicaIdentity(selection.tables) }
        guard state.exists else {
            if isResuming {
                guard try SlotState.find(settings.slot, side) != nil else {
                    throw PostgresFailure.slotMissing(settings.slot)
                }
                throw PostgresFailure.publicationMissing(name)
            }
            return try execute(
                PublicationState.createStatement(name, selection.tables), "publication \"\(name)\" is missing")
        }
        try check(state, against: selection)
        let missing = selection.tables.filter { !state.tables.contains($0.qualifiedName) }
        if missing.isEmpty { return }
        try execute(
            PublicationState.addStatement(name, missing),
            "publication \"\(name)\" lacks \(missing.map(\.qualifiedName).joined(separator: ", "))"
                + (isResuming ? "; what changed there until now is not captured" : ""))
    }

    private func checkReplicaIdentity(_ tables: [TableSelection.Table]) throws(ConnectorFailure) {
        let without = tables.filter { !$0.hasReplicaIdentity }
        if without.isEmpty { return }
        throw PostgresFailure.noReplicaIdentity(without.map { ($0.schema, $0.name) })
    }

    /// A publication that somebody else made may leave things out.
    private func check(_ state: PublicationState, against selection: TableSelection) throws(ConnectorFailure) {
        let name = settings.publication
        if !state.sendsPartitionsAsRoot, let root = selection.tables.first(where: \.isPartitioned) {
            throw PostgresFailure.publicationOptions(
                name, "sends the changes of \(root.qualifiedName) under the names of its partitions",
                fix: PublicationState.rootStatement(name))
        }
        if !state.unpublished.isEmpty {
            notice("publication \"\(name)\" leaves out \(state.unpublished.joined(separator: ", "))")
        }
    }

    private func execute(_ statement: String, _ why: String) throws(ConnectorFailure) {
        notice("\(why): \(statement)")
        _ = try side.query(statement)
    }
}

// MARK: - Slot

extension ServerPreparation {
    /// Makes sure that the slot is ours and continues at the checkpoint; makes it for a source that was never read.
    /// Returns its confirmed position.
    func prepareSlot(
        resumingAfter checkpoint: SourceCheckpoint?, _ facts: ServerFacts, _ replication: Replication,
        isCancelled: () -> Bool
    ) throws(ConnectorFailure) -> LSN {
        let name = settings.slot
        guard let slot = try releasedSlot() else {
            if checkpoint != nil { throw PostgresFailure.slotMissing(name) }
            return try createSlot(replication.connection, role: facts.role, isCancelled)
        }
        if slot.plugin != "pgoutput" {
            let kind = slot.plugin.isEmpty ? "is a physical slot" : "decodes by \(slot.plugin), not pgoutput"
            throw PostgresFailure.slotForeign(name, kind)
        }
        if slot.database != facts.database {
            throw PostgresFailure.slotForeign(name, "belongs to database \"\(slot.database)\"")
        }
        if let reason = slot.lostBecause { throw PostgresFailure.slotLost(name, why: reason) }
        if let process = slot.activeProcess { throw PostgresFailure.slotActive(name, processID: process) }
        let confirmed = slot.confirmed ?? LSN(0)
        if let checkpoint { try checkServerHasReached(checkpoint) }
        if let checkpoint, confirmed.value > checkpoint.resume.value {
            throw PostgresFailure.slotAhead(
                name, confirmed: confirmed.description, checkpoint: LSN(checkpoint.resume.value).description)
        }
        return confirmed
    }

    /// A server that was restored from a copy would pass over everything up to the checkpoint without a word.
    private func checkServerHasReached(_ checkpoint: SourceCheckpoint) throws(ConnectorFailure) {
        let end = try WALEnd(side).position
        guard end.value < checkpoint.resume.value else { return }
        throw PostgresFailure.serverBehind(
            server: end.description, checkpoint: LSN(checkpoint.resume.value).description)
    }

    /// The slot, after a moment's patience with a walsender that is about to let go of it.
    private func releasedSlot() throws(ConnectorFailure) -> SlotState? {
        for _ in 0..<20 {
            guard let slot = try SlotState.find(settings.slot, side), slot.activeProcess != nil else { break }
            _ = try side.query("SELECT pg_catalog.pg_sleep(0.1)")
        }
        return try SlotState.find(settings.slot, side)
    }

    /// The server waits for every transaction that runs now; the wait is shown and ends when the source is closed.
    private func createSlot(
        _ connection: PostgresConnection, role: String, _ isCancelled: () -> Bool
    ) throws(ConnectorFailure) -> LSN {
        let name = settings.slot
        let command = "CREATE_REPLICATION_SLOT \(SQLText.identifier(name)) LOGICAL pgoutput NOEXPORT_SNAPSHOT"
        notice("slot \"\(name)\" is missing: \(command)")
        var shown = 0
        do throws(ServerError) {
            let result = try connection.execute(command, within: .seconds(86_400)) { waited in
                if waited.components.seconds >= shown + 10 {
                    shown = Int(waited.components.seconds)
                    notice("slot \"\(name)\" waits for transactions that were running before it (\(shown) s so far)")
                }
                return !isCancelled()
            }
            guard let position = result.first?["consistent_point"].flatMap({ LSN($0) }) else {
                throw ServerError(sqlState: nil, message: "no consistent point for the new slot")
            }
            return position
        } catch {
            if error.sqlState == "42501" { throw PostgresFailure.noReplicationPrivilege(role: role) }
            throw PostgresFailure.because(of: error, .creatingSlot(name))
        }
    }
}
