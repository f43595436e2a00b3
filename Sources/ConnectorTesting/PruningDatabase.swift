import ByteKit
package import ChangeModel
private import Synchronization

/// A database with a slot, in memory: it keeps transactions until they are confirmed, and then they are gone.
///
/// It is the witness for "durable here, then told there": whoever acknowledges before being durable needs, after a
/// crash, what is no longer there. Everything follows from the seed and the calls.
package final class PruningDatabase: Sendable {
    private let state: Mutex<State>
    private let durable: (@Sendable () -> ResumePosition)?

    /// An empty database. `durable` tells what the reader of this database has made durable by now; an acknowledgement
    /// beyond it is recorded as `acknowledgedBeforeDurable`.
    package init(seed: UInt64, durable: (@Sendable () -> ResumePosition)? = nil) {
        state = Mutex(State(random: SeededGenerator(seed: seed)))
        self.durable = durable
    }

    /// Commits one transaction on the first table.
    package func commit(_ step: WorkloadStep) {
        state.withLock { $0.commit(step) }
    }

    /// Commits random transactions of one to `changesMax` changes on two tables, with key changes and truncates.
    package func commitRandom(transactions: Int, changesMax: Int = 6) {
        state.withLock { state in
            for _ in 0..<transactions { state.commitRandom(changesMax: changesMax) }
        }
    }

    /// Every change that was ever committed, in order, also those that are pruned.
    package var committed: [ChangeIdentity] { state.withLock { $0.committed } }
    /// The tables now, in the form of ``RowFold/texts``.
    package var tableState: [String: String] { state.withLock { $0.tableState } }
    /// The position that covers everything committed so far.
    package var endPosition: ResumePosition { ResumePosition(state.withLock { $0.position }) }
    /// What was confirmed: everything before is gone.
    package var confirmed: ResumePosition { ResumePosition(state.withLock { $0.reportedConfirmed }) }
    /// Laws that readers of this database broke: `resumedBehindAcknowledged`, `acknowledgedBeforeDurable`,
    /// `acknowledgedBeyondDelivered`, `calledWhileNotOpen`, `openedWithoutClose` and `overlappingCalls`.
    package var violations: [ConformanceViolation] { state.withLock { $0.violations } }

    func report(_ rule: String, _ explanation: String) {
        state.withLock { $0.violations.append(ConformanceViolation(rule, explanation)) }
    }

    /// Counts an opening; nil when what the checkpoint needs is gone.
    func open(after checkpoint: SourceCheckpoint?) -> Int? {
        state.withLock { state in
            let resume = checkpoint?.resume.value ?? 0
            if resume < state.confirmed {
                let explanation = "resumed at \(resume), but \(state.confirmed) was acknowledged and is gone"
                state.violations.append(ConformanceViolation("resumedBehindAcknowledged", explanation))
                return nil
            }
            state.openings += 1
            return state.openings
        }
    }

    /// Looks at an acknowledgement when it is made.
    func check(acknowledged position: ResumePosition, delivered: ResumePosition) {
        if position > delivered {
            report("acknowledgedBeyondDelivered", "\(position.value), delivered was \(delivered.value)")
        }
        if let durable = durable?(), position > durable {
            report("acknowledgedBeforeDurable", "\(position.value), durable was \(durable.value)")
        }
    }

    /// Forgets everything up to a position.
    func confirm(_ position: ResumePosition, faults: Set<SourceFault>) {
        state.withLock { state in
            let goesBack = position.value < state.confirmed && !faults.contains(.acknowledgeGoesBack)
            state.confirmed = goesBack ? state.confirmed : position.value
            state.reportedConfirmed = max(state.confirmed, goesBack ? state.reportedConfirmed : 0)
            state.prune(oneTooMuch: faults.contains(.prunesTooMuch))
        }
    }

    /// Says that more is confirmed than is; for ``SourceFault/confirmsWhatWasRead``.
    func pretendConfirmed(_ position: ResumePosition) {
        state.withLock { $0.reportedConfirmed = max($0.reportedConfirmed, position.value) }
    }

    /// Counts a call of `nextBatch` over all sources of this database, from 1.
    func countRead() -> Int {
        state.withLock { state in
            state.reads += 1
            return state.reads
        }
    }

    /// Up to `count` kept changes behind `last`.
    func read(after last: ChangeIdentity?, count: Int) -> Reading {
        state.withLock { $0.read(after: last, count: count) }
    }
}

extension PruningDatabase {
    /// A committed change with its tuples as they will be delivered.
    struct Change: Sendable {
        var operation: ChangeModel.Operation
        var relation: Int
        var beforeImage = BeforeImage.none
        var before: [UInt8] = []
        var after: [UInt8] = []
        /// The after image as it was before the change; for ``SourceFault/deliversStaleRows``.
        var stale: [UInt8] = []
    }

    /// A committed transaction. Its end lies behind its commit, and positions between transactions belong to nobody.
    struct Transaction: Sendable {
        var commit: UInt64
        var end: UInt64
        var changes: [Change]
        var info: TransactionInfo {
            TransactionInfo(commit: commit, id: commit / 16, committedAt: Int64(commit) * 1000)
        }
    }

    /// What was read: changes, and what may be confirmed once they are durable.
    struct Reading: Sendable {
        var items: [(transaction: Transaction, ordinal: UInt32)] = []
        var resume: UInt64 = 0
        var isAtEnd = true
    }

    /// The two tables.
    static let relations = [
        Relation(
            sourceID: 1, schema: "public", name: "items",
            columns: [
                Column(name: "id", type: .int64, typeName: "bigint", typeID: 20, keyPosition: 0, isNullable: false),
                Column(name: "name", type: .text, typeName: "text", typeID: 25),
                Column(name: "note", type: .text, typeName: "text", typeID: 25),
            ]),
        Relation(
            sourceID: 2, schema: "public", name: "lines",
            columns: [
                Column(name: "text", type: .text, typeName: "text", typeID: 25),
                Column(name: "id", type: .int64, typeName: "bigint", typeID: 20, keyPosition: 0, isNullable: false),
            ]),
    ]
}

/// The database's content. The first table sends only keys of old rows, the second whole old rows.
private struct State: Sendable {
    var random: SeededGenerator
    var kept: [PruningDatabase.Transaction] = []
    var committed: [ChangeIdentity] = []
    var tables: [[UInt64: String]] = [[:], [:]]
    var nextKey: UInt64 = 1
    var position: UInt64 = 1000
    var confirmed: UInt64 = 0
    var reportedConfirmed: UInt64 = 0
    var openings = 0
    var reads = 0
    var violations: [ConformanceViolation] = []

    init(random: SeededGenerator) { self.random = random }

    mutating func commit(_ step: WorkloadStep) {
        let keys = tables[0].keys.sorted().prefix(step.rows)
        switch step {
        case .insert(let rows): append((0..<rows).map { _ in insert(into: 0) })
        case .update: append(keys.map { update($0, in: 0, newKey: nil) })
        case .delete: append(keys.map { delete($0, from: 0) })
        }
    }

    mutating func commitRandom(changesMax: Int) {
        var changes: [PruningDatabase.Change] = []
        for _ in 0..<Int.random(in: 1...max(1, changesMax), using: &random) {
            let table = Int.random(in: 0...1, using: &random)
            let key = tables[table].keys.sorted().randomElement(using: &random)
            switch (Int.random(in: 0..<40, using: &random), key) {
            case (0, _): changes.append(truncate(table))
            case (1...3, let key?): changes.append(update(key, in: table, newKey: takeKey()))
            case (4...15, let key?): changes.append(update(key, in: table, newKey: nil))
            case (16...22, let key?): changes.append(delete(key, from: table))
            default: changes.append(insert(into: table))
            }
        }
        append(changes)
    }

    /// Commits changes at a new position, with unused positions before and behind.
    private mutating func append(_ changes: [PruningDatabase.Change]) {
        let commit = position + UInt64.random(in: 1...90, using: &random)
        let end = commit + UInt64.random(in: 1...9, using: &random)
        position = end + UInt64.random(in: 0...3, using: &random)
        kept.append(PruningDatabase.Transaction(commit: commit, end: end, changes: changes))
        committed += changes.indices.map { ChangeIdentity(commit: commit, ordinal: UInt32($0)) }
    }

    private mutating func takeKey() -> UInt64 {
        defer { nextKey += 1 }
        return nextKey
    }

    private mutating func insert(into table: Int) -> PruningDatabase.Change {
        let key = takeKey()
        let text = newText()
        tables[table][key] = text
        return PruningDatabase.Change(operation: .insert, relation: table, after: row(table, key, text))
    }

    private mutating func update(_ key: UInt64, in table: Int, newKey: UInt64?) -> PruningDatabase.Change {
        let (old, text) = (tables[table].removeValue(forKey: key) ?? "", newText())
        tables[table][newKey ?? key] = text
        var change = PruningDatabase.Change(operation: .update, relation: table, after: row(table, newKey ?? key, text))
        change.stale = row(table, key, old)
        if table == 1 || newKey != nil { keepBefore(of: &change, table, key, old) }
        return change
    }

    private mutating func delete(_ key: UInt64, from table: Int) -> PruningDatabase.Change {
        var change = PruningDatabase.Change(operation: .delete, relation: table)
        keepBefore(of: &change, table, key, tables[table].removeValue(forKey: key) ?? "")
        return change
    }

    private mutating func truncate(_ table: Int) -> PruningDatabase.Change {
        tables[table] = [:]
        return PruningDatabase.Change(operation: .truncate, relation: table)
    }

    private func keepBefore(of change: inout PruningDatabase.Change, _ table: Int, _ key: UInt64, _ old: String) {
        change.beforeImage = table == 0 ? .key : .full
        change.before = row(table, key, table == 0 ? nil : old)
    }

    private mutating func newText() -> String { "text \(UInt32.random(in: 0 ... .max, using: &random)) ü" }

    /// A row's tuple; without text only the key is there.
    private func row(_ table: Int, _ key: UInt64, _ text: String?) -> [UInt8] {
        var buffer = OutputBuffer(capacity: 64)
        let texts: [String?] = table == 0 ? [String(key), text, nil] : [text, String(key)]
        buffer.append(bigEndian: UInt16(texts.count))
        for text in texts {
            guard let text else {
                buffer.append(ValueKind.null)
                continue
            }
            buffer.append(ValueKind.text)
            buffer.append(bigEndian: Int32(text.utf8.count))
            buffer.append(utf8: text)
        }
        return [UInt8](copying: buffer.bytes)
    }

    var tableState: [String: String] {
        var texts: [String: String] = [:]
        for (table, rows) in tables.enumerated() {
            let relation = PruningDatabase.relations[table]
            for (key, text) in rows {
                let row = table == 0 ? ["id": "\(key)", "name": text, "note": "NULL"] : ["id": "\(key)", "text": text]
                texts["\(relation.qualifiedName)/\(key)"] = RowFold.text(of: row)
            }
        }
        return texts
    }

    mutating func prune(oneTooMuch: Bool) {
        let gone = kept.prefix { $0.end <= confirmed }.count
        kept.removeFirst(min(kept.count, gone + (oneTooMuch && gone > 0 ? 1 : 0)))
    }

    func read(after last: ChangeIdentity?, count: Int) -> PruningDatabase.Reading {
        var reading = PruningDatabase.Reading(resume: confirmed)
        for transaction in kept {
            for ordinal in transaction.changes.indices.map(UInt32.init) {
                if let last, ChangeIdentity(commit: transaction.commit, ordinal: ordinal) <= last { continue }
                if reading.items.count == count {
                    reading.isAtEnd = false
                    return reading
                }
                reading.items.append((transaction, ordinal))
            }
            reading.resume = max(reading.resume, transaction.end)
        }
        reading.resume = max(reading.resume, position)
        return reading
    }
}
