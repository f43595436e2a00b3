import ChangeModel
import Testing

@testable import PostgresSource

/// The decisions about publication, timeline, WAL and stalls, as values.
struct LifeDecisionTests {
    private let start = ContinuousClock.now
    private func at(_ seconds: Int) -> ContinuousClock.Instant { start + .seconds(seconds) }

    // MARK: Publication

    private func now(_ members: [UInt32: String], names: [UInt32: String] = [:]) -> PublicationReview.Now {
        PublicationReview.Now(
            operations: ["insert", "update", "delete", "truncate"],
            names: names.merging(members.mapValues { _ in "public.t" }) { name, _ in name },
            memberships: members.mapValues { $0.isEmpty ? [] : Set($0.split(separator: " ").map(String.init)) })
    }

    private func wanted(_ id: UInt32, hasIdentity: Bool = true) -> PublicationReview.Wanted {
        PublicationReview.Wanted(id: id, name: "public.t", hasReplicaIdentity: hasIdentity)
    }

    @Test func aMembershipThatChangedItsNumberIsALossAndOneThatGrewIsNone() {
        let memory = PublicationMemory(
            operations: ["insert"], tables: [1: .init(name: "public.t", memberships: ["r5"])])
        #expect(!PublicationReview(memory, now([1: "r5 s9"]), wanted: [wanted(1)]).isLoss)
        #expect(PublicationReview(memory, now([1: "r6"]), wanted: [wanted(1)]).unpublished.map(\.id) == [1])
        #expect(PublicationReview(memory, now([1: ""]), wanted: [wanted(1)]).unpublished.map(\.id) == [1])
        #expect(!PublicationReview(memory, now([1: ""]), wanted: []).isLoss)
        #expect(!PublicationReview(nil, now([1: ""]), wanted: [wanted(1)]).isLoss)
        let gone = PublicationReview(memory, now([2: ""]), wanted: [wanted(2)])
        #expect(gone.dropped == ["public.t"] && !gone.isLoss && gone.missing.map(\.id) == [2])
    }

    @Test func anotherRowOfThePublicationIsALossAndOneThatIsNotSettledIsNotRemembered() {
        let (old, new) = (PublicationMemory.Row(oid: 1, writer: 7), PublicationMemory.Row(oid: 1, writer: 8))
        let tables: [UInt32: PublicationMemory.Table] = [1: .init(name: "public.t", memberships: ["r5"])]
        func review(_ row: PublicationMemory.Row?, isSettled: Bool = true) -> PublicationReview {
            var now = now([1: "r5"])
            (now.row, now.isSettled) = (new, isSettled)
            let memory = PublicationMemory(operations: now.operations, tables: tables, row: row)
            return PublicationReview(memory, now, wanted: [wanted(1)])
        }
        #expect(review(old).isLoss && review(old).memory.row == old, "it is a loss again at the next look")
        #expect(review(.init(oid: 2, writer: 8)).isLoss)
        #expect(!review(new).isLoss && !review(new, isSettled: false).isLoss)
        #expect(!review(nil).isLoss && review(nil).memory.row == new)
        #expect(!review(nil, isSettled: false).isLoss && review(nil, isSettled: false).memory.row == nil)
    }

    /// What is wanted is asked before what is published.
    @Test func aTableThatIsDroppedBetweenTwoQuestionsIsNoLoss() {
        let memory = PublicationMemory(
            operations: ["insert"], tables: [1: .init(name: "public.t", memberships: ["r5"])])
        let review = PublicationReview(memory, now([:]), wanted: [wanted(1)])
        #expect(!review.isLoss && review.dropped == ["public.t"] && review.missing.isEmpty)
    }

    @Test func aTableWithoutIdentityIsNeverMissing() {
        let review = PublicationReview(nil, now([1: ""]), wanted: [wanted(1, hasIdentity: false)])
        #expect(review.missing.isEmpty && review.keyless.map(\.id) == [1])
    }

    @Test(arguments: ["public.t", "a\tb\nc\\t.d", ""])
    func memoriesSurviveTheirBytes(name: String) throws {
        var memory = PublicationMemory(
            operations: ["insert", "update"],
            tables: [7: .init(name: name, memberships: ["r1", "s2"]), 9: .init(name: "x.y", memberships: ["a3"])])
        #expect(PublicationMemory(decoding: memory.encoded) == memory)
        memory.row = .init(oid: .max, writer: 3)
        #expect(PublicationMemory(decoding: memory.encoded) == memory)
        memory.tables[9]?.excluded = [name, "card"]
        memory.tables[7]?.lacking = ["old"]
        #expect(PublicationMemory(decoding: memory.encoded) == memory)
        var notes = SourceNotes()
        notes.publication = memory
        notes.timeline = TimelineMemory(number: 3, forks: [1: LSN(5), 2: LSN(9)])
        let read = try SourceNotes(decoding: notes.encoded)
        #expect(read == notes && read.publication == memory && read.timeline == notes.timeline)
        for length in 1..<notes.encoded.count {
            let cut = try? SourceNotes(decoding: Array(notes.encoded.prefix(length)))
            #expect(cut != notes)
        }
    }

    // MARK: Timeline

    @Test func anotherTimelineIsFollowedOnlyFromBeforeTheFork() {
        let first = TimelineMemory(number: 1, forks: [:])
        let second = TimelineMemory(number: 2, history: "1\t0/500\tno recovery target specified\n")
        let other = TimelineMemory(number: 2, history: "1\t0/400\tno recovery target specified\n")
        let third = TimelineMemory(number: 3, history: "1\t0/500\tx\n\n2\t0/900\tx\n")
        #expect(first.obstacle(to: second, readUpTo: LSN(0x500)) == nil)
        #expect(first.obstacle(to: second, readUpTo: LSN(0x501)) != nil)
        #expect(first.obstacle(to: third, readUpTo: LSN(0x501)) != nil)
        #expect(second.obstacle(to: third, readUpTo: LSN(0x900)) == nil)
        #expect(second.obstacle(to: third, readUpTo: LSN(0x901)) != nil)
        // Two standbys of one primary, both promoted to timeline 2.
        #expect(second.obstacle(to: other, readUpTo: LSN(0x400)) == nil)
        #expect(second.obstacle(to: other, readUpTo: LSN(0x401)) != nil)
        // Back to the server that was left behind.
        #expect(second.obstacle(to: first, readUpTo: LSN(0x501)) != nil)
        // Timeline 3 left timeline 1 where timeline 2 did, without having been timeline 2.
        let sibling = TimelineMemory(number: 3, history: "1\t0/500\tx\n")
        #expect(second.obstacle(to: sibling, readUpTo: LSN(0x501)) != nil)
        #expect(second.obstacle(to: sibling, readUpTo: LSN(0x500)) == nil)
        #expect(first.obstacle(to: TimelineMemory(number: 2, history: ""), readUpTo: LSN(1)) != nil)
    }

    // MARK: WAL

    @Test func aShrinkingRoomIsForetoldAndSaidAgainWhenItGetsWorse() {
        var forecast = WALForecast()
        func take(_ seconds: Int, _ megabytes: Int) -> WALForecast.Announcement? {
            forecast.take(.init(time: at(seconds), safeBytes: megabytes << 20, status: "extended"))
        }
        #expect(take(0, 10_000) == nil)
        #expect(take(10, 9_000) == nil, "two near samples foretell nothing")
        #expect(take(20, 8_000) == .endangered(seconds: 80, safeBytes: 8_000 << 20, rate: 100 << 20))
        #expect(take(30, 7_000) == nil, "said already")
        #expect(take(40, 4_000) == .endangered(seconds: 26, safeBytes: 4_000 << 20, rate: 150 << 20))
        #expect(take(50, 3_000) == nil)
        #expect(forecast.take(.init(time: at(300), safeBytes: -5, status: "unreserved")) == .unreserved)
        #expect(forecast.take(.init(time: at(310), safeBytes: -9, status: "unreserved")) == nil)
        #expect(take(700, 10_000) == nil)
        #expect(take(730, 10_000) == .recovered)
        #expect(take(760, 10_000) == nil)
    }

    @Test func aSlotThatKeepsUpNeverAlarmsHoweverMuchIsWritten() {
        var forecast = WALForecast()
        for step in 0..<500 {
            // 16 MiB down and up again, as segments are released.
            let sample = WALForecast.Sample(
                time: at(step * 10), safeBytes: (1_000 - step % 2 * 16) << 20, status: "reserved")
            let said = forecast.take(sample)
            #expect(said == nil, "at step \(step)")
        }
    }

    @Test func withoutALimitNothingIsForetold() {
        var forecast = WALForecast()
        for step in 0..<100 {
            #expect(forecast.take(.init(time: at(step * 10), safeBytes: nil, status: "extended")) == nil)
        }
        #expect(forecast.secondsLeft == nil)
    }

    @Test func aRestartPositionThatStandsStillIsSaidOnceItWasConfirmedBeyond() {
        var watch = RestartWatch(patience: .seconds(300))
        func take(_ seconds: Int, restart: UInt64, confirmed: UInt64) -> RestartWatch.Announcement? {
            watch.take(
                .init(time: at(seconds), restart: LSN(restart), confirmed: LSN(confirmed), retainedBytes: 100 << 20))
        }
        #expect(take(0, restart: 10, confirmed: 20) == nil)
        #expect(take(400, restart: 10, confirmed: 20) == nil, "nothing was confirmed, so nothing may move")
        #expect(take(410, restart: 10, confirmed: 30) == .held(.seconds(410), retainedBytes: 100 << 20))
        #expect(take(420, restart: 10, confirmed: 40) == nil)
        #expect(take(430, restart: 11, confirmed: 40) == .released)
        #expect(take(440, restart: 12, confirmed: 40) == nil)
    }

    // MARK: Stall

    private func sample(
        _ seconds: Int, end: UInt64, reached: UInt64, heard: UInt64 = 1, sent: UInt64? = 5, isBusy: Bool = false,
        isFull: Bool = false
    ) -> StallWatch.Sample {
        StallWatch.Sample(
            time: at(seconds), serverEnd: LSN(end), reached: LSN(reached), heard: heard, sent: sent.map { LSN($0) },
            isBusy: isBusy, isFull: isFull)
    }

    @Test func idleIsQuietAndStalledIsNot() {
        var watch = StallWatch(patience: .seconds(60))
        for second in stride(from: 0, to: 1000, by: 10) {
            #expect(watch.take(sample(second, end: 1000, reached: 1000)) == nil)
        }
        #expect(watch.take(sample(1000, end: 1 << 20, reached: 1000)) == nil)
        #expect(watch.take(sample(1050, end: 1 << 20, reached: 1000)) == .stalled(.seconds(60)))
        #expect(watch.take(sample(1080, end: 1 << 20, reached: 1000)) == nil)
        #expect(watch.take(sample(1110, end: 1 << 20, reached: 1000)) == .givenUp(.seconds(120)))
    }

    @Test func aStallIsAnnouncedBeforeItIsGivenUpHoweverLateTheSamplesCome() {
        var watch = StallWatch(patience: .seconds(60))
        #expect(watch.take(sample(0, end: 1 << 20, reached: 1000)) == nil)
        #expect(watch.take(sample(500, end: 1 << 20, reached: 1000)) == .stalled(.seconds(500)))
        #expect(watch.take(sample(501, end: 1 << 20, reached: 1000)) == .givenUp(.seconds(501)))
    }

    @Test func aBusyServerAFullPipelineAndAMovingWalsenderAreNoStall() {
        var watch = StallWatch(patience: .seconds(60))
        for step in 0..<100 {
            let second = step * 30
            let said =
                switch step % 3 {
                case 0: watch.take(sample(second, end: 1 << 30, reached: 1, isBusy: true))
                case 1: watch.take(sample(second, end: 1 << 30, reached: 1, isFull: true))
                default: watch.take(sample(second, end: 1 << 30, reached: 1, sent: UInt64(step)))
                }
            #expect(said == nil)
        }
    }

    @Test func aStallThatEndsIsSaid() {
        var watch = StallWatch(patience: .seconds(60))
        #expect(watch.take(sample(0, end: 1 << 30, reached: 1)) == nil)
        #expect(watch.take(sample(60, end: 1 << 30, reached: 1)) == .stalled(.seconds(60)))
        #expect(watch.take(sample(70, end: 1 << 30, reached: 1, heard: 2)) == .recovered)
    }
}
