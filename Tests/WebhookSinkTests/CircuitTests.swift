import Testing

@testable import WebhookSink

struct CircuitTests {
    private let start = ContinuousClock.now
    private let pauses = RetryPauses(initial: .seconds(1), longest: .seconds(8))

    private func circuit() -> Circuit { Circuit(failuresMax: 3, pauses: pauses) }

    @Test func itOpensAfterSoManyFailuresInARow() {
        var circuit = circuit()
        let early = (0..<2).map { circuit.failed($0, at: start, pause: nil, random: 1) }
        let closes = circuit.succeeded(at: start)
        let late = (0..<3).map { circuit.failed($0, at: start, pause: nil, random: 1) }
        #expect(early == [false, false] && !closes && late == [false, false, true])
        #expect(!circuit.admits(at: start) && circuit.admits(at: start + .seconds(1)))
    }

    @Test func oneRequestProbesWhetherTheEndpointWorksAgain() {
        var circuit = circuit()
        for request in 0..<3 { _ = circuit.failed(request, at: start, pause: nil, random: 1) }
        circuit.sends()
        #expect(!circuit.admits(at: start + .seconds(100)))
        let opensAgain = circuit.failed(1, at: start, pause: nil, random: 1)
        #expect(opensAgain && !circuit.admits(at: start + .seconds(1)) && circuit.admits(at: start + .seconds(2)))
        circuit.sends()
        let closes = circuit.succeeded(at: start + .seconds(2))
        #expect(closes && circuit.isClosed && circuit.failureCount == 0)
    }

    @Test func oneRequestThatAlwaysFailsOpensNothing() {
        var circuit = circuit()
        let poison = 7
        for _ in 0..<20 { _ = circuit.failed(poison, at: start, pause: nil, random: 1) }
        #expect(circuit.isClosed)
        _ = circuit.failed(1, at: start, pause: nil, random: 1)
        #expect(!circuit.isClosed)
    }

    @Test func whatComesBackAfterItOpenedDoesNotMakeThePauseLonger() {
        var circuit = circuit()
        for request in 0..<10 { _ = circuit.failed(request, at: start, pause: nil, random: 1) }
        #expect(circuit.opensAt(start) == start + .seconds(1))
    }

    @Test func aPauseThatTheEndpointAsksForHoldsForEveryRequest() {
        var circuit = circuit()
        _ = circuit.failed(1, at: start, pause: .seconds(60), random: 0)
        #expect(circuit.opensAt(start) == start + .seconds(60))
        _ = circuit.failed(1, at: start, pause: .seconds(90), random: 0)
        #expect(circuit.opensAt(start) == start + .seconds(90))
    }

    /// Everything was sent within milliseconds of a 429 that asked for seconds.
    @Test func whatWasOnItsWayDoesNotEndASilenceThatTheEndpointAskedFor() {
        var circuit = circuit()
        for request in 0..<3 { _ = circuit.failed(request, at: start, pause: nil, random: 1) }
        _ = circuit.failed(4, at: start, pause: .seconds(3), random: 0)
        let closes = circuit.succeeded(at: start + .milliseconds(1))
        #expect(!closes && !circuit.admits(at: start + .seconds(2)) && circuit.admits(at: start + .seconds(3)))
        circuit.sends()
        let closesThen = circuit.succeeded(at: start + .seconds(4))
        #expect(closesThen && circuit.isClosed)
    }

    @Test func pausesAreDoubledUpToTheLongest() {
        #expect((0..<6).map { pauses.pause(after: $0, random: 1) } == [1, 2, 4, 8, 8, 8].map { .seconds($0) })
        #expect(pauses.pause(after: 1_000_000, random: 1) == .seconds(8))
        #expect(pauses.pause(after: 3, random: 0) == .milliseconds(800))
    }
}
