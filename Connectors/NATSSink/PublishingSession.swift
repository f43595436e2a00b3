import ByteKit
import ChangeModel
import ConnectorKit
import Glibc

/// Publishing over one connection: from what is in the stream when it begins to the first thing that nobody knows.
final class PublishingSession {
    private let settings: NATSSettings
    private let connection: NATSConnection
    private let contentType: StaticString?
    private(set) var sinkName = ""
    private var window = FlightWindow(durableBefore: 0, floor: 0)
    private var tail = StreamTail()
    private var stream: StreamFacts?
    /// When the stream's limit of a message was read.
    private var limitReadAt = ContinuousClock.now
    /// What is not known of records that are not found in the tail.
    private var doubt = Doubt.none
    /// Where the tail begins.
    private var tailFloor: UInt64 = 0
    /// Where the stream ended at the last look.
    private var seenLast: UInt64 = 0
    /// Entries that may be sent now, in the order of sending, when the stream keeps the order.
    private var nextToSend = 0
    /// Entries whose subjects are free, when each subject keeps its own order.
    private var ready = NumberedQueue<Int>()
    private var lanes: [String: FlightWindow.Lane] = [:]
    /// What the newest message of the stream is, when everything that was sent is stored and nobody else publishes.
    private var newest = NATSConnection.Expectation.any
    /// Why nothing more is sent until everything on its way is answered.
    private var halt: Halt?
    /// How often the chain broke since nothing was on its way.
    private var breaks = 0
    /// What the last receipt called durable.
    private var told: UInt64 = 0
    /// The state that is stored: that of the last receipt, unless what it says changed since.
    private var stored = SinkState(cursor: 0, floor: 0, streamCreated: 0)
    /// True when since the last receipt something was not sent that was before what is sent.
    private var skipsNow = false
    /// Keys of records that were rejected, until a receipt has named them.
    private var holds = KeyHolds()
    /// The beginning that ids of messages name.
    private var beginning: UInt64 = 0
    /// When the session began: before that, messages with other ids were published.
    private let begunAt = ContinuousClock.now
    /// True when ``stored`` is not stored yet, and has to be before anything more is sent.
    private var isUnsaved = false
    /// Why the session is to end: what it published or passed over is not what the log needs.
    private var end: ConnectorFailure?

    /// What may have become of a record that is not found in the tail.
    private enum Doubt {
        /// It was never stored: the tail is whole.
        case none
        /// Messages are gone from the stream, and nothing was skipped: what lies before a record that is found is
        /// stored.
        case gone
        /// Messages are gone, or were skipped. What was skipped kept later records of its key back, so one of which a
        /// later record of its key is found is stored; any other is published, perhaps again.
        case goneOrSkipped
    }

    /// Why sending pauses.
    private enum Halt {
        /// The stream ends elsewhere than was expected: a duplicate, or somebody else's message.
        case chainBroken
        /// The server is still busy with an earlier copy of a message.
        case inProcess
        /// The server refused a message for good or for now.
        case failed(ConnectorFailure)
    }

    private static let sent = HaltPoint("nats.sent")
    /// More breaks than this between two rests mean that somebody else publishes.
    static let breaksMax = 16

    init(_ settings: NATSSettings, _ connection: NATSConnection, contentType: StaticString?) {
        self.settings = settings
        self.connection = connection
        self.contentType = contentType
    }

    /// True while a message is on its way: where the connection ends now, it may still come.
    var hasUnanswered: Bool { window.inFlightCount > 0 }

    // MARK: Beginning

    /// Begins at the cursor. A state that has to be stored before anything is published, when the one that is given
    /// belongs to another cursor or to another stream.
    func begin(_ context: SinkContext, _ former: SinkState?, _ facts: StreamFacts) -> SinkState? {
        sinkName = context.name
        told = context.nextOffset
        stream = facts
        let goesOn = former.map { $0.goesOn(at: context.nextOffset) && $0.streamCreated == facts.created } ?? false
        if let former, goesOn, former.floor <= facts.lastSequence {
            window = FlightWindow(durableBefore: context.nextOffset, floor: former.floor)
            tailFloor = former.floor
            stored = former
            beginning = former.beginning
            return nil
        }
        window = FlightWindow(durableBefore: context.nextOffset, floor: facts.lastSequence)
        tailFloor = facts.lastSequence
        // A server that leads since a moment may be behind. The cursor is where it was, and so are the ids.
        beginning = goesOn ? former?.beginning ?? 0 : Self.newBeginning(former, facts)
        stored = state
        return stored
    }

    /// The number of a beginning in a stream as it is now. The messages that it has may be of the same events, and of
    /// those the server would take the ones only that are older than its duplicate window. In a stream without messages
    /// there is nothing that it could know. The clock makes a number that no copy of the log has given before.
    private static func newBeginning(_ former: SinkState?, _ facts: StreamFacts) -> UInt64 {
        guard facts.lastSequence > 0 else { return 0 }
        return max((former?.beginning ?? 0) &+ 1, UInt64(clamping: UTCTime.now()))
    }

    /// Gives messages the ids of their events again, once the server has forgotten all that were published before
    /// this session, and nothing is open of those with the ids of the beginning.
    private func endBeginning() throws(ConnectorFailure) {
        guard beginning > 0, window.isEmpty, tail.isEmpty, window.durableBefore == told, hasForgotten(stream) else {
            return
        }
        let facts = try facts()
        // Somebody may have made the window longer.
        stream?.duplicateWindow = facts.duplicateWindow
        guard hasForgotten(facts) else { return }
        beginning = 0
        if !settings.isShared { newest = .sequence(max(window.newest, seenLast)) }
        stored = state
        isUnsaved = true
    }

    private func hasForgotten(_ facts: StreamFacts?) -> Bool {
        guard let facts else { return false }
        return ContinuousClock.now - begunAt >= facts.duplicateWindow * settings.windowsUntilForgotten
    }

    /// Begins anew at the cursor, where the stream has events of a later beginning than the state knows: the log is an
    /// older copy, and events would come between those of the later beginning in an order of their own.
    private func beginAnew() throws(ConnectorFailure) {
        while window.inFlightCount > 0 { try awaitAnswers() }
        let facts = try facts()
        stored = SinkState(
            cursor: told, floor: facts.lastSequence, streamCreated: facts.created,
            beginning: Self.newBeginning(stored, facts))
        isUnsaved = true
        end = NATSFailure.replayedSince(settings)
    }

    /// The stream as it is now; throws when it is another one than at the beginning.
    private func facts() throws(ConnectorFailure) -> StreamFacts {
        let facts = try connection.streamFacts()
        guard facts.created == stream?.created else { throw NATSFailure.lost("the stream was made anew") }
        return facts
    }

    /// Reads what lies behind the floor.
    func readTail(_ facts: StreamFacts) throws(ConnectorFailure) {
        if !settings.isShared { newest = .sequence(facts.lastSequence) }
        seenLast = facts.lastSequence
        tail = StreamTail()
        var sequence = tailFloor + 1
        var count = 0
        while sequence <= facts.lastSequence, count < StreamTail.countMax {
            guard let message = try connection.message(from: sequence, settings.subject.pattern),
                message.sequence <= facts.lastSequence
            else { break }
            if let id = message.id { tail.insert(id, message.sequence) }
            sequence = message.sequence + 1
            count += 1
        }
        let isWhole = settings.isShared || UInt64(count) == facts.lastSequence - tailFloor
        doubt = isWhole ? .none : stored.hasSkips ? .goneOrSkipped : .gone
    }

    /// What has to be stored beside the cursor.
    private var state: SinkState {
        let floor = min(window.floor, tail.lowest.map { $0 - 1 } ?? .max)
        return SinkState(
            cursor: window.durableBefore, floor: floor, streamCreated: stream?.created ?? 0,
            hasSkips: skipsNow || !window.isEmpty && stored.hasSkips, beginning: beginning)
    }

    /// A state that has to be stored before anything more is sent; nil when the stored one holds.
    func stateBeforeSending() -> SinkState? {
        if skipsNow, !stored.hasSkips {
            stored.hasSkips = true
            isUnsaved = true
        }
        defer { isUnsaved = false }
        return isUnsaved ? stored : nil
    }

    // MARK: Taking records

    /// Takes the records of a batch into the window. None is sent yet.
    func take(_ batch: RecordBatch) throws(ConnectorFailure) {
        try endBeginning()
        let subjects =
            settings.subject.hasKey ? [] : batch.topics.map { CText(settings.subject.subject($0, key: "")) }
        let number = window.beginBatch(batch, subjects: subjects)
        if batch.isExcerpt { skipsNow = true }
        var lanesByTopic = [FlightWindow.Lane?](repeating: nil, count: batch.topics.count)
        for (index, record) in batch.records.enumerated() {
            guard Int(record.topic) < batch.topics.count, Self.fits(record, batch) else { throw NATSFailure.badBatch }
            var entry = FlightWindow.Entry(batch: number, index: index, size: size(of: record, batch))
            if let rejection = try rejection(of: record, entry.size, batch) {
                holds.insert(record, of: batch)
                window.append(entry, rejectedAs: rejection)
                skipsNow = true
                continue
            }
            switch tail.isEmpty ? .nothing : tail.take(headerValue(batch.id(of: record)), since: beginning) {
            case .nothing: break
            case .later: return try beginAnew()
            case .stored(let sequence):
                window.setStored(window.append(entry), sequence)
                if doubt == .gone { window.setStored(allBefore: window.entries.end - 1, sequence) }
                continue
            }
            guard settings.isShared else {
                window.append(entry)
                continue
            }
            let lane = lanesByTopic[Int(record.topic)] ?? lane(of: batch.topics[Int(record.topic)])
            lanesByTopic[Int(record.topic)] = lane
            entry.lane = lane
            let place = window.append(entry)
            if lane.isBusy { lane.waiting.append(place) } else { ready.append(place) }
            lane.isBusy = true
        }
        window.advance()
    }

    private static func fits(_ record: Record, _ batch: RecordBatch) -> Bool {
        [record.payload, record.id, record.key, record.attributes, record.keyDocument, record.headers].allSatisfy {
            $0.indices.upperBound <= batch.body.count
        }
    }

    /// Records of a topic wait for each other, also where each key has a subject of its own: a row whose key changed
    /// goes from one to the other.
    private func lane(of topic: Topic) -> FlightWindow.Lane {
        let subject = settings.subject.subject(topic, key: "")
        if let lane = lanes[subject] { return lane }
        let lane = FlightWindow.Lane(subject)
        lanes[subject] = lane
        return lane
    }

    private func subject(of record: Record, _ batch: RecordBatch) -> String {
        let key = unsafe batch.key(of: record).withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
        return settings.subject.subject(batch.topics[Int(record.topic)], key: key)
    }

    private func headerValue(_ text: RawSpan) -> [UInt8] {
        var buffer = OutputBuffer(capacity: text.byteCount * 3)
        buffer.append(headerValue: text)
        return unsafe buffer.bytes.withUnsafeBytes { unsafe Array($0) }
    }

    /// An upper bound of what the server counts: payload, and headers with every byte percent-encoded.
    private func size(of record: Record, _ batch: RecordBatch) -> Int {
        // With a beginning, the id of the message and that of the one before are longer.
        let most =
            Int(record.payload.length) + Int(record.id.length) * 3 + Int(record.attributes.length) * 3 + 160
            + (beginning > 0 ? 2 * MessageID.addedBytesMax : 0)
        guard settings.sendsRecordHeaders else { return most }
        // A line gets a blank, and two bytes at its end for one.
        return most + batch.bytes(record.keyDocument).asciiJSONCount + batch.bytes(record.headers).asciiJSONCount * 2
            + 64
    }

    /// Why a record is not sent: its size, or that of an earlier one of its key that the pipeline does not know of yet.
    private func rejection(
        of record: Record, _ size: Int, _ batch: RecordBatch
    ) throws(ConnectorFailure) -> RejectedRecord? {
        if holds.holds(record, of: batch) { return .behind(record) }
        guard size > messageBytesMax else { return nil }
        try lookForRoom(size)
        let most = messageBytesMax
        guard size > most else { return nil }
        return RejectedRecord(
            offset: record.offset, code: "nats.too_large",
            message: "the message has about \(size) bytes with its headers; the server or the stream takes \(most)")
    }

    private var messageBytesMax: Int { min(connection.messageBytesMax, stream?.messageBytesMax ?? .max) }

    /// Somebody may have raised the limit of the stream or the server since it was read, for just the message that is
    /// retried. A connection keeps the server's limit of its beginning: with a larger one, the sink has to be opened
    /// again.
    private func lookForRoom(_ size: Int) throws(ConnectorFailure) {
        guard ContinuousClock.now - limitReadAt >= .seconds(1) else { return }
        defer { limitReadAt = .now }
        if size > connection.messageBytesMax {
            // A server that cannot be reached now has said nothing else.
            guard let present = try? connection.presentMessageBytesMax(), present > connection.messageBytesMax else {
                return
            }
            throw NATSFailure.serverLimitRaised
        }
        guard let facts = try? connection.streamFacts(), facts.created == stream?.created else { return }
        stream?.messageBytesMax = facts.messageBytesMax
    }

    // MARK: Delivering

    /// Sends what is waiting, and with `all` waits until every record is stored.
    func deliver(all: Bool) throws(ConnectorFailure) -> DeliveryReceipt {
        if let end { throw end }
        if all || tail.isEmpty { endDoubt() }
        if doubt != .none { return receipt(all) }
        try sendWhatMay()
        if window.inFlightCount > 0 { Self.sent.reached() }
        while true {
            try sendWhatMay()
            if halt == nil, !hasUnsent, !all || window.inFlightCount == 0 { break }
            if halt != nil, window.inFlightCount == 0 {
                try recover()
                continue
            }
            try awaitAnswers()
        }
        // What is answered already costs no wait.
        try takeReadyAnswers()
        window.advance()
        if window.inFlightCount == 0 { breaks = 0 }
        return receipt(all)
    }

    /// All that can be found is found.
    private func endDoubt() {
        defer { doubt = .none }
        guard doubt == .goneOrSkipped else { return }
        var found = KeyHolds()
        for number in window.entries.numbers.reversed() {
            let (record, batch) = (window.record(number), window.batches[window.entries[number].batch].records)
            switch window.entries[number].standing {
            case .stored: found.insert(record, of: batch)
            case .waiting where found.holds(record, of: batch):
                window.setStored(number, window.durableSequence)
                found.insert(record, of: batch)
            case .waiting, .sent, .rejected: break
            }
        }
        window.advance()
    }

    private func receipt(_ all: Bool) -> DeliveryReceipt {
        guard all || window.durableBefore > told else { return .accepted }
        told = window.durableBefore
        let rejected = window.takeRejections()
        // From here on the pipeline holds back what belongs behind them.
        if !window.hasRejections { holds.removeAll() }
        stored = state
        // While events are skipped now and then, the state goes on saying so, or it would be stored each time.
        if window.isEmpty { skipsNow = false }
        return .durable(before: told, state: stored.encoded, rejected: rejected)
    }

    private var hasUnsent: Bool {
        settings.isShared ? !ready.isEmpty || hasWaitingLanes : nextToSend < window.entries.end
    }

    private func sendWhatMay() throws(ConnectorFailure) {
        let now = ContinuousClock.now
        while halt == nil, window.inFlightCount < settings.inFlightMax, let number = nextNumber() {
            let size = window.entries[number].size
            guard window.inFlightCount == 0 || window.inFlightBytes + size <= settings.inFlightBytesMax else { return }
            if settings.isShared { ready.removeFirst() } else { nextToSend = number + 1 }
            try send(number, now)
        }
    }

    /// The next entry to send; nil when none may be.
    private func nextNumber() -> Int? {
        if settings.isShared { return ready.first }
        nextToSend = max(nextToSend, window.entries.start)
        while nextToSend < window.entries.end {
            if window.entries[nextToSend].standing == .waiting { return nextToSend }
            nextToSend += 1
        }
        return nil
    }

    private func send(_ number: Int, _ now: ContinuousClock.Instant) throws(ConnectorFailure) {
        let entry = window.entries[number]
        let batch = window.batches[entry.batch]
        let record = batch.records.records[entry.index]
        let message = NATSConnection.Outgoing(
            number: window.send(number, at: now), expectation: newest,
            batch: batch.records, record: record, beginning: beginning, contentType: contentType)
        let subject =
            batch.subjects.isEmpty ? CText(subject(of: record, batch.records)) : batch.subjects[Int(record.topic)]
        try connection.publish(message, to: subject)
        if !settings.isShared { newest = .record(record, of: batch.records, since: beginning) }
    }

    // MARK: Answers

    /// Waits for an answer, and takes all that are there.
    private func awaitAnswers() throws(ConnectorFailure) {
        guard let oldest = window.oldestSend else { return }
        let deadline = oldest + settings.answerTimeout
        let now = ContinuousClock.now
        // In steps, so that what the server says on the side is heard.
        let limit = max(.milliseconds(1), min(deadline - now, .milliseconds(250)))
        if let (message, answer) = try connection.nextAnswer(within: limit) {
            take(answer, to: message)
            try takeReadyAnswers()
        } else if ContinuousClock.now >= deadline {
            throw NATSFailure.noAnswer(settings)
        }
        window.advance()
    }

    private func takeReadyAnswers() throws(ConnectorFailure) {
        while window.inFlightCount > 0, let (message, answer) = try connection.nextAnswer(within: .zero) {
            take(answer, to: message)
        }
    }

    private func take(_ answer: PublishAnswer, to message: UInt64) {
        guard let number = window.takeAnswer(message) else { return }
        switch answer {
        case .stored(let sequence):
            window.setStored(number, sequence)
            release(window.entries[number].lane)
        case .refused(let code):
            window.setWaiting(number)
            switch code {
            case 10_070, 10_071, 10_164: stop(.chainBroken)
            case 10_158: stop(.inProcess)
            default: stop(.failed(NATSFailure.refused(code, settings)))
            }
            sendAgain(number)
        case .nobody:
            stop(.failed(NATSFailure.nobody(settings)))
        case .unreadable:
            stop(.failed(NATSFailure.unreadable))
        }
    }

    /// The first reason counts: what follows a refusal is refused for the gap that it would leave.
    private func stop(_ reason: Halt) {
        if case .failed = halt { return }
        if case .failed = reason {
            halt = reason
        } else if halt == nil {
            halt = reason
        }
    }

    /// Lets the next record of a subject go.
    private func release(_ lane: FlightWindow.Lane?) {
        guard let lane else { return }
        if let next = lane.waiting.first {
            lane.waiting.removeFirst()
            ready.append(next)
        } else {
            lane.isBusy = false
            lanes[lane.subject] = nil
        }
    }

    private func sendAgain(_ number: Int) {
        if settings.isShared { ready.append(number) } else { nextToSend = min(nextToSend, number) }
    }

    private var hasWaitingLanes: Bool { settings.isShared && !lanes.isEmpty && window.inFlightCount > 0 }

    // MARK: Going on after a halt

    /// Everything on its way is answered. Looks where the stream ends now, and goes on with the first record that is
    /// not stored.
    private func recover() throws(ConnectorFailure) {
        if case .failed(let failure) = halt { throw failure }
        breaks += 1
        guard breaks <= Self.breaksMax else { throw NATSFailure.otherPublisher(settings) }
        // The earlier copy is stored or lost in a moment.
        if case .inProcess = halt { usleep(50_000) }
        halt = nil
        guard !settings.isShared else { return }
        window.advance()
        let facts = try facts()
        if facts.lastSequence > max(window.newest, seenLast) { try lookForCopies(facts) }
        newest = .sequence(facts.lastSequence)
        nextToSend = window.entries.start
    }

    /// Somebody's messages are in the stream that no answer named: copies of ours among them, perhaps, which came later
    /// than the last look, or which a server did not know of that had lost its lead.
    private func lookForCopies(_ facts: StreamFacts) throws(ConnectorFailure) {
        tailFloor = window.durableSequence
        try readTail(facts)
        for number in window.entries.numbers where window.entries[number].standing == .waiting {
            let batch = window.batches[window.entries[number].batch].records
            let id = headerValue(batch.id(of: window.record(number)))
            if case .stored(let sequence) = tail.take(id, since: beginning) { window.setStored(number, sequence) }
        }
        doubt = .none
        window.advance()
    }
}
