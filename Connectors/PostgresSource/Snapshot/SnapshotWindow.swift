internal import ByteKit
internal import ChangeModel

/// The stretch of the stream between the two watermarks of a chunk, and what the changes in it do to the chunk's rows.
///
/// A change that the chunk's snapshot does not see is newer than the row that the chunk read, and its event tells the
/// row: the row leaves the chunk. When the event lacks unchanged TOAST values, nobody else would ever tell them, so the
/// row stays, as the change left it. A change that the snapshot sees is in the row that was read.
///
/// Changes wait in a journal until the chunk is there; from then on each is applied at once.
final class SnapshotWindow {
    /// Changes in a journal of this size must be applied before more of the stream is read.
    static let journalMax = 8 << 20

    let number: UInt64
    let table: UInt32
    /// Transactions with lower sequence numbers were streamed before the window.
    let firstSequence: UInt64
    /// The table as the stream announced it inside of the window; nil when it did not.
    var announced: RelationMessage?
    private(set) var chunk: SnapshotChunk?

    private var journal = OutputBuffer(capacity: 256)
    private var entries: [Entry] = []
    private var keys = ByteTable()
    /// The row with the key of each number in ``keys``; empty before they are needed.
    private var rowOfKey: [Int] = []
    /// The next row with the same key text, where there is one.
    private var nextRow: [Int: Int] = [:]
    /// What became of each row of the chunk; empty while nothing happened.
    private var fates: [Fate] = []
    /// Rows as the stream told them last, with the values missing that it never told.
    private var partial: [Int: FrozenBytes] = [:]

    private enum Fate {
        case stays
        case leaves
        /// The row stays as a later change left it: what ``partial`` has, and the rest as it was read.
        case becomes
    }

    /// A change of one key.
    private struct Entry {
        var transaction: UInt32
        var kind: Kind
        var key: ByteRange
        var tuple: ByteRange
    }

    enum Kind {
        /// The event says everything about the row, or that it is gone.
        case told
        /// The event leaves unchanged values out.
        case partlyTold
        /// The table was emptied.
        case emptied
    }

    init(number: UInt64, table: UInt32, firstSequence: UInt64) {
        self.number = number
        self.table = table
        self.firstSequence = firstSequence
    }

    /// True when the stream must wait for the chunk's rows.
    var isFull: Bool { chunk == nil && journal.count + entries.count * 28 > Self.journalMax }

    /// A row changed. `tuple` is the new row where the event leaves values out.
    func changed(_ kind: Kind, key: RawSpan, tuple: RawSpan, by transaction: UInt32) {
        if let chunk {
            if chunk.snapshot?.sees(transaction) != true { apply(kind, key, tuple) }
            return
        }
        entries.append(
            Entry(
                transaction: transaction, kind: kind, key: journal.appendRange(key), tuple: journal.appendRange(tuple)))
    }

    /// The chunk's rows are there.
    func receive(_ chunk: SnapshotChunk) {
        self.chunk = chunk
        let snapshot = chunk.snapshot
        for entry in entries where snapshot?.sees(entry.transaction) != true {
            apply(
                entry.kind, journal.bytes.extracting(entry.key.indices), journal.bytes.extracting(entry.tuple.indices))
        }
        entries = []
        journal = OutputBuffer(capacity: 16)
    }

    private func apply(_ kind: Kind, _ key: RawSpan, _ tuple: RawSpan) {
        guard let chunk, !chunk.rows.isEmpty else { return }
        if fates.isEmpty { fates = [Fate](repeating: .stays, count: chunk.rows.count) }
        if case .emptied = kind {
            for row in fates.indices { fates[row] = .leaves }
            return
        }
        if rowOfKey.isEmpty { indexKeys(of: chunk) }
        var next = keys.find(key).map { rowOfKey[$0] }
        while let row = next {
            apply(kind, tuple, toRow: row)
            next = nextRow[row]
        }
    }

    private func apply(_ kind: Kind, _ tuple: RawSpan, toRow row: Int) {
        switch (kind, fates[row]) {
        case (_, .leaves): break
        case (.told, _), (.emptied, _):
            fates[row] = .leaves
            partial[row] = nil
        case (.partlyTold, .stays):
            fates[row] = .becomes
            partial[row] = FrozenBytes(copying: tuple)
        case (.partlyTold, .becomes):
            guard let before = partial[row] else { return }
            var after = OutputBuffer(capacity: before.count)
            RowKey.append(tuple, filledFrom: before.bytes, to: &after)
            partial[row] = after.freeze()
        }
    }

    private func indexKeys(of chunk: SnapshotChunk) {
        var key = OutputBuffer(capacity: 64)
        for row in chunk.rows.indices {
            key.removeAll()
            _ = RowKey.append(of: chunk.tuple(row), else: RawSpan(), columns: chunk.keyColumns, to: &key)
            let (number, isNew) = keys.insert(key.bytes)
            if isNew {
                rowOfKey.append(row)
            } else {
                nextRow[row] = rowOfKey[number]
                rowOfKey[number] = row
            }
        }
    }
}

// MARK: - What is left

extension SnapshotWindow {
    /// True when all rows stay as they were read.
    var isUntouched: Bool { fates.isEmpty }

    /// Puts the rows that stay into a batch, numbered one behind the other; how many there were. While the window is
    /// untouched, the batch has the chunk's bytes at its front already.
    func write(into builder: inout ChangeBatchBuilder, relation: UInt32, transaction: UInt32, first: UInt32) -> UInt32 {
        guard let chunk else { return 0 }
        var ordinal = first
        var filled = OutputBuffer(capacity: 16)
        for row in chunk.rows.indices {
            let after: ByteRange
            switch fates.isEmpty ? nil : fates[row] {
            case nil: after = chunk.rows[row]
            case .leaves: continue
            case .stays: after = builder.append(tuple: chunk.tuple(row))
            case .becomes:
                guard let told = partial[row] else { continue }
                filled.removeAll()
                RowKey.append(told.bytes, filledFrom: chunk.tuple(row), to: &filled)
                after = builder.append(tuple: filled.bytes)
            }
            builder.append(
                RowChange(
                    operation: .snapshot, relation: relation, transaction: transaction, ordinal: ordinal, after: after))
            ordinal &+= 1
        }
        return ordinal &- first
    }
}

extension OutputBuffer {
    /// Appends bytes and says where they are.
    fileprivate mutating func appendRange(_ span: RawSpan) -> ByteRange {
        let start = count
        append(span)
        return ByteRange(offset: UInt32(truncatingIfNeeded: start), length: UInt32(truncatingIfNeeded: count - start))
    }
}
