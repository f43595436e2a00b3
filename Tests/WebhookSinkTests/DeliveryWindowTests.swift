import ConnectorKit
import Testing

@testable import WebhookSink

/// How far delivery is, while records come and go.
struct DeliveryWindowTests {
    @Test func theFrontNeverGoesBackWhenAllThatWasTakenOfABatchIsDone() {
        var window = DeliveryWindow(at: 100)
        var fronts: [UInt64] = [window.durableBefore]
        let numbers = (100..<103).map { window.add(offset: $0, byteCount: 1) }
        for number in numbers {
            window.finish(number)
            fronts.append(window.durableBefore)
        }
        #expect(fronts == [100, 101, 102, 102])
        let last = window.add(offset: 103, byteCount: 1)
        fronts.append(window.durableBefore)
        window.finish(last)
        window.cover(before: 110)
        #expect(window.durableBefore == 110 && fronts.last == 103)
    }

    @Test func anEventOfTwoRecordsCountsOnceBothAreDone() {
        var window = DeliveryWindow(at: 7)
        let first = window.add(offset: 7, byteCount: 1)
        window.finish(first, rejected: ("test.refused", ""))
        #expect(window.durableBefore == 7 && window.takeRejected().isEmpty)
        let second = window.add(offset: 7, byteCount: 1)
        window.finish(second)
        window.cover(before: 8)
        #expect(window.durableBefore == 8 && window.takeRejected().map(\.offset) == [7])
    }
}
