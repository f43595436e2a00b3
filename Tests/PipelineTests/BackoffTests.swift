import ConnectorTesting
import Pipeline
import Testing

struct BackoffTests {
    @Test func pausesDoubleUpToTheLongestAndAreShortenedByAThirdAtMost() {
        for seed in UInt64(0)..<50 {
            var random = SeededGenerator(seed: seed)
            var backoff = Backoff()
            for attempt in 0..<100 {
                let whole = min(Backoff.pauseMin * (1 << min(attempt, 20)), Backoff.pauseMax)
                let pause = backoff.nextPause(using: &random)
                #expect(pause <= whole)
                #expect(pause >= whole * 0.66)
            }
            #expect(backoff.failureCount == 100)
        }
    }

    @Test func pausesOfTwoClientsDiffer() {
        var (one, other) = (SeededGenerator(seed: 1), SeededGenerator(seed: 2))
        var (first, second) = (Backoff(), Backoff())
        #expect(first.nextPause(using: &one) != second.nextPause(using: &other))
    }

    @Test func aSuccessStartsOver() {
        var backoff = Backoff()
        for _ in 0..<9 { _ = backoff.nextPause() }
        backoff.reset()
        #expect(backoff.failureCount == 0)
        #expect(backoff.nextPause() <= Backoff.pauseMin)
    }
}
