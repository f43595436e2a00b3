internal import ByteKit
private import ChangeModel
internal import ConnectorKit

/// Sends requests: the one thread that has the connections, with many requests on their way.
///
/// Everything in here belongs to that thread; see ``Mailbox`` for what others see. It has one owner, so that nothing is
/// asked per request about who else has it.
struct Courier: ~Copyable {
    typealias Instant = ContinuousClock.Instant
    private typealias Ticket = LaneSchedule.Ticket

    /// A batch of which some records are not in the window yet.
    private struct PendingBatch {
        var letter: Mailbox.Letter
        /// The numbers of its topics; nil until its first record is taken.
        var topics: [Int]?
        /// The next record.
        var next = 0
    }

    /// A record that is not done.
    private struct Item {
        var source: ParcelRecord
        /// Its number in the window.
        var number: Int
    }

    private let settings: WebhookSettings
    private let way: WebhookFailure.Way
    private let mailbox: Mailbox
    private var client: HTTPClient
    private let writer: RequestWriter
    private var random = SystemRandomNumberGenerator()

    private var schedule: LaneSchedule
    private var window: DeliveryWindow
    private var circuit: Circuit
    private var holds = RejectionHolds()
    private var pending = Queue<PendingBatch>()
    /// The first record that the pipeline does not know to be delivered; nil when it waits for all.
    private var knownNumber: Int?
    private var pendingCount = 0
    private var pendingBytes = 0
    private var topics: [Topic: Int] = [:]
    /// By their tickets; nil for those that are not in use.
    private var items: [Item?] = []
    /// Requests that wait for another attempt.
    private var waiting: [Delivery] = []
    /// The most events of the next batch: halved when one is refused as a whole, to find the event that is.
    private var batchRecordsMax: Int
    private let report: @Sendable (ConnectorFailure?, Duration?) -> Void
    /// When the pipeline was last told that requests fail; nil when none does.
    private var toldAt: Instant?
    /// True when the endpoint wants no more, or nothing can be sent.
    private var hasFailed = false

    private static let answered = HaltPoint("webhook.answered")
    /// How long the thread sleeps when nothing is to be done.
    private static let sleep = Duration.seconds(1)
    /// So many failures of one request, and the pipeline is told.
    private static let reportedFailures = 5
    /// How long what was told stays as it is.
    private static let reportInterval = Duration.seconds(1)
    /// Beyond so many topics, those that nothing waits in are forgotten.
    private static let topicsMax = 4096

    /// A courier that has not begun. `contentType` is that of the body of requests that do not
    /// bring their own.
    init(
        _ settings: WebhookSettings, contentType: String?, mailbox: Mailbox, _ context: SinkContext
    ) throws(ConnectorFailure) {
        self.settings = settings
        way = settings.way
        self.mailbox = mailbox
        client = try HTTPClient(settings, contentType: contentType)
        writer = RequestWriter(settings)
        schedule = LaneSchedule(laneCount: settings.concurrency)
        window = DeliveryWindow(at: context.nextOffset)
        report = context.report
        circuit = Circuit(failuresMax: settings.circuitFailuresMax, pauses: settings.pauses)
        batchRecordsMax = settings.mode == .batch ? settings.batchRecordsMax : 1
    }

    /// Works until the mailbox is closed.
    mutating func run() {
        mailbox.begins(client.waker)
        while true {
            let orders = mailbox.collect()
            if orders.isClosed { break }
            do throws(ConnectorFailure) {
                for letter in orders.letters { add(letter) }
                knownNumber = orders.knownNumber
                try work()
            } catch {
                fail(error)
            }
            publish()
            wait(until: orders.deadline)
        }
    }

    /// Settles what came back, and sends what may go.
    private mutating func work() throws(ConnectorFailure) {
        let arrival = ContinuousClock.now
        while let end = client.popEnd() {
            if !hasFailed { settle(end.delivery, end.outcome, arrival) }
        }
        if hasFailed { return }
        // Not after each: what has come back and is not settled may have failed before.
        if toldAt != nil, !isTroubled {
            toldAt = nil
            report(nil, nil)
        }
        try fillWindow()
        let now = ContinuousClock.now
        if circuit.isClosed {
            try sendWaiting(now)
            try sendReady(now)
        } else {
            // Whether the endpoint works is better asked with what has not failed yet.
            waiting.sort { $0.failureCount < $1.failureCount }
            try sendReady(now)
            try sendWaiting(now)
        }
    }

    private mutating func publish() {
        holds.forget(before: window.firstNumber)
        mailbox.publish(
            .init(
                durableBefore: window.durableBefore, recordCount: window.count + pendingCount,
                byteCount: window.byteCount + pendingBytes, firstNumber: window.firstNumber),
            rejected: window.takeRejected(), at: .now)
    }

    private mutating func fail(_ failure: ConnectorFailure) {
        hasFailed = true
        mailbox.fail(failure)
    }

    /// Waits until something happens on a connection, somebody puts something in the mailbox, or it is time for
    /// something.
    private mutating func wait(until deadline: Instant?) {
        let now = ContinuousClock.now
        var end = now + Self.sleep
        if let deadline { end = min(end, deadline) }
        if let late = client.nextDeadline { end = min(end, late) }
        if !hasFailed, let next = nextAttempt(now) { end = min(end, next) }
        let pause = end > now ? max((end - now).milliseconds, 1) : 0
        client.wait(milliseconds: Int32(clamping: pause))
    }

    /// When a request may go that may not go yet; nil when none waits for a time.
    private func nextAttempt(_ now: Instant) -> Instant? {
        guard let opening = circuit.opensAt(now) else { return nil }
        if schedule.hasReady { return opening }
        return waiting.compactMap(\.notBefore).min().map { max($0, opening) }
    }

    // MARK: Taking records

    private mutating func add(_ letter: Mailbox.Letter) {
        pending.append(PendingBatch(letter: letter))
        pendingCount += letter.parcel.batch.records.count
        pendingBytes += letter.parcel.batch.records.isEmpty ? 0 : letter.parcel.batch.body.count
    }

    /// Takes records as long as the window has room: what is in it may be sent, and comes again after a crash.
    private mutating func fillWindow() throws(ConnectorFailure) {
        while let first = pending.first {
            let parcel = first.letter.parcel
            let batch = parcel.batch
            let numbers = first.topics ?? begin(first.letter)
            var next = first.next
            while next < batch.records.count {
                guard hasRoom else {
                    pending[0].topics = numbers
                    pending[0].next = next
                    return
                }
                try take(ParcelRecord(parcel: parcel, index: next), numbers)
                next += 1
                pendingCount -= 1
            }
            window.cover(before: batch.nextOffset)
            pendingBytes -= batch.records.isEmpty ? 0 : batch.body.count
            pending.popFirst()
        }
    }

    /// What is delivered counts until the cursor covers it: the window is what comes again after a crash.
    private var hasRoom: Bool {
        guard let knownNumber else { return true }
        return window.nextNumber - knownNumber < settings.windowRecordsMax
            && window.byteCount < settings.windowBytesMax
    }

    private mutating func begin(_ letter: Mailbox.Letter) -> [Int] {
        holds.took(window.nextNumber, knowing: letter.namedRejections)
        if topics.count > Self.topicsMax { forgetTopics() }
        return letter.parcel.batch.topics.map { topicNumber($0) }
    }

    private mutating func take(_ source: ParcelRecord, _ topics: [Int]) throws(ConnectorFailure) {
        let (record, batch) = (source.record, source.batch)
        let end = Int(record.payload.offset) + Int(record.payload.length)
        guard Int(record.topic) < topics.count, end <= batch.body.count else { throw WebhookFailure.badBatch }
        let topic = topics[Int(record.topic)]
        let hasKey = !record.key.isEmpty
        let lane = hasKey ? LaneHash.of(batch.key(of: record)) : LaneHash.of(topic)
        let other = record.previousKey.isEmpty ? nil : LaneHash.of(batch.bytes(record.previousKey))
        let number = window.add(offset: record.offset, byteCount: Int(record.payload.length))
        let ticket = schedule.add(
            lane: lane, otherLane: other, topic: topic, standsForTopic: !hasKey && other == nil)
        let item = Item(source: source, number: number)
        if ticket == items.count { items.append(item) } else { items[ticket] = item }
    }

    private mutating func topicNumber(_ topic: Topic) -> Int {
        if let number = topics[topic] { return number }
        let number = schedule.addTopic()
        topics[topic] = number
        return number
    }

    /// Numbers of topics are given anew once nothing is on its way; until then they only grow.
    private mutating func forgetTopics() {
        guard window.count == 0 else { return }
        topics.removeAll()
        schedule.removeTopics()
    }

    // MARK: Sending

    private mutating func sendWaiting(_ now: Instant) throws(ConnectorFailure) {
        var place = 0
        while place < waiting.count, circuit.admits(at: now) {
            if let due = waiting[place].notBefore, due > now {
                place += 1
                continue
            }
            try send(waiting.remove(at: place), now)
        }
    }

    private mutating func sendReady(_ now: Instant) throws(ConnectorFailure) {
        while schedule.hasReady, circuit.admits(at: now) {
            guard let delivery = try nextDelivery() else { continue }
            try send(delivery, now)
        }
    }

    /// The next request; nil when its records turned out to be rejected.
    private mutating func nextDelivery() throws(ConnectorFailure) -> Delivery? {
        guard let ticket = schedule.take(), let item = items[ticket] else { return nil }
        if !holds.isEmpty, holds.holds(item.source.record, of: item.source.batch, number: item.number) {
            let behind = RejectedRecord.behind(item.source.record)
            reject([ticket], (behind.code, behind.message))
            return nil
        }
        let followers = batchRecordsMax > 1 ? followers(of: ticket, item.source) : []
        let content =
            try followers.isEmpty
            ? writer.content(of: item.source)
            : writer.content(ofBatch: [item.source] + followers.compactMap { items[$0]?.source })
        let delivery = Delivery(ticket, followers, content)
        guard content.body.count <= settings.requestBytesMax else {
            reject(delivery.tickets, WebhookFailure.tooLarge(content.body.count, settings.requestBytesMax))
            return nil
        }
        return delivery
    }

    /// The records that go with one in the same request.
    private mutating func followers(of first: Ticket, _ source: ParcelRecord) -> [Ticket] {
        var byteCount = 3 + Int(source.record.payload.length)
        let bytesMax = min(settings.batchBytesMax, settings.requestBytesMax)
        if byteCount > bytesMax { return [] }
        return schedule.takeFollowers(of: first, upTo: batchRecordsMax - 1) { [items, holds] ticket in
            guard let item = items[ticket] else { return false }
            let record = item.source.record
            byteCount += Int(record.payload.length) + 1
            return byteCount <= bytesMax && !holds.holds(record, of: item.source.batch, number: item.number)
        }
    }

    private mutating func send(_ delivery: Delivery, _ now: Instant) throws(ConnectorFailure) {
        delivery.firstAttempt = delivery.firstAttempt ?? now
        try client.send(delivery, at: now)
        circuit.sends()
    }

    // MARK: Settling

    private mutating func settle(_ delivery: Delivery, _ outcome: Outcome, _ now: Instant) {
        if outcome.status > 0 { Self.answered.reached() }
        switch WebhookFailure.verdict(outcome, on: way) {
        case .accepted:
            finish(delivery.ticket, rejected: nil)
            for ticket in delivery.followers { finish(ticket, rejected: nil) }
            batchRecordsMax = min(batchRecordsMax * 2, settings.mode == .batch ? settings.batchRecordsMax : 1)
            works(now)
        case .rejected(let code, let message):
            refused(delivery, code, message)
            works(now)
        case .again(let failure, let pause):
            failed(delivery, failure, pause, now)
        case .stop(let failure): fail(failure)
        }
    }

    /// The endpoint takes requests: what waits because it did not need not wait any longer.
    private mutating func works(_ now: Instant) {
        if circuit.succeeded(at: now) {
            for delivery in waiting { delivery.notBefore = now }
        }
    }

    /// True while a request that failed is not at its end.
    private var isTroubled: Bool {
        !waiting.isEmpty || client.deliveries.contains { $0.failureCount > 0 }
    }

    private mutating func failed(_ delivery: Delivery, _ failure: ConnectorFailure, _ pause: Duration?, _ now: Instant)
    {
        delivery.failureCount += 1
        let hasOpened = circuit.failed(
            delivery.ticket, at: now, pause: pause, random: .random(in: 0...1, using: &random))
        defer {
            if hasOpened || delivery.failureCount >= Self.reportedFailures || toldAt != nil { tell(failure, now) }
        }
        if let limit = settings.giveUpAfter, let first = delivery.firstAttempt, now - first >= limit {
            reject(delivery.tickets, WebhookFailure.gaveUp(failure, delivery.failureCount))
            return
        }
        let random = Double.random(in: 0...1, using: &random)
        delivery.notBefore = now + settings.pauses.pause(after: delivery.failureCount - 1, random: random)
        waiting.append(delivery)
    }

    /// Tells the pipeline that requests fail, now and then until all of them are at their end.
    private mutating func tell(_ failure: ConnectorFailure, _ now: Instant) {
        if let toldAt, now - toldAt < Self.reportInterval { return }
        toldAt = now
        report(failure, nextAttempt(now).map { max($0 - now, .zero) })
    }

    /// A request was refused for good. Of several events the first half is sent by itself, until the one is found that
    /// is refused.
    private mutating func refused(_ delivery: Delivery, _ code: String, _ message: String) {
        guard !delivery.followers.isEmpty else {
            reject(delivery.tickets, (code, message))
            return
        }
        batchRecordsMax = max((delivery.followers.count + 1) / 2, 1)
        schedule.giveBack(delivery.tickets)
    }

    private mutating func reject(_ tickets: [Int], _ reason: (code: String, message: String)) {
        for ticket in tickets {
            if let item = items[ticket] { holds.insert(item.source.record, of: item.source.batch) }
        }
        for ticket in tickets { finish(ticket, rejected: reason) }
    }

    private mutating func finish(_ ticket: Ticket, rejected reason: (code: String, message: String)?) {
        if let item = items[ticket] { window.finish(item.number, rejected: reason) }
        items[ticket] = nil
        schedule.finish(ticket)
    }
}
