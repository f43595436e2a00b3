internal import ByteKit
internal import ChangeModel
internal import ConnectorKit
internal import Synchronization

extension SnapshotWorker {
    /// At most so many parts for each worker.
    private static let partsPerWorker = 4
    /// Rows of a table that is read whole are handed over in blocks of this size.
    private static let blockBytes = 1 << 20

    /// How a table can be read: nil when it has no key.
    func plan(_ table: UInt32) throws(Obstacle) -> SnapshotNotes.Reading? {
        let shape = try begin(table)
        defer { _ = try? execute("ROLLBACK", on: try connection()) }
        // Before consumers are told to forget what they have.
        if shape.hidesRows {
            throw .server(ServerError(sqlState: "42501", message: "row level security hides rows from the role"))
        }
        guard !shape.key.isEmpty else { return nil }
        let wanted = min(
            UInt64(settings.snapshotConnections * Self.partsPerWorker), shape.byteCount / settings.partBytes)
        let bounds = wanted > 1 ? try bounds(shape, parts: Int(wanted)) : []
        var parts: [SnapshotNotes.Part] = []
        for bound in bounds { parts.append(SnapshotNotes.Part(after: parts.last?.through, through: bound)) }
        parts.append(SnapshotNotes.Part(after: bounds.last, through: nil))
        return SnapshotNotes.Reading(key: shape.keyText, parts: parts, estimate: shape.estimate)
    }

    /// Keys that cut the table into parts of about the same size. Whether they do so well matters for speed alone: the
    /// parts cover every key whatever the bounds are.
    private func bounds(_ shape: TableShape, parts: Int) throws(Obstacle) -> [[UInt8]] {
        let percent = min(100, max(0.0001, 100 * Double(4 << 20) / Double(max(1, shape.byteCount))))
        let sample = SnapshotChunk(number: 0, table: shape.message.relationID, work: .whole, turn: 0)
        let columns = shape.keyColumns
        try copy(
            SnapshotQuery(shape).sample(percent: percent), from: try connection(), into: sample,
            columnCount: columns.count
        ) { true }
        var keys: [[UInt8]] = []
        for part in 1..<parts {
            let row = sample.rows.count * part / parts
            guard row < sample.rows.count else { break }
            guard let key = Self.key(of: sample, row, Array(columns.indices)), key != keys.last else { continue }
            keys.append(key)
        }
        return keys
    }

    private static func key(of chunk: SnapshotChunk, _ row: Int, _ columns: [Int]) -> [UInt8]? {
        var key = OutputBuffer(capacity: 64)
        guard RowKey.append(of: chunk.tuple(row), else: RawSpan(), columns: columns, to: &key) else { return nil }
        return [UInt8](copying: key.bytes)
    }

    /// Reads a chunk between its watermarks and hands it over.
    func read(
        _ chunk: SnapshotChunk, _ part: SnapshotNotes.Part?, _ keys: [[UInt8]], _ rowLimit: Int
    ) throws(Obstacle) {
        try date(chunk)
        Self.beforeLow.reached()
        let isBeside = readsBeside && chunk.isOfKeys
        let shape = isBeside ? try beginOnStandby(chunk) : try beginBehindLowMark(chunk)
        let source = isBeside ? try standbyConnection() : try connection()
        chunk.message = shape.message
        chunk.keyColumns = shape.keyColumns
        chunk.snapshot = shape.snapshot
        coordinator.saw(shape.snapshot, chunk)
        let query = SnapshotQuery(shape)
        switch chunk.work {
        case .clear: break
        case .whole: return try readWhole(chunk, shape, query)
        case .part:
            guard let part, try isSameKey(shape, chunk.table), let sql = query.part(part, limit: rowLimit) else {
                throw .again
            }
            let isWhole = try copy(sql, from: source, into: chunk, columnCount: shape.columns.count) {
                chunk.byteCount < 2 * settings.chunkBytes
            }
            chunk.reachesEnd = isWhole && chunk.rows.count < rowLimit
            if !chunk.rows.isEmpty {
                guard let last = Self.key(of: chunk, chunk.rows.count - 1, chunk.keyColumns) else { throw .again }
                chunk.lastKey = last
            }
        case .keys:
            guard try isSameKey(shape, chunk.table), let sql = query.rows(keys) else { throw .again }
            let isWhole = try copy(sql, from: source, into: chunk, columnCount: shape.columns.count) {
                keys.count == 1 || chunk.byteCount < 8 * settings.chunkBytes
            }
            guard isWhole else {
                coordinator.shortenKeys(of: chunk.table)
                throw .again
            }
        }
        Self.chunkRead.reached()
        let number = chunk.number
        coordinator.hand(over: chunk)
        Self.beforeHigh.reached()
        if isBeside { try execute("COMMIT", on: try standbyConnection()) }
        try execute((isBeside ? "" : "COMMIT; ") + mark(number, .high), on: try connection())
    }

    /// Writes the low watermark and begins the chunk's transaction.
    ///
    /// Between the two, those become visible who were streamed before the watermark and were just committing; the
    /// coordinator knows how long that takes here. For a table that is read whole the stream must have come to the
    /// watermark, so that the transaction is not open for as long as the stream is behind.
    private func beginBehindLowMark(_ chunk: SnapshotChunk) throws(Obstacle) -> TableShape {
        let settling = coordinator.settling
        if chunk.work != .whole, settling == .zero { return try begin(chunk.table, after: mark(chunk.number, .low)) }
        try execute(mark(chunk.number, .low), on: try connection())
        while chunk.work == .whole {
            guard let flight = coordinator.flight(chunk.number) else { throw .again }
            if flight.isMet { break }
            if coordinator.isClosing { throw .closing }
            pause(.milliseconds(100))
        }
        try settle()
        return try begin(chunk.table)
    }

    /// Waits until those see each other who were committing at the low watermark.
    func settle() throws(Obstacle) {
        let end = ContinuousClock.now + coordinator.settling
        while ContinuousClock.now < end {
            if coordinator.isClosing { throw .closing }
            pause(ContinuousClock.now.duration(to: end) + .milliseconds(1))
        }
    }

    /// Bounds of another key say nothing about this one.
    private func isSameKey(_ shape: TableShape, _ table: UInt32) throws(Obstacle) -> Bool {
        let stage = coordinator.state.withLock { $0.notes.tables[table]?.stage }
        guard case .reading(let reading) = stage else { return false }
        if reading.key == shape.keyText { return true }
        coordinator.restart(table)
        return false
    }

    /// Copies rows into the chunk while `hasRoom` says so; false when it was cut before the end, which costs the
    /// connection.
    @discardableResult
    private func copy(
        _ sql: [UInt8], from connection: PostgresConnection, into chunk: SnapshotChunk, columnCount: Int,
        while hasRoom: () -> Bool
    ) throws(Obstacle) -> Bool {
        let checksText = connection.parameter("client_encoding") == "SQL_ASCII"
        var isWellFormed = true
        var patience = CopyPatience(
            settings: settings, url: url(of: connection), coordinator: coordinator, processID: connection.processID)
        do throws(ServerError) {
            _ = try connection.execute(bytes: sql) { patience.mayWait($0) }
            while true {
                let step = try connection.nextCopyRow(wakeUp: wakeUp, mayWait: { patience.mayWait($0) }) { row in
                    if !chunk.append(copyRow: row, columnCount: columnCount, checksText: checksText) {
                        isWellFormed = false
                    }
                }
                switch step {
                case .end: return true
                case .stopped: break
                case .row:
                    if !isWellFormed { break }
                    if hasRoom() { continue }
                    drop(connection)
                    return false
                }
                break
            }
        } catch {
            throw .server(error)
        }
        drop(connection)
        if coordinator.isClosing { throw .closing }
        guard isWellFormed else { throw .failure(PostgresFailure.damagedSnapshot()) }
        throw .server(
            ServerError(sqlState: nil, message: "the server has stopped sending rows", isConnectionLost: true))
    }

    /// Reads a table without a key at one place of the stream, which waits there.
    private func readWhole(_ chunk: SnapshotChunk, _ shape: TableShape, _ query: SnapshotQuery) throws(Obstacle) {
        coordinator.hand(over: chunk)
        Self.beforeHigh.reached()
        try execute(mark(chunk.number, .high), on: try secondConnection())
        while true {
            guard let flight = coordinator.flight(chunk.number) else { throw .again }
            if flight.isAccepted { break }
            if coordinator.isClosing { throw .closing }
            pause(.milliseconds(50))
        }
        var isWelcome = true
        let isWhole = try copy(query.whole(), from: try connection(), into: chunk, columnCount: shape.columns.count) {
            if chunk.byteCount >= Self.blockBytes { isWelcome = offer(chunk) }
            return isWelcome
        }
        guard isWhole, chunk.rows.isEmpty || offer(chunk) else { throw .again }
        coordinator.complete(chunk)
        try execute("COMMIT", on: try connection())
    }

    /// Hands rows over as soon as there is room; false when nobody wants them any more.
    private func offer(_ chunk: SnapshotChunk) -> Bool {
        let block = chunk.takeBlock()
        while !coordinator.offer(block, chunk) {
            if coordinator.isClosing || coordinator.flight(chunk.number) == nil { return false }
            pause(.milliseconds(20))
        }
        return true
    }
}
