internal import ByteKit
internal import ChangeModel

/// A piece of a snapshot: what is to be read, and the rows once they were.
///
/// It belongs to a worker while it is filled, and to the stream's thread from the moment that it is handed over.
@safe final class SnapshotChunk: @unchecked Sendable {
    /// What a chunk is for.
    enum Work: Equatable {
        /// No rows: consumers are told to forget what they have of the table.
        case clear
        /// The next rows of a part of the key's range.
        case part(Int)
        /// Rows by their keys, which are owed under these numbers.
        case keys([Int])
        /// All rows of a table without a key, after consumers were told to forget what they have of it.
        case whole

        /// True when consumers are told to forget the table.
        var clears: Bool { self == .clear || self == .whole }
    }

    /// The number that its watermarks bear.
    let number: UInt64
    /// The table's oid.
    let table: UInt32
    let work: Work
    /// The table's turn that it belongs to: a table that begins anew makes older chunks void.
    let turn: Int
    /// Which life of the record of transactions it relies on, and a transaction that is younger than its beginning.
    var epoch = 0
    var horizon: UInt64 = 0

    /// What the chunk's transaction sees.
    var snapshot: ServerSnapshot?
    /// The table as the chunk's transaction has it.
    var message: RelationMessage?
    /// Its columns that form the key, in the order of the table; empty for a table without one.
    var keyColumns: [Int] = []
    /// The key of the last row that was read.
    var lastKey: [UInt8]?
    /// True when there are no rows behind the last one.
    var reachesEnd = false
    private(set) var rows: [ByteRange] = []
    private var arena = OutputBuffer(capacity: 4096)

    init(number: UInt64, table: UInt32, work: Work, turn: Int) {
        self.number = number
        self.table = table
        self.work = work
        self.turn = turn
    }

    /// True when it has rows of a table with a key.
    var isOfKeys: Bool {
        switch work {
        case .part, .keys: true
        case .clear, .whole: false
        }
    }

    /// Bytes of rows.
    private(set) var byteCount = 0

    /// Adds a row in COPY's form; false when it does not fit the table.
    func append(copyRow row: RawSpan, columnCount: Int, checksText: Bool) -> Bool {
        let start = arena.count
        guard CopyText.append(row, columnCount: columnCount, checksText: checksText, to: &arena) else { return false }
        rows.append(
            ByteRange(
                offset: UInt32(truncatingIfNeeded: start), length: UInt32(truncatingIfNeeded: arena.count - start)))
        byteCount = arena.count
        return true
    }

    /// Gives the rows away and begins anew.
    func takeBlock() -> RowBlock {
        let bytes = takeBytes()
        defer { (rows, byteCount) = ([], 0) }
        return RowBlock(bytes: bytes.freeze(), rows: rows)
    }

    /// Gives the bytes away that ``rows`` tell the places in; no row can be read afterwards.
    func takeBytes() -> OutputBuffer {
        var bytes = OutputBuffer(capacity: 16)
        swap(&bytes, &arena)
        return bytes
    }

    /// The bytes of a row.
    @_lifetime(borrow self)
    func tuple(_ index: Int) -> RawSpan {
        let span = arena.bytes.extracting(rows[index].indices)
        return unsafe _overrideLifetime(span, borrowing: self)
    }
}

/// Some rows of a table that is read whole.
struct RowBlock: Sendable {
    let bytes: FrozenBytes
    let rows: [ByteRange]
}
