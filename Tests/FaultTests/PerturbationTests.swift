import ConnectorKit
import Pipeline
import Testing

/// The proof of the order append, sync, acknowledge; sink durable, cursor. First that the pipeline keeps it through
/// crashes, then that each way of breaking it is noticed under its name: a proof that no bug can fail proves nothing.
struct PerturbationTests {
    @Test(arguments: UInt64(1)...12)
    func nothingIsLostDoubledOrConfirmedTooEarlyThroughCrashes(seed: UInt64) async throws {
        var trial = try CrashTrial(seed: seed)
        let result = try await trial.run()
        #expect(result.violations == [], "\(result.explanations)")
        #expect(result.crashCount > 0, "no run crashed: the trial saw nothing")
        #expect(result.committedCount > 50)
    }

    @Test(arguments: 1...36)
    func aCrashAtAnyStepLeavesEveryChangeOnceInTheLog(step: Int) async throws {
        for isPowerCut in [false, true] {
            var trial = try CrashTrial(seed: UInt64(100 + step))
            let result = try await trial.run(crashingAfter: [(step, isPowerCut), (step, isPowerCut)])
            #expect(result.violations == [], "\(result.explanations)")
            #expect(result.crashCount > 0, "no run crashed: the trial saw nothing")
        }
    }

    @Test func acknowledgingBeforeAppendIsNoticed() async throws {
        let found = try await violations(
            of: Perturbation(source: { EarlyAcknowledgingSource(inner: $0) }),
            until: ["acknowledgedBeforeDurable", "resumedBehindAcknowledged", "log.missingChange"])
        #expect(found.contains("acknowledgedBeforeDurable"))
        #expect(found.contains("resumedBehindAcknowledged"))
        #expect(found.contains("log.missingChange"))
    }

    @Test func acknowledgingBeforeSyncIsNoticed() async throws {
        let found = try await violations(
            of: Perturbation(log: { BrokenLog($0, .reportsWithoutSync) }),
            until: ["acknowledgedBeforeDurable", "resumedBehindAcknowledged"])
        #expect(found.contains("acknowledgedBeforeDurable"))
        #expect(found.contains("resumedBehindAcknowledged"))
    }

    @Test func aLostChangeIsNoticed() async throws {
        let found = try await violations(
            of: Perturbation(log: { BrokenLog($0, .losesAChange) }),
            until: ["log.missingChange", "exact.missingChange"])
        #expect(found.contains("log.missingChange"))
        #expect(found.contains("exact.missingChange"))
    }

    @Test func aSkippedOrdinalIsNoticed() async throws {
        let wanted: Set = ["log.missingChange", "log.unexpectedChange"]
        let found = try await violations(of: Perturbation(log: { BrokenLog($0, .skipsAnOrdinal) }), until: wanted)
        #expect(found.contains("log.missingChange"))
        #expect(found.contains("log.unexpectedChange"))
    }

    @Test func aLostOpenBatchIsNoticed() async throws {
        let found = try await violations(
            of: Perturbation(log: { BrokenLog($0, .losesTheOpenBatch) }), until: ["log.missingChange"])
        #expect(found.contains("log.missingChange"))
    }

    @Test func aCursorThatMovesBeforeTheSinkIsDurableIsNoticed() async throws {
        let found = try await violations(
            of: Perturbation(sink: { BoastingSink(inner: $0) }), until: ["plain.missingChange"])
        #expect(found.contains("plain.missingChange"))
        #expect(!found.contains("log.missingChange"))
    }

    /// What trials with a deliberate bug find, over seeds until everything wanted was seen, or eight.
    private func violations(of bug: Perturbation, until wanted: Set<String>) async throws -> Set<String> {
        var found: Set<String> = []
        for seed in UInt64(1)...8 where !wanted.isSubset(of: found) {
            var trial = try CrashTrial(seed: seed, bug)
            found.formUnion(try await trial.run().violations)
        }
        return found
    }
}
