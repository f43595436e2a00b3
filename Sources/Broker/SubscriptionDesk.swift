package import ConnectorKit
package import EventLog
internal import JSONText

/// Where consumers of subscriptions come to. All subscriptions are on one thread of their own, since they read the
/// disk; each has its turn, and none keeps the thread for long.
///
/// Of one subscription, one thing is done at a time, in the order in which it was asked for: what is stored is what was
/// decided, and what is read anew has all that was stored.
package actor SubscriptionDesk {
    /// Why a request cannot be done, besides failures of the log.
    package enum Refusal: Error {
        /// There is no such subscription.
        case unknown
        /// There are as many as there may be.
        case tooMany(Int)
        /// It must not see what it asks for.
        case uncleared(Clearance)
        /// The log has no such offset.
        case failure(ConnectorFailure)
    }

    /// What came of receipts.
    package struct Settlement: Sendable {
        /// How many were taken.
        package var doneCount = 0
        /// Those that are good for nothing any more.
        package var stale: [String] = []
    }

    private let origin: EventOrigin
    private let log: EventLog
    private let clearance: Clearance
    private let countMax: Int
    let feed: @Sendable () -> LogFeed?
    private let thread = BlockingThread(name: "subscriptions")
    private var reader: LogReader?
    private(set) var lines: [String: SubscriptionLine] = [:]
    /// Who waits for a turn at a subscription; none, but an entry, while somebody has it and nobody waits.
    private var turns: [String: [CheckedContinuation<Void, Never>]] = [:]
    /// The answers that consumers have not taken yet.
    let room: StreamRoom
    let patience: Duration
    /// The subscriptions that were worked at last, the newest at the end: only these hold batches.
    private var warm: [SubscriptionLine] = []
    /// What went wrong when consumers last asked for events.
    private var troubles: [String: ConnectorFailure] = [:]

    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// A desk of the subscriptions of a log, whose consumers see no more than the clearance allows. A consumer may take
    /// `patience` over a large answer while others wait, besides what its length needs.
    package init(
        _ origin: EventOrigin, _ log: EventLog, clearance: Clearance, countMax: Int,
        patience: Duration = .seconds(30), feed: @escaping @Sendable () -> LogFeed?
    ) {
        self.init(
            origin, log, clearance: clearance, countMax: countMax, patience: patience, room: StreamRoom(), feed: feed)
    }

    init(
        _ origin: EventOrigin, _ log: EventLog, clearance: Clearance, countMax: Int, patience: Duration,
        room: StreamRoom, feed: @escaping @Sendable () -> LogFeed?
    ) {
        self.origin = origin
        self.log = log
        self.clearance = clearance
        self.countMax = countMax
        self.patience = patience
        self.room = room
        self.feed = feed
    }
}

// MARK: - Making and removing

extension SubscriptionDesk {
    /// Makes a subscription that begins at a place, or gives one that is there other settings, whose place stays. True
    /// when it was made.
    package func put(
        _ name: String, _ settings: SubscriptionSettings, from start: StartPosition
    ) async throws(Refusal) -> Bool {
        if let asked = settings.clearance, !clearance.allows(asked) { throw .uncleared(clearance) }
        await takeTurn(name)
        defer { endTurn(name) }
        let text = settings.json.compactText
        if try await stored(name) == nil {
            let new = StoredSubscription(name: name, settings: text, cursor: try cursor(at: start))
            switch try await asking({ () async throws(ConnectorFailure) in try await log.add(new, atMost: countMax) }) {
            case .added: return true
            case .tooMany: throw .tooMany(countMax)
            case .known: break
            }
        }
        // What consumers have stays theirs; the rest is looked at anew.
        drop(name)
        try await asking { () async throws(ConnectorFailure) in try await log.store(settings: text, of: name) }
        return false
    }

    /// Moves a subscription to a place. What its consumers have is theirs no more, and its dead letters are forgotten.
    package func seek(_ name: String, to start: StartPosition) async throws(Refusal) {
        await takeTurn(name)
        defer { endTurn(name) }
        guard try await stored(name) != nil else { throw .unknown }
        let cursor = try cursor(at: start)
        drop(name)
        try await asking { () async throws(ConnectorFailure) in
            try await log.move(name, to: cursor, epoch: StoredSubscription.newEpoch())
        }
    }

    /// Removes a subscription.
    package func remove(_ name: String) async throws(Refusal) {
        await takeTurn(name)
        defer { endTurn(name) }
        guard try await stored(name) != nil else { throw .unknown }
        drop(name)
        try await asking { () async throws(ConnectorFailure) in try await log.removeSubscription(name) }
    }

    private func cursor(at start: StartPosition) throws(Refusal) -> UInt64 {
        do throws(ConnectorFailure) {
            let (reader, feed) = try open()
            let first = try reader.bounds().lowerBound
            let end = max(first, feed.nextOffset)
            let offset = start == .latest ? end : try reader.offset(at: start)
            if offset < first { throw EventFailure.retainedAway(offset, first: first) }
            if case .offset = start, offset > end { throw EventFailure.notYet(offset, end: end) }
            return min(offset, end)
        } catch {
            throw .failure(error)
        }
    }

    private func stored(_ name: String) async throws(Refusal) -> StoredSubscription? {
        try await asking { () async throws(ConnectorFailure) in try await log.subscriptions() }
            .first { $0.name == name }
    }

    private func asking<Value: Sendable>(
        _ body: () async throws(ConnectorFailure) -> Value
    ) async throws(Refusal) -> Value {
        do throws(ConnectorFailure) {
            return try await body()
        } catch {
            throw .failure(error)
        }
    }

    /// Forgets what is known in memory: it is read anew when it is needed.
    private func drop(_ name: String) {
        troubles[name] = nil
        guard let line = lines.removeValue(forKey: name) else { return }
        warm.removeAll { $0 === line }
        line.wake()
    }
}

// MARK: - Taking back

extension SubscriptionDesk {
    /// What a consumer does with what it got.
    package enum Action: Sendable {
        /// It is done with it.
        case acknowledge
        /// It hands it back, to be given out again after a while.
        case reject(delay: Duration)
        /// It needs more time from now on.
        case extend(Duration)
    }

    /// Does something with receipts.
    package func settle(
        _ name: String, _ receipts: [Receipt], _ action: Action
    ) async throws(Refusal) -> Settlement {
        await takeTurn(name)
        defer { endTurn(name) }
        let line = try await line(name)
        var settlement = Settlement()
        let now = UTCTime.now()
        line.state.advance(to: now)
        for receipt in receipts {
            guard receipt.epoch == line.stored.epoch else {
                settlement.stale.append(receipt.text)
                continue
            }
            let outcome =
                switch action {
                case .acknowledge: line.state.acknowledge(receipt.lease)
                case .reject(let delay): line.state.reject(receipt.lease, delay: delay.microseconds, now: now)
                case .extend(let time): line.state.extend(receipt.lease, by: time.microseconds, now: now)
                }
            if outcome == .done { settlement.doneCount += 1 } else { settlement.stale.append(receipt.text) }
        }
        try await storeAndWake(line)
        return settlement
    }

    /// The dead letters of a subscription: offsets, and how often each was given out.
    package func deadLetters(of name: String) async throws(Refusal) -> [(offset: UInt64, deliveryCount: Int)] {
        await takeTurn(name)
        defer { endTurn(name) }
        let line = try await line(name)
        line.state.advance(to: UTCTime.now())
        try await storeAndWake(line)
        return line.state.dead.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Gives dead letters out again, or forgets them for good; nil for all. Returns how many. One that cannot be
    /// written as an event stays a dead letter.
    package func decide(
        _ name: String, _ offsets: [UInt64]?, retries: Bool
    ) async throws(Refusal) -> Int {
        await takeTurn(name)
        defer { endTurn(name) }
        let line = try await line(name)
        line.state.advance(to: UTCTime.now())
        var (count, failure): (Int, ConnectorFailure?) = (0, nil)
        for offset in (offsets ?? Array(line.state.dead.keys)).sorted() where line.state.dead[offset] != nil {
            if retries {
                // Each may have to be read from the disk: others have their turn.
                await Task.yield()
                do throws(ConnectorFailure) {
                    guard let event = try line.orderedEvent(at: offset) else { continue }
                    line.state.retry(event)
                } catch {
                    failure = error
                    continue
                }
            } else {
                line.state.discard(offset)
            }
            count += 1
        }
        if count == 0, let failure { throw .failure(failure) }
        try await storeAndWake(line)
        return count
    }

    private func storeAndWake(_ line: SubscriptionLine) async throws(Refusal) {
        do throws(ConnectorFailure) {
            try await store(line, isEager: true)
        } catch {
            throw .failure(error)
        }
        line.wake()
    }
}

// MARK: - Lines

extension SubscriptionDesk {
    /// Waits until nothing else is done with a subscription.
    func takeTurn(_ name: String) async {
        guard turns[name] != nil else {
            turns[name] = []
            return
        }
        await withCheckedContinuation { turns[name]?.append($0) }
    }

    func endTurn(_ name: String) {
        guard let next = turns[name]?.first else {
            turns[name] = nil
            return
        }
        turns[name]?.removeFirst()
        next.resume()
    }

    /// What went wrong when consumers of a subscription last asked for events; nil when they got some since, or were
    /// told that there are none.
    package func trouble(of name: String) -> ConnectorFailure? { troubles[name] }

    func note(_ trouble: ConnectorFailure?, of name: String) {
        if trouble == nil || troubles.count < countMax { troubles[name] = trouble }
    }

    /// A subscription was worked at: those that were not for longest let go of what they can read again.
    func keepWarm(_ line: SubscriptionLine) {
        line.letGo(ofMoreThan: Self.warmBytesMax)
        warm.removeAll { $0 === line }
        warm.append(line)
        if warm.count > Self.warmCountMax { warm.removeFirst().letGo(ofMoreThan: 0) }
    }
    private static let warmCountMax = 8
    private static let warmBytesMax = 4 << 20

    func open() throws(ConnectorFailure) -> (reader: LogReader, feed: LogFeed) {
        guard let feed = feed() else { throw EventFailure.notReady() }
        if let reader { return (reader, feed) }
        let made = try log.makeReader()
        reader = made
        return (made, feed)
    }

    /// The subscription, read from the log when it is needed for the first time. For whoever has the turn.
    func line(_ name: String) async throws(Refusal) -> SubscriptionLine {
        if let known = lines[name] { return known }
        guard let stored = try await stored(name) else { throw .unknown }
        do throws(ConnectorFailure) {
            let deliveries = try await log.deliveries(of: name)
            let (reader, feed) = try open()
            let settings = try Self.settings(of: stored)
            let line = try SubscriptionLine(stored, settings, deliveries, origin, atMost: clearance, reader)
            while line.state.isRestoring, try line.scan(before: feed.nextOffset) { await Task.yield() }
            lines[name] = line
            return line
        } catch {
            throw .failure(error)
        }
    }

    private static func settings(of stored: StoredSubscription) throws(ConnectorFailure) -> SubscriptionSettings {
        if let value = try? JSONValue(parsing: Array(stored.settings.utf8), depthMax: 8), let body = value.object,
            let settings = try? SubscriptionSettings(body)
        {
            return settings
        }
        throw EventFailure.unreadable(stored.name)
    }

    /// Stores what changed. After a failure nothing in memory counts: it is read anew, as it was stored.
    func store(_ line: SubscriptionLine, isEager: Bool) async throws(ConnectorFailure) {
        guard let changes = line.changes(isEager: isEager) else { return }
        do throws(ConnectorFailure) {
            try await log.store(changes, of: line.stored.name, epoch: line.stored.epoch)
        } catch {
            drop(line.stored.name)
            throw error
        }
    }
}
