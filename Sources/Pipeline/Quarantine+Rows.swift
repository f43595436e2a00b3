import ChangeModel
import ConnectorKit
import EventFormat
import EventLog

/// A look through all rows of a table that wait, in their order, in steps.
struct RowPass: Sendable {
    /// The letters that were looked at last.
    var lastID: Int64 = 0
    /// The rows of what has to go on waiting so far.
    var blocked = RowHolds()
    /// Why the first of them has to.
    var refusal: ConnectorFailure?
    /// Up to which letter changes that are not valid are discarded; none are by default.
    var discardsThrough: Int64 = 0
}

/// Changes whose rows were not valid, and what follows them, lie under the subject of their table with
/// ``rejectedSuffix`` behind it.
extension Quarantine {
    /// Releases a step of the rows that wait, each once it is valid and no earlier change of the same row goes on
    /// waiting. The others keep their places.
    mutating func releaseRows(_ subject: String) async throws(ConnectorFailure) -> Release {
        var release = Release()
        if passes[subject].map({ $0.lastID == 0 }) ?? true {
            let table = Self.table(of: subject)
            lookedThrough[subject] = try contracts.stamp(of: table)
            contracts.forget(table)
        }
        var pass = passes[subject] ?? RowPass()
        var looked = 0
        while let stored = try await log.deadLetter(of: subject, after: pass.lastID) {
            if looked >= Self.stepMax {
                release.isUnfinished = true
                break
            }
            looked += 1
            let sorted = try await sort(stored, &pass)
            let kept = sorted.batch.changeCount
            let discarded = stored.letter.batch.changeCount - kept - (sorted.letters.first?.batch.changeCount ?? 0)
            if kept + discarded > 0 {
                release.batches.append(
                    try await log.release(
                        stored.id, as: sorted.batch, versions: sorted.versions, leaving: sorted.letters.first,
                        discarding: discarded))
                release.discardedCount += discarded
            }
            pass.lastID = stored.id
        }
        release.refusal = pass.refusal
        passes[subject] = release.isUnfinished ? pass : nil
        if !release.isUnfinished { holds[Self.table(of: subject)] = pass.blocked }
        return release
    }

    /// Divides letters into what may go on and what may not.
    private mutating func sort(
        _ stored: StoredDeadLetter, _ pass: inout RowPass
    ) async throws(ConnectorFailure) -> Sorted {
        let letter = stored.letter
        let batch = letter.batch
        let contracts = try await contracts.contracts(of: batch.relations)
        var (kept, rest): ([Int], [Int]) = ([], [])
        var reason: ConnectorFailure?
        for index in 0..<batch.changeCount {
            let change = batch.change(at: index)
            let number = Int(change.relation)
            let relation = batch.relations[number]
            let keys = checker.keys(change, of: batch, relation)
            var failure: ConnectorFailure?
            if pass.blocked.holds(keys, relation) {
                failure = Self.waitingRow(Self.table(of: letter.subject))
            } else {
                switch contracts[number] {
                case .refused(_, let refusal): failure = refusal
                case .accepted(let version, let rules):
                    if let rules, !checker.accepts(change, of: batch, relation, rules) {
                        if stored.id <= pass.discardsThrough { continue }
                        let reasons = checker.reasons(change, of: batch, relation, rules)
                        failure = InvalidRow.failure(version, batch.identity(at: index), reasons)
                    }
                }
            }
            guard let failure else {
                kept.append(index)
                continue
            }
            rest.append(index)
            pass.blocked.add(keys, relation)
            pass.refusal = pass.refusal ?? failure
            reason = reason ?? failure
        }
        let keptBatch = kept.count == batch.changeCount ? batch : try Self.selecting(kept, of: batch)
        var versions: [RelationVersion] = []
        for relation in keptBatch.relations {
            guard let number = batch.relations.firstIndex(where: { $0 === relation }) else { continue }
            if case .accepted(let version, _) = contracts[number] { versions.append(version) }
        }
        var sorted = Sorted(batch: keptBatch, versions: versions)
        if let reason, !rest.isEmpty {
            let part = try Self.selecting(rest, of: batch)
            let own = part.relations.compactMap { relation in
                batch.relations.firstIndex { $0 === relation }.map { letter.versions[$0] }
            }
            sorted.letters = [
                DeadLetter(
                    subject: letter.subject, code: reason.code, message: reason.message, batch: part, versions: own)
            ]
        }
        return sorted
    }

    /// True when rows have to be looked at before changes of these tables may go on: some are checked, or wait.
    mutating func asksForRows(_ tables: [BatchSorting.Table]) async throws(ConnectorFailure) -> Bool {
        var asks = false
        let waiting = try await subjects()
        for table in tables where table.hasRows {
            let subject = table.version.subject
            if waiting.contains(subject + Self.rejectedSuffix) { try await loadHolds(of: subject) }
            asks = asks || table.rules != nil || !(holds[subject]?.isEmpty ?? true)
        }
        return asks
    }

    /// Reads which rows of a table wait, once.
    private mutating func loadHolds(of subject: String) async throws(ConnectorFailure) {
        if holds[subject] != nil { return }
        var found = RowHolds()
        var last: Int64 = 0
        while let stored = try await log.deadLetter(of: subject + Self.rejectedSuffix, after: last) {
            last = stored.id
            let batch = stored.letter.batch
            for index in 0..<batch.changeCount {
                let change = batch.change(at: index)
                let relation = batch.relations[Int(change.relation)]
                found.add(checker.keys(change, of: batch, relation), relation)
            }
        }
        holds[subject] = found
    }

    /// Forgets which rows wait, after some of them went.
    mutating func forgetRows(of subject: String) {
        holds[Self.table(of: subject)] = nil
        passes[subject] = nil
        lookedThrough[subject] = nil
    }

    /// True for rows that were looked through, and nobody touched their contract since.
    func isUnchanged(_ subject: String) throws(ConnectorFailure) -> Bool {
        guard passes[subject] == nil, let stamp = lookedThrough[subject] else { return false }
        return try contracts.stamp(of: Self.table(of: subject)) == stamp
    }

    /// The subject of the table that a subject of rows belongs to.
    static func table(of subject: String) -> String {
        subject.hasSuffix(rejectedSuffix) ? String(subject.dropLast(rejectedSuffix.count)) : subject
    }
}
