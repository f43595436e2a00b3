import ChangeModel
package import ConnectorKit
package import EventLog
package import Logging
package import Outbox

/// Keeps changes out of the log whose contract nobody accepted, and lets them in once somebody did. Used by one task,
/// that of whoever writes the log.
///
/// From the first change of a table that is set aside, all later ones of the table follow it, so that they stay in
/// order: also those under a contract that was accepted long ago.
package struct Quarantine {
    /// What release found about one subject.
    package struct Release: Sendable {
        /// What went into the log, in its order.
        package var batches: [LoggedBatch] = []
        /// Why the rest did not; nil when there is none, or when the step was long enough.
        package var refusal: ConnectorFailure?
        /// True when more can follow at once.
        package var isUnfinished = false

        /// How many changes went into the log.
        package var changeCount: Int { batches.reduce(0) { $0 + $1.batch.changeCount } }
    }

    let log: EventLog
    private let policy: SchemaPolicy
    private let logger: Logger?
    private var contracts: ContractBook
    private var routing: OutboxRouting
    /// The subjects of which something waits; nil before the log was asked.
    private var held: Set<String>?
    private var lookedAt: ContinuousClock.Instant?
    /// The oldest letters of subjects whose rows make no events under the rules of this process.
    private var hopeless: [String: Int64] = [:]

    /// How often the schema folder is asked whether something was accepted.
    private static let interval = Duration.seconds(1)
    /// How many dead letters one step releases, so that an append never waits long.
    private static let stepMax = 16

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
            if let head = hopeless[subject], try await log.firstDeadLetter(of: subject)?.id == head { continue }
            let step = try await release(subject)
            released += step.batches
            isUnfinished = isUnfinished || step.isUnfinished
        }
        isReleasing = isUnfinished
        lookedAt = isUnfinished ? nil : .now
        return released
    }

    /// Releases a step of one subject, as far as its contracts are accepted.
    package mutating func release(_ subject: String) async throws(ConnectorFailure) -> Release {
        contracts.forgetRefusals()
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
            var versions: [RelationVersion] = []
            for contract in try await contracts.contracts(of: batch?.relations ?? head.relations.map(\.relation)) {
                switch contract {
                case .accepted(let version): versions.append(version)
                case .refused(_, let failure): release.refusal = release.refusal ?? failure
                }
            }
            if release.refusal != nil { break }
            release.batches.append(try await log.release(head.id, as: batch, versions: versions))
        }
        if release.changeCount > 0 {
            logger?.notice(
                "dead letters released", metadata: ["subject": "\(subject)", "changes": "\(release.changeCount)"])
        }
        try await refreshHeld()
        return release
    }

    /// Discards what waits of a subject up to a number, durably; how many changes that were.
    package mutating func discard(_ subject: String, through last: Int64) async throws(ConnectorFailure) -> Int {
        var count = 0
        while true {
            let step = try await log.discardDeadLetters(of: subject, through: last)
            count += step.changeCount
            if !step.isUnfinished { break }
        }
        if count > 0 {
            logger?.warning("dead letters discarded", metadata: ["subject": "\(subject)", "changes": "\(count)"])
        }
        contracts.forgetRefusals()
        try await refreshHeld()
        return count
    }

    /// The subjects of which something waits.
    private mutating func subjects() async throws(ConnectorFailure) -> Set<String> {
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

    private static func selecting(_ indices: [Int], of batch: ChangeBatch) throws(ConnectorFailure) -> ChangeBatch {
        guard let checkpoint = batch.checkpoint, let part = try? batch.selecting(indices, checkpoint: checkpoint) else {
            throw ConnectorFailure("pipeline.batch_split", .stop, "a batch cannot be split by its tables")
        }
        return part
    }

    private mutating func sort(_ batch: ChangeBatch) async throws(ConnectorFailure) -> Sorted {
        let contracts = try await contracts.contracts(of: batch.relations)
        let held = try await subjects()
        var versions: [RelationVersion] = []
        var refusals: [ConnectorFailure?] = []
        for contract in contracts {
            switch contract {
            case .accepted(let version):
                versions.append(version)
                refusals.append(held.contains(version.subject) ? Self.waiting(version.subject) : nil)
            case .refused(let version, let failure):
                if policy.onChange != .quarantine { throw failure }
                versions.append(version)
                refusals.append(failure)
            }
        }
        if refusals.allSatisfy({ $0 == nil }) { return Sorted(batch: batch, versions: versions) }
        let places = Self.places(of: batch, versions, refusals, held)
        return try Self.split(batch, places, versions, refusals)
    }

    /// Takes note of what was set aside, once it is in the log.
    mutating func wasSetAside(_ letters: [DeadLetter]) {
        for letter in letters where held?.insert(letter.subject).inserted ?? false {
            logger?.warning(
                "changes are set aside",
                metadata: ["subject": "\(letter.subject)", "code": "\(letter.code)", "message": "\(letter.message)"])
        }
    }

    /// The indices of a batch's changes by where they go.
    private struct Places {
        var kept: [Int] = []
        /// By subject, in the order in which the subjects came, with the relation that was the reason.
        var aside: [(subject: String, reason: Int, indices: [Int])] = []
    }

    private static func places(
        of batch: ChangeBatch, _ versions: [RelationVersion], _ refusals: [ConnectorFailure?], _ held: Set<String>
    ) -> Places {
        var places = Places()
        // A subject has several relations in a batch in which its table changed.
        var subjects: [String: Int] = [:]
        let numbers = versions.map { version in
            if let number = subjects[version.subject] { return number }
            subjects[version.subject] = subjects.count
            return subjects.count - 1
        }
        var asides = [Int?](repeating: nil, count: subjects.count)
        for index in 0..<batch.changeCount {
            let relation = Int(batch.change(at: index).relation)
            if let place = asides[numbers[relation]] {
                places.aside[place].indices.append(index)
            } else if refusals[relation] != nil {
                asides[numbers[relation]] = places.aside.count
                places.aside.append((versions[relation].subject, relation, [index]))
            } else {
                places.kept.append(index)
            }
        }
        return places
    }

    private static func split(
        _ batch: ChangeBatch, _ places: Places, _ versions: [RelationVersion], _ refusals: [ConnectorFailure?]
    ) throws(ConnectorFailure) -> Sorted {
        func part(_ indices: [Int]) throws(ConnectorFailure) -> (ChangeBatch, [RelationVersion]) {
            let part = try selecting(indices, of: batch)
            let own = part.relations.compactMap { relation in
                batch.relations.firstIndex { $0 === relation }.map { versions[$0] }
            }
            return (part, own)
        }
        let (kept, keptVersions) = try part(places.kept)
        var sorted = Sorted(batch: kept, versions: keptVersions)
        for aside in places.aside {
            let (part, own) = try part(aside.indices)
            guard let reason = refusals[aside.reason] else { continue }
            sorted.letters.append(
                DeadLetter(
                    subject: aside.subject, code: reason.code, message: reason.message, batch: part, versions: own))
        }
        return sorted
    }

    private static func waiting(_ subject: String) -> ConnectorFailure {
        ConnectorFailure(
            "schema.waiting", .stop, "earlier changes of \(subject) wait, and changes of a table stay in order")
    }
}
