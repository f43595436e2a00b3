internal import ConnectorKit

// MARK: - Rows

extension Examination {
    /// Whether the role may read all rows of tables: a problem where the next run has to read them. The stream itself
    /// takes neither SELECT nor a look past row level security.
    mutating func lookAtRows(of tables: [TableSelection.Table], _ notes: SourceNotes, _ facts: ServerFacts) {
        let left = tablesLeft(tables, notes, isPossible: settings.snapshotURL != nil || !facts.isInRecovery)
        for table in tables where table.lacksRows {
            let isNext = left.contains(table.id)
            add(
                isNext && settings.snapshotURL == nil ? .problem : .warning, "postgres.not_readable",
                PostgresFailure.whyNotReadable([table], role: facts.role)
                    + (isNext
                        ? ""
                        : "; its changes come all the same, but `millrace snapshot \(table.qualifiedName)` is refused"),
                fix: PostgresFailure.readingGrants([table], to: facts.role))
        }
    }

    /// The tables whose rows the next run has to read, by oid.
    private func tablesLeft(
        _ tables: [TableSelection.Table], _ notes: SourceNotes, isPossible: Bool
    ) -> Set<UInt32> {
        let plan = SnapshotPlan(tables: tables.map { .init(oid: $0.id, schema: $0.schema, name: $0.name) })
        return Set(
            plan.notes(
                before: notes.snapshot, isResuming: log?.checkpoint != nil, readsOldRows: settings.readsOldRows,
                mixed: Set(isPossible ? plan.mixed(notes.keys).map(\.oid) : [])
            ).unfinished)
    }
}
