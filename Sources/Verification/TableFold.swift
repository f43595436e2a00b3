import ByteKit
import ChangeModel
import ConnectorKit

/// One table as its events tell it: the state that follows from folding them in order.
final class TableFold {
    /// The forms of the rows so far; a stored row names the one that it has.
    private(set) var shapes: [RowShape] = []
    /// The form of the newest event, or of the table itself at the end.
    private(set) var current: Int?
    private(set) var rows: RowStore
    /// True once a TRUNCATE was seen: every row since then has an event.
    private(set) var wasTruncated = false
    /// Set when the view does not have a snapshot row that the log has: rows whose only event that is look missing.
    var hasSnapshotBeyondView = false
    /// Set when the view does not have an event that the log has, by which consumers forget the table before it is read
    /// again.
    var isForgottenBeyondView = false
    /// Why rows without an event cannot be judged, beyond what the source says: their events cannot be told apart from
    /// others any more.
    private(set) var lostKeys: String?
    /// Why nothing of the table can be compared.
    private(set) var obstacle: String?
    /// Rows that consumers have under a key of another form than the one under which they were told again, or deleted.
    private var leftBehind = 0
    /// True once rows were there while the key's form changed.
    private var hasOldKeys = false
    /// The newest name of the table.
    private(set) var name = ""
    /// How many events were folded.
    private(set) var eventCount = 0

    private var before = TupleLayout()
    private var after = TupleLayout()
    private var stored = TupleLayout()
    private var merged: [UInt8] = []
    private var oldKey: [UInt8] = []
    private var newKey: [UInt8] = []

    init(_ store: FoldStore) throws(ConnectorFailure) { rows = try RowStore(store) }

    /// The form of the newest event.
    var shape: RowShape? { current.map { shapes[$0] } }

    /// Takes one change into the state. `place` is its offset in the log.
    func apply(_ change: RowChange, of batch: ChangeBatch, place: UInt64?) throws(ConnectorFailure) {
        eventCount += 1
        switch change.operation {
        case .truncate:
            try rows.clear()
            (wasTruncated, hasSnapshotBeyondView, lostKeys, obstacle) = (true, false, nil, nil)
            (leftBehind, hasOldKeys, isForgottenBeyondView) = (0, false, false)
        case .delete: try remove(batch.tuple(change.before), change.beforeImage)
        // These say nothing about rows.
        case .message, .begin, .commit: break
        case .insert, .update, .snapshot:
            if change.beforeImage == .none {
                try take(batch.tuple(change.after), nil, change, place)
            } else {
                try take(batch.tuple(change.after), batch.tuple(change.before), change, place)
            }
        }
    }

    private func remove(_ tuple: RawSpan, _ image: BeforeImage) throws(ConnectorFailure) {
        guard let shape, before.read(tuple) else { return unreadable() }
        if Self.key(shape, before, tuple, into: &oldKey) {
            try leave(oldKey)
            try rows.remove(oldKey)
        } else if image == .full {
            try rows.count(tuple, -1, place: nil)
        } else {
            unreadable()
        }
    }

    private func take(
        _ tuple: RawSpan, _ old: RawSpan?, _ change: RowChange, _ place: UInt64?
    ) throws(ConnectorFailure) {
        guard let shape, after.read(tuple) else { return unreadable() }
        var oldHasKey = false
        if let old {
            guard before.read(old) else { return unreadable() }
            oldHasKey = Self.key(shape, before, old, into: &oldKey)
        }
        if after.kinds.allSatisfy({ $0 != ValueKind.unchanged }) {
            return try store(tuple, old, change, place, oldHasKey: oldHasKey)
        }
        try merge(tuple, old, isFull: change.beforeImage == .full, shape, oldHasKey: oldHasKey)
        let whole = merged
        guard after.read(whole.rawBytes) else { return unreadable() }
        try store(whole.rawBytes, old, change, place, oldHasKey: oldHasKey)
    }

    /// Puts the row of ``after`` in the place of the old one.
    private func store(
        _ tuple: RawSpan, _ old: RawSpan?, _ change: RowChange, _ place: UInt64?, oldHasKey: Bool
    ) throws(ConnectorFailure) {
        guard let current else { return }
        let newHasKey = Self.key(shapes[current], after, tuple, into: &newKey)
        if let old, !(oldHasKey && newHasKey && oldKey == newKey) {
            if oldHasKey {
                try leave(oldKey)
                try rows.remove(oldKey)
            } else {
                try rows.count(old, -1, place: nil)
            }
        } else if change.operation == .update, old == nil, !newHasKey {
            return unreadable()
        }
        if newHasKey {
            try leave(newKey)
            try rows.put(newKey, shape: current, place: place, tuple: tuple)
        } else {
            try rows.count(tuple, 1, place: place)
        }
    }

    /// Puts values that were not sent in their places: from the row before, where it came along, or from the stored
    /// row.
    private func merge(
        _ tuple: RawSpan, _ old: RawSpan?, isFull: Bool, _ shape: RowShape, oldHasKey: Bool
    ) throws(ConnectorFailure) {
        merged.removeAll(keepingCapacity: true)
        TupleBytes.appendCount(after.count, to: &merged)
        if let old, isFull {
            for index in 0..<after.count { appendMerged(index, tuple, old, before, from: index) }
            return
        }
        // The key's columns come with the old key when they are large; without it the row is found by the new one.
        if let old {
            let keyColumns = shape.keyColumns
            for index in 0..<after.count {
                appendMerged(index, tuple, old, before, from: keyColumns.contains(index) ? index : nil)
            }
            let partly = merged
            guard after.read(partly.rawBytes) else { return unreadable() }
            try mergeStored(partly.rawBytes, shape, key: oldHasKey ? oldKey : nil)
        } else {
            try mergeStored(tuple, shape, key: Self.key(shape, after, tuple, into: &newKey) ? newKey : nil)
        }
    }

    private func mergeStored(_ tuple: RawSpan, _ shape: RowShape, key: [UInt8]?) throws(ConnectorFailure) {
        let shapes = shapes
        var wasFound = false
        if let key {
            wasFound =
                try rows.withRow(key) { (row, old) in
                    guard stored.read(old) else { return }
                    let mapping = shapes[row.shape].mapping(to: shape)
                    merged.removeAll(keepingCapacity: true)
                    TupleBytes.appendCount(after.count, to: &merged)
                    for index in 0..<after.count { appendMerged(index, tuple, old, stored, from: mapping[index]) }
                } != nil
        }
        if !wasFound {
            merged.removeAll(keepingCapacity: true)
            tuple.withUnsafeBytes { merged.append(contentsOf: $0) }
        }
    }

    private func appendMerged(
        _ index: Int, _ tuple: RawSpan, _ other: RawSpan, _ layout: TupleLayout, from source: Int?
    ) {
        if after.isKnown(index) {
            TupleBytes.append(after.ranges[index], of: tuple, to: &merged)
        } else if let source, layout.isKnown(source) {
            TupleBytes.append(layout.ranges[source], of: other, to: &merged)
        } else {
            merged.append(ValueKind.unchanged)
        }
    }

    /// Writes the key of a tuple; false when the table has none, or a value of it is NULL or not known.
    static func key(
        _ shape: RowShape, _ layout: TupleLayout, _ tuple: RawSpan, into key: inout [UInt8]
    ) -> Bool {
        key.removeAll(keepingCapacity: true)
        for column in shape.keyColumns {
            guard layout.isKnown(column), !layout.isNull(column) else { return false }
            TupleBytes.append(layout.ranges[column], of: tuple, to: &key)
        }
        return !shape.keyColumns.isEmpty
    }

    private func unreadable() { obstacle = obstacle ?? "an event of it does not tell which row it is about" }
}

// MARK: - Forms

extension TableFold {
    /// The events that follow, or at the end the table itself, have this form.
    func adopt(_ relation: Relation, version: Int?) throws(ConnectorFailure) {
        name = relation.qualifiedName
        if let current, shapes[current].relation == relation, shapes[current].version == version { return }
        if let known = shapes.firstIndex(where: { $0.relation == relation && $0.version == version }) {
            try enter(known)
        } else {
            shapes.append(RowShape(relation, version: version))
            try enter(shapes.count - 1)
        }
    }

    private func enter(_ next: Int) throws(ConnectorFailure) {
        defer { current = next }
        guard let current else { return }
        let (old, new) = (shapes[current], shapes[next])
        if try rows.hasBag(), !old.hasSameColumns(as: new) {
            obstacle = "its rows have no key, and its columns changed" + Self.at(new)
        }
        if old.hasSameKey(as: new) { return }
        if old.keyForm != new.keyForm { hasOldKeys = true }
        if old.keyColumns.isEmpty != new.keyColumns.isEmpty { return try turn(to: new) }
        try rekey(to: new)
    }

    /// The table has a key and had none, or the other way round: its rows cannot be followed, and consumers have all of
    /// them under what the key was.
    private func turn(to new: RowShape) throws(ConnectorFailure) {
        let (hasBag, count) = (try rows.hasBag(), try rows.rowCount() + rows.bagCount())
        guard hasBag || count > 0 else { return }
        leftBehind += count
        obstacle = "its key was \(new.keyColumns.isEmpty ? "dropped" : "made")" + Self.at(new)
        try rows.clear()
    }

    /// Gives every row its key under a new form. Rows of which that is not known are forgotten, so that nothing can be
    /// said of them until they change.
    private func rekey(to new: RowShape) throws(ConnectorFailure) {
        let old = rows
        var fresh = try RowStore(old.store)
        var isComplete = true
        try old.forEachRow { (_, row, tuple) throws(ConnectorFailure) in
            let shape = shapes[row.shape]
            let mapping = shape.mapping(to: new)
            newKey.removeAll(keepingCapacity: true)
            let isRead = stored.read(tuple)
            for column in new.keyColumns {
                guard isRead, let source = mapping[column], stored.isKnown(source), !stored.isNull(source) else {
                    isComplete = false
                    if shape.keyForm != new.keyForm { leftBehind += 1 }
                    return
                }
                TupleBytes.append(stored.ranges[source], of: tuple, to: &newKey)
            }
            try fresh.put(newKey, shape: row.shape, place: row.place, tuple: tuple)
        }
        if !isComplete { lostKeys = "the columns of its key changed" + Self.at(new) }
        try old.drop()
        rows = fresh
    }

    /// A row is told again or removed: consumers that have it under a key of another form keep it.
    private func leave(_ key: [UInt8]) throws(ConnectorFailure) {
        guard hasOldKeys, let form = shape?.keyForm else { return }
        let shapes = shapes
        let isOld = try rows.withRow(key) { (row, _) in shapes[row.shape].keyForm != form }
        if isOld == true { leftBehind += 1 }
    }

    /// How many rows consumers have under a key of another form than the table has now. Only once the fold has taken
    /// that form.
    func rowsUnderOldKeys() throws(ConnectorFailure) -> Int {
        guard hasOldKeys, let form = shape?.keyForm else { return leftBehind }
        let counts = try rows.rowCountsByShape()
        return counts.reduce(leftBehind) { shapes[$1.key].keyForm == form ? $0 : $0 + $1.value }
    }

    private static func at(_ shape: RowShape) -> String { shape.version.map { " at version \($0)" } ?? "" }
}
