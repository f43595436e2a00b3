import ChangeModel
import ConnectorKit
import ConnectorTesting
import EventLog
import Pipeline
import Testing

/// A sink whose dead letters have no room waits, and does what it is asked for all the same.
struct FullDeadLetterTests {
    private let place: Workplace
    private let database = PruningDatabase(seed: 21)
    private let receiver = Receiver()

    /// One batch of letters always fits, and no second one.
    init() throws { place = try Workplace(retention: LogRetention(byteCount: 1)) }

    private var box: RequestBox { RequestBox(logDirectory: place.path + "/log") }

    private func pipeline(_ sink: any EventSink) -> Pipeline {
        place.pipeline(from: PruningSourceModel(of: database), to: [plan("partner", sink)], requests: box)
    }

    private func waiting() throws -> [ChangeIdentity] {
        let reader = try place.log.makeReader()
        var letters: [StoredDeadLetter] = []
        while let letter = try reader.deadLetter(of: "@partner", after: letters.last?.id ?? 0) {
            letters.append(letter)
        }
        return letters.map { $0.letter.batch.identity(at: 0) }
    }

    /// Fills the room, has more refused, does `work` while the sink waits for room, and ends the run.
    private func whileFull(_ sink: any EventSink, _ work: () async throws -> Void) async throws {
        receiver.refuse { $0.keys.contains("3") }
        let pipeline = pipeline(sink)
        async let end = pipeline.finish(untilCaughtUp: false)
        // One after the other, so that they come in several batches.
        try await eventually("the wait for room") {
            if database.committed.count < 400 { database.commitRandom(transactions: 5) }
            return try await place.log.cursor(of: "partner")?.lastError?.code == "log.deadletters_full"
        }
        try await work()
        pipeline.stop.request()
        #expect(try await end == nil)
    }

    private func ask(_ action: OperatorRequest.Action) async throws -> RequestOutcome {
        let request = OperatorRequest(action)
        try box.post(request)
        var outcome: RequestOutcome?
        try await eventually("the answer") {
            outcome = box.takeAnswer(to: request.id)
            return outcome != nil
        }
        return try #require(outcome)
    }

    private func deliveryGoesOn() async throws {
        let end = UInt64(database.committed.count)
        try await eventually("delivery") { try await place.log.cursor(of: "partner")?.offset == end }
        try await eventually("no failure") { try await place.log.cursor(of: "partner")?.lastError == nil }
    }

    /// What the receiver has, each event once, at the place where it came first.
    private var delivered: Set<ChangeIdentity> { Set(receiver.identities) }

    @Test func aDiscardIsTakenWhileThereIsNoRoomAndMakesSome() async throws {
        var gone: [ChangeIdentity] = []
        try await whileFull(RefusingSink(receiver)) {
            gone = try waiting()
            receiver.refuse { _ in false }
            #expect(try await ask(.discardDeadLetters(subject: "@partner", through: .max)).isDone)
            try await deliveryGoesOn()
        }
        #expect(try delivered.union(gone).union(waiting()) == Set(database.committed))
        #expect(try delivered.isDisjoint(with: gone + waiting()))
    }

    @Test func aRetryIsTakenWhileThereIsNoRoomAndKeysKeepTheirOrder() async throws {
        try await whileFull(RefusingSink(receiver)) {
            #expect(try await !ask(.redeliver(sink: "partner", through: .max)).isDone)
            receiver.refuse { _ in false }
            #expect(try await ask(.redeliver(sink: "partner", through: .max)).isDone)
            try await deliveryGoesOn()
        }
        #expect(try waiting() == [])
        #expect(delivered == Set(database.committed))
        #expect(firstsAreInOrder)
    }

    @Test func aReplayFromTheBeginningIsTakenWhileThereIsNoRoomAndARetryAfterItMakesSome() async throws {
        try await whileFull(RefusingSink(receiver)) {
            let count = receiver.identities.count
            // Retention takes more and more out of so small a log.
            try await eventually("the replay") {
                let first = try await place.log.statistics().firstOffset
                return try await ask(.replay(sink: "partner", offset: first, skipping: false)).isDone
            }
            // What waits keeps the first batch from being settled: the cursor stays at the log's beginning.
            try await eventually("the wait for room after it") {
                let cursor = try await place.log.cursor(of: "partner")
                return receiver.identities.count > count && cursor?.lastError?.code == "log.deadletters_full"
            }
            receiver.refuse { _ in false }
            let outcome = try await ask(.redeliver(sink: "partner", through: .max))
            #expect(outcome.isDone, "\(outcome.text)")
            try await deliveryGoesOn()
        }
        #expect(delivered == Set(database.committed))
        #expect(try waiting() == [])
    }

    @Test func stopEndsTheWaitAndNothingThatWasRefusedIsPassed() async throws {
        try await whileFull(RefusingSink(receiver)) {}
        let cursor = try #require(try await place.log.cursor(of: "partner")?.offset)
        #expect(cursor < UInt64(database.committed.count))
        _ = try await place.log.discardDeadLetters(of: "@partner", through: .max)
        receiver.refuse { _ in false }
        #expect(try await pipeline(RefusingSink(receiver)).finish() == nil)
        #expect(Set(database.committed.dropFirst(Int(cursor))).isSubset(of: delivered))
    }

    @Test func theHintNamesTheSinkAndNotTheTablesContracts() async throws {
        try await whileFull(RefusingSink(receiver)) {
            let failure = try await place.log.cursor(of: "partner")?.lastError
            #expect(failure?.message.contains("@partner") == true)
        }
        let letters = try #require(try place.log.makeReader().deadLetter(of: "@partner", after: 0))
        let failure = await #expect(throws: ConnectorFailure.self) {
            try await place.log.setAside([letters.letter], for: "partner", movingCursorTo: 0, state: nil)
        }
        #expect(failure?.hint?.contains("millrace deadletters retry @partner") == true)
        #expect(failure?.hint?.contains("schema accept") == false && failure?.hint?.contains("capture") == false)
    }

    /// True when no key's event came for the first time behind a later one of the key.
    private var firstsAreInOrder: Bool {
        var seen: Set<ChangeIdentity> = []
        var newest: [String: ChangeIdentity] = [:]
        for entry in receiver.entries where seen.insert(entry.identity).inserted {
            for key in entry.keys.map({ entry.table + "/" + $0 }) {
                if let last = newest[key], last > entry.identity { return false }
                newest[key] = entry.identity
            }
        }
        return true
    }
}
