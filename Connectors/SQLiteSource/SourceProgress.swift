private import ByteKit
internal import ChangeModel

/// What a checkpoint of this source says beyond its position; kept in ``SourceCheckpoint/notes``.
///
/// The resume position is `round << 48 | seq`: `seq` is the newest row of the change log that was taken, and `round`
/// counts the snapshots that were finished. ``SQLiteSource/endPosition()`` names the round after the running snapshot,
/// so whoever waits for it waits for the snapshot too, while the log can be pruned up to `seq` all the time.
struct SourceProgress: Equatable {
    /// The database's own number (``ChangeLogTables/Identity/database``).
    var database: String
    /// The life of the change log that identities are made in; see ``ChangeLogTables/Identity/epoch``.
    var epoch: UInt16
    /// The newest row of the log that was taken.
    var seq: Int64
    /// The time in that row: when another row has its number later, the log was replaced.
    var anchor: Double
    /// How many snapshots were finished.
    var round: UInt16 = 0
    /// The log's newest row when the last chunk was read, and how many snapshot rows have been given that commit.
    var chunkSeq: Int64 = 0
    var chunkRows: UInt32 = 0
    /// Tables whose rows were all read, with the capture since which nothing was missed.
    var finished: [String: Int64] = [:]
    /// The table whose rows are being read.
    var current: Current?
    /// The newest requests that were taken over into ``finished``, oldest first.
    private(set) var requests: [String] = []
    /// The last change that was taken. The checkpoint has a place of its own for it.
    var lastChange: ChangeIdentity?

    /// A table in the middle of its snapshot.
    struct Current: Equatable {
        var table: String
        var since: Int64
        var key: SnapshotKey
    }

    /// How many requests are remembered: an answer that got lost is asked for again soon or never.
    private static let requestsMax = 32

    static let seqMask: UInt64 = 0x0000_FFFF_FFFF_FFFF

    /// The checkpoint that says all this.
    var checkpoint: SourceCheckpoint { SourceCheckpoint(last: lastChange, resume: resume, notes: encoded) }

    /// What may be confirmed once these notes are durable.
    var resume: ResumePosition { Self.position(round: round, seq: seq) }

    static func position(round: UInt16, seq: Int64) -> ResumePosition {
        ResumePosition(UInt64(round) << 48 | UInt64(bitPattern: seq) & seqMask)
    }

    /// The row of the change log that a position covers.
    static func seq(of position: ResumePosition) -> Int64 { Int64(position.value & seqMask) }

    /// The identity's commit for a row of the change log.
    func commit(_ seq: Int64) -> UInt64 { UInt64(epoch) << 48 | UInt64(bitPattern: seq) & Self.seqMask }

    /// The captured tables whose rows are still to be read, the one that was begun first.
    func pending(_ tables: [CapturedTable]) -> [CapturedTable] {
        let open = tables.filter { finished[$0.shape.name] != $0.since }
        guard let begun = open.firstIndex(where: isCurrent) else { return open }
        return [open[begun]] + open[..<begun] + open[(begun + 1)...]
    }

    /// Lets tables be read again from their first row. A request that is remembered changes nothing.
    mutating func take(request: String, tables: [String]) {
        if requests.contains(request) { return }
        requests = requests.suffix(Self.requestsMax - 1) + [request]
        for table in tables {
            finished[table] = nil
            if current?.table == table { current = nil }
        }
    }

    /// True when the snapshot of this table was begun and still holds.
    func isCurrent(_ table: CapturedTable) -> Bool {
        current?.table == table.shape.name && current?.since == table.since
    }
}

// MARK: - Bytes

extension SourceProgress {
    /// Version 1 had no requests at its end.
    private static let formatVersion: UInt8 = 2

    /// The bytes for the checkpoint.
    var encoded: [UInt8] {
        var out = NoteWriter()
        out.byte(Self.formatVersion)
        out.bytes(Array(database.utf8))
        out.number(UInt64(epoch))
        out.number(UInt64(bitPattern: seq))
        out.number(anchor.bitPattern)
        out.number(UInt64(round))
        out.number(UInt64(bitPattern: chunkSeq))
        out.number(UInt64(chunkRows))
        out.number(UInt64(finished.count))
        for (table, since) in finished.sorted(by: { $0.key < $1.key }) {
            out.bytes(Array(table.utf8))
            out.number(UInt64(bitPattern: since))
        }
        if let current {
            out.byte(1)
            out.bytes(Array(current.table.utf8))
            out.number(UInt64(bitPattern: current.since))
            out.value(current.key.rowid.map { .integer($0) } ?? .null)
            out.number(UInt64(current.key.values.count))
            for value in current.key.values { out.value(value) }
        } else {
            out.byte(0)
        }
        out.number(UInt64(requests.count))
        for request in requests { out.bytes(Array(request.utf8)) }
        return out.result
    }

    /// Reads a checkpoint back; nil when its notes are something else.
    init?(_ checkpoint: SourceCheckpoint) {
        let notes = checkpoint.notes
        var reader = ByteReader(notes.rawBytes)
        guard let version = reader.byte(), (1...Self.formatVersion).contains(version),
            let database = reader.noteBytes(),
            let epoch = reader.noteNumber().flatMap({ UInt16(exactly: $0) }), let seq = reader.noteNumber(),
            let anchor = reader.noteNumber(), let round = reader.noteNumber().flatMap({ UInt16(exactly: $0) }),
            let chunkSeq = reader.noteNumber(), let chunkRows = reader.noteNumber().flatMap({ UInt32(exactly: $0) }),
            let count = reader.noteNumber()
        else { return nil }
        self.init(
            database: String(decoding: database, as: UTF8.self), epoch: epoch, seq: Int64(bitPattern: seq),
            anchor: Double(bitPattern: anchor), round: round,
            chunkSeq: Int64(bitPattern: chunkSeq), chunkRows: chunkRows, lastChange: checkpoint.last)
        var left = count
        while left > 0 {
            guard let name = reader.noteBytes(), let since = reader.noteNumber() else { return nil }
            finished[String(decoding: name, as: UTF8.self)] = Int64(bitPattern: since)
            left -= 1
        }
        guard let hasCurrent = reader.byte(), hasCurrent <= 1 else { return nil }
        if hasCurrent == 1 {
            guard let current = Self.readCurrent(&reader) else { return nil }
            self.current = current
        }
        if version > 1 {
            guard let count = reader.noteNumber(), count <= UInt64(Self.requestsMax) else { return nil }
            for _ in 0..<count {
                guard let request = reader.noteBytes() else { return nil }
                requests.append(String(decoding: request, as: UTF8.self))
            }
        }
        guard reader.remaining == 0 else { return nil }
    }

    private static func readCurrent(_ reader: inout ByteReader) -> Current? {
        guard let table = reader.noteBytes(), let since = reader.noteNumber(), let rowid = reader.noteValue(),
            let count = reader.noteNumber(), count <= 4096
        else { return nil }
        var key = SnapshotKey(values: [])
        if case .integer(let number) = rowid { key.rowid = number }
        for _ in 0..<count {
            guard let value = reader.noteValue() else { return nil }
            key.values.append(value)
        }
        return Current(
            table: String(decoding: table, as: UTF8.self), since: Int64(bitPattern: since), key: key)
    }
}

/// Puts numbers and bytes one behind the other.
private struct NoteWriter {
    var result: [UInt8] = []

    mutating func byte(_ value: UInt8) { result.append(value) }

    mutating func number(_ value: UInt64) {
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            result.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    mutating func bytes(_ value: [UInt8]) {
        number(UInt64(value.count))
        result += value
    }

    mutating func value(_ value: SQLiteValue) {
        switch value {
        case .null: byte(0)
        case .integer(let number):
            byte(1)
            self.number(UInt64(bitPattern: number))
        case .real(let number):
            byte(2)
            self.number(number.bitPattern)
        case .text(let text):
            byte(3)
            bytes(text)
        case .blob(let blob):
            byte(4)
            bytes(blob)
        }
    }
}

extension ByteReader {
    @_lifetime(self: copy self)
    fileprivate mutating func noteNumber() -> UInt64? { bigEndian(UInt64.self) }

    @_lifetime(self: copy self)
    fileprivate mutating func noteBytes() -> [UInt8]? {
        guard let count = noteNumber(), count <= UInt64(remaining), let span = take(Int(count)) else { return nil }
        return unsafe span.withUnsafeBytes { unsafe [UInt8]($0) }
    }

    @_lifetime(self: copy self)
    fileprivate mutating func noteValue() -> SQLiteValue? {
        switch byte() {
        case 0: .null
        case 1: noteNumber().map { .integer(Int64(bitPattern: $0)) }
        case 2: noteNumber().map { .real(Double(bitPattern: $0)) }
        case 3: noteBytes().map { .text($0) }
        case 4: noteBytes().map { .blob($0) }
        default: nil
        }
    }
}
