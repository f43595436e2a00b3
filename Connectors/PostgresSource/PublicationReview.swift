/// What became of the publication since the last look, as a value: the one place that decides what is a loss, what is
/// to be added and what is only worth a line.
struct PublicationReview: Equatable {
    /// A wanted table.
    struct Wanted: Equatable {
        var id: UInt32
        var name: String
        /// True when UPDATE and DELETE go on working once it is published.
        var hasReplicaIdentity: Bool
    }

    /// The publication and its tables as they are now.
    struct Now: Equatable {
        /// The operations that are published.
        var operations: Set<String>
        /// Names of the tables that were asked about and exist, by oid.
        var names: [UInt32: String]
        /// Their memberships, by oid; see ``PublicationMemory/Table/memberships``.
        var memberships: [UInt32: Set<String>]
    }

    /// A table that has another name now.
    struct Rename: Equatable {
        var old: String
        var new: String
        var isWanted: Bool
    }

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
    /// What to remember from now on, once ``missing`` was added and looked at again.
    var memory: PublicationMemory

    /// Compares. Without a `memory` nothing can be lost.
    init(_ memory: PublicationMemory?, _ now: Now, wanted: [Wanted]) {
        self.memory = PublicationMemory(operations: now.operations, tables: [:])
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
        for table in wanted.sorted(by: { $0.name < $1.name }) {
            let memberships = now.memberships[table.id] ?? []
            if needsIdentity && !table.hasReplicaIdentity { keyless.append(table) }
            if let known = memory?.tables[table.id], known.memberships.isDisjoint(with: memberships) {
                unpublished.append(table)
            } else if memberships.isEmpty {
                if table.hasReplicaIdentity || !needsIdentity { missing.append(table) }
            } else {
                self.memory.tables[table.id] = PublicationMemory.Table(name: table.name, memberships: memberships)
            }
        }
    }

    /// True when something that was promised did not come, and never will.
    var isLoss: Bool { !lostOperations.isEmpty || !unpublished.isEmpty }
}
