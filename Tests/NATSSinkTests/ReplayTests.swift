import ConnectorKit
import ProgramTesting
import Testing

@testable import NATSSink

/// Events that are published again into a stream that has them.
struct ReplayTests {
    private let server: NATSServer
    private let reader: StreamReader
    private let cursor = CursorStore()

    init() throws {
        server = try NATSServer()
        reader = try StreamReader(server.address)
        try reader.add("shop", subjects: "shop.>")
    }

    private func settings(isShared: Bool = false) throws -> NATSSettings {
        try natsSettings(server, ["shared": .flag(isShared), "ack_timeout": .duration(.milliseconds(700))])
    }

    /// Delivers events from the cursor on and closes; what the sink answers is stored, or with `isLost` is not.
    private func deliver(_ settings: NATSSettings, _ events: Range<Int>, isLost: Bool = false) async throws {
        let sink = NATSSink(settings, contentType: "application/json")
        try await sink.open(cursor.context)
        var next = events.lowerBound
        while next < events.upperBound {
            let end = min(next + 7, events.upperBound)
            let receipt = try await sink.write(
                numbered(next..<end), end == events.upperBound ? .required : .whenConvenient)
            if !isLost { cursor.store(receipt) }
            next = end
        }
        await sink.close()
    }

    /// The ids of the messages of ours in the stream.
    private var ids: [MessageID] {
        get throws {
            try reader.messages(of: "shop").map(\.id).filter { $0.hasPrefix("e-") }.map { MessageID(Array($0.utf8)) }
        }
    }

    /// The numbers of the events in the stream.
    private var numbers: [Int] {
        get throws { try ids.compactMap { Int(String(decoding: $0.event.dropFirst(2), as: UTF8.self)) } }
    }

    /// What the log does at `millrace replay`.
    private func replay(from offset: Int, isForgotten: Bool = true) {
        cursor.move(to: UInt64(offset))
        if isForgotten { cursor.forget() }
    }

    /// Of the ids the server knew the newer half: the older events were stored behind the newer ones, which it took for
    /// duplicates, and who folded the stream kept the older states.
    @Test(arguments: [false, true], [false, true])
    func aReplayStoresTheNewerEventBehindTheOlderAlthoughTheServerKnowsIt(
        isShared: Bool, isForgotten: Bool
    ) async throws {
        let settings = try settings(isShared: isShared)
        try await deliver(settings, 0..<20)
        try reader.forgetIDs(of: "shop")
        try await deliver(settings, 20..<40)
        replay(from: 5, isForgotten: isForgotten)
        try await deliver(settings, 5..<45)
        #expect(try numbers == Array(0..<40) + Array(5..<45))
        let ids = try ids
        #expect(ids[..<40].allSatisfy { $0.beginning == 0 })
        #expect(Set(ids[40...].map(\.beginning)).count == 1 && ids.last?.beginning != 0)
    }

    /// The process was killed in the middle, and knows no more of what it published; the server has forgotten it too.
    @Test(arguments: [false, true])
    func aReplayThatACrashInterruptedStoresNothingTwice(isShared: Bool) async throws {
        let settings = try settings(isShared: isShared)
        try await deliver(settings, 0..<40)
        replay(from: 0)
        try await deliver(settings, 0..<10)
        try await deliver(settings, 10..<30, isLost: true)
        try reader.forgetIDs(of: "shop")
        try await deliver(settings, 10..<50)
        #expect(try numbers == Array(0..<40) + Array(0..<50))
    }

    /// The second one goes to an earlier place before the first one is through.
    @Test(arguments: [false, true])
    func aReplayDuringAReplayIsStoredWhole(isShared: Bool) async throws {
        let settings = try settings(isShared: isShared)
        try await deliver(settings, 0..<40)
        replay(from: 20)
        try await deliver(settings, 20..<25)
        try await deliver(settings, 25..<30, isLost: true)
        replay(from: 10)
        try await deliver(settings, 10..<50)
        #expect(try numbers == Array(0..<40) + Array(20..<30) + Array(10..<50))
        let beginnings = try ids.map(\.beginning)
        #expect(beginnings == beginnings.sorted() && Set(beginnings).count == 3)
    }

    @Test(arguments: [false, true])
    func messagesHaveTheIDsOfTheirEventsAgainOnceTheServerForgot(isShared: Bool) async throws {
        var settings = try settings(isShared: isShared)
        try await deliver(settings, 0..<20)
        replay(from: 10)
        try await deliver(settings, 10..<20)
        try await deliver(settings, 20..<25, isLost: true)
        settings.windowsUntilForgotten = 0
        // What a crash left is known again first; what is behind it has other ids.
        try await deliver(settings, 20..<30)
        try await deliver(settings, 30..<40)
        #expect(try numbers == Array(0..<20) + Array(10..<40))
        let beginnings = try ids.map(\.beginning)
        #expect(beginnings[20...].first != 0 && beginnings.last == 0)
        #expect(try SinkState(decoding: try #require(cursor.current.state)).beginning == 0)
        // So it goes on after a crash.
        try await deliver(settings, 40..<50, isLost: true)
        try await deliver(settings, 40..<60)
        #expect(try numbers == Array(0..<20) + Array(10..<60))
        #expect(try ids.suffix(20).allSatisfy { $0.beginning == 0 })
    }

    /// A backup of the log was put back that knows nothing of a replay; some events had ids of their own when they were
    /// published since, others not.
    @Test(arguments: [false, true])
    func anOlderCopyOfTheLogPutsNoEventBehindALaterOne(isShared: Bool) async throws {
        let settings = try settings(isShared: isShared)
        try await deliver(settings, 0..<20)
        let older = cursor.current
        try await deliver(settings, 20..<30)
        replay(from: 10)
        try await deliver(settings, 10..<35)
        var forgetting = settings
        forgetting.windowsUntilForgotten = 0
        try await deliver(forgetting, 35..<40)
        #expect(try ids.last?.beginning == 0)
        cursor.move(to: older.offset)
        cursor.store(.durable(before: older.offset, state: older.state))
        let found = try await failure { try await deliver(settings, 20..<50) }
        #expect(found?.code == "nats.replayed_since" && found?.remedy == .retry)
        try await deliver(settings, 20..<50)
        #expect(try numbers == Array(0..<30) + Array(10..<40) + Array(20..<50))
    }

    /// Another sink, or another log, published the same events before.
    @Test func aSinkWithoutAStatePublishesAllIntoAStreamThatHasMessages() async throws {
        try await deliver(try settings(), 0..<20)
        try reader.forgetIDs(of: "shop")
        try await deliver(try settings(), 20..<30)
        replay(from: 0)
        try await deliver(try settings(), 0..<30)
        #expect(try numbers == Array(0..<30) + Array(0..<30))
    }

    /// With others in the stream nothing refuses a message that was on its way when the sink gave up.
    @Test func aSharedReplayWaitsForWhatIsOnItsWay() async throws {
        let sink = NATSSink(try settings(isShared: true), contentType: "application/json")
        try await sink.open(cursor.context)
        cursor.store(try await sink.write(numbered(0..<5), .required))
        try server.freeze()
        #expect(try await failure { _ = try await sink.write(numbered(5..<6), .required) } != nil)
        server.wake()
        // Without a replay nothing is in the way.
        try await sink.open(cursor.context)
        await sink.close()
        replay(from: 2)
        let found = try await failure { try await sink.open(cursor.context) }
        #expect(found?.code == "nats.copies_may_come" && found?.remedy == .retry)
        #expect(cursor.current.state == nil)
        await sink.close()
    }
}
