internal import ByteKit
internal import ChangeModel
internal import ConnectorKit
internal import EventLog

/// Events of the log, one behind the other, for one reader that takes them at its own pace.
///
/// Nothing is made before the reader has taken what was made before: so a slow reader holds one piece of events and
/// costs nobody else anything.
package actor EventStream {
    /// How events are written.
    package enum Form: Sendable, Equatable {
        /// Server-sent events (WHATWG HTML, section 9.2); with `isNamed`, each has its type as `event`.
        case serverSent(isNamed: Bool)
        /// A line for each; with `isPlaced`, inside of an object that tells the event's place.
        case lines(isPlaced: Bool)
    }

    /// What to read.
    package struct Plan: Sendable {
        /// What is seen.
        package var view: EventView
        /// How it is written.
        package var form: Form
        /// The offset to begin at.
        package var start: UInt64
        /// The change that the reader has already, which must be what it was; `start` is its offset then.
        package var last: LogPlace?
        /// The offset to end at; nil to wait for more.
        package var end: UInt64?
        /// The most events; nil for no limit.
        package var countMax: Int?
        /// How long nothing may be written.
        package var heartbeat: Duration
    }

    /// What comes next.
    package enum Step: Sendable {
        /// Some bytes.
        case piece([UInt8])
        /// Nothing more.
        case end
        /// Nothing more, though there should be: a failure, which the bytes before it told as far as the form allows.
        case broken
    }

    private let plan: Plan
    private let events: LogConsumer
    private let permits: Permits
    private var reading: EventReading
    private var writer: EventFraming
    private var hasPermit = false
    /// True when the next batch is a large one for which there was no permit.
    private var isNextLarge = false
    private var hasBegun = false
    private var isBroken = false
    private var isOver = false
    private var left: Int

    /// How many bytes of events are made at a time; a single event may be longer.
    private static let pieceBytes = 64 << 10
    /// Batches with more bytes are held by few streams at a time.
    static let largeBatchBytes = 8 << 20
    /// How often a stream that waits for one of the others to let go of its large batch looks whether one did.
    private static let permitInterval = Duration.milliseconds(50)

    init(_ origin: EventOrigin, _ plan: Plan, _ events: LogConsumer, _ permits: Permits) throws(ConnectorFailure) {
        self.plan = plan
        self.events = events
        self.permits = permits
        reading = try EventReading(origin, plan.view, from: plan.start)
        writer = EventFraming(plan.form)
        left = plan.countMax ?? .max
    }

    /// What comes next. Waits for events, and gives a sign of life when there are none for a while; when the task is
    /// cancelled, the stream ends.
    package func next() async -> Step {
        if isBroken { return .broken }
        if isOver { return .end }
        if !hasBegun {
            hasBegun = true
            if let greeting = writer.greeting { return .piece(greeting) }
        }
        do throws(ConnectorFailure) {
            if let piece = try await nextPiece() { return .piece(piece) }
            isOver = true
            // What was to have an end must not seem to have come to it.
            isBroken = isCutShort
            let last: Step = isBroken ? .broken : .end
            return Task.isCancelled ? writer.farewell.map { .piece($0) } ?? last : last
        } catch {
            isBroken = true
            return writer.failure(error).map { .piece($0) } ?? .broken
        }
    }

    /// True when the answer has an end, and is not there.
    private var isCutShort: Bool {
        guard left > 0, plan.end != nil || plan.countMax != nil else { return false }
        return plan.end.map { reading.next < $0 } ?? true
    }

    /// Lets go of what the stream holds. Call it once behind the last step.
    package func close() {
        letGo()
        isOver = true
    }

    /// Nil when the stream is at its end, or the task is cancelled.
    private func nextPiece() async throws(ConnectorFailure) -> [UInt8]? {
        var deadline = ContinuousClock.now + plan.heartbeat
        while !Task.isCancelled {
            if left == 0 || plan.end.map({ reading.next >= $0 }) ?? false { return nil }
            if reading.needsBatch, try await takeBatch(orUntil: deadline) == false {
                if ContinuousClock.now < deadline { continue }
                if let sign = writer.signOfLife { return sign }
                deadline = .now + plan.heartbeat
                continue
            }
            let logged = reading.batch
            guard let records = try reading.events(bytesMax: Self.pieceBytes), let logged else { continue }
            writer.looked(before: reading.next, in: logged)
            let wanted = records.records.prefix(left)
            left -= wanted.count
            if !wanted.isEmpty { return writer.write(wanted, of: records, logged) }
            if ContinuousClock.now >= deadline, let sign = writer.signOfLife { return sign }
        }
        return nil
    }

    /// False when there was none in time, or it may not be held now: then it is not read again before it may.
    private func takeBatch(orUntil deadline: ContinuousClock.Instant) async throws(ConnectorFailure) -> Bool {
        letGo()
        if isNextLarge {
            hasPermit = permits.take()
            guard hasPermit else {
                try? await Task.sleep(for: Self.permitInterval)
                return false
            }
        }
        guard let logged = try await events.next(from: reading.next, orUntil: deadline) else { return false }
        if logged.batch.body.count > Self.largeBatchBytes, !hasPermit {
            hasPermit = permits.take()
            isNextLarge = !hasPermit
            if !hasPermit { return false }
        }
        isNextLarge = false
        if let last = plan.last, last.offset == reading.next {
            guard logged.batch.identity(at: Int(last.offset - logged.firstOffset)) == last.identity else {
                throw EventFailure.otherLog(last)
            }
            reading.move(to: last.offset + 1)
            if !logged.contains(reading.next) { return false }
        }
        try reading.take(logged)
        return true
    }

    private func letGo() {
        if hasPermit { permits.giveBack() }
        hasPermit = false
    }
}
