internal import ByteKit
internal import ChangeModel
internal import ConnectorKit
internal import EventLog
private import Synchronization

/// Events of the log, one behind the other, for one reader that takes them at its own pace.
///
/// Nothing is made before the reader has taken what was made before, and what can be read again is let go of when others
/// wait for room: so a slow reader holds one piece of events and costs nobody else anything.
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
        /// How long a client may take over a large event while others wait, besides what its length needs.
        package var patience: Duration
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
    private let room: StreamRoom
    /// Ends the client's connection.
    private let cut: @Sendable () -> Void
    private var reading: EventReading
    private var writer: EventFraming
    /// What stands for the bytes that the stream holds, or waits in line to hold.
    private var ticket: StreamRoom.Ticket
    private var holding = Holding.nothing
    private var hasBegun = false
    private var isBroken = false
    private var isOver = false
    private var left: Int

    /// What the stream has room for.
    private enum Holding {
        /// Nothing, or little.
        case nothing
        /// A batch, which can be read again.
        case batch
        /// A large event, until the client has it.
        case event
    }

    /// How many bytes of events are made at a time; a single event may be longer.
    private static let pieceBytes = 64 << 10

    /// The thread of whoever reads the log for it: what is read from disks and made of it keeps nobody else waiting.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { events.unownedExecutor }

    init(
        _ origin: EventOrigin, _ plan: Plan, _ events: LogConsumer, _ room: StreamRoom,
        cut: @escaping @Sendable () -> Void
    ) throws(ConnectorFailure) {
        self.plan = plan
        self.events = events
        self.room = room
        self.cut = cut
        ticket = room.ticket()
        reading = try EventReading(origin, plan.view, from: plan.start)
        writer = EventFraming(plan.form)
        left = plan.countMax ?? .max
    }

    /// What comes next. Waits for events, and gives a sign of life when there are none for a while; when the task is
    /// cancelled, the stream ends.
    package func next() async -> Step {
        // The client has the last piece.
        if case .event = holding { letGo() }
        if isBroken { return .broken }
        if isOver { return .end }
        if !hasBegun {
            hasBegun = true
            if let greeting = writer.greeting { return .piece(greeting) }
        }
        do throws(ConnectorFailure) {
            if let piece = try await nextPiece() {
                hold(piece)
                return .piece(piece)
            }
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

    /// False when there was none in time, or it may not be held now: then it is not read.
    private func takeBatch(orUntil deadline: ContinuousClock.Instant) async throws(ConnectorFailure) -> Bool {
        if case .batch = holding { letGo() }
        let admission = Admission()
        let (room, ticket) = (room, ticket)
        let logged = try await events.next(from: reading.next, orUntil: deadline) { byteCount in
            if byteCount <= StreamRoom.freeBytes { return true }
            // Of the batch something is made, which is about as long.
            let isGranted = room.take(2 * byteCount, for: ticket, letGo: self.letGo(of: ticket))
            admission.note(isGranted)
            return isGranted
        }
        if admission.isGranted { holding = .batch }
        guard let logged else {
            if admission.isRefused { try? await Task.sleep(for: StreamRoom.interval) }
            return false
        }
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

    /// A large event takes room until the client has it.
    private func hold(_ piece: [UInt8]) {
        guard piece.count > StreamRoom.freeBytes else { return }
        holding = .event
        // What is left of its batch is read again.
        reading.letGo()
        let time = StreamRoom.time(for: piece.count, patience: plan.patience)
        room.hold(piece.count, for: ticket, time: time, letGo: letGo(of: ticket))
    }

    private nonisolated func letGo(of ticket: StreamRoom.Ticket) -> @Sendable () -> Void {
        { [weak self] in Task { await self?.makeRoom(ticket) } }
    }

    /// Others wait for what the stream has held for long.
    private func makeRoom(_ asked: StreamRoom.Ticket) {
        guard asked == ticket else { return }
        switch holding {
        case .nothing: break
        case .batch:
            reading.letGo()
            letGo()
        case .event: cut()
        }
    }

    private func letGo() {
        room.giveBack(ticket)
        ticket = room.ticket()
        holding = .nothing
    }
}

/// Whether there was room for a batch.
private final class Admission: Sendable {
    private let answer = Mutex<Bool?>(nil)

    var isGranted: Bool { answer.withLock { $0 == true } }
    var isRefused: Bool { answer.withLock { $0 == false } }
    func note(_ isGranted: Bool) { answer.withLock { $0 = isGranted } }
}
