import Pipeline
import Testing

struct StopSignalTests {
    @Test func aWaitEndsSoonAfterTheRequest() async {
        let stop = StopSignal()
        async let waited: Void = stop.wait(upTo: .seconds(86_400))
        stop.request()
        stop.request()
        await waited
        #expect(stop.isRequested)
    }

    @Test func aWaitWithoutARequestTakesItsTime() async {
        let stop = StopSignal()
        let begin = ContinuousClock.now
        await stop.wait(upTo: .milliseconds(300))
        #expect(ContinuousClock.now - begin >= .milliseconds(300))
        #expect(!stop.isRequested)
    }

    @Test func workThatWaitsIsCancelledSoonAfterTheRequest() async {
        let stop = StopSignal()
        async let ended = stop.cancelling {
            await StopSignal().wait()
            return Task.isCancelled
        }
        stop.request()
        #expect(await ended)
        #expect(await stop.cancelling { 7 } == 7)
    }

    @Test func workThatEndsByItselfIsNotCancelled() async {
        let stop = StopSignal()
        #expect(await stop.cancelling { Task.isCancelled } == false)
        #expect(!stop.isRequested)
    }

    @Test func aCancelledWaitReturns() async {
        let stop = StopSignal()
        let task = Task { await stop.wait() }
        task.cancel()
        await task.value
        #expect(!stop.isRequested)
    }
}
