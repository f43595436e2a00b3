internal import ChangeModel
internal import Synchronization

/// Follows under which names tables are changed. One that was renamed for a while, and is called as before again, looks
/// the same in the catalogue: only the stream tells that its changes came under another name, or not at all.
extension SnapshotTracker {
    /// A change of the table comes, the first since it was announced under this name, captured or not.
    func changes(_ table: UInt32, under name: String, _ progress: inout ReplicationProgress) {
        guard coordinator.changes(table, under: name) else { return }
        // A transaction that has nothing else for us is covered without a batch.
        progress.notes.snapshot = coordinator.state.withLock { $0.notes }
    }
}

extension SnapshotCoordinator {
    /// A change of the table comes under this name. When the table is known under another one, consumers of that lack
    /// the change, and those of a table that is known under this one are told rows of the other: both are read anew
    /// where rows are read, and otherwise somebody has to ask for it. True when the notes are others then.
    ///
    /// The stream may be behind the catalogue, and tell the old name of a table that is to be read under its new one
    /// anyway. That is no news: who is emptied at all is emptied behind every change that came before.
    func changes(_ table: UInt32, under name: String) -> Bool {
        guard isNews(table, name) else { return false }
        let concerned = change(wakesWorkers: true) { state -> [(name: String, other: String?)] in
            guard let known = state.notes.tables[table]?.name, known != name else { return [] }
            let owners = state.notes.tables.filter { $0.value.name == name && $0.key != table }.map(\.key)
                .filter { state.knownNames[$0] == nil }
            guard readsByItself else {
                state.knownNames[table] = name
                return [(known, name)] + owners.map { _ in (name, nil) }
            }
            let isNew = state.beginAnew(table)
            let foreign = owners.filter { state.beginAnew($0) }
            return (isNew ? [(known, name)] : []) + foreign.map { _ in (name, nil) }
        }
        for table in concerned { warn(table.name, table.other) }
        return readsByItself
    }

    private func isNews(_ table: UInt32, _ name: String) -> Bool {
        state.withLock { state in
            guard let known = state.notes.tables[table]?.name else { return false }
            if known == name { state.knownNames[table] = nil }
            return known != name && state.knownNames[table] != name
        }
    }

    private func warn(_ name: String, _ other: String?) {
        let what = other.map { "\(name) was changed under the name \($0)" } ?? "another table was changed as \(name)"
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

    /// The tables were known as these notes have them.
    func wereCalled(_ before: SnapshotNotes?) {
        state.withLock { $0.wereCalled(before?.tables ?? [:]) }
    }
}

extension SnapshotCoordinator.State {
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

    /// Changes from before a rename that the catalogue knows have the old name.
    mutating func wereCalled(_ before: [UInt32: SnapshotNotes.Table]) {
        for (oid, table) in before where notes.tables[oid].map({ $0.name != table.name }) ?? false {
            knownNames[oid] = table.name
        }
    }
}
