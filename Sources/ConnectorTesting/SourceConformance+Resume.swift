import ChangeModel
import ConnectorKit

/// Rules on what comes after a source was closed and opened again, and on acknowledgement.
extension SourceConformance {
    static func resumesAfterCheckpoint(_ subject: SourceUnderTest) async throws -> [String] {
        let recording = try await record(subject)
        // Two more rows, so that there is something to come after the last checkpoint too.
        try await subject.apply(.insert(rows: 2))
        let known = recording.changes.map(\.identity)
        var tail: [ChangeIdentity]?
        var explanations: [String] = []
        for (checkpoint, covered) in spread(recording.boundaries, limit: 12) {
            let reader = try await subject.reader(after: checkpoint)
            let batches = try await reader.drain(expecting: known.count - covered + 2)
            try await reader.close()
            let read = batches.flatMap(\.changes).map(\.identity)
            if tail == nil && read.count == known.count - covered + 2 { tail = Array(read.suffix(2)) }
            let expected = Array(known.dropFirst(covered)) + (tail ?? [])
            if read != expected {
                let place = "behind \(covered) of \(known.count) changes"
                explanations.append("\(place) came \(ChangeLedger.list(read)), not \(ChangeLedger.list(expected))")
            }
        }
        return explanations
    }

    /// At most `limit` of the items, first and last included.
    private static func spread<Item>(_ items: [Item], limit: Int) -> [Item] {
        guard items.count > limit else { return items }
        return (0..<limit).map { items[$0 * (items.count - 1) / (limit - 1)] }
    }

    static func repeatsSameIdentities(_ subject: SourceUnderTest) async throws -> [String] {
        let recording = try await record(subject)
        let reader = try await subject.reader(after: recording.start)
        let again = try await reader.drain(expecting: recording.changes.count).flatMap(\.changes)
        try await reader.close()
        let byIdentity = Dictionary(again.map { ($0.identity, $0) }, uniquingKeysWith: { first, _ in first })
        let missing = recording.changes.filter { byIdentity[$0.identity] == nil }.map(\.identity)
        let differing = recording.changes.filter { byIdentity[$0.identity, default: $0] != $0 }
        var explanations: [String] = []
        if !missing.isEmpty { explanations.append("did not come again: \(ChangeLedger.list(missing))") }
        if !differing.isEmpty {
            explanations.append("came again with other content: \(ChangeLedger.list(differing.map(\.identity)))")
        }
        return explanations
    }

    static func acknowledgedIsNotNeededAgain(_ subject: SourceUnderTest) async throws -> [String] {
        let recording = try await record(subject)
        var missing = Set(recording.changes.map(\.identity))
        var checkpoint = recording.start
        while !missing.isEmpty {
            let reader = try await subject.reader(after: checkpoint)
            let batch = try await reader.nextWithChanges()
            if let batch {
                missing.subtract(batch.changes.map(\.identity))
                checkpoint = batch.checkpoint ?? checkpoint
                reader.source.acknowledge(checkpoint.resume)
            }
            try await reader.close()
            if batch == nil { break }
        }
        if missing.isEmpty { return [] }
        return ["gone before they were delivered: \(ChangeLedger.list(missing.sorted()))"]
    }

    static func neverGoesBack(_ subject: SourceUnderTest) async throws -> [String] {
        let recording = try await record(subject)
        let end = recording.end
        guard recording.start.resume < end.resume else { return ["resume did not move during the work"] }
        let forward = try await subject.reader(after: end)
        forward.source.acknowledge(end.resume)
        try await forward.close()
        let confirmed = try await subject.confirmedPosition?()

        let backward = try await subject.reader(after: end)
        backward.source.acknowledge(recording.start.resume)
        try await backward.close()
        var explanations: [String] = []
        if let confirmed, let now = try await subject.confirmedPosition?(), now < confirmed {
            explanations.append("the confirmed position went from \(confirmed.value) back to \(now.value)")
        }

        try await subject.apply(.insert(rows: 1))
        let reader = try await subject.reader(after: end)
        let changes = try await reader.drain(expecting: 1).flatMap(\.changes)
        try await reader.close()
        if changes.count != 1 { explanations.append("\(changes.count) changes came for one that was made") }
        return explanations
    }

    static func confirmsOnlyWhatWasAcknowledged(_ subject: SourceUnderTest) async throws -> [String] {
        guard let confirmedPosition = subject.confirmedPosition else { return [] }
        guard let acknowledged = try await acknowledgePart(subject) else { return [Self.tooFewPositions] }
        let confirmed = try await confirmedPosition()
        if confirmed <= acknowledged { return [] }
        return ["\(acknowledged.value) was acknowledged, \(confirmed.value) is confirmed"]
    }

    static func closeTellsWhatWasAcknowledged(_ subject: SourceUnderTest) async throws -> [String] {
        guard let confirmedPosition = subject.confirmedPosition else { return [] }
        guard let acknowledged = try await acknowledgePart(subject) else { return [Self.tooFewPositions] }
        let confirmed = try await confirmedPosition()
        if confirmed >= acknowledged { return [] }
        return ["\(acknowledged.value) was acknowledged, but only \(confirmed.value) is confirmed"]
    }

    private static let tooFewPositions = "no checkpoint lies between start and end of the work"

    /// Reads everything, acknowledges a part of it, closes, and returns the acknowledged position; nil when no
    /// checkpoint lies between start and end.
    private static func acknowledgePart(_ subject: SourceUnderTest) async throws -> ResumePosition? {
        let recording = try await record(subject)
        let between = recording.boundaries.map(\.checkpoint.resume)
            .first { $0 > recording.start.resume && $0 < recording.end.resume }
        guard let between else { return nil }
        let reader = try await subject.reader(after: recording.start)
        _ = try await reader.drain(expecting: recording.changes.count)
        reader.source.acknowledge(between)
        try await reader.close()
        return between
    }
}
