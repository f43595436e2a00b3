import ChangeModel
import ConnectorKit
import ConnectorTesting
import Testing

/// The suite against a model: a good one keeps every rule, and each deliberate bug breaks the rule that is there for
/// it.
@Suite struct SourceConformanceTests {
    /// A model on a fresh database.
    static func subject(
        seed: UInt64 = 1, changesMax: Int = 5, faults: Set<SourceFault> = [], patience: Duration = .seconds(30)
    ) -> (subject: SourceUnderTest, database: PruningDatabase) {
        let database = PruningDatabase(seed: seed)
        let subject = SourceUnderTest(
            batchBytesMax: PruningSourceModel.batchBytesMax(changesMax: changesMax), patience: patience,
            makeSource: { PruningSourceModel(of: database, changesMax: changesMax, faults: faults) },
            apply: { database.commit($0) }, tableState: { database.tableState },
            confirmedPosition: { database.confirmed })
        return (subject, database)
    }

    @Test(arguments: SourceRule.allCases, [1, 2, 3] as [UInt64])
    func goodModelKeepsEveryRule(rule: SourceRule, seed: UInt64) async {
        for changesMax in [1, 5] {
            let (subject, database) = Self.subject(seed: seed, changesMax: changesMax)
            let violations = await SourceConformance.violations(of: rule, by: subject)
            #expect(violations == [])
            #expect(database.violations == [])
        }
    }

    /// A rule that cannot fail proves nothing: for each there is a bug that only it notices.
    static let witnesses: [(fault: SourceFault, rules: Set<SourceRule>)] = [
        (.leavesOrdinalGap, [.deliversEverythingInOrder]),
        (.losesAChange, [.deliversEverythingInOrder, .foldEqualsTable, .boundedReadAhead]),
        (.repeatsLastAfterReopen, [.resumesAfterCheckpoint]),
        (.changesBytesWhenReadAgain, [.resumesWithoutCheckpointRepeatsSameIdentities]),
        (.prunesTooMuch, [.acknowledgedIsNotNeededAgain]),
        (.acknowledgeGoesBack, [.neverGoesBack]),
        (.confirmsWhatWasRead, [.confirmsOnlyWhatWasAcknowledged]),
        (.neverConfirms, [.closeTellsWhatWasAcknowledged]),
        (.ignoresDeadline, [.deadlineReturnsEmptyBatchWithCheckpoint]),
        (.resumeGoesBack, [.checkpointsNeverGoBack]),
        (.checkpointLagsBehindBatch, [.checkpointNamesLastChange]),
        (.secondCloseHangs, [.closeIsCallableTwice]),
        (.opensOnlyOnce, [.opensAgainAfterClose]),
        (.opensForAnyIdentity, [.refusesAnotherDatabase]),
        (.batchesGrowWithoutBound, [.boundedReadAhead]),
        (.trailingByteAfterTuple, [.tuplesAreWellFormed]),
        (.endPositionTooFar, [.endPositionIsReached]),
        (.deliversStaleRows, [.foldEqualsTable]),
    ]

    /// Faults that make calls hang, or that never come to an end: each of them takes as long as patience lasts.
    static let endless: Set<SourceFault> = [.ignoresDeadline, .secondCloseHangs, .endPositionTooFar]

    @Test(arguments: SourceFault.allCases) func eachBugBreaksItsRuleAndNoOther(fault: SourceFault) async throws {
        let witness = try #require(Self.witnesses.first { $0.fault == fault })
        let violated = await withTaskGroup(of: Set<SourceRule>.self) { group in
            for rule in SourceRule.allCases {
                let patience = Duration.seconds(Self.endless.contains(fault) ? 5 : 30)
                group.addTask { await Self.breaks(rule, fault, patience) ? [rule] : [] }
            }
            return await group.reduce(into: Set<SourceRule>()) { $0.formUnion($1) }
        }
        #expect(violated.isSuperset(of: witness.rules))
        // On a busy machine a short patience ends before a call does: then only a long one tells.
        for rule in violated.subtracting(witness.rules) {
            #expect(await !Self.breaks(rule, fault, .seconds(60)), "\(rule)")
        }
    }

    private static func breaks(_ rule: SourceRule, _ fault: SourceFault, _ patience: Duration) async -> Bool {
        let (subject, _) = subject(faults: [fault], patience: patience)
        return await !SourceConformance.violations(of: rule, by: subject).isEmpty
    }

    @Test func everyRuleHasABugThatOnlyItNotices() {
        let alone = Self.witnesses.filter { $0.rules.count == 1 }.flatMap(\.rules)
        #expect(Set(alone) == Set(SourceRule.allCases))
    }

    @Test func aSourceThatFailsViolatesTheRuleByItsCode() async {
        let (good, database) = Self.subject()
        var subject = good
        subject.makeSource = { PruningSourceModel(of: database, failures: [2]) }
        let violations = await SourceConformance.violations(of: .deliversEverythingInOrder, by: subject)
        #expect(violations.rules == [SourceRule.deliversEverythingInOrder.rawValue])
        #expect(violations.first?.explanation.contains("model.injected") == true)
    }
}
