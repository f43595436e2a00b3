internal import ChangeModel
internal import ConnectorKit

/// Where the decoder and the snapshots meet.
extension ChangeDecoder {
    /// True when the stream stands at the place of a chunk.
    var isAtChunk: Bool { snapshots?.isEmitting ?? false }
    /// True when nothing more may be decoded before something was done for a snapshot.
    var isHeldUp: Bool {
        guard let snapshots else { return false }
        return snapshots.isEmitting || snapshots.isBlocked
    }

    /// Takes over what the workers of a snapshot did.
    mutating func refreshSnapshots() { snapshots?.refresh(&progress) }

    /// The next rows of the chunk whose place the stream has come to. None when the stream turns out to be stale.
    mutating func tellChunk(_ source: some RelationSource) throws(ConnectorFailure) -> SnapshotTracker.Told {
        guard let snapshots else { return .nothing }
        try compareNamesOfChunk(source)
        if isStale { return .notYet }
        // The chunk may empty a table.
        keyRound &+= 1
        return try snapshots.tell(&progress, source)
    }
}
