package import ConnectorKit
package import EventLog
internal import JSONText

/// Where consumers of subscriptions come to. All subscriptions are on one thread of their own, since they read the
/// disk; none is read for longer than an answer takes.
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
    private let feed: @Sendable () -> LogFeed?
    private let thread = BlockingThread(name: "subscriptions")
    private var reader: LogReader?
    private var lines: [String: SubscriptionLine] = [:]

    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// A desk of the subscriptions of a log, whose consumers see no more than the clearance allows.
    package init(
        _ origin: EventOrigin, _ log: EventLog, clearance: Clearance, countMax: Int,
        feed: @escaping @Sendable () -> LogFeed?
    ) {
        self.origin = origin
        self.log = log
        self.clearance = clearance
        self.countMax = countMax
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
        let known = try await subscriptions()
        if var stored = known.first(where: { $0.name == name }) {
            stored.settings = settings.json.compactText
            try await store(stored)
            // What consumers have stays theirs; the rest is looked at anew.
            drop(name)
            return false
        }
        guard known.count < countMax else { throw .tooMany(countMax) }
        let cursor = try await cursor(at: start)
        try await store(StoredSubscription(name: name, settings: settings.json.compactText, cursor: cursor))
        drop(name)
        return true
    }

    /// Moves a subscription to a place. What its consumers have is theirs no more, and its dead letters are forgotten.
    package func seek(_ name: String, to start: StartPosition) async throws(Refusal) {
        guard let known = try await subscriptions().first(where: { $0.name == name }) else { throw .unknown }
        let cursor = try await cursor(at: start)
        var moved = StoredSubscription(name: name, settings: known.settings, cursor: cursor)
        moved.createdAt = known.createdAt
        moved.counts = known.counts
        try await store(moved)
        drop(name)
    }

    /// Removes a subscription.
    package func remove(_ name: String) async throws(Refusal) {
        guard try await subscriptions().contains(where: { $0.name == name }) else { throw .unknown }
        do throws(ConnectorFailure) {
            try await log.removeSubscription(name)
        } catch {
            throw .failure(error)
        }
        drop(name)
    }

    private func cursor(at start: StartPosition) async throws(Refusal) -> UInt64 {
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

    private func subscriptions() async throws(Refusal) -> [StoredSubscription] {
        do throws(ConnectorFailure) {
            return try await log.subscriptions()
        } catch {
            throw .failure(error)
        }
    }

    private func store(_ subscription: StoredSubscription) async throws(Refusal) {
        do throws(ConnectorFailure) {
            try await log.store(subscription)
        } catch {
            throw .failure(error)
        }
    }

    /// Forgets what is known in memory: it is read anew when it is needed.
    private func drop(_ name: String) {
        lines.removeValue(forKey: name)?.wake()
    }
}

// MARK: - Giving out

extension SubscriptionDesk {
    /// Gives out events, as an answer in JSON; waits for some for a while when there are none. None when the task is
    /// cancelled.
    package func pull(_ name: String, countMax: Int, wait: Duration) async throws(Refusal) -> [UInt8] {
        let deadline = ContinuousClock.now + wait
        while true {
            let line = try await line(name)
            if !Task.isCancelled, let answer = try await collect(line, countMax) { return answer }
            if ContinuousClock.now >= deadline || Task.isCancelled { return Self.answer([], line) }
            if lines[name] === line { await sleep(line, until: deadline) }
        }
    }

    /// Nil when there is nothing to give out now.
    private func collect(_ line: SubscriptionLine, _ countMax: Int) async throws(Refusal) -> [UInt8]? {
        var leases: [SubscriptionState.Lease] = []
        do throws(ConnectorFailure) {
            let end = try open().feed.nextOffset
            while true {
                leases += line.state.lease(countMax - leases.count, now: Self.now())
                if leases.count >= countMax || line.state.leaseMax == 0 { break }
                if try !line.scan(before: end) { break }
                // Others have their turn while much is looked at; what was found is not kept waiting for it.
                if leases.isEmpty { await Task.yield() }
                guard lines[line.stored.name] === line else { return nil }
            }
            let deliveries = try line.deliveries(of: leases)
            leases = deliveries.map(\.lease)
            let answer = deliveries.isEmpty ? nil : Self.answer(deliveries, line)
            try await store(line, isEager: answer != nil)
            return answer
        } catch {
            line.state.withdraw(leases)
            throw .failure(error)
        }
    }

    private static func answer(_ deliveries: [SubscriptionLine.Delivery], _ line: SubscriptionLine) -> [UInt8] {
        var bytes = Array("{\"events\":[".utf8)
        bytes.reserveCapacity(deliveries.reduce(64) { $0 + $1.bytes.count + 100 })
        for (index, delivery) in deliveries.enumerated() {
            let receipt = Receipt(delivery.lease, epoch: line.stored.epoch)
            let head =
                "{\"receipt\":\"\(receipt.text)\",\"offset\":\(delivery.lease.offset),"
                + "\"delivery\":\(delivery.lease.delivery),\"event\":"
            bytes += (index == 0 ? head : "," + head).utf8
            bytes += delivery.bytes
            bytes.append(UInt8(ascii: "}"))
        }
        bytes += "]}".utf8
        return bytes
    }

    /// Waits until there may be something to give out, or `deadline` has passed, or the task is cancelled.
    private func sleep(_ line: SubscriptionLine, until deadline: ContinuousClock.Instant) async {
        guard let feed = feed() else { return }
        var time = deadline
        if let due = line.state.nextTime {
            time = min(time, .now + .microseconds(max(0, due - Self.now()) + 1000))
        }
        // More of the log matters only while there is room to remember it.
        let next = line.state.room > 0 && line.state.leaseMax > 0 ? line.state.next : .max - 1
        let number = line.nextSleeper()
        let sleeper = Task { [time] in await feed.wait(for: next, until: time) }
        line.sleepers[number] = sleeper
        await withTaskCancellationHandler {
            await sleeper.value
        } onCancel: {
            sleeper.cancel()
        }
        line.sleepers[number] = nil
    }

    private static func now() -> Int64 { SubscriptionClock.now() }
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
        let line = try await line(name)
        var settlement = Settlement()
        let now = Self.now()
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
        let line = try await line(name)
        line.state.advance(to: Self.now())
        try await storeAndWake(line)
        return line.state.dead.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Gives dead letters out again, or forgets them for good; nil for all. Returns how many.
    package func decide(
        _ name: String, _ offsets: [UInt64]?, retries: Bool
    ) async throws(Refusal) -> Int {
        let line = try await line(name)
        line.state.advance(to: Self.now())
        var count = 0
        for offset in (offsets ?? Array(line.state.dead.keys)).sorted() where line.state.dead[offset] != nil {
            if retries {
                do throws(ConnectorFailure) {
                    guard let event = try line.orderedEvent(at: offset) else { continue }
                    line.state.retry(event)
                } catch {
                    throw .failure(error)
                }
            } else {
                line.state.discard(offset)
            }
            count += 1
        }
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
    private func open() throws(ConnectorFailure) -> (reader: LogReader, feed: LogFeed) {
        guard let feed = feed() else { throw EventFailure.notReady() }
        if let reader { return (reader, feed) }
        let made = try log.makeReader()
        reader = made
        return (made, feed)
    }

    /// The subscription, read from the log when it is needed for the first time.
    private func line(_ name: String) async throws(Refusal) -> SubscriptionLine {
        if let known = lines[name] { return known }
        guard let stored = try await subscriptions().first(where: { $0.name == name }) else { throw .unknown }
        do throws(ConnectorFailure) {
            let deliveries = try await log.deliveries(of: name)
            // Somebody else may have been quicker meanwhile.
            if let known = lines[name] { return known }
            let (reader, feed) = try open()
            let settings = try Self.settings(of: stored)
            let line = try SubscriptionLine(stored, settings, deliveries, origin, atMost: clearance, reader)
            while line.state.isRestoring, try line.scan(before: feed.nextOffset) {}
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
    private func store(_ line: SubscriptionLine, isEager: Bool) async throws(ConnectorFailure) {
        guard let changes = line.changes(isEager: isEager) else { return }
        do throws(ConnectorFailure) {
            try await log.store(changes, of: line.stored.name)
        } catch {
            if lines[line.stored.name] === line { drop(line.stored.name) }
            throw error
        }
    }
}
