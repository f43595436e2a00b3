import Pipeline
import Testing

struct StopSignalTests {
    @Test func aWaitEndsSoonAfterTheRequest() async {
        let stop = StopSignal()
        let begin = ContinuousClock.now
        async let waited: Void = stop.wait(upTo: .seconds(60))
        stop.request()
        stop.request()
        await waited
        #expect(stop.isRequested)
        #expect(ContinuousClock.now - begin < .seconds(5))
    }

    @Test func aWaitWithoutARequestTakesItsTime() async {
        let stop = StopSignal()
        let begin = ContinuousClock.now
        await stop.wait(upTo: .milliseconds(300))
        #expect(ContinuousClock.now - begin >= .milliseconds(300))
        #expect(!stop.isRequested)
    }
}
