internal import ByteKit

/// How far the snapshot of each table is, as the log remembers it.
struct SnapshotNotes: Equatable {
    /// Tables by oid. A table that is not here was never looked at.
    var tables: [UInt32: Table] = [:]
    /// The newest requests that were taken, so that none is taken twice.
    var requests: [String] = []

    /// So many requests are remembered.
    static let requestsMax = 64

    /// A table whose rows are read, or were.
    struct Table: Equatable {
        /// `schema.table`, for people.
        var name: String
        var stage: Stage
        /// True once all of its rows were read at some time.
        var wasRead = false

        /// True when some of its rows were read.
        var isBegun: Bool { if case .reading = stage { true } else { false } }
    }

    /// What is left to do for a table.
    enum Stage: Equatable {
        /// Nothing: its rows were read, or it was captured before there were snapshots, or none was wanted.
        case done
        /// Not begun. With `clears`, consumers are first told to forget what they have of it.
        case pending(clears: Bool)
        /// In the middle.
        case reading(Reading)
    }

    /// A table in the middle of its snapshot.
    struct Reading: Equatable {
        /// The key that the bounds of the parts are made of; another one makes them worthless.
        var key: String
        /// Ranges of the key that together cover all of it.
        var parts: [Part]
        /// Keys of rows that must be read once more by themselves.
        var owed: [[UInt8]] = []
        /// How many rows were read so far.
        var rowCount: UInt64 = 0
        /// How many rows the server believes there are.
        var estimate: UInt64 = 0
    }

    /// The rows whose key lies behind `after`, up to and including `through`. A bound is a key as
    /// ``RowKey`` writes it; nil is no bound.
    struct Part: Equatable {
        var after: [UInt8]?
        var through: [UInt8]?
        var isDone = false
    }

    /// True when no table is left to read.
    var isFinished: Bool { tables.values.allSatisfy { $0.stage == .done } }

    /// The tables that are not done, in the order in which they are read.
    var unfinished: [UInt32] {
        let left = tables.filter { $0.value.stage != .done }
        return left.keys.sorted { a, b in
            let (isFirst, isSecond) = (left[a]?.isBegun ?? false, left[b]?.isBegun ?? false)
            return isFirst != isSecond ? isFirst : a < b
        }
    }
}

// MARK: - Bytes

extension SnapshotNotes {
    private enum StageCode {
        static let done: UInt8 = 0
        static let pending: UInt8 = 1
        static let pendingClears: UInt8 = 2
        static let reading: UInt8 = 3
        static let doneByReading: UInt8 = 4
    }

    /// The bytes for the notes.
    var encoded: [UInt8] {
        var out = NoteWriter()
        out.count(tables.count)
        for (oid, table) in tables.sorted(by: { $0.key < $1.key }) {
            out.number32(oid)
            out.text(table.name)
            switch table.stage {
            case .done: out.byte(table.wasRead ? StageCode.doneByReading : StageCode.done)
            case .pending(let clears): out.byte(clears ? StageCode.pendingClears : StageCode.pending)
            case .reading(let reading):
                out.byte(StageCode.reading)
                Self.write(reading, &out)
            }
        }
        out.count(requests.count)
        for request in requests { out.text(request) }
        return out.bytes
    }

    private static func write(_ reading: Reading, _ out: inout NoteWriter) {
        out.text(reading.key)
        out.number(reading.rowCount)
        out.number(reading.estimate)
        out.count(reading.parts.count)
        for part in reading.parts {
            out.list(part.after)
            out.list(part.through)
            out.flag(part.isDone)
        }
        out.count(reading.owed.count)
        for key in reading.owed { out.list(key) }
    }

    /// Reads them back; nil when they are something else.
    init?(decoding bytes: [UInt8]) {
        var reader = NoteReader(bytes.rawBytes)
        guard let count = reader.count() else { return nil }
        for _ in 0..<count {
            guard let oid = reader.number32(), let name = reader.text(), let code = reader.byte(),
                let stage = Self.readStage(code, &reader)
            else { return nil }
            tables[oid] = Table(name: name, stage: stage, wasRead: code == StageCode.doneByReading)
        }
        guard let requestCount = reader.count() else { return nil }
        for _ in 0..<requestCount {
            guard let request = reader.text() else { return nil }
            requests.append(request)
        }
        guard reader.isAtEnd else { return nil }
    }

    private static func readStage(_ code: UInt8, _ reader: inout NoteReader) -> Stage? {
        switch code {
        case StageCode.done, StageCode.doneByReading: .done
        case StageCode.pending: .pending(clears: false)
        case StageCode.pendingClears: .pending(clears: true)
        case StageCode.reading: readReading(&reader).map { .reading($0) }
        default: nil
        }
    }

    private static func readReading(_ reader: inout NoteReader) -> Reading? {
        guard let key = reader.text(), let rows = reader.number(), let estimate = reader.number(),
            let partCount = reader.count()
        else { return nil }
        var reading = Reading(key: key, parts: [], rowCount: rows, estimate: estimate)
        for _ in 0..<partCount {
            guard let after = reader.optionalList(), let through = reader.optionalList(), let isDone = reader.flag()
            else { return nil }
            reading.parts.append(Part(after: after, through: through, isDone: isDone))
        }
        guard let owedCount = reader.count() else { return nil }
        for _ in 0..<owedCount {
            guard let key = reader.list() else { return nil }
            reading.owed.append(key)
        }
        return reading
    }
}
