internal import ChangeModel
internal import Synchronization

/// Follows under which key consumers are told the rows of a table. Who keeps rows by the `key` of their events finds
/// none of them again once it is another one: such a table is emptied for them, and told anew.
extension SnapshotTracker {
    /// A row of the relation is told next, for the first time since it was announced or a table was emptied.
    func tells(_ relation: Relation, _ progress: inout ReplicationProgress) {
        guard watchesKey(relation) else { return }
        let (form, name) = (KeyForm(relation), relation.qualifiedName)
        if progress.notes.keys.has(form, of: name) { return }
        guard let before = progress.notes.keys.tell(form, of: name) else { return }
        coordinator.keyChanged(relation, from: before, to: form)
    }

    /// Consumers are told that the table is empty.
    func empties(_ relation: Relation, _ progress: inout ReplicationProgress) {
        if progress.notes.keys.isEmpty { return }
        _ = progress.notes.keys.empty(relation.qualifiedName)
    }

    /// True when consumers have rows of the table that they do not find under the relation's key: it is begun anew
    /// then, with the event that makes them forget it.
    func beginsAnew(_ chunk: SnapshotChunk, _ relation: Relation, _ progress: ReplicationProgress) -> Bool {
        guard chunk.isOfKeys,
            progress.notes.keys.mustBeForgotten(relation.qualifiedName, before: KeyForm(relation))
        else { return false }
        if coordinator.renew(chunk.table) {
            coordinator.notice(
                "snapshot of \(relation.qualifiedName) begins with the event that empties the table for consumers: "
                    + "they have rows of it under another key")
        }
        return true
    }
}

extension SnapshotCoordinator {
    /// The stream has come to rows under another key than those before. Where rows are read, the table is, from the
    /// beginning; otherwise somebody has to ask for it.
    func keyChanged(_ relation: Relation, from old: KeyForm, to new: KeyForm) {
        let name = relation.qualifiedName
        let what =
            old.names == new.names
            ? "the key of \(name) (\(new.text)) is spelled in another way now"
            : "the key of \(name) is \(new.text) now, and was \(old.text)"
        if readsByItself {
            renew(relation.sourceID, isInStream: true)
            warning(
                "\(what): consumers are told to forget the table, whose rows they have under the old key, and all of "
                    + "them are read again")
        } else {
            warning(
                "\(what): consumers keep rows under the old key until `millrace snapshot \(name)` tells them to forget "
                    + "the table and sends all rows anew")
        }
    }

    /// Has a table read from the beginning, after consumers were told to forget it. False when it is not known yet: a
    /// new table begins so anyway.
    ///
    /// `isInStream`: the new key was met in the stream, and who takes its changes may set those aside, and then what is
    /// read too: it is read once that is known.
    @discardableResult
    func renew(_ table: UInt32, isInStream: Bool = false) -> Bool {
        change(wakesWorkers: true) { state in
            guard state.notes.tables[table] != nil else { return false }
            state.notes.tables[table]?.stage = .pending(clears: true)
            state.live[table] = Live(turn: (state.live[table]?.turn ?? 0) + 1)
            state.renewed.insert(table)
            if isInStream { state.unhandled.insert(table) }
            return true
        }
    }

    /// Tables whose changes are set aside by whoever takes them. Those that are to be read because of another key, or
    /// because somebody asked, wait until they are not: their rows would only be set aside too.
    func setAside(_ tables: Set<String>) {
        if state.withLock({ $0.setAside == tables }) { return }
        change(wakesWorkers: true) { $0.setAside = tables }
    }

    /// Everything up to the checkpoint was taken into the log, or set aside and ``setAside(_:)`` was told: tables whose
    /// key changed before it may be read.
    func handled(_ checkpoint: SourceCheckpoint) {
        if state.withLock({ $0.unhandled.isEmpty }) { return }
        guard let notes = try? SourceNotes(decoding: checkpoint.notes), let snapshot = notes.snapshot else { return }
        change(wakesWorkers: true) { state in
            state.unhandled = state.unhandled.filter { snapshot.tables[$0]?.stage != .pending(clears: true) }
        }
    }

    /// True when nothing but what was set aside keeps the tables of these notes from being read.
    func waitsForOthers(_ notes: SnapshotNotes) -> Bool {
        state.withLock { state in notes.unfinished.allSatisfy { state.waits($0, notes.tables[$0]?.name ?? "") } }
    }
}

extension SnapshotCoordinator.State {
    /// True when the table may not be read now.
    func mustWait(_ table: UInt32, _ name: String) -> Bool { unhandled.contains(table) || waits(table, name) }

    /// True when the table is to be read because of another key or a request, and its changes are set aside.
    func waits(_ table: UInt32, _ name: String) -> Bool { renewed.contains(table) && setAside.contains(name) }
}
