import ByteKit
import ChangeModel
import ConnectorKit
import EventFormat
import EventLog
import Logging
import Sensitivity

/// What the sink's receiver refused for good waits beside the log, and later events of the same keys wait behind it.
extension DeliveryStage {
    private var subject: String { DeadLetter.subject(ofSink: plan.name) }

    /// Learns which keys wait. Needed when the sink is opened, and when something of it was delivered or discarded.
    mutating func readHolds(_ encoder: ClearedEncoder) async throws(ConnectorFailure) {
        holds.removeAll()
        var last: Int64 = 0
        // There may be very many. One that stops delivers nothing any more, whatever it knows.
        while !stop.isRequested, let stored = try await log.deadLetter(of: subject, after: last) {
            last = stored.id
            try hold(stored.letter, encoder)
        }
    }

    /// What was held back and is not set aside yet waits too: it must not be overtaken.
    private mutating func hold(
        _ records: [RejectedRecord], _ turn: Turn, _ encoder: ClearedEncoder
    ) async throws(ConnectorFailure) {
        var batch: LoggedBatch?
        for record in records where !stop.isRequested { try hold(try await letter(record, &batch, turn), encoder) }
    }

    private mutating func hold(_ letter: DeadLetter, _ encoder: ClearedEncoder) throws(ConnectorFailure) {
        let records = try encode(letter, encoder)
        for record in records.records { holds.insert(record, of: records) }
    }

    private mutating func encode(
        _ letter: DeadLetter, _ encoder: ClearedEncoder
    ) throws(ConnectorFailure) -> RecordBatch {
        let cleared = try clearing.apply(to: letter)
        do throws(EncodingFailure) {
            return try encoder.encode(letter: cleared).records
        } catch {
            throw ConnectorFailure(
                "event.not_encodable", .stop, "an event that waits for \(plan.name) cannot be encoded: \(error)",
                setting: "sinks.\(plan.name)",
                hint: "the log may be damaged; keep a copy of it and report this with the code")
        }
    }

    /// The records that the sink may have; those whose keys wait are noted in the turn.
    mutating func holdBack(from records: RecordBatch, _ turn: inout Turn) -> RecordBatch {
        if holds.isEmpty { return records }
        var passing: [Int] = []
        for (index, record) in records.records.enumerated() {
            if holds.holds(record, of: records) {
                holds.insert(record, of: records)
                turn.heldBack.append(.behind(record))
            } else {
                passing.append(index)
            }
        }
        return passing.count == records.records.count ? records : records.selecting(passing)
    }

    /// Letters for what was rejected or held back before an offset that is about to be the cursor. Throws where the
    /// policy is to stop instead, after the cursor was moved up to the refused event.
    mutating func lettersDue(
        _ rejected: [RejectedRecord], before durable: UInt64, _ turn: inout Turn
    ) async throws(ConnectorFailure) -> [DeadLetter] {
        if rejected.isEmpty && turn.heldBack.isEmpty { return [] }
        if plan.onRejected == .halt, let first = rejected.min(by: { $0.offset < $1.offset }) {
            try await log.moveCursor(of: plan.name, to: first.offset)
            throw ConnectorFailure(
                first.code, .stop, "the event at log offset \(first.offset) was refused for good: \(first.message)",
                setting: "sinks.\(plan.name).on_rejected",
                hint:
                    "mend the receiver and start again, or let such events wait beside the log: on_rejected: quarantine"
            )
        }
        let held = turn.heldBack.prefix { $0.offset < durable }
        turn.heldBack.removeFirst(held.count)
        var letters: [DeadLetter] = []
        var batch: LoggedBatch?
        var last: UInt64?
        // A format may make several records of one event.
        for record in (rejected + held).sorted(by: { $0.offset < $1.offset }) where record.offset != last {
            last = record.offset
            letters.append(try await letter(record, &batch, turn))
        }
        return letters
    }

    /// The letter for a record; `batch` is what was read of the log last.
    private mutating func letter(
        _ record: RejectedRecord, _ batch: inout LoggedBatch?, _ turn: Turn
    ) async throws(ConnectorFailure) -> DeadLetter {
        if batch.map({ !($0.firstOffset..<$0.nextOffset).contains(record.offset) }) ?? true {
            batch = try await events.next(from: record.offset, orUntil: .now)
        }
        guard let logged = batch, logged.firstOffset <= record.offset else {
            throw wrongReceipt("log offset \(record.offset), which is not in the log,", turn.durable...turn.next)
        }
        let index = Int(record.offset - logged.firstOffset)
        let part = try Quarantine.selecting([index], of: logged.batch)
        let version = logged.versions[Int(logged.batch.change(at: index).relation)]
        return DeadLetter(
            subject: subject, code: record.code, message: record.message, batch: part, versions: [version],
            offset: record.offset)
    }

    /// Keeps later events of the same keys back.
    mutating func wereSetAside(_ letters: [DeadLetter], _ encoder: ClearedEncoder) throws(ConnectorFailure) {
        if letters.isEmpty { return }
        for letter in letters { try hold(letter, encoder) }
        let refused = letters.first { $0.code != RejectedRecord.behindCode }
        guard let refused else { return }
        logger.error(
            "events were refused and wait beside the log",
            metadata: [
                "events": "\(letters.count)", "code": "\(refused.code)", "reason": "\(refused.message)",
                "hint": "millrace deadletters show @\(plan.name), then retry or discard",
            ])
    }
}

// MARK: - What people ask for

extension DeliveryStage {
    /// Does what somebody asked for of this sink. A replay ends the delivery first.
    mutating func carryOut(
        _ request: OperatorRequest, _ turn: inout Turn, _ encoder: ClearedEncoder
    ) async throws(ConnectorFailure) -> Ending? {
        let start = ContinuousClock.now
        do throws(ConnectorFailure) {
            turn.isAsked = true
            defer { turn.isAsked = false }
            try await flush(&turn, encoder)
            if turn.isUnsettled { return later(request, turn) }
            switch request.action {
            case .replay: return .replay(request)
            case .redeliver(_, let last):
                // What is refused from here on is what waited, and nothing that was on its way.
                let receipt = try await giveWhole(.empty(nextOffset: turn.next))
                try await settle(receipt, .required, &turn, encoder)
                if turn.isUnsettled { return later(request, turn) }
                let outcome = try await redeliver(through: last, turn, encoder)
                try await readHolds(encoder)
                desk.answer(request, outcome)
                // The sink takes its cursor to be behind what it was given: it is told anew where that is.
                if turn.next == 0 { return .again }
            case .discardDeadLetters(_, let last):
                let outcome = try await Self.discard(plan.name, through: last, log)
                try await readHolds(encoder)
                // A sink that delivers by itself may have more under way.
                try await hold(turn.heldBack, turn, encoder)
                desk.answer(request, outcome)
            case .snapshot, .releaseDeadLetters, .discardInvalidRows: break
            }
            return nil
        } catch {
            if let trouble, patience.limit == nil, patience.isOver(for: trouble, since: start) {
                desk.answer(request, RequestOutcome(isDone: false, text: Self.notNow(plan.name, error)))
            } else {
                desk.postpone(request)
            }
            throw error
        }
    }

    /// Leaves a request for when the sink is open again, or for the next run.
    private func later(_ request: OperatorRequest, _ turn: Turn) -> Ending {
        desk.postpone(request)
        return turn.isGivenUp ? .again : .done
    }

    private static func notNow(_ sink: String, _ failure: ConnectorFailure) -> String {
        "sink \(sink) does not get on, and what waits for it waits on: [\(failure.code)] \(failure.message); "
            + "ask again once it does"
    }

    /// Moves the cursor as somebody asked, while the sink is closed.
    mutating func moveCursor(asIn request: OperatorRequest) async throws(ConnectorFailure) {
        guard case .replay(_, let offset, let skips) = request.action else { return }
        do throws(ConnectorFailure) {
            desk.answer(request, try await Self.replay(plan.name, plan, offset, skips, log))
        } catch {
            desk.postpone(request)
            throw error
        }
    }

    /// Discards what waits for a sink up to a number, and says so.
    static func discard(
        _ sink: String, through last: Int64, _ log: EventLog
    ) async throws(ConnectorFailure) -> RequestOutcome {
        let count = try await log.discardAll(of: DeadLetter.subject(ofSink: sink), through: last)
        return RequestOutcome(isDone: true, text: "\(counted(count, "event")) of sink \(sink) discarded")
    }

    /// Moves a sink's cursor, and says so; what the request itself is wrong about is an answer and no failure. `plan`
    /// is nil for a sink that the configuration does not have any more.
    static func replay(
        _ sink: String, _ plan: SinkPlan?, _ offset: UInt64, _ skips: Bool, _ log: EventLog
    ) async throws(ConnectorFailure) -> RequestOutcome {
        do throws(ConnectorFailure) {
            let forgets = plan.map { type(of: $0.sink).forgetsAtReplay } ?? false
            let moved = try await log.replayWithLetters(
                sink, from: offset, skipping: skips, forgetting: forgets, tables: plan?.tables ?? [])
            var text = "sink \(sink) goes on with offset \(offset); it was at \(moved.former)"
            if moved.letterCount > 0 { text += "; \(Self.comeAgain(moved.letterCount))" }
            return RequestOutcome(isDone: true, text: text)
        } catch {
            guard error.exitCode == 2 || error.code == "log.unknown_sink" else { throw error }
            let hint = error.hint.map { "; \($0)" } ?? ""
            return RequestOutcome(isDone: false, text: "[\(error.code)] \(error.message)\(hint)")
        }
    }

    /// What becomes of letters at a replay.
    package static func comeAgain(_ letterCount: Int) -> String {
        "\(counted(letterCount, "event")) that waited as dead letters come again with the others"
    }

    /// Gives the sink what waits, in its order. A key whose event is refused again waits on.
    ///
    /// Letters go under the offsets before the cursor; at the log's beginning, where there is none, under the first.
    private mutating func redeliver(
        through last: Int64, _ turn: Turn, _ encoder: ClearedEncoder
    ) async throws(ConnectorFailure) -> RequestOutcome {
        var course = Redelivery(last: last)
        let next = max(turn.next, 1)
        while !stop.isRequested, let run = try await nextLetters(&course, before: next, encoder) {
            if run.letters.isEmpty { continue }
            let records = RecordBatch.joining(run.records, before: next)
            let receipt = try await giveWhole(records)
            let reasons = try reasons(in: receipt, for: run.letters.count, before: next)
            var delivered: [StoredDeadLetter] = []
            var refused: [(letter: StoredDeadLetter, reason: RejectedRecord)] = []
            for (index, letter) in run.letters.enumerated() {
                guard let reason = reasons[index] else {
                    delivered.append(letter)
                    continue
                }
                course.sticks(run.records[index])
                // Why it waits was said when it was set aside.
                if reason.code == RejectedRecord.behindCode {
                    course.waitingCount += 1
                } else {
                    course.refusal = course.refusal ?? reason
                    refused.append((letter, reason))
                }
            }
            try await log.settle(
                delivered: delivered, refused: refused, of: plan.name, at: turn.next, state: receipt.state)
            course.deliveredCount += delivered.count
        }
        return course.outcome(of: plan.name)
    }

    /// Has the sink take records and all that it took before. One that tries by itself is not waited for for ever.
    private mutating func giveWhole(_ records: RecordBatch) async throws(ConnectorFailure) -> DeliveryReceipt {
        guard let trouble, plan.sink.deliversByItself else { return try await give(records, .required) }
        let start = ContinuousClock.now
        let writing = Task { [plan, stop] in await Self.write(records, .required, to: plan.sink, stop) }
        let watching = Task { [patience] in
            while !Task.isCancelled, !patience.isOver(for: trouble, since: start) {
                try? await Task.sleep(for: Self.idleInterval)
            }
            if !Task.isCancelled { writing.cancel() }
        }
        let written = await writing.value
        watching.cancel()
        if case .failure = written, let failure = trouble.failure, patience.isOver(for: trouble, since: start) {
            patience.spend()
            throw failure
        }
        return try written.get()
    }

    /// The next letters that may go, with their records; nil when there are none any more.
    private mutating func nextLetters(
        _ course: inout Redelivery, before next: UInt64, _ encoder: ClearedEncoder
    ) async throws(ConnectorFailure) -> (letters: [StoredDeadLetter], records: [RecordBatch])? {
        var letters: [StoredDeadLetter] = []
        var records: [RecordBatch] = []
        var (seenCount, byteCount) = (0, 0)
        let countMax = Int(clamping: min(UInt64(Redelivery.countMax), next))
        while seenCount < countMax, byteCount < Self.batchBytesMax {
            guard let stored = try await log.deadLetter(of: subject, after: course.id), stored.id <= course.last else {
                return seenCount == 0 ? nil : (letters, records)
            }
            course.id = stored.id
            seenCount += 1
            let event = try encode(stored.letter, encoder)
            if event.records.contains(where: { course.stuck.holds($0, of: event) }) {
                course.waitingCount += 1
                course.sticks(event)
                continue
            }
            byteCount += event.body.count
            letters.append(stored)
            records.append(event)
        }
        return (letters, records)
    }

    /// Why letters were refused, by their places among those that were given; throws what no sink may answer.
    private func reasons(
        in receipt: DeliveryReceipt, for count: Int, before next: UInt64
    ) throws(ConnectorFailure) -> [Int: RejectedRecord] {
        guard receipt.durableBefore == next else {
            throw wrongReceipt("something else than what was set aside", next...next)
        }
        var reasons: [Int: RejectedRecord] = [:]
        for rejected in receipt.rejected {
            let distance = next &- rejected.offset
            guard distance >= 1, distance <= UInt64(count) else {
                throw wrongReceipt("a rejection at log offset \(rejected.offset)", next...next)
            }
            let place = count - Int(distance)
            // Of an event that is several records, the first reason counts.
            reasons[place] = reasons[place] ?? rejected
        }
        return reasons
    }
}

/// How far a retry of what waits for a sink is.
private struct Redelivery {
    /// The number of the last letter that is meant.
    let last: Int64
    /// The number of the letter that was looked at last.
    var id: Int64 = 0
    /// The keys of what was refused again.
    var stuck = KeyHolds()
    var deliveredCount = 0
    var waitingCount = 0
    var refusal: RejectedRecord?

    /// So many letters are given to a sink at a time; so many may come twice when the program is killed meanwhile.
    static let countMax = 256

    init(last: Int64) { self.last = last }

    /// An event waits on, and what belongs behind it.
    mutating func sticks(_ event: RecordBatch) {
        for record in event.records { stuck.insert(record, of: event) }
    }

    func outcome(of sink: String) -> RequestOutcome {
        var text = "\(counted(deliveredCount, "event")) delivered to sink \(sink)"
        if let refusal { text += "; refused again: [\(refusal.code)] \(refusal.message)" }
        if waitingCount > 0 { text += "; \(counted(waitingCount, "event")) behind what was refused" }
        return RequestOutcome(isDone: refusal == nil, text: text)
    }
}
