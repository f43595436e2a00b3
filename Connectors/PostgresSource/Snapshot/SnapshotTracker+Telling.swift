internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

/// Chunks at their places: from rows to batches.
extension SnapshotTracker {
    /// What became of the chunk whose turn it is.
    enum Told {
        /// Rows to hand over; the chunk may have more.
        case batch(ChangeBatch)
        /// The chunk is over, with nothing to hand over.
        case nothing
        /// Its rows are not there yet.
        case notYet
    }

    private static let emitted = HaltPoint("snapshot.chunk_emitted")

    /// Takes the next step with the chunk whose turn it is. The stream stands behind its high watermark.
    func tell(
        _ progress: inout ReplicationProgress, _ source: some RelationSource
    ) throws(ConnectorFailure) -> Told {
        refresh(&progress)
        guard let place, let flight = coordinator.flight(place.number) else { return over() }
        guard flight.isReady, let table = watched[flight.chunk.table] else { return void(flight.chunk) }
        let chunk = flight.chunk
        if flight.isAccepted { return try tellRows(of: chunk, table, place, &progress) }
        let window = table.windows.first { $0.number == place.number }
        let whole = table.wholeWindows.first { $0.number == place.number }
        let first = window?.firstSequence ?? whole?.firstSequence
        // The flight may be newer than what was taken over above.
        if let window, window.chunk == nil { window.receive(chunk) }
        let announced = window?.announced ?? whole?.announced
        guard let first, whole?.isBroken != true else { return void(chunk) }
        switch judge(chunk, firstSequence: first, announced: announced) {
        case .void: return void(chunk)
        case .tooOld:
            coordinator.release(chunk, wasTooOld: true)
            return over()
        case .tell: break
        }
        guard let relation = try relation(of: chunk, source), !beginsAnew(chunk, relation, progress) else {
            return void(chunk)
        }
        if chunk.work == .whole, let snapshot = chunk.snapshot {
            whole?.settle(snapshot)
            coordinator.accept(chunk)
            return try clear(chunk, relation, place, &progress)
        }
        guard let window, coordinator.claim(chunk) else { return void(chunk) }
        if chunk.work == .clear {
            coordinator.finish(chunk, rowCount: 0)
            refresh(&progress)
            defer { _ = over() }
            return try clear(chunk, relation, place, &progress)
        }
        return try tell(chunk, window, relation, place, &progress)
    }

    /// A finished chunk is final: its rows and the note that it is finished are one batch.
    private func tell(
        _ chunk: SnapshotChunk, _ window: SnapshotWindow, _ relation: Relation, _ place: Place,
        _ progress: inout ReplicationProgress
    ) throws(ConnectorFailure) -> Told {
        var builder =
            window.isUntouched
            ? ChangeBatchBuilder(tuples: chunk.takeBytes(), changeCount: chunk.rows.count)
            : ChangeBatchBuilder(capacity: chunk.byteCount + chunk.rows.count * 40 + 256)
        let (index, transaction) = (builder.index(of: relation), builder.begin(place.info))
        let count = window.write(
            into: &builder, relation: index, transaction: transaction, first: ChangeIdentity.snapshotOrdinalMin)
        coordinator.finish(chunk, rowCount: Int(count))
        refresh(&progress)
        _ = over()
        guard count > 0 else { return .nothing }
        tells(relation, &progress)
        progress.took(
            ChangeIdentity(commit: place.info.commit, ordinal: ChangeIdentity.snapshotOrdinalMin &+ count &- 1))
        defer { Self.emitted.reached() }
        return .batch(try seal(builder, progress))
    }

    /// One event that tells consumers to forget what they have of the table.
    private func clear(
        _ chunk: SnapshotChunk, _ relation: Relation, _ place: Place, _ progress: inout ReplicationProgress
    ) throws(ConnectorFailure) -> Told {
        var builder = ChangeBatchBuilder(capacity: 256)
        let (index, transaction) = (builder.index(of: relation), builder.begin(place.info))
        let ordinal = ChangeIdentity.snapshotOrdinalMin
        builder.append(
            RowChange(operation: .truncate, relation: index, transaction: transaction, ordinal: ordinal))
        progress.took(ChangeIdentity(commit: place.info.commit, ordinal: ordinal))
        empties(relation, &progress)
        nextOrdinal = ordinal &+ 1
        return .batch(try seal(builder, progress))
    }

    /// The next rows of a table that is read whole.
    private func tellRows(
        of chunk: SnapshotChunk, _ table: Watched, _ place: Place, _ progress: inout ReplicationProgress
    ) throws(ConnectorFailure) -> Told {
        guard let window = table.wholeWindows.first(where: { $0.number == place.number }),
            let relation = relations[chunk.table]?.relation
        else { return void(chunk) }
        let (block, isEnd, isGone) = coordinator.takeBlock(chunk)
        if isGone { return over() }
        guard block != nil || isEnd else { return .notYet }
        var builder = ChangeBatchBuilder(capacity: (block?.bytes.count ?? 0) + (block?.rows.count ?? 0) * 40 + 256)
        let (index, transaction) = (builder.index(of: relation), builder.begin(place.info))
        var ordinal = nextOrdinal
        func add(_ row: RawSpan, _ builder: inout ChangeBatchBuilder) {
            let after = builder.append(tuple: row)
            builder.append(
                RowChange(
                    operation: .snapshot, relation: index, transaction: transaction, ordinal: ordinal, after: after))
            ordinal &+= 1
        }
        if let block {
            for range in block.rows {
                let row = block.bytes.bytes.extracting(range.indices)
                if !window.leavesOut(row) { add(row, &builder) }
            }
        }
        if isEnd {
            window.forEachAdded { row in add(row, &builder) }
            coordinator.finish(chunk, rowCount: 0)
            refresh(&progress)
            _ = over()
        }
        guard ordinal > nextOrdinal else { return .nothing }
        tells(relation, &progress)
        progress.took(ChangeIdentity(commit: place.info.commit, ordinal: ordinal &- 1))
        nextOrdinal = ordinal
        return .batch(try seal(builder, progress))
    }

    private func seal(
        _ builder: consuming ChangeBatchBuilder, _ progress: ReplicationProgress
    ) throws(ConnectorFailure) -> ChangeBatch {
        do throws(ChangeBatchError) {
            return try builder.seal(checkpoint: progress.checkpoint, mustBeDurableBeforeDelivery: true)
        } catch {
            throw PostgresFailure.batchTooLarge()
        }
    }

    /// The relation that the chunk was read under; nil when its key is another than the rows were compared by, or its
    /// name another than the notes have.
    private func relation(
        of chunk: SnapshotChunk, _ source: some RelationSource
    ) throws(ConnectorFailure) -> Relation? {
        guard let message = chunk.message, coordinator.isCalled(message.qualifiedName, chunk.table) else { return nil }
        // A type of the database's own may have changed behind the table, which nobody announces.
        let hasOwnTypes = message.columns.contains { $0.typeID >= 16_384 }
        if !hasOwnTypes, let known = relations[chunk.table], known.message.isAlike(message) {
            return known.relation.keyColumns.sorted() == chunk.keyColumns ? known.relation : nil
        }
        guard let relation = try source.relation(for: message) else { return nil }
        guard relation.keyColumns.sorted() == chunk.keyColumns else { return nil }
        relations[chunk.table] = (message, relation)
        return relation
    }

    private func void(_ chunk: SnapshotChunk) -> Told {
        relations[chunk.table] = nil
        coordinator.release(chunk)
        return over()
    }

    private func over() -> Told {
        if let number = place?.number {
            for table in watched.values {
                table.windows.removeAll { $0.number == number }
                table.wholeWindows.removeAll { $0.number == number }
            }
        }
        place = nil
        return .nothing
    }
}
