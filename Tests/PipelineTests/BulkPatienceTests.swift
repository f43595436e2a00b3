import Pipeline
import Testing

struct BulkPatienceTests {
    @Test func sinksThatAlwaysMakeItWaitCostAFifthAtMost() {
        let start = ContinuousClock.now
        var (now, patience) = (start, BulkPatience(start))
        var waited = Duration.zero
        for _ in 0..<10_000 {
            now += .milliseconds(7)
            let most = patience.available(at: now)
            #expect(most <= BulkPatience.creditMax)
            patience.spent(from: now, to: now + most)
            now += most
            waited += most
        }
        #expect(waited - BulkPatience.creditMax <= (now - start) / 5)
        #expect(waited > (now - start) / 6)
    }

    @Test func aWaitThatTookLongerThanItMightOwesNothing() {
        let start = ContinuousClock.now
        var patience = BulkPatience(start)
        patience.spent(from: start, to: start + .seconds(60))
        #expect(patience.available(at: start + .seconds(60)) == .zero)
        #expect(patience.available(at: start + .seconds(61)) == .milliseconds(250))
        #expect(patience.available(at: start + .seconds(600)) == BulkPatience.creditMax)
    }
}
