import ConnectorTesting
import Testing

@testable import Pipeline

/// Which sinks begin and end when the configuration is read again.
struct SinkRosterTests {
    private let one = plan("one", LedgerSink(on: LedgerStore()))
    private let two = plan("two", LedgerSink(on: LedgerStore()))

    private func roster() -> SinkRoster {
        let roster = SinkRoster([one, two])
        #expect(roster.starting().map(\.plan.name) == ["one", "two"])
        return roster
    }

    @Test func aSecondReloadBeforeAChangedSinkHasEndedDoesNotLoseIt() {
        let roster = roster()
        roster.replace(by: [one, two], changed: ["one"])
        roster.replace(by: [one, two], changed: [])
        #expect(roster.starting().isEmpty)
        #expect(roster.ended("one").restarts && roster.running == ["one", "two"])
        #expect(roster.starting().map(\.plan.name) == ["one"])
        #expect(!roster.ended("two").restarts)
    }

    @Test func aSinkThatIsTakenAwayAndBroughtBackBeginsAnew() {
        let roster = roster()
        roster.replace(by: [one], changed: [])
        roster.replace(by: [one, two], changed: [])
        #expect(roster.ended("two").restarts)
        #expect(roster.starting().map(\.plan.name) == ["two"])
        roster.replace(by: [one], changed: [])
        #expect(!roster.ended("two").restarts && roster.starting().isEmpty)
    }

    @Test func aReloadBetweenTheFailureOfASinkAndItsEndBeginsItAgain() {
        let roster = roster()
        roster.fails("one")
        roster.replace(by: [one, two], changed: [])
        #expect(roster.ended("one", failed: true).restarts)
        #expect(roster.starting().map(\.plan.name) == ["one"])
        #expect(!roster.ended("one", failed: true).restarts)
    }

    @Test func noSinkBeginsAfterAllWereAskedToEnd() {
        let roster = roster()
        roster.replace(by: [one, two], changed: ["one"])
        roster.stopAll()
        #expect(roster.ended("one").restarts)
        #expect(roster.starting().isEmpty)
    }

    @Test func aSinkThatFailedIsStoppedUntilItBeginsAgain() {
        let roster = roster()
        #expect(!roster.ended("one", failed: true).restarts)
        #expect(roster.stopped == ["one": true, "two": false])
        // One that was changed meanwhile begins anew, whatever it ended with.
        roster.replace(by: [one, two], changed: ["two"])
        #expect(roster.ended("two", failed: true).restarts)
        #expect(roster.stopped == ["one": true, "two": false])
        #expect(roster.starting().map(\.plan.name) == ["one", "two"])
        #expect(roster.stopped == ["one": false, "two": false])
        #expect(!roster.ended("one", failed: true).restarts)
        roster.replace(by: [two], changed: [])
        #expect(roster.stopped == ["two": false])
    }
}
