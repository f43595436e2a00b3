import ChangeModel
import ConnectorKit

/// Rules on opening, closing, waiting and limits.
extension SourceConformance {
    static func deadlineReturnsEmptyBatch(_ subject: SourceUnderTest) async throws -> [String] {
        let reader = try await subject.reader()
        try await reader.open(after: nil)
        try await subject.apply(.insert(rows: 3))
        _ = try await reader.drain(expecting: 3)
        var explanations: [String] = []
        for wait in [Duration.milliseconds(100), .zero, .milliseconds(-50), .milliseconds(100)] {
            let batch = try await reader.next(wait: wait)
            if !batch.changes.isEmpty { explanations.append("\(batch.changes.count) changes came, none was made") }
            if batch.checkpoint == nil { explanations.append("an empty batch has no checkpoint") }
        }
        try await reader.close()
        return explanations
    }

    static func closeIsCallableTwice(_ subject: SourceUnderTest) async throws -> [String] {
        let untouched = try await subject.reader()
        try await untouched.close()
        try await untouched.close()
        let opened = try await subject.reader()
        try await opened.open(after: nil)
        try await opened.close()
        try await opened.close()
        return []
    }

    static func opensAgainAfterClose(_ subject: SourceUnderTest) async throws -> [String] {
        let recording = try await record(subject)
        let reader = try await subject.reader(after: recording.start)
        var read: [ReadChange] = []
        var checkpoint = recording.start
        var explanations: [String] = []
        for _ in 0..<2 {
            let batch = try await reader.nextWithChanges()
            read += batch?.changes ?? []
            checkpoint = batch?.checkpoint ?? checkpoint
            try await reader.close()
            let identity = try await reader.open(after: checkpoint)
            if identity != recording.identity {
                let parts = identity.differences(from: recording.identity)
                explanations.append("the identity is another: \(parts.joined(separator: ", "))")
            }
        }
        read += try await reader.drain(expecting: recording.changes.count - read.count).flatMap(\.changes)
        try await reader.close()
        let missing = Set(recording.changes.map(\.identity)).subtracting(read.map(\.identity)).sorted()
        if !missing.isEmpty { explanations.append("lost on the way: \(ChangeLedger.list(missing))") }
        return explanations
    }

    static func refusesAnotherDatabase(_ subject: SourceUnderTest) async throws -> [String] {
        let recording = try await record(subject)
        let confirmed = try await subject.confirmedPosition?()
        var explanations: [String] = []
        for other in others(than: recording.identity) {
            let what = other.differences(from: recording.identity).joined(separator: ", ")
            for checkpoint in [recording.end, nil] {
                let reader = try await subject.reader()
                do {
                    try await reader.open(after: checkpoint, of: other)
                    explanations.append("it opened for a log of another database (\(what))")
                } catch let failure as ConnectorFailure where failure.remedy == .stop {}
                try await reader.close()
            }
        }
        if try await subject.confirmedPosition?() != confirmed { explanations.append("the confirmed position moved") }

        try await subject.apply(.insert(rows: 1))
        let reader = try await subject.reader()
        let identity = try await reader.open(after: recording.end, of: recording.identity)
        if identity != recording.identity { explanations.append("the identity is another than before") }
        let changes = try await reader.drain(expecting: 1).flatMap(\.changes)
        try await reader.close()
        if changes.isEmpty { explanations.append("a change that was made afterwards did not come") }
        return explanations
    }

    /// Identities that differ from this one in one part each.
    private static func others(than identity: SourceIdentity) -> [SourceIdentity] {
        let kind = SourceIdentity(kind: identity.kind + "-other", fingerprint: identity.fingerprint)
        return [kind]
            + identity.fingerprint.map { name, value in
                var other = identity
                other.fingerprint[name] = value + "0"
                return other
            }
    }

    static func boundedReadAhead(_ subject: SourceUnderTest) async throws -> [String] {
        let reader = try await subject.reader()
        try await reader.open(after: nil)
        try await subject.apply(.insert(rows: 3))
        let seed = try await reader.drain(expecting: 3)
        let bytesPerRow = max(1, seed.reduce(0) { $0 + ($1.changes.isEmpty ? 0 : $1.byteCount) } / 3)
        let rows = subject.batchBytesMax / bytesPerRow * 4 + 100
        guard rows <= 100_000 else { return ["batchBytesMax is too large to be tried: \(rows) rows would be needed"] }
        for _ in 0..<4 { try await subject.apply(.insert(rows: rows / 4)) }

        let batches = try await reader.drain(expecting: rows / 4 * 4)
        try await reader.close()
        let count = batches.reduce(0) { $0 + $1.changes.count }
        var explanations = count == rows / 4 * 4 ? [] : ["\(count) changes came for \(rows / 4 * 4)"]
        if let largest = batches.map(\.byteCount).max(), largest > subject.batchBytesMax {
            explanations.append("a batch has \(largest) bytes, \(subject.batchBytesMax) are the limit")
        }
        return explanations
    }

    static func endPositionIsReached(_ subject: SourceUnderTest) async throws -> [String] {
        let recording = try await record(subject, steps: [.insert(rows: 1)])
        let reader = try await subject.reader(after: recording.end)
        try await subject.apply(.insert(rows: 2))
        let end = try await reader.endPosition()
        let limit = ContinuousClock.now + subject.patience
        var changes = 0
        var reached = recording.end.resume
        while reached < end && ContinuousClock.now < limit {
            let batch = try await reader.next(wait: .milliseconds(50))
            changes += batch.changes.count
            reached = max(reached, batch.checkpoint?.resume ?? reached)
        }
        try await reader.close()
        if reached < end { return ["resume got to \(reached.value), the end is \(end.value)"] }
        return changes >= 2 ? [] : ["the end was reached with \(changes) of 2 changes"]
    }
}
