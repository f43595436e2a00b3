import ChangeModel
import ConnectorKit

/// What a source said about the standard work while it was read without a break and without acknowledgement.
struct SourceRecording: Sendable {
    let identity: SourceIdentity
    /// The batches of the first rows.
    let seed: [ReadBatch]
    /// Covers the first rows: where rules open a fresh source.
    let start: SourceCheckpoint
    /// The batches of the standard work.
    let batches: [ReadBatch]

    var changes: [ReadChange] { batches.flatMap(\.changes) }

    /// Checkpoints with the number of changes that they cover, beginning with ``start``.
    var boundaries: [(checkpoint: SourceCheckpoint, covered: Int)] {
        var boundaries = [(checkpoint: start, covered: 0)]
        var covered = 0
        for batch in batches {
            covered += batch.changes.count
            if let checkpoint = batch.checkpoint { boundaries.append((checkpoint, covered)) }
        }
        return boundaries
    }

    /// The checkpoint of the last batch.
    var end: SourceCheckpoint { boundaries.last?.checkpoint ?? start }

    /// Opens a source for the first time, has work done, and reads it as it comes.
    init(of subject: SourceUnderTest, steps: [WorkloadStep]) async throws {
        let reader = try await subject.reader()
        identity = try await reader.open(after: nil)
        try await subject.apply(.insert(rows: 3))
        seed = try await reader.drain(expecting: 3)
        guard let start = seed.compactMap(\.checkpoint).last else { throw NoCheckpoint() }
        self.start = start
        var batches: [ReadBatch] = []
        for step in steps {
            try await subject.apply(step)
            batches += try await reader.drain(expecting: step.rows)
        }
        self.batches = batches
        try await reader.close()
    }
}

/// A source returned batches but never a checkpoint.
struct NoCheckpoint: Error, CustomStringConvertible {
    var description: String { "no batch had a checkpoint" }
}

extension SourceUnderTest {
    /// A reader of a new source object.
    func reader() async throws -> SourceReader { SourceReader(try await makeSource(), patience: patience) }

    /// A reader of a new source object that was opened.
    func reader(after checkpoint: SourceCheckpoint) async throws -> SourceReader {
        let reader = try await reader()
        try await reader.open(after: checkpoint)
        return reader
    }
}
