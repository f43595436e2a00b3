internal import ChangeModel
internal import Synchronization

/// The first change of a table, captured or not, since the stream announced it under this name.
struct NamedChange {
    var table: UInt32
    /// `schema.table`, as it was announced.
    var name: String
    /// True when the configuration wants tables of this name.
    var isCaptured = true
    /// Where the change was committed.
    var commit: LSN
}

extension NamedChange {
    /// A change of this relation.
    init(_ relation: ChangeDecoder.KnownRelation, _ commit: LSN) {
        self.init(
            table: relation.id, name: relation.name, isCaptured: relation.relation != nil, commit: commit)
    }
}

/// Follows under which names tables are changed. One that was renamed for a while, and is called as before again, looks
/// the same in the catalogue: only the stream tells that its changes came under another name, or not at all.
extension SnapshotTracker {
    /// A change comes under a name that was not met since it was announced.
    func changes(_ change: NamedChange, _ progress: inout ReplicationProgress) {
        guard coordinator.changes(change) else { return }
        // A transaction that has nothing else for us is covered without a batch.
        progress.notes.snapshot = coordinator.state.withLock { $0.notes }
    }

    /// Names were compared before a transaction that was committed at `position`. They are again behind the last look.
    func namesCompared(at position: LSN) {
        namesDue = seenLook.flatMap { $0 > position ? $0 : nil } ?? LSN(UInt64.max)
    }

    /// The names that the notes have, by oid.
    var notedNames: [UInt32: String] { coordinator.state.withLock { $0.notes.tables.mapValues(\.name) } }

    /// The table that the chunk whose turn it is belongs to, its name in the notes, and what the chunk is for. Nil when
    /// some of its rows were told.
    var chunkAtPlace: (table: UInt32, name: String, work: SnapshotChunk.Work)? {
        guard let place, let flight = coordinator.flight(place.number), !flight.isAccepted else { return nil }
        let chunk = flight.chunk
        let name = coordinator.state.withLock { $0.notes.tables[chunk.table]?.name }
        return name.map { (chunk.table, $0, chunk.work) }
    }
}

extension SnapshotCoordinator {
    /// A table is changed under this name. When it is known under another one, consumers of that lack the change. When
    /// another table is known under this one, its consumers are told rows that are not its: also by a table that
    /// is not captured, and only published. They are read anew where rows are read, and otherwise somebody has
    /// to ask for it. True when the notes are others then.
    ///
    /// The stream may be behind the catalogue, and tell the former name of a table. Where rows are read, a table with a
    /// new name is emptied for consumers, behind every change that came before the look which found the name: as long
    /// as that is to be done, another mark changes nothing, and afterwards no such change comes any more.
    func changes(_ change: NamedChange) -> Bool {
        guard isNews(change) else { return false }
        let known = state.withLock { $0.notes.tables[change.table]?.name }
        let concerned = self.change(wakesWorkers: true) { state -> [(name: String, other: String?)] in
            let known = state.notes.tables[change.table]?.name
            if !readsByItself { return state.say(change, known) }
            let own = known.map { state.beginAnew(change.table) ? [($0, change.name)] : [] } ?? []
            let foreign = state.others(called: change.name, change.table).filter { state.beginAnew($0) }
            return own + foreign.map { _ in (change.name, nil) }
        }
        let changed = known ?? "one that is not captured, with the oid \(change.table)"
        for table in concerned { warn(table.name, table.other, changed) }
        return readsByItself
    }

    private func isNews(_ change: NamedChange) -> Bool {
        state.withLock { state in
            guard let known = state.notes.tables[change.table]?.name else {
                return change.isCaptured && !state.others(called: change.name, change.table).isEmpty
            }
            if known == change.name { state.namesSaid[change.table] = nil }
            return known != change.name
        }
    }

    private func warn(_ name: String, _ other: String?, _ changed: String) {
        let what =
            other.map { "\(name) was changed under the name \($0)" }
            ?? "another table was changed as \(name) (\(changed))"
        warning(
            readsByItself
                ? "\(what): if \(name) is still captured, consumers are told to forget it, and all of its rows are "
                    + "read again"
                : "\(what): if \(name) is still captured, consumers have other rows of it until "
                    + "`millrace snapshot \(name)` tells them to forget the table and sends all rows anew")
    }

    /// True when the notes know the table under this name.
    func isCalled(_ name: String, _ table: UInt32) -> Bool {
        state.withLock { $0.notes.tables[table]?.name == name }
    }

    /// True when captured tables, by oid, have other names than the notes know, or had left the notes.
    func isBehind(_ names: [UInt32: String]) -> Bool {
        state.withLock { state in
            names.contains { oid, name in
                state.vanished.contains(oid) || (state.notes.tables[oid]?.name ?? name) != name
            }
        }
    }

    /// The catalogue was looked at before this position of WAL, and what it called the tables is in the notes.
    func looked(before position: LSN) { change { $0.lookedBefore = position } }

    /// The tables were known as these notes have them, until a look that began at this position.
    func wereCalled(_ before: SnapshotNotes?, until position: LSN) {
        state.withLock { $0.wereCalled(before?.tables ?? [:], until: position) }
    }
}

extension SnapshotCoordinator.State {
    /// The tables that the notes know under this name, without the one that is changed.
    fileprivate func others(called name: String, _ table: UInt32) -> [UInt32] {
        notes.tables.filter { $0.value.name == name && $0.key != table }.map(\.key)
    }

    /// Has a table emptied for consumers and read from the beginning, once it is known whether the change was set
    /// aside. False when that was to be done already.
    fileprivate mutating func beginAnew(_ table: UInt32) -> Bool {
        let isNew = notes.tables[table]?.stage != .pending(clears: true)
        notes.tables[table]?.stage = .pending(clears: true)
        live[table] = SnapshotCoordinator.Live(turn: (live[table]?.turn ?? 0) + 1)
        renewed.insert(table)
        unhandled.insert(table)
        return isNew
    }

    /// What is to be said where nothing is read unasked: nothing twice, and nothing of tables whose names are newer
    /// than the change.
    fileprivate mutating func say(_ change: NamedChange, _ known: String?) -> [(name: String, other: String?)] {
        if namesSaid[change.table] == change.name { return [] }
        func isConcerned(_ table: UInt32) -> Bool { change.commit > namedSince[table] ?? LSN(0) }
        let own = known.map { isConcerned(change.table) ? [($0, change.name)] : [] } ?? []
        let foreign = others(called: change.name, change.table).filter(isConcerned)
        if !own.isEmpty || !foreign.isEmpty { namesSaid[change.table] = change.name }
        return own + foreign.map { _ in (change.name, nil) }
    }

    /// Takes note of which tables have other names than before, or were not known: changes that were committed before
    /// the look may have the former name. The position is from before the look, so that no later change passes for one
    /// of them; a rename between the two is spoken of for nothing, at worst.
    mutating func wereCalled(_ before: [UInt32: SnapshotNotes.Table], until position: LSN) {
        namedSince = namedSince.filter { notes.tables[$0.key] != nil }
        for (oid, table) in notes.tables where before[oid]?.name != table.name {
            namedSince[oid] = position
            namesSaid = [:]
        }
    }
}
