import ConnectorKit

/// The rules that every ``ChangeSource`` keeps, as functions that look for violations.
///
/// A connector's tests run each rule on a database of its own:
/// ```swift
/// @Test(arguments: SourceRule.allCases) func keeps(rule: SourceRule) async throws {
///     let violations = await SourceConformance.violations(of: rule, by: try await freshSubject())
///     #expect(violations.isEmpty)
/// }
/// ```
package enum SourceConformance {
    /// Looks whether a source keeps one rule. The subject's database must be fresh; see ``SourceUnderTest``.
    ///
    /// Whatever the source throws, and every call that hangs, is a violation of the rule too.
    package static func violations(of rule: SourceRule, by subject: SourceUnderTest) async -> [ConformanceViolation] {
        do {
            return try await explanations(of: rule, by: subject).map { ConformanceViolation(rule.rawValue, $0) }
        } catch let failure as ConnectorFailure {
            return [ConformanceViolation(rule.rawValue, "the source failed with \(failure.code): \(failure.message)")]
        } catch {
            return [ConformanceViolation(rule.rawValue, "\(error)")]
        }
    }

    /// Looks at all rules, each with a subject of its own.
    package static func violations(
        makeSubject: () async throws -> SourceUnderTest
    ) async rethrows -> [ConformanceViolation] {
        var violations: [ConformanceViolation] = []
        for rule in SourceRule.allCases {
            violations += await Self.violations(of: rule, by: try await makeSubject())
        }
        return violations
    }

    private static func explanations(of rule: SourceRule, by subject: SourceUnderTest) async throws -> [String] {
        switch rule {
        case .deliversEverythingInOrder: return try await deliversEverythingInOrder(subject)
        case .resumesAfterCheckpoint: return try await resumesAfterCheckpoint(subject)
        case .resumesWithoutCheckpointRepeatsSameIdentities: return try await repeatsSameIdentities(subject)
        case .acknowledgedIsNotNeededAgain: return try await acknowledgedIsNotNeededAgain(subject)
        case .neverGoesBack: return try await neverGoesBack(subject)
        case .confirmsOnlyWhatWasAcknowledged: return try await confirmsOnlyWhatWasAcknowledged(subject)
        case .closeTellsWhatWasAcknowledged: return try await closeTellsWhatWasAcknowledged(subject)
        case .deadlineReturnsEmptyBatchWithCheckpoint: return try await deadlineReturnsEmptyBatch(subject)
        case .checkpointsNeverGoBack: return try await checkpointsNeverGoBack(subject)
        case .checkpointNamesLastChange: return try await checkpointNamesLastChange(subject)
        case .closeIsCallableTwice: return try await closeIsCallableTwice(subject)
        case .opensAgainAfterClose: return try await opensAgainAfterClose(subject)
        case .refusesAnotherDatabase: return try await refusesAnotherDatabase(subject)
        case .boundedReadAhead: return try await boundedReadAhead(subject)
        case .tuplesAreWellFormed: return try await tuplesAreWellFormed(subject)
        case .endPositionIsReached: return try await endPositionIsReached(subject)
        case .foldEqualsTable: return try await foldEqualsTable(subject)
        }
    }

    /// The standard work, read without a break; it must bring changes, or the rules that compare with it prove nothing.
    static func record(
        _ subject: SourceUnderTest, steps: [WorkloadStep] = WorkloadStep.standard
    ) async throws -> SourceRecording {
        let recording = try await SourceRecording(of: subject, steps: steps)
        guard !recording.changes.isEmpty else { throw NothingDelivered() }
        return recording
    }
}

/// A source delivered none of the changes that a rule was to look at.
private struct NothingDelivered: Error, CustomStringConvertible {
    var description: String { "no change was delivered at all" }
}
