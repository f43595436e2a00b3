internal import ByteKit
internal import ChangeModel
internal import ConnectorKit
internal import EventLog
private import Synchronization

/// Events of the log, one behind the other, for one reader that takes them at its own pace.
///
/// Nothing is made before the reader has taken what was made before, and what can be made again is let go of when
/// others wait for room: so a slow reader holds one part of an event and costs nobody else anything.
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
    private let room: StreamRoom
    private var reading: EventReading
    private var writer: EventFraming
    /// What stands for the bytes that the stream holds, or waits in line to hold.
    private var ticket: StreamRoom.Ticket
    private var holding = Holding.nothing
    /// The event that is on its way in parts.
    private var long: LongPiece?
    /// From where the piece was made that was made last.
    private var made: LongPiece.Start
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
        /// A long piece, which can be made again.
        case piece
    }

    /// How many bytes of events are made at a time; a single event may be longer.
    private static let pieceBytes = 64 << 10

    /// The thread of whoever reads the log for it: what is read from disks and made of it keeps nobody else waiting.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { events.unownedExecutor }

    init(
        _ origin: EventOrigin, _ plan: Plan, _ events: LogConsumer, _ room: StreamRoom
    ) throws(ConnectorFailure) {
        self.plan = plan
        self.events = events
        self.room = room
        ticket = room.ticket()
        reading = try EventReading(origin, plan.view, from: plan.start)
        writer = EventFraming(plan.form)
        left = plan.countMax ?? .max
        made = LongPiece.Start(offset: plan.start, writer: writer, left: left)
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
            return Task.isCancelled && long == nil ? writer.farewell.map { .piece($0) } ?? last : last
        } catch {
            isBroken = true
            // Inside of an event there is no room for words.
            if long != nil { return .broken }
            return writer.failure(error).map { .piece($0) } ?? .broken
        }
    }

    /// True when the answer ends inside of an event, or has an end and is not there.
    private var isCutShort: Bool {
        if long != nil { return true }
        guard left > 0, plan.end != nil || plan.countMax != nil else { return false }
        return plan.end.map { reading.next < $0 } ?? true
    }

    /// Lets go of what the stream holds. Call it once behind the last step.
    package func close() {
        letGo()
        (isOver, long) = (true, nil)
        reading.letGo()
    }

    /// Nil when the stream is at its end, or the task is cancelled.
    private func nextPiece() async throws(ConnectorFailure) -> [UInt8]? {
        if long == nil {
            guard let piece = try await makePiece() else { return nil }
            guard piece.count > LongPiece.partBytes else { return piece }
            long = LongPiece(piece, from: made)
            hold(piece)
        }
        return try await nextPart()
    }

    /// Some more of a long piece, which is made again when others had its room meanwhile.
    private func nextPart() async throws(ConnectorFailure) -> [UInt8]? {
        if let start = long?.startIfForgotten {
            reading.move(to: start.offset)
            (writer, left) = (start.writer, start.left)
            guard let piece = try await makePiece() else { return nil }
            guard long?.takeAgain(piece) == true else { throw EventFailure.changed(start.offset) }
            hold(piece)
        }
        let part = long?.nextPart()
        if long?.isAtEnd ?? true {
            long = nil
            letGo()
        }
        return part
    }

    /// Makes events until there are some. Nil when the stream is at its end, or the task is cancelled.
    private func makePiece() async throws(ConnectorFailure) -> [UInt8]? {
        var deadline = ContinuousClock.now + plan.heartbeat
        while !Task.isCancelled {
            if left == 0 || plan.end.map({ reading.next >= $0 }) ?? false { return nil }
            if reading.needsBatch, try await takeBatch(orUntil: deadline) == false {
                if ContinuousClock.now < deadline { continue }
                if long == nil, let sign = writer.signOfLife { return sign }
                deadline = .now + plan.heartbeat
                continue
            }
            let logged = reading.batch
            made = LongPiece.Start(offset: reading.next, writer: writer, left: left)
            guard let records = try reading.events(bytesMax: Self.pieceBytes), let logged else { continue }
            writer.looked(before: reading.next, in: logged)
            let wanted = records.records.prefix(left)
            left -= wanted.count
            if !wanted.isEmpty { return writer.write(wanted, of: records, logged) }
            if long == nil, ContinuousClock.now >= deadline, let sign = writer.signOfLife { return sign }
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
            if admission.isRefused { await room.turn(of: ticket, until: deadline) }
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

    /// A long piece takes room until its last part is on the way. What is left of its batch is read again.
    private func hold(_ piece: [UInt8]) {
        holding = .piece
        reading.letGo()
        room.hold(piece.count, for: ticket, time: room.slice, letGo: letGo(of: ticket))
    }

    private nonisolated func letGo(of ticket: StreamRoom.Ticket) -> @Sendable () -> Void {
        { [weak self] in Task { await self?.makeRoom(ticket) } }
    }

    /// Others wait for what the stream has held for long.
    private func makeRoom(_ asked: StreamRoom.Ticket) {
        guard asked == ticket else { return }
        switch holding {
        case .nothing: return
        case .batch: reading.letGo()
        case .piece: long?.forget()
        }
        letGo()
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
