internal import ByteKit
package import ChangeModel
package import ConnectorKit

/// Reads captured tables of a PostgreSQL database as of one moment, in one read-only transaction.
///
/// The tables are locked (ACCESS SHARE, as by any SELECT) before the view is taken: TRUNCATE and ALTER TABLE do not
/// respect views, and would make a table look empty.
package actor PostgresTableReader: TableReader {
    private let settings: PostgresSettings
    private let side: SideConnection
    private let thread = BlockingThread(name: "pg-verify")
    /// The reader's own thread.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    private var viewing: PostgresConnection?
    private var tables: [ReadableTable] = []
    private var rows: RowBatches?
    private var peek: SlotPeek?
    private var end = LSN(0)
    private var holdsAnyBytes = false

    /// A reader that is not connected.
    package init(settings: PostgresSettings) {
        self.settings = settings
        side = SideConnection(url: settings.url)
    }

    /// See ``TableReader/open(of:wanted:)``. Refuses a standby: there the server does not tell which transactions a
    /// view has.
    package func open(
        of expected: SourceIdentity?, wanted: @escaping @Sendable (Relation) -> Bool
    ) async throws(ConnectorFailure) -> TableView {
        let facts = try ServerFacts(side)
        try facts.check()
        if facts.isInRecovery { throw PostgresFailure.verifyOnStandby() }
        if let expected { try check(expected, facts) }
        holdsAnyBytes = facts.holdsAnyBytes
        let before = try WALEnd(side).position
        let connection = try connect()
        viewing = connection
        let listed = try ReadableTable.list(settings, facts, by: query(connection)).filter { wanted($0.relation) }
        let snapshot = try beginView(connection, listed, before)
        // Now that nobody can change them: as the view has them.
        tables = try ReadableTable.list(settings, facts, by: query(connection)).filter { wanted($0.relation) }
        try reachEnd()
        return TableView(
            tables: tables.map(\.viewed), end: ResumePosition(end.value), numbersOutliveNames: true,
            snapshotsForgetOldKeys: true,
            contains: { transaction, identity in snapshot.contains(transaction, identity) },
            coverage: Self.coverage)
    }

    /// Every row must have an event once the table's snapshot is in the log. Consumers go by names: what the log has
    /// under the name of a table that bears it since the last look is another table's.
    private static func coverage(_ table: ViewedTable, _ checkpoint: SourceCheckpoint?) -> RowCoverage {
        let unread = RowCoverage.changed(why: "its rows from before its changes were captured were never read")
        guard let notes = PostgresSource.snapshotNotes(checkpoint) else { return unread }
        let name = table.relation.qualifiedName
        guard let known = notes.tables[table.relation.sourceID], known.name == name else {
            let isNew = notes.tables[table.relation.sourceID] == nil
            if isNew, !notes.tables.values.contains(where: { $0.name == name }) { return unread }
            return .notYet(why: "it has this name since capture last looked at the tables")
        }
        if known.stage == .pending(clears: true) {
            return .notYet(why: "consumers are about to be told to forget it, and all of its rows to be read again")
        }
        if known.wasRead { return .all }
        return known.stage == .done ? unread : .changed(why: "the reading of its old rows is not over")
    }

    /// The parts of the identity that a restored or other database cannot share.
    private func check(_ expected: SourceIdentity, _ facts: ServerFacts) throws(ConnectorFailure) {
        let row = try side.query("SELECT system_identifier FROM pg_catalog.pg_control_system()").first
        var found = expected
        found.kind = "postgres"
        found.fingerprint["system identifier"] = row?.text("system_identifier")
        found.fingerprint["database"] = facts.database
        found.fingerprint["database oid"] = facts.databaseID
        if found != expected { throw PostgresFailure.otherDatabase(found, expected: expected) }
    }

    private func connect() throws(ConnectorFailure) -> PostgresConnection {
        do throws(ServerError) {
            let connection = try PostgresConnection(opening: settings.url, for: .catalogue)
            // Text that is not UTF-8 comes as it is, as it does in the stream.
            if holdsAnyBytes { _ = try connection.execute("SET client_encoding TO 'SQL_ASCII'") }
            _ = try connection.execute(
                "SET statement_timeout TO 0; SET idle_in_transaction_session_timeout TO 0; SET row_security TO off")
            return connection
        } catch {
            throw PostgresFailure.because(of: error, .connecting)
        }
    }

    private func query(
        _ connection: PostgresConnection
    ) -> (String, [String]) throws(ConnectorFailure) -> QueryResult {
        { (sql, arguments) throws(ConnectorFailure) in
            do throws(ServerError) {
                return try connection.execute(sql, arguments)
            } catch {
                throw PostgresFailure.because(of: error, .preparing)
            }
        }
    }

    /// LOCK TABLE takes no view yet; the first SELECT does.
    private func beginView(
        _ connection: PostgresConnection, _ tables: [ReadableTable], _ before: LSN
    ) throws(ConnectorFailure) -> TransactionSnapshot {
        let run = query(connection)
        _ = try run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", [])
        let readable = tables.filter { $0.viewed.obstacle == nil }
        if !readable.isEmpty {
            _ = try run("LOCK TABLE \(readable.map(\.source).joined(separator: ", ")) IN ACCESS SHARE MODE", [])
        }
        let text = try run("SELECT pg_catalog.pg_current_snapshot() AS snapshot", []).first?.text("snapshot") ?? ""
        guard let snapshot = TransactionSnapshot(text, taken: before) else {
            throw PostgresFailure.connectionLost("no answer about the transactions of the view")
        }
        return snapshot
    }

    /// Everything in the view lies before the end of WAL now. What is committed there without waiting for the disk
    /// reaches the stream only once it is flushed, see ``PostgresSession/endPosition()``.
    private func reachEnd() throws(ConnectorFailure) {
        let wal = try WALEnd(side)
        end = wal.position
        if !wal.isFlushed { _ = try side.query("SELECT pg_catalog.pg_current_xact_id()") }
    }

    /// Reads the slot without moving it. False while the slot is in use.
    package func beginUnlogged(after checkpoint: SourceCheckpoint?) async throws(ConnectorFailure) -> Bool {
        guard try WALEnd(side).isFlushed(to: end) else { return false }
        guard let slot = try SlotState.find(settings.slot, side) else {
            throw PostgresFailure.slotMissing(settings.slot)
        }
        if slot.activeProcess != nil { return false }
        let opened = try SlotPeek(
            settings, connection: try connect(), side: side, slot: slot, after: checkpoint, end: end,
            holdsAnyBytes: holdsAnyBytes)
        peek = opened
        return opened != nil
    }

    /// The next changes of the slot.
    package func nextUnlogged() async throws(ConnectorFailure) -> ChangeBatch? {
        guard let batch = try peek?.next() else {
            peek = nil
            return nil
        }
        return batch
    }

    /// Begins to read a table.
    package func beginRows(ofTable index: Int) async throws(ConnectorFailure) {
        guard let viewing, index < tables.count else { throw PostgresFailure.notOpen() }
        rows = try RowBatches(tables[index], viewing, checksText: holdsAnyBytes)
    }

    /// The next rows.
    package func nextRows() async throws(ConnectorFailure) -> ChangeBatch? { try rows?.next() }

    /// Ends the transaction by closing its connection.
    package func close() async {
        (viewing, rows, peek) = (nil, nil, nil)
        side.close()
    }
}
