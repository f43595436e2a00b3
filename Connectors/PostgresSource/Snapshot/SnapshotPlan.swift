internal import ChangeModel
internal import ConnectorKit

/// Which tables a source captures, as the publication has them, and which of them are still to be read.
struct SnapshotPlan {
    /// A captured table.
    struct Table {
        var oid: UInt32
        var schema: String
        var name: String
        /// How many rows it has, as the server's statistics have it; 0 when they do not know.
        var estimate: UInt64 = 0
        var qualifiedName: String { schema + "." + name }
    }

    let tables: [Table]
    /// Where the server's WAL ended before the tables were looked at. A change that is committed behind it, under
    /// another name than the look found for the table, came after the table had that name, or a moment before.
    let position: LSN

    init(_ settings: PostgresSettings, _ side: SideConnection) throws(ConnectorFailure) {
        position = try WALEnd(side).position
        let rows = try side.query(Self.query, [settings.publication]).all
        tables = rows.compactMap { row -> Table? in
            guard let oid = UInt32(row.text("oid")) else { return nil }
            return Table(
                oid: oid, schema: row.text("schemaname"), name: row.text("tablename"),
                estimate: UInt64(max(0, row.integer("estimate") ?? 0)))
        }.filter { settings.captures(schema: $0.schema, table: $0.name) }
    }

    /// A plan for tables that were found otherwise.
    init(tables: [Table], position: LSN = LSN(0)) { (self.tables, self.position) = (tables, position) }

    /// What is left to read. `before` is nil when a version without snapshots read the source, or nobody did. Tables
    /// that are `renewed` lost changes: consumers forget them, and they are read from the beginning. So are those that
    /// are `mixed` and that nothing was to be done for.
    func notes(
        before: SnapshotNotes?, isResuming: Bool, readsOldRows: Bool, renewed: Recovery.Scope = .nothing,
        mixed: Set<UInt32> = []
    ) -> SnapshotNotes {
        var notes = before ?? SnapshotNotes()
        let wasCaptured = before == nil && isResuming
        let oids = Set(tables.map(\.oid))
        notes.tables = notes.tables.filter { oids.contains($0.key) }
        for table in tables {
            let isWanted = readsOldRows && !wasCaptured
            if let known = notes.tables[table.oid] {
                notes.tables[table.oid]?.name = table.qualifiedName
                // Whoever follows the new name knows none of the rows, or those of another table.
                if known.name != table.qualifiedName, isWanted {
                    notes.tables[table.oid]?.stage = .pending(clears: true)
                }
            } else {
                // The name may have been another table's before.
                let clears = before != nil
                notes.tables[table.oid] = .init(
                    name: table.qualifiedName, stage: isWanted ? .pending(clears: clears) : .done)
            }
            if isWanted, mixed.contains(table.oid), notes.tables[table.oid]?.stage == .done {
                notes.tables[table.oid]?.stage = .pending(clears: true)
            }
            if renewed.concerns(table.oid) { notes.tables[table.oid]?.stage = .pending(clears: true) }
        }
        return notes
    }

    /// The tables of which consumers have rows under several keys.
    func mixed(_ keys: KeyMemory) -> [Table] { tables.filter { keys.isMixed($0.qualifiedName) } }

    /// How many rows each table has, by oid.
    var estimates: [UInt32: UInt64] { Dictionary(tables.map { ($0.oid, $0.estimate) }) { $1 } }

    /// The tables that a request means.
    func tables(of request: SnapshotRequest) throws(ConnectorFailure) -> [Table] {
        for pattern in request.tables {
            guard tables.contains(where: { Self.fits(pattern, $0) }) else {
                throw PostgresFailure.snapshotOfUnknownTable(pattern.text)
            }
        }
        return tables.filter { table in request.tables.contains { Self.fits($0, table) } }
    }

    private static func fits(_ pattern: TablePattern, _ table: Table) -> Bool {
        pattern.matches(table.qualifiedName) || pattern.matches(table.name)
    }

    private static let query = """
        SELECT c.oid, p.schemaname, p.tablename, (
            SELECT sum(greatest(l.reltuples, 0))::pg_catalog.int8 FROM pg_catalog.pg_class l
            WHERE l.oid = c.oid OR c.relkind = 'p' AND l.relkind <> 'p'
                AND l.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree(c.oid) t)) AS estimate
        FROM pg_catalog.pg_publication_tables p
        JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
        JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
        WHERE p.pubname = $1
        """
}

extension SnapshotCoordinator {
    /// Takes over which tables are captured now, under which names: new ones are read, if that is wanted.
    func adopt(_ plan: SnapshotPlan, readsOldRows: Bool) {
        let added = change(wakesWorkers: true) { state in
            let known = state.notes.tables
            state.notes = plan.notes(before: state.notes, isResuming: true, readsOldRows: readsOldRows)
            for oid in known.keys where state.notes.tables[oid] == nil {
                Self.abandon(oid, &state)
                state.vanished.insert(oid)
            }
            state.vanished.subtract(state.notes.tables.keys)
            state.wereCalled(known, until: plan.position)
            state.estimates.merge(plan.estimates) { $1 }
            let begun = state.notes.unfinished.filter { known[$0]?.name != state.notes.tables[$0]?.name }
            for oid in begun where known[oid] != nil { state.live[oid] = Live(turn: (state.live[oid]?.turn ?? 0) + 1) }
            return begun.compactMap { state.notes.tables[$0]?.name }
        }
        for name in added { notice("snapshot of \(name) begins") }
    }

    /// Has tables read from the beginning, whatever they are at. Consumers are told to forget them first: who asks may
    /// have seen that they keep rows of which no later event would tell them.
    func request(_ id: String, _ tables: [SnapshotPlan.Table]) {
        change(wakesWorkers: true) { state in
            guard !state.notes.requests.contains(id) else { return }
            state.notes.requests = Array((state.notes.requests + [id]).suffix(SnapshotNotes.requestsMax))
            for table in tables {
                state.notes.tables[table.oid] = .init(name: table.qualifiedName, stage: .pending(clears: true))
                state.live[table.oid] = Live(turn: (state.live[table.oid]?.turn ?? 0) + 1)
                state.renewed.insert(table.oid)
            }
            // What was said is answered, and may happen again.
            state.namesSaid = [:]
        }
    }
}
