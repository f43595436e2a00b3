internal import ByteKit
internal import ConnectorKit
internal import Synchronization

/// The side of the stream's thread.
extension SnapshotCoordinator {
    /// Keys that are owed at most; a table that owes more begins anew.
    static let owedMax = 10_000
    /// And bytes of them: they are written with every checkpoint.
    static let owedBytesMax = 512 << 10

    /// A chunk that was handed over; nil when it will not come.
    func flight(_ number: UInt64) -> Flight? { state.withLock { $0.flights[number] } }

    /// Chunks may be begun from now on: the stream records every transaction.
    func tracks(epoch: Int) {
        change(wakesWorkers: true) { state in
            state.isTracking = true
            state.epoch = epoch
            for oid in state.notes.unfinished where state.live[oid] == nil {
                state.live[oid] = Self.live(state.notes, oid)
            }
        }
    }

    /// Nothing is left to read.
    func rests() { change { $0.isTracking = false } }

    private static func live(_ notes: SnapshotNotes, _ oid: UInt32) -> Live {
        var live = Live()
        if case .reading(let reading) = notes.tables[oid]?.stage {
            live.owedBytes = reading.owed.reduce(0) { $0 + $1.count }
            live.owedNumbers = Array(reading.owed.indices)
            live.nextOwed = reading.owed.count
            live.waitingKeys = Set(reading.owed)
        }
        return live
    }

    /// The stream has come to the chunk's low watermark.
    func met(_ number: UInt64) { change(wakesWorkers: true) { $0.flights[number]?.isMet = true } }

    /// The rows of the chunk are about to be told. False when it was given up meanwhile.
    func claim(_ chunk: SnapshotChunk) -> Bool {
        state.withLock { state in
            guard state.flights[chunk.number] != nil else { return false }
            state.flights[chunk.number]?.isClaimed = true
            return true
        }
    }

    /// The chunk has its place: `rowCount` of its rows were told.
    func finish(_ chunk: SnapshotChunk, rowCount: Int) {
        let chunkBytes = chunkBytes
        let done = change(wakesWorkers: true) { state -> String? in
            state.flights[chunk.number] = nil
            state.hold.ends()
            guard var live = state.live[chunk.table], live.turn == chunk.turn,
                var table = state.notes.tables[chunk.table]
            else { return nil }
            Self.unlock(&live, chunk)
            live.failuresInARow = 0
            // It shrinks slowly, or it would be found anew with every eighth chunk.
            state.settling = state.settling < .milliseconds(2) ? .zero : state.settling * 31 / 32
            Self.advance(&table, &live, by: chunk, rowCount, chunkBytes)
            state.live[chunk.table] = live
            if table.stage == .done {
                table.wasRead = true
                Self.abandon(chunk.table, &state)
            }
            state.notes.tables[chunk.table] = table
            return table.stage == .done ? table.name : nil
        }
        if let done { notice("all rows of \(done) were read") }
    }

    private static func advance(
        _ table: inout SnapshotNotes.Table, _ live: inout Live, by chunk: SnapshotChunk, _ rowCount: Int,
        _ chunkBytes: Int
    ) {
        switch (chunk.work, table.stage) {
        case (.whole, _): table.stage = .done
        case (.clear, .pending):
            table.stage = live.plan.map { .reading($0) } ?? .pending(clears: false)
            live.plan = nil
        case (.part(let index), .reading(var reading)) where reading.parts.indices.contains(index):
            reading.parts[index].after = chunk.lastKey ?? reading.parts[index].after
            reading.parts[index].isDone = chunk.reachesEnd
            reading.rowCount += UInt64(rowCount)
            live.rowLimit = rowLimit(after: chunk, live.rowLimit, chunkBytes)
            table.stage = reading.isComplete ? .done : .reading(reading)
        case (.keys(let numbers), .reading(var reading)):
            let paid = Set(numbers)
            let isPaid = live.owedNumbers.map { paid.contains($0) }
            reading.owed = zip(reading.owed, isPaid).filter { !$1 }.map(\.0)
            live.owedBytes = reading.owed.reduce(0) { $0 + $1.count }
            live.keyLimit = min(keysPerChunk, live.keyLimit * 2)
            live.owedNumbers = zip(live.owedNumbers, isPaid).filter { !$1 }.map(\.0)
            table.stage = reading.isComplete ? .done : .reading(reading)
        default: break
        }
    }

    /// So many rows as had the wished size this time, and at most twice as many as before.
    private static func rowLimit(after chunk: SnapshotChunk, _ before: Int, _ chunkBytes: Int) -> Int {
        guard !chunk.rows.isEmpty else { return before }
        let fitting = chunkBytes / max(1, chunk.byteCount / chunk.rows.count)
        return max(1, min(fitting, before * 2, 100_000))
    }

    /// A row of the table must be read once more by its key.
    func owe(_ key: [UInt8], of table: UInt32) {
        let begunAnew = change { state -> String? in
            guard var entry = state.notes.tables[table], case .reading(var reading) = entry.stage else { return nil }
            var live = state.live[table] ?? Live()
            guard live.waitingKeys.insert(key).inserted else { return nil }
            reading.owed.append(key)
            live.owedBytes += key.count
            live.owedNumbers.append(live.nextOwed)
            live.nextOwed += 1
            entry.stage = .reading(reading)
            let isTooMuch =
                reading.owed.count > Self.owedMax || live.owedBytes > Self.owedBytesMax
            if isTooMuch {
                live = Live(turn: live.turn + 1)
                entry.stage = .pending(clears: false)
            }
            state.live[table] = live
            state.notes.tables[table] = entry
            return isTooMuch ? entry.name : nil
        }
        if let begunAnew { notice("snapshot of \(begunAnew) begins anew: too many rows moved under other keys") }
    }

    /// True when the chunk belongs to what the table is at now.
    func isCurrent(_ chunk: SnapshotChunk) -> Bool {
        state.withLock { $0.live[chunk.table]?.turn == chunk.turn }
    }

    /// Snapshots of which every chunk, now and later, sees at least one whole. Nil when that is not known.
    func knownSnapshots() -> [ServerSnapshot]? {
        state.withLock { state in
            // What was seen once is seen for ever, so one that was seen before a chunk was begun is its floor.
            let snapshots = state.flights.values.map { $0.snapshot ?? $0.floor } + [state.newestSnapshot]
            return snapshots.contains { $0 == nil } ? nil : snapshots.compactMap { $0 }
        }
    }
}

// MARK: - Tables that are read whole

extension SnapshotCoordinator {
    /// The stream stands at the chunk's place and waits for rows.
    func accept(_ chunk: SnapshotChunk) {
        change(wakesWorkers: true) { $0.flights[chunk.number]?.isAccepted = true }
    }

    /// The next rows: nil when they are not there yet. `isEnd` when there are no more.
    func takeBlock(_ chunk: SnapshotChunk) -> (block: RowBlock?, isEnd: Bool, isGone: Bool) {
        let taken = state.withLock { state -> (RowBlock?, Bool, Bool) in
            guard var flight = state.flights[chunk.number] else { return (nil, false, true) }
            if flight.blocks.isEmpty { return (nil, flight.isComplete, false) }
            let block = flight.blocks.removeFirst()
            state.flights[chunk.number] = flight
            return (block, false, false)
        }
        if taken.0 != nil { wakeWorkers() }
        return taken
    }

    /// Offers rows; false when there is no room now.
    func offer(_ block: RowBlock, _ chunk: SnapshotChunk) -> Bool {
        change { state in
            guard let count = state.flights[chunk.number]?.blocks.count, count < 2 else { return false }
            state.flights[chunk.number]?.blocks.append(block)
            state.rowCount += UInt64(block.rows.count)
            state.live[chunk.table]?.rowCount += UInt64(block.rows.count)
            return true
        }
    }

    /// All rows were offered.
    func complete(_ chunk: SnapshotChunk) { change { $0.flights[chunk.number]?.isComplete = true } }
}

// MARK: - Progress

extension SnapshotCoordinator {
    /// How far the reading is; nil when nothing is left to read.
    var progress: SnapshotProgress? {
        state.withLock { state in
            let unfinished = state.notes.unfinished
            guard let first = unfinished.first, let table = state.notes.tables[first]?.name else { return nil }
            let left = unfinished.reduce(UInt64(0)) { sum, oid in
                let (estimate, count) =
                    if case .reading(let reading) = state.notes.tables[oid]?.stage {
                        (reading.estimate, reading.rowCount)
                    } else {
                        (state.estimates[oid] ?? 0, state.live[oid]?.rowCount ?? 0)
                    }
                return sum + (estimate > count ? estimate - count : 0)
            }
            return SnapshotProgress(
                table: table, tablesLeft: unfinished.count, rowCount: state.rowCount, rowsLeft: left)
        }
    }
}

extension SnapshotNotes.Reading {
    /// True when nothing is left.
    fileprivate var isComplete: Bool { parts.allSatisfy(\.isDone) && owed.isEmpty }
}
