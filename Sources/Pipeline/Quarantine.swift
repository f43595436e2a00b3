import ChangeModel
package import ConnectorKit
import EventFormat
package import EventLog
package import Logging
package import Outbox

/// Keeps changes out of the log whose contract nobody accepted, and lets them in once somebody did. Used by one task,
/// that of whoever writes the log.
///
/// From the first change of a table whose form is refused, all later ones of the table follow it, so that they stay in
/// order: also those under a contract that was accepted long ago. Of a change whose row alone is not valid, only the
/// later ones of the same row follow.
package struct Quarantine {
    /// What release found about one subject.
    package struct Release: Sendable {
        /// What went into the log, in its order.
        package var batches: [LoggedBatch] = []
        /// Why the rest did not; nil when there is none, or when the step was long enough.
        package var refusal: ConnectorFailure?
        /// True when more can follow at once.
        package var isUnfinished = false
        /// How many changes were discarded.
        package var discardedCount = 0

        /// How many changes went into the log.
        package var changeCount: Int { batches.reduce(0) { $0 + $1.batch.changeCount } }
    }

    let log: EventLog
    let policy: SchemaPolicy
    let logger: Logger?
    var contracts: ContractBook
    private var routing: OutboxRouting
    let checker = RowChecker()
    /// The subjects of which something waits; nil before the log was asked.
    private var held: Set<String>? {
        didSet { if held != oldValue { tablesSetAside = Self.tables(of: held ?? [], contracts) } }
    }
    /// The tables of which changes are set aside, and with them all later ones.
    private(set) var tablesSetAside: Set<String> = []
    private var lookedAt: ContinuousClock.Instant?
    /// The oldest letters of subjects whose rows make no events under the rules of this process.
    private var hopeless: [String: Int64] = [:]
    /// The rows that wait, by the subject of their table; only of subjects that were looked at.
    var holds: [String: RowHolds] = [:]
    /// Looks through rows that wait which are not at their end, by the subject of the rows.
    var passes: [String: RowPass] = [:]
    /// The state of a table's contract when its rows that wait were last looked through, likewise.
    var lookedThrough: [String: Int] = [:]

    /// How often the schema folder is asked whether something was accepted.
    private static let interval = Duration.seconds(1)
    /// How many dead letters one step releases, so that an append never waits long.
    static let stepMax = 16

    /// A quarantine in `log`. `contracts` registers what the policy lets in, and `routing` knows the outboxes, whose
    /// rows are looked at again before they are released.
    package init(
        log: EventLog, contracts: ContractBook, policy: SchemaPolicy,
        routing: OutboxRouting = OutboxRouting(OutboxRules()), logger: Logger? = nil
    ) {
        self.log = log
        self.contracts = contracts
        self.policy = policy
        self.routing = routing
        self.logger = logger
    }

    /// The names of tables behind their subjects. Rows that wait hold up no others of their table.
    private static func tables(of subjects: Set<String>, _ contracts: ContractBook) -> Set<String> {
        Set(subjects.filter { !$0.hasSuffix(rejectedSuffix) }.compactMap { contracts.tableName(of: $0) })
    }

    /// True when the last step left something that can be released at once.
    private(set) var isReleasing = false

    /// True when it is time to look whether something was accepted.
    var isDue: Bool {
        guard let held, let lookedAt else { return true }
        return (!held.isEmpty || contracts.hasRefusals) && ContinuousClock.now - lookedAt >= Self.interval
    }

    /// Releases a step of every subject whose contract was accepted meanwhile. Call again while it gives something.
    mutating func releaseAccepted() async throws(ConnectorFailure) -> [LoggedBatch] {
        contracts.forgetRefusals()
        var released: [LoggedBatch] = []
        var isUnfinished = false
        for subject in try await subjects().sorted() {
            if try isUnchanged(subject) { continue }
            if let head = hopeless[subject], try await log.firstDeadLetter(of: subject)?.id == head { continue }
            let step = try await release(subject)
            released += step.batches
            isUnfinished = isUnfinished || step.isUnfinished
        }
        isReleasing = isUnfinished
        lookedAt = isUnfinished ? nil : .now
        return released
    }

    /// Releases a step of one subject, as far as its contracts are accepted and its rows are valid under them.
    package mutating func release(_ subject: String) async throws(ConnectorFailure) -> Release {
        contracts.forgetRefusals()
        let release =
            try await holdsRows(subject) ? try await releaseRows(subject) : try await releaseTable(subject)
        if release.changeCount > 0 {
            logger?.notice(
                "dead letters released", metadata: ["subject": "\(subject)", "changes": "\(release.changeCount)"])
        }
        try await refreshHeld()
        return release
    }

    /// True for a subject of rows that are not valid, or wait behind one; false for that of a table, and for rows of an
    /// outbox.
    private func holdsRows(_ subject: String) async throws(ConnectorFailure) -> Bool {
        guard subject.hasSuffix(Self.rejectedSuffix) else { return false }
        let head = try await log.firstDeadLetter(of: subject)
        return !(head?.relations.contains { routing.covers($0.relation) } ?? false)
    }

    private mutating func releaseTable(_ subject: String) async throws(ConnectorFailure) -> Release {
        var release = Release()
        while let head = try await log.firstDeadLetter(of: subject) {
            if release.batches.count >= Self.stepMax {
                release.isUnfinished = true
                break
            }
            var batch: ChangeBatch?
            if head.relations.contains(where: { routing.covers($0.relation) }) {
                guard let letter = try await log.deadLetter(head.id) else { continue }
                let routed = try routing.apply(to: letter.batch.replacingRelations { $0.routed(by: nil) })
                if let rejection = routed.rejections.first {
                    release.refusal = rejection.failure
                    hopeless[subject] = head.id
                    break
                }
                batch = routed.batch
            }
            let relations = batch?.relations ?? head.relations.map(\.relation)
            let (tables, refusal) = try await tables(of: relations, isReleasing: true)
            release.refusal = refusal
            if refusal != nil { break }
            guard try await asksForRows(tables), let letter = try await log.deadLetter(head.id) else {
                release.batches.append(
                    try await log.release(head.id, as: batch, versions: tables.map(\.version)))
                continue
            }
            do throws(ConnectorFailure) {
                let sorted = try sort(batch ?? letter.batch, tables)
                release.batches.append(
                    try await log.release(
                        head.id, as: sorted.batch, versions: sorted.versions, leaving: sorted.letters.first))
                wasSetAside(sorted)
            } catch {
                guard error.code == InvalidRow.code else { throw error }
                release.refusal = error
                break
            }
        }
        return release
    }

    /// Discards what waits of a subject up to a number, durably; how many changes that were.
    package mutating func discard(_ subject: String, through last: Int64) async throws(ConnectorFailure) -> Int {
        let count = try await log.discardAll(of: subject, through: last)
        if count > 0 {
            logger?.warning("dead letters discarded", metadata: ["subject": "\(subject)", "changes": "\(count)"])
        }
        contracts.forgetRefusals()
        forgetRows(of: subject)
        try await refreshHeld()
        return count
    }

    /// Discards, in steps, what waits of a table's rows up to a number and is not valid, and releases what may go on
    /// then.
    /// The first step says up to which number; none is for the steps behind it.
    package mutating func discardInvalid(
        _ subject: String, through last: Int64?
    ) async throws(ConnectorFailure) -> Release {
        contracts.forgetRefusals()
        guard try await holdsRows(subject) else { return Release() }
        if let last {
            forgetRows(of: subject)
            passes[subject] = RowPass(discardsThrough: last)
        }
        let release = try await releaseRows(subject)
        if release.discardedCount > 0 {
            logger?.warning(
                "dead letters discarded", metadata: ["subject": "\(subject)", "changes": "\(release.discardedCount)"])
        }
        try await refreshHeld()
        return release
    }

    /// The subjects of which something waits.
    mutating func subjects() async throws(ConnectorFailure) -> Set<String> {
        if let held { return held }
        return try await refreshHeld()
    }

    @discardableResult
    private mutating func refreshHeld() async throws(ConnectorFailure) -> Set<String> {
        let found = Set(try await log.deadLetterSubjects())
        held = found
        return found
    }
}

// MARK: - Sorting a batch

extension Quarantine {
    /// A batch as it goes into the log.
    struct Sorted {
        /// What is kept; the whole batch when nothing is set aside.
        var batch: ChangeBatch
        /// The contracts of its relations.
        var versions: [RelationVersion]
        /// What is set aside.
        var letters: [DeadLetter] = []
        /// The rows that wait because of that, by subject.
        var added: [String: RowHolds] = [:]
    }

    /// Decides about every change of a batch. Throws the refusal where the policy is to stop capture; a row of an
    /// outbox that makes no event stops nothing.
    mutating func sort(_ routed: OutboxRouting.Routed) async throws(ConnectorFailure) -> Sorted {
        if routed.rejections.isEmpty { return try await sort(routed.batch) }
        let batch = routed.batch
        var letters: [DeadLetter] = []
        for rejection in routed.rejections {
            let version = try await contracts.withoutContract(rejection.relation)
            let part = try Self.selecting(rejection.indices, of: batch).replacingRelations { _ in rejection.relation }
            letters.append(
                DeadLetter(
                    subject: version.subject + Self.rejectedSuffix, code: rejection.failure.code,
                    message: rejection.failure.message, batch: part, versions: [version]))
        }
        let rejected = Set(routed.rejections.flatMap(\.indices))
        let rest = try Self.selecting((0..<batch.changeCount).filter { !rejected.contains($0) }, of: batch)
        var sorted = try await sort(rest)
        sorted.letters += letters
        return sorted
    }

    /// What the subject of rows that make no event has behind that of their table: rows that do are not held up.
    package static let rejectedSuffix = "#rows"

    static func selecting(_ indices: [Int], of batch: ChangeBatch) throws(ConnectorFailure) -> ChangeBatch {
        // What comes from the log has no checkpoint, and needs none.
        let checkpoint = batch.checkpoint ?? SourceCheckpoint(last: nil, resume: ResumePosition(0))
        guard let part = try? batch.selecting(indices, checkpoint: checkpoint) else {
            throw ConnectorFailure("pipeline.batch_split", .stop, "a batch cannot be split by its tables")
        }
        return part
    }

    private mutating func sort(_ batch: ChangeBatch) async throws(ConnectorFailure) -> Sorted {
        let (tables, _) = try await tables(of: batch.relations, isReleasing: false)
        for table in tables where table.isRefused {
            if let refusal = table.refusal, policy.halts(for: refusal) { throw refusal }
        }
        _ = try await asksForRows(tables)
        return try sort(batch, tables)
    }

    /// The contracts of relations, and the first one of them that nobody accepted. What waits of a table makes no
    /// difference to what is released of it.
    private mutating func tables(
        of relations: [Relation], isReleasing: Bool
    ) async throws(ConnectorFailure) -> (tables: [BatchSorting.Table], refusal: ConnectorFailure?) {
        var tables: [BatchSorting.Table] = []
        var refusal: ConnectorFailure?
        let held = isReleasing ? [] : try await subjects()
        for contract in try await contracts.contracts(of: relations) {
            switch contract {
            case .accepted(let version, let rules):
                let hasRows = version.relation.outbox == nil && !version.relation.isWithoutTable
                tables.append(
                    BatchSorting.Table(
                        version: version, refusal: held.contains(version.subject) ? Self.waiting(version.subject) : nil,
                        rules: hasRows ? rules : nil, hasRows: hasRows))
            case .refused(let version, let failure):
                refusal = refusal ?? failure
                tables.append(BatchSorting.Table(version: version, refusal: failure, isRefused: true, hasRows: false))
            }
        }
        return (tables, refusal)
    }

    /// Sorts a batch by the contracts of its relations and by the rows that wait.
    func sort(_ batch: ChangeBatch, _ tables: [BatchSorting.Table]) throws(ConnectorFailure) -> Sorted {
        var sorting = BatchSorting(
            batch, tables, holds: holds, checker: checker, halts: policy.onInvalid == .halt)
        try sorting.run()
        guard let kept = sorting.kept else { return Sorted(batch: batch, versions: tables.map(\.version)) }
        func part(_ indices: [Int]) throws(ConnectorFailure) -> (ChangeBatch, [RelationVersion]) {
            let part = try Self.selecting(indices, of: batch)
            let own = part.relations.compactMap { relation in
                batch.relations.firstIndex { $0 === relation }.map { tables[$0].version }
            }
            return (part, own)
        }
        let (rest, versions) = try part(kept)
        var sorted = Sorted(batch: rest, versions: versions, added: sorting.added)
        for aside in sorting.asides {
            let (batch, own) = try part(aside.indices)
            sorted.letters.append(
                DeadLetter(
                    subject: aside.subject, code: aside.reason.code, message: aside.reason.message, batch: batch,
                    versions: own))
        }
        return sorted
    }

    /// Takes note of what was set aside, once it is in the log.
    mutating func wasSetAside(_ sorted: Sorted) {
        for (subject, more) in sorted.added {
            // Where it is not known what waits already, the log is asked at the next batch.
            let isKnown = holds[subject] != nil || !(held?.contains(subject + Self.rejectedSuffix) ?? false)
            if isKnown { holds[subject, default: RowHolds()].add(more) }
        }
        for letter in sorted.letters where held?.insert(letter.subject).inserted ?? false {
            logger?.warning(
                "changes are set aside",
                metadata: ["subject": "\(letter.subject)", "code": "\(letter.code)", "message": "\(letter.message)"])
        }
    }

    static func waiting(_ subject: String) -> ConnectorFailure {
        ConnectorFailure(
            "schema.waiting", .stop, "earlier changes of \(subject) wait, and changes of a table stay in order")
    }

    static func waitingRow(_ subject: String) -> ConnectorFailure {
        ConnectorFailure(
            "schema.waiting", .stop,
            "an earlier change of the row waits, and changes of a row of \(subject) stay in order")
    }
}
