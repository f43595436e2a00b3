import ByteKit
import ChangeModel
import ConnectorKit

/// Rules on what a source delivers while it is read without a break.
extension SourceConformance {
    static func deliversEverythingInOrder(_ subject: SourceUnderTest) async throws -> [String] {
        let recording = try await record(subject)
        let changes = recording.changes
        var explanations: [String] = []
        let identities = [recording.start.last].compactMap { $0 } + changes.map(\.identity)
        let disordered = zip(identities, identities.dropFirst()).filter { $0 >= $1 }.map(\.1)
        if !disordered.isEmpty { explanations.append("not above the one before: \(ChangeLedger.list(disordered))") }

        let expected = WorkloadStep.standard.flatMap { Array(repeating: $0.operation, count: $0.rows) }
        if changes.map(\.operation) != expected {
            explanations.append("\(changes.count) changes came for \(expected.count), or with other operations")
        }
        return subject.hasTransactions ? explanations + transactionViolations(changes) : explanations
    }

    /// Each step of the work is one transaction whose changes are numbered from 0.
    private static func transactionViolations(_ changes: [ReadChange]) -> [String] {
        var commits: [(commit: UInt64, ordinals: [UInt32])] = []
        for change in changes {
            if commits.last?.commit != change.identity.commit { commits.append((change.identity.commit, [])) }
            commits[commits.count - 1].ordinals.append(change.identity.ordinal)
        }
        var explanations: [String] = []
        if commits.map(\.ordinals.count) != WorkloadStep.standard.map(\.rows) {
            explanations.append("the changes of \(commits.count) commits are not those of the transactions")
        }
        for (commit, ordinals) in commits where ordinals != (0..<UInt32(ordinals.count)).map({ $0 }) {
            explanations.append("ordinals of commit \(commit) are \(ordinals)")
        }
        return explanations
    }

    static func checkpointsNeverGoBack(_ subject: SourceUnderTest) async throws -> [String] {
        let recording = try await record(subject)
        let checkpoints = (recording.seed + recording.batches).compactMap(\.checkpoint)
        var explanations: [String] = []
        for (before, after) in zip(checkpoints, checkpoints.dropFirst()) {
            if after.resume < before.resume {
                explanations.append("resume went from \(before.resume.value) back to \(after.resume.value)")
            }
            if let last = before.last, after.last.map({ $0 < last }) ?? true {
                explanations.append("last went back from \(ChangeLedger.list([last]))")
            }
        }
        return explanations
    }

    static func checkpointNamesLastChange(_ subject: SourceUnderTest) async throws -> [String] {
        let recording = try await record(subject)
        var last = recording.start.last
        var explanations: [String] = []
        for batch in recording.batches {
            last = batch.changes.last?.identity ?? last
            guard let checkpoint = batch.checkpoint else {
                explanations.append("a batch of \(batch.changes.count) changes has no checkpoint")
                continue
            }
            if checkpoint.last != last {
                explanations.append("last is \(describe(checkpoint.last)), the last change is \(describe(last))")
            }
        }
        return explanations
    }

    private static func describe(_ identity: ChangeIdentity?) -> String {
        identity.map { ChangeLedger.list([$0]) } ?? "none"
    }

    static func tuplesAreWellFormed(_ subject: SourceUnderTest) async throws -> [String] {
        let recording = try await record(subject)
        return (recording.seed.flatMap(\.changes) + recording.changes).flatMap { change in
            malformations(of: change).map { "\(change.operation.name) \(ChangeLedger.list([change.identity])): \($0)" }
        }
    }

    /// What is wrong with the images of one change.
    private static func malformations(of change: ReadChange) -> [String] {
        var wrong: [String] = []
        let hasBefore = change.beforeImage != .none
        let hasAfter = change.operation != .delete && change.operation != .truncate
        if hasBefore != !change.before.isEmpty { wrong.append("the before image is \(change.before.count) bytes") }
        if hasAfter != !change.after.isEmpty { wrong.append("the after image is \(change.after.count) bytes") }
        let hasKey = !change.relation.keyColumns.isEmpty
        if change.operation == .delete && hasKey && !hasBefore { wrong.append("a deleted row has no key") }
        if hasBefore {
            let onlyKey = change.beforeImage == .key ? Set(change.relation.keyColumns) : nil
            wrong += malformations(of: change.before, change.relation, filled: onlyKey).map { "before: \($0)" }
        }
        if hasAfter { wrong += malformations(of: change.after, change.relation, filled: nil).map { "after: \($0)" } }
        return wrong
    }

    /// What is wrong with one tuple. `filled` are the only columns that may hold values; nil for all.
    private static func malformations(of tuple: [UInt8], _ relation: Relation, filled: Set<Int>?) -> [String] {
        guard let (values, length) = ReadChange.values(of: tuple) else { return ["it cannot be read"] }
        var wrong: [String] = []
        if length != tuple.count { wrong.append("\(tuple.count - length) bytes follow it") }
        if values.count != relation.columns.count {
            wrong.append("\(values.count) values for \(relation.columns.count) columns")
        }
        for (index, value) in values.enumerated() {
            if !isWellFormed(value) { wrong.append("value \(index) is not what its kind says") }
            if let filled, !filled.contains(index), value.kind != ValueKind.null {
                wrong.append("value \(index) is outside of the key")
            }
        }
        return wrong
    }

    private static func isWellFormed(_ value: ReadValue) -> Bool {
        switch value.kind {
        case ValueKind.text: String(validating: value.bytes, as: UTF8.self) != nil
        case ValueKind.integer: Int64(String(decoding: value.bytes, as: UTF8.self)) != nil
        case ValueKind.real: Double(String(decoding: value.bytes, as: UTF8.self)) != nil
        case ValueKind.malformedText: String(validating: value.bytes, as: UTF8.self) == nil
        default: true
        }
    }

    static func foldEqualsTable(_ subject: SourceUnderTest) async throws -> [String] {
        guard let tableState = subject.tableState else { return [] }
        let recording = try await record(subject)
        var fold = RowFold()
        for change in recording.seed.flatMap(\.changes) + recording.changes where !fold.apply(change) {
            return ["\(change.operation.name) \(ChangeLedger.list([change.identity])) cannot be folded"]
        }
        let table = try await tableState()
        guard !table.isEmpty else { return ["the table is empty, so nothing is compared"] }
        return RowFold.differences(fold.texts, table)
    }
}
