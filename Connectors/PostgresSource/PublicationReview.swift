/// What became of the publication since the last look, as a value: the one place that decides what is a loss, what is
/// to be added and what is only worth a line.
struct PublicationReview: Equatable {
    /// A wanted table.
    struct Wanted: Equatable {
        var id: UInt32
        var name: String
        /// True when UPDATE and DELETE go on working once it is published.
        var hasReplicaIdentity: Bool
        /// Columns that the configuration leaves out by their name.
        var excluded: Set<String> = []
    }

    /// The publication and its tables as they are now.
    struct Now: Equatable {
        /// The operations that are published.
        var operations: Set<String>
        /// Names of the tables that were asked about and exist, by oid.
        var names: [UInt32: String]
        /// Their memberships, by oid; see ``PublicationMemory/Table/memberships``.
        var memberships: [UInt32: Set<String>]
        /// Those of ``Wanted/excluded`` that the tables have, by oid.
        var excluded: [UInt32: Set<String>] = [:]
        /// The publication's own row.
        var row: PublicationMemory.Row?
        /// See ``PublicationState/isSettled``.
        var isSettled = true
    }

    /// A table that has another name now.
    struct Rename: Equatable {
        var old: String
        var new: String
        var isWanted: Bool
    }

    /// A table that had columns which are to be left out, and has them no more.
    struct Lacking: Equatable {
        var table: Wanted
        var columns: [String]
        /// True when it had one of them at the last look.
        var isNews: Bool
    }

    /// True when the publication was altered since, or is another one of the same name: a loss, because nobody knows
    /// what it left out meanwhile, and what was written under another name cannot be decoded.
    private(set) var isAltered = false
    /// Operations that were published and are not any more: a loss.
    var lostOperations: [String] = []
    /// Tables that were taken out, whose changes since are lost. Sorted, as all lists here.
    var unpublished: [Wanted] = []
    /// Wanted tables that are not published and may be.
    var missing: [Wanted] = []
    /// Wanted tables that must not be published, or that are and whose UPDATE and DELETE fail in the application.
    var keyless: [Wanted] = []
    /// Names of tables that do not exist any more.
    var dropped: [String] = []
    var renamed: [Rename] = []
    /// Wanted tables that lack columns which are to be left out of them.
    var lacking: [Lacking] = []
    /// What to remember from now on, once ``missing`` was added and looked at again.
    var memory: PublicationMemory

    /// Compares. Without a `memory` nothing can be lost.
    init(_ memory: PublicationMemory?, _ now: Now, wanted: [Wanted]) {
        let row = memory?.row ?? (now.isSettled ? now.row : nil)
        self.memory = PublicationMemory(operations: now.operations, tables: [:], row: row)
        isAltered = row != nil && row != now.row
        let wantedIDs = Set(wanted.map(\.id))
        let needsIdentity = now.operations.contains("update") || now.operations.contains("delete")
        if let memory {
            lostOperations = memory.operations.subtracting(now.operations).sorted()
            for (id, table) in memory.tables.sorted(by: { $0.value.name < $1.value.name }) {
                guard let name = now.names[id] else {
                    dropped.append(table.name)
                    continue
                }
                if name != table.name {
                    renamed.append(Rename(old: table.name, new: name, isWanted: wantedIDs.contains(id)))
                }
            }
        }
        // What is wanted was asked before: a table that is gone since is dropped, and not taken out.
        for table in wanted.sorted(by: { $0.name < $1.name }) where now.names[table.id] != nil {
            let memberships = now.memberships[table.id] ?? []
            if needsIdentity && !table.hasReplicaIdentity { keyless.append(table) }
            if let known = memory?.tables[table.id], known.memberships.isDisjoint(with: memberships) {
                unpublished.append(table)
            } else if memberships.isEmpty {
                if table.hasReplicaIdentity || !needsIdentity { missing.append(table) }
            } else {
                remember(table, memberships, now.excluded[table.id] ?? [], memory?.tables[table.id])
            }
        }
    }

    private mutating func remember(
        _ table: Wanted, _ memberships: Set<String>, _ excluded: Set<String>, _ known: PublicationMemory.Table?
    ) {
        let before = (known?.excluded ?? []).union(known?.lacking ?? [])
        let lacking = before.intersection(table.excluded).subtracting(excluded)
        memory.tables[table.id] = PublicationMemory.Table(
            name: table.name, memberships: memberships, excluded: excluded, lacking: lacking)
        if lacking.isEmpty { return }
        self.lacking.append(Lacking(table: table, columns: lacking.sorted(), isNews: lacking != known?.lacking))
    }

    /// True when something that was promised did not come, and never will.
    var isLoss: Bool { isAltered || !lostOperations.isEmpty || !unpublished.isEmpty }
}
