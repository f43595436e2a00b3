import ConnectorKit
import ConnectorTesting
import Testing

/// The suite against a model: a good one keeps every rule, and each deliberate bug breaks the rule that is there for
/// it.
@Suite struct SinkConformanceTests {
    /// A ledger on a fresh store.
    static func subject(
        buffersAccepted: Bool = false, keepsState: Bool = true, faults: Set<SinkFault> = [],
        patience: Duration = .seconds(30)
    ) -> SinkUnderTest {
        let store = LedgerStore()
        return SinkUnderTest(
            promise: keepsState ? .exactlyOnce : .atLeastOnce, patience: patience,
            makeSink: {
                LedgerSink(on: store, buffersAccepted: buffersAccepted, keepsState: keepsState, faults: faults)
            }, stored: { store.payloads })
    }

    @Test(arguments: SinkRule.allCases, [true, false]) func goodModelKeepsEveryRule(rule: SinkRule, buffers: Bool) async
    {
        for keepsState in [true, false] {
            let subject = Self.subject(buffersAccepted: buffers, keepsState: keepsState)
            #expect(await SinkConformance.violations(of: rule, by: subject) == [])
        }
    }

    static let witnesses: [SinkFault: SinkRule] = [
        .reversesLargeBatches: .storesInOrder,
        .requiredLeavesOutLast: .durableCoversEarlierAccepted,
        .emptyRequiredAnswersAccepted: .emptyRequiredWriteFlushes,
        .keepsTornTail: .redeliveryAfterReopenStoresOnce,
        .dropsFirstAfterReopen: .atLeastOnce,
        .losesDurableTailOnCrash: .acceptedMayBeLostButDurableNever,
        .secondCloseHangs: .closeIsCallableTwice,
        .opensOnlyOnce: .opensAgainAfterClose,
        .ignoresState: .savedStateIsHonoured,
    ]

    @Test(arguments: SinkFault.allCases) func eachBugBreaksItsRuleAndNoOther(fault: SinkFault) async throws {
        let witness = try #require(Self.witnesses[fault])
        var violated: Set<String> = []
        for rule in SinkRule.allCases {
            let subject = Self.subject(faults: [fault], patience: .seconds(3))
            violated.formUnion(await SinkConformance.violations(of: rule, by: subject).rules)
        }
        #expect(violated == [witness.rawValue])
    }

    @Test func everyRuleHasABugThatOnlyItNotices() {
        #expect(Set(Self.witnesses.values) == Set(SinkRule.allCases))
    }

    @Test func aSinkThatStoresTwiceDoesNotPassAsExactlyOnce() async {
        var subject = Self.subject(keepsState: false)
        subject.promise = .exactlyOnce
        for rule in [SinkRule.redeliveryAfterReopenStoresOnce, .savedStateIsHonoured] {
            #expect(await SinkConformance.violations(of: rule, by: subject).rules == [rule.rawValue])
        }
    }
}
