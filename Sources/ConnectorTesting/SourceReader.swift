package import ChangeModel
package import ConnectorKit

/// Reads a source as the pipeline does, but gives up on calls that hang.
package struct SourceReader: Sendable {
    /// The source that is read.
    package let source: any ChangeSource
    private let patience: Duration

    /// A reader of `source`; calls may take `patience`.
    package init(_ source: any ChangeSource, patience: Duration = .seconds(30)) {
        self.source = source
        self.patience = patience
    }

    /// Opens the source, which is to be the database of `expected`. A failure that asks for a retry (a slot that is
    /// still held) is retried while patience lasts.
    @discardableResult
    package func open(
        after checkpoint: SourceCheckpoint?, of expected: SourceIdentity? = nil
    ) async throws -> SourceIdentity {
        let limit = ContinuousClock.now + patience
        while true {
            do {
                return try await within(patience, "open") { [source] in
                    try await source.open(resumingAfter: checkpoint, of: expected)
                }
            } catch let failure as ConnectorFailure where failure.remedy == .retry && ContinuousClock.now < limit {
                try await close()
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    /// The next batch; the source may wait for `wait` for changes.
    package func next(wait: Duration = .milliseconds(20)) async throws -> ReadBatch {
        let batch = try await within(patience, "nextBatch") { [source] in
            try await source.nextBatch(until: ContinuousClock.now + wait)
        }
        return ReadBatch(batch)
    }

    /// The position that covers everything committed so far.
    package func endPosition() async throws -> ResumePosition {
        try await within(patience, "endPosition") { [source] in try await source.endPosition() }
    }

    /// Closes the source.
    package func close() async throws {
        try await within(patience, "close") { [source] in await source.close() }
    }

    /// Reads until everything that is committed by now was read.
    ///
    /// Ends when the checkpoint reaches the end position; or a few empty batches after `count` changes, because not
    /// every rule is about the end position; or when no change came for as long as patience lasts. The caller compares
    /// what came with what was to come.
    package func drain(expecting count: Int) async throws -> [ReadBatch] {
        let end = try await endPosition()
        var limit = ContinuousClock.now + patience
        var batches: [ReadBatch] = []
        var (seen, rest) = (0, 5)
        while rest > 0 && ContinuousClock.now < limit {
            let batch = try await next()
            batches.append(batch)
            seen += batch.changes.count
            if !batch.changes.isEmpty { limit = ContinuousClock.now + patience }
            if let checkpoint = batch.checkpoint, checkpoint.resume >= end { break }
            if seen >= count && batch.changes.isEmpty { rest -= 1 }
        }
        return batches
    }

    /// Reads until a batch has changes; nil when everything that is committed by now was read, or patience ends, before
    /// one had.
    package func nextWithChanges() async throws -> ReadBatch? {
        let end = try await endPosition()
        let limit = ContinuousClock.now + patience
        while ContinuousClock.now < limit {
            let batch = try await next()
            if !batch.changes.isEmpty { return batch }
            if let checkpoint = batch.checkpoint, checkpoint.resume >= end { break }
        }
        return nil
    }
}
