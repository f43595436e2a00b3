import ByteKit
import ChangeModel
package import ConnectorKit
import EventFormat
package import EventLog
package import Logging
package import Sensitivity

/// Moves events from the log into one sink, from the sink's own cursor, in log order.
///
/// The cursor moves only behind what the sink called durable (law 1). A failure of this sink is this sink's alone.
package struct DeliveryStage {
    let plan: SinkPlan
    let source: String
    let pipelineName: String
    let log: EventLog
    let events: LogConsumer
    /// Takes out what the sink may not see.
    var clearing: Clearing
    let progress: PipelineProgress
    let stop: StopSignal
    /// Where people ask for a replay, and for what was set aside.
    let desk: RequestDesk
    let logger: Logger
    let limits: DeliveryLimits
    /// The keys of what was set aside for the sink.
    var holds = KeyHolds()
    private var backoff = Backoff()
    var patience: Patience
    /// What the open sink says that it tries to overcome by itself.
    private(set) var trouble: SinkTrouble?
    /// True while the log holds a failure of this sink, for `status`.
    var hasStoredError = false
    /// What was told about contexts of transactions.
    var toldProblems: Set<ContextProblem> = []

    /// How long records that the sink took may stay without being durable while more keep coming.
    static let flushInterval = Duration.milliseconds(100)
    /// How many bytes of records may be taken without being durable.
    static let unflushedBytesMax = 32 << 20
    /// How many bytes of records are encoded at a time.
    static let batchBytesMax = 1 << 20
    /// How long the log may be silent before the stage looks whether it should end.
    static let idleInterval = Duration.milliseconds(250)
    /// How often a stage whose sink does not work looks for requests.
    static let requestInterval = Duration.seconds(1)

    /// Why delivery ended without a failure.
    enum Ending {
        case done
        /// Somebody wants the cursor elsewhere.
        case replay(OperatorRequest)
        /// The sink is to be opened again at its cursor, for what somebody asked.
        case again
    }

    /// A stage that has not begun.
    package init(
        plan: SinkPlan, source: String, pipelineName: String, log: EventLog, events: LogConsumer,
        clearing: Clearing, progress: PipelineProgress, stop: StopSignal, desk: RequestDesk, logger: Logger,
        patience: Duration? = nil, limits: DeliveryLimits = DeliveryLimits()
    ) {
        self.plan = plan
        self.source = source
        self.pipelineName = pipelineName
        self.log = log
        self.events = events
        self.clearing = clearing
        self.progress = progress
        self.stop = stop
        self.desk = desk
        self.logger = logger
        self.limits = limits
        self.patience = Patience(limit: patience, requestLimit: limits.requestPatience)
    }

    /// Delivers until asked to stop, or, once `end` gives an offset, until everything before it is durable in the sink.
    /// Failures that may pass are retried with growing pauses, for ever, or with an end as long as the patience lasts;
    /// others are thrown.
    package mutating func run(until end: @Sendable () -> UInt64?) async throws(ConnectorFailure) {
        while !stop.isRequested {
            do throws(ConnectorFailure) {
                if let request = desk.nextReplay(for: plan.name) { try await moveCursor(asIn: request) }
                let ending = try await deliverUntilFailure(until: end)
                await plan.sink.close()
                progress.reads(plan.name, until: nil)
                switch ending {
                case .done: return
                case .again: continue
                case .replay(let request): try await moveCursor(asIn: request)
                }
            } catch {
                await plan.sink.close()
                progress.reads(plan.name, until: nil)
                // What it was to read next is gone, as the configuration wants: it goes on with what is left.
                if error.code == LogReader.retainedAwayCode, log.retention.dropsUndelivered { continue }
                guard error.remedy == .retry else { throw error }
                patience.failed()
                let isEnding = end() != nil
                if isEnding, patience.isOver { throw patience.givenUp(error) }
                var pause = backoff.nextPause()
                if isEnding { pause = patience.shortened(pause) }
                try? await log.setError(of: plan.name, error, retryIn: pause)
                logger.warning("sink failed, will open it again", metadata: .failure(error, retryIn: pause))
                await wait(upTo: pause)
            }
        }
    }

    /// Waits before the sink is opened again; somebody who wants another cursor need not wait as long.
    private func wait(upTo pause: Duration) async {
        let end = ContinuousClock.now + pause
        while !stop.isRequested, !desk.hasReplay(for: plan.name), ContinuousClock.now < end {
            await stop.wait(upTo: min(end - .now, Self.requestInterval))
        }
    }

    /// Where the loop stands.
    struct Turn {
        /// Log offset behind what the sink was given.
        var next: UInt64
        /// Log offset before which the sink has everything durable.
        var durable: UInt64
        /// When the oldest record that is not durable was written; nil when all are.
        var unflushedSince: ContinuousClock.Instant?
        var unflushedBytes = 0
        /// True when the sink has no room for more records.
        var isFull = false
        /// True once the encoder knows what lies before the first event.
        var isPrepared = false
        /// How fast the cursor moves.
        var pace: Pace
        /// What was held back from the sink since the cursor moved, in the order of the log.
        var heldBack: [RejectedRecord] = []
        /// The batch that is being encoded.
        var current: ClearedBatch?
        /// True when the cursor of a receipt could not be stored before the stage was asked to stop.
        var isCursorBehind = false
        /// True while something is done that somebody asked for.
        var isAsked = false
        /// True when a receipt was let go because its dead letters had no room and somebody asked for something.
        var isGivenUp = false
        /// True when the cursor is not where the last receipt wants it: then the sink is not called any more.
        var isUnsettled: Bool { isCursorBehind || isGivenUp }
        /// When the sink was last called.
        var attendedAt = ContinuousClock.now
        /// Why the log does not have what comes next: retention was allowed to pass the cursor, and did.
        var gap: ConnectorFailure?
        /// What was encoded while the sink took the records before it, or why that failed.
        var prepared: Result<RecordBatch, ConnectorFailure>?
    }

    private mutating func deliverUntilFailure(
        until end: @Sendable () -> UInt64?
    ) async throws(ConnectorFailure) -> Ending {
        let cursor = try await openCursor()
        // The program may have been killed before a replay was done with them.
        try await log.takeBackAllLetters(of: plan.name)
        hasStoredError = cursor.lastError != nil
        let trouble = SinkTrouble(plan.name, log, logger)
        self.trouble = trouble
        let context = SinkContext(
            name: plan.name, log: log.identity, state: cursor.state, nextOffset: cursor.offset,
            report: { trouble.report($0, retryIn: $1) }
        ) { [log, plan] (state) async throws(ConnectorFailure) in try await log.saveState(of: plan.name, state) }
        try await plan.sink.open(context)
        progress.delivered(by: plan.name, before: cursor.offset)
        progress.reads(plan.name, until: cursor.offset)
        // The encoder keeps plans per relation version; a new one after a failure costs nothing that matters.
        let encoder = ClearedEncoder(
            pipelineName: pipelineName, sourceKind: source, format: plan.format, form: plan.sink.form,
            debezium: plan.debezium)
        try await readHolds(encoder)
        var turn = Turn(next: cursor.offset, durable: cursor.offset, pace: Pace(at: cursor.offset))
        while !stop.isRequested {
            if let request = desk.next(for: plan.name) {
                let ending = try await carryOut(request, &turn, encoder)
                if let ending { return ending }
                if stop.isRequested { break }
            }
            try await step(&turn, encoder)
            if turn.isGivenUp { return .again }
            guard let end = end() else { continue }
            if let failure = trouble.failure {
                patience.failed()
                if patience.isOver { throw failure }
            }
            if turn.next >= end {
                try await flush(&turn, encoder)
                if turn.isGivenUp { return .again }
                if turn.durable >= end, !turn.isCursorBehind {
                    try await plan.sink.finish()
                    return .done
                }
            }
        }
        // A sink takes a call for a sign that the cursor of its last receipt is stored.
        if turn.isUnsettled { return .done }
        try await flush(&turn, encoder)
        if !turn.isUnsettled { try await plan.sink.finish() }
        return .done
    }

    /// The sink's cursor; a new sink begins where its configuration says.
    private func openCursor() async throws(ConnectorFailure) -> SinkCursor {
        if var cursor = try await log.cursor(of: plan.name) {
            let known = try await log.statistics()
            if cursor.offset < known.firstOffset, log.retention.dropsUndelivered {
                logger.error(
                    "the sink goes on behind events that retention removed, as log.retention.undelivered says",
                    metadata: [
                        "from": "\(cursor.offset)", "goes_on_at": "\(known.firstOffset)",
                        "events": "\(known.firstOffset - cursor.offset)",
                    ])
                try await log.moveCursor(of: plan.name, to: known.firstOffset)
                cursor.offset = known.firstOffset
            }
            return cursor
        }
        let wanted = try await events.offset(at: plan.start)
        // Looked at behind it: the log grows meanwhile, and its end of now must not lie behind that of then.
        let known = try await log.statistics()
        let start = min(max(wanted, known.firstOffset), known.nextOffset)
        if start != wanted {
            logger.warning(
                "the log does not have the offset that the sink was to begin with; it begins with the nearest",
                metadata: ["wanted": "\(wanted)", "begins": "\(start)"])
        }
        if case .time = plan.start, start == known.firstOffset, start > 0 {
            logger.warning(
                "the log may not reach back to the time that the sink was to begin with; it begins with what is there",
                metadata: ["begins": "\(start)"])
        }
        return try await log.createCursor(of: plan.name, at: start)
    }

    /// Writes one batch of records, or flushes when there is nothing to write for a while.
    private mutating func step(_ turn: inout Turn, _ encoder: ClearedEncoder) async throws(ConnectorFailure) {
        let hasRoom = !turn.isFull && turn.gap == nil && turn.heldBack.count < limits.heldBackMax
        guard hasRoom, let all = try await nextRecords(&turn, encoder) else {
            try await flush(&turn, encoder)
            try await attend(&turn, encoder)
            if turn.isUnsettled { return }
            if let gap = turn.gap { return try await end(turn, before: gap) }
            if turn.unflushedSince == nil { patience.gotOn() }
            await noteSuccess()
            return
        }
        let records = holdBack(from: all, &turn)
        tell(encoder.contextProblems)
        let durability = durability(for: turn, adding: records.body.count)
        let receipt = try await write(records, durability, &turn, encoder)
        turn.next = records.nextOffset
        turn.unflushedSince = turn.unflushedSince ?? .now
        turn.unflushedBytes += records.body.count
        try await settle(receipt, durability, &turn, encoder)
    }

    /// The records behind what the sink was given; nil when there are none for a while.
    private mutating func nextRecords(
        _ turn: inout Turn, _ encoder: ClearedEncoder
    ) async throws(ConnectorFailure) -> RecordBatch? {
        do throws(ConnectorFailure) {
            if let prepared = turn.prepared.take() { return try prepared.get() }
            if turn.current == nil { turn.current = try await waitForBatch(turn) }
            if !turn.isPrepared, turn.current != nil { try await prepare(encoder, &turn) }
            return try encodeNext(&turn, from: turn.next, encoder)
        } catch {
            guard error.code == LogReader.retainedAwayCode, log.retention.dropsUndelivered else { throw error }
            turn.gap = error
            return nil
        }
    }

    /// Ends this delivery before a gap of the log, so that the next one begins behind it; but not before the sink has
    /// what it was given: that must not be lost with the rest.
    private func end(_ turn: Turn, before gap: ConnectorFailure) async throws(ConnectorFailure) {
        if turn.durable >= turn.next { throw gap }
        await stop.wait(upTo: Self.flushInterval)
    }

    /// Has the sink take the records. When more events wait already, they are encoded meanwhile; otherwise nothing is
    /// worth another task.
    private mutating func write(
        _ records: RecordBatch, _ durability: Durability, _ turn: inout Turn, _ encoder: ClearedEncoder
    ) async throws(ConnectorFailure) -> DeliveryReceipt {
        guard turn.current != nil || events.has(records.nextOffset) else {
            return try await give(records, durability)
        }
        async let answer = Self.write(records, durability, to: plan.sink, stop)
        do throws(ConnectorFailure) {
            if turn.current == nil { turn.current = try await nextBatch(from: records.nextOffset, orUntil: .now) }
            turn.prepared = try encodeNext(&turn, from: records.nextOffset, encoder).map { .success($0) }
        } catch {
            turn.prepared = .failure(error)
        }
        return try await answer.get()
    }

    /// Has the sink take records. A sink that may wait for its receiver for long is told when delivery ends.
    func give(
        _ records: RecordBatch, _ durability: Durability
    ) async throws(ConnectorFailure) -> DeliveryReceipt {
        try await Self.write(records, durability, to: plan.sink, stop).get()
    }

    static func write(
        _ records: RecordBatch, _ durability: Durability, to sink: any EventSink, _ stop: StopSignal
    ) async -> Result<DeliveryReceipt, ConnectorFailure> {
        let write = { @Sendable () async -> Result<DeliveryReceipt, ConnectorFailure> in
            do throws(ConnectorFailure) {
                return .success(try await sink.write(records, durability))
            } catch {
                return .failure(error)
            }
        }
        return sink.deliversByItself ? await stop.cancelling(write) : await write()
    }

    private mutating func waitForBatch(_ turn: Turn) async throws(ConnectorFailure) -> ClearedBatch? {
        let deadline = turn.unflushedSince.map { $0 + Self.flushInterval } ?? (.now + Self.idleInterval)
        return try await nextBatch(from: turn.next, orUntil: deadline)
    }

    /// What the sink may see of the batch with an offset; nil when there is none until then.
    private mutating func nextBatch(
        from offset: UInt64, orUntil deadline: ContinuousClock.Instant
    ) async throws(ConnectorFailure) -> ClearedBatch? {
        guard let logged = try await events.next(from: offset, orUntil: deadline) else { return nil }
        progress.reads(plan.name, until: logged.nextOffset)
        return try clearing.apply(to: logged)
    }

    /// Encodes the next piece of the current batch, and lets go of a batch that is encoded whole.
    private func encodeNext(
        _ turn: inout Turn, from offset: UInt64, _ encoder: ClearedEncoder
    ) throws(ConnectorFailure) -> RecordBatch? {
        guard let current = turn.current else { return nil }
        let records = try encode(current, from: offset, with: encoder)
        if records.nextOffset >= current.logged.nextOffset { turn.current = nil }
        return records
    }

    private func encode(
        _ cleared: ClearedBatch, from offset: UInt64, with encoder: ClearedEncoder
    ) throws(ConnectorFailure) -> RecordBatch {
        do throws(EncodingFailure) {
            return try encoder.encode(
                cleared, from: Int(offset - cleared.logged.firstOffset), bytesMax: Self.batchBytesMax,
                including: plan.wants
            ).records
        } catch {
            throw ConnectorFailure(
                "event.not_encodable", .stop, "the event at log offset \(offset) cannot be encoded: \(error)",
                setting: "sinks.\(plan.name)",
                hint: "the log may be damaged; keep a copy of it and report this with the code and the offset")
        }
    }

    private func durability(for turn: Turn, adding bytes: Int) -> Durability {
        guard let since = turn.unflushedSince, !plan.sink.deliversByItself else { return .whenConvenient }
        let isDue = ContinuousClock.now - since >= Self.flushInterval
        return isDue || turn.unflushedBytes + bytes >= Self.unflushedBytesMax ? .required : .whenConvenient
    }

    /// Calls a sink that wants to be called although nothing is to be written.
    private mutating func attend(_ turn: inout Turn, _ encoder: ClearedEncoder) async throws(ConnectorFailure) {
        guard !turn.isUnsettled, let interval = plan.sink.attention,
            ContinuousClock.now - turn.attendedAt >= interval
        else { return }
        turn.attendedAt = .now
        let receipt = try await plan.sink.write(.empty(nextOffset: turn.next), .required)
        try await settle(receipt, .required, &turn, encoder)
    }

    /// Has the sink make everything durable that it took, or say how far it is.
    mutating func flush(_ turn: inout Turn, _ encoder: ClearedEncoder) async throws(ConnectorFailure) {
        guard turn.unflushedSince != nil else { return }
        turn.attendedAt = .now
        let durability = plan.sink.deliversByItself ? Durability.whenConvenient : .required
        let receipt = try await plan.sink.write(.empty(nextOffset: turn.next), durability)
        try await settle(receipt, durability, &turn, encoder)
    }

    /// Moves the cursor behind what the sink called durable.
    mutating func settle(
        _ receipt: DeliveryReceipt, _ durability: Durability, _ turn: inout Turn, _ encoder: ClearedEncoder
    ) async throws(ConnectorFailure) {
        turn.isFull = receipt.isFull
        guard let durable = try checked(receipt, durability, turn) else { return }
        let isNews = durable > turn.durable || receipt.state != nil || !receipt.rejected.isEmpty
        // A sink that delivers by itself is asked often, and has nothing to say most of the time.
        if !isNews, turn.unflushedSince == nil || (plan.sink.deliversByItself && durable < turn.next) { return }
        HaltPoint("sink.durable").reached()
        let letters = try await lettersDue(receipt.rejected, before: durable, &turn)
        let rate = turn.pace.rate(at: durable)
        let move = CursorMove(letters: letters, durable: durable, state: receipt.state, eventsPerSecond: rate)
        guard try await store(move, &turn) else { return }
        try wereSetAside(letters, encoder)
        if durable > turn.durable { patience.gotOn() }
        turn.durable = durable
        if durable >= turn.next {
            turn.unflushedSince = nil
            turn.unflushedBytes = 0
        }
        progress.delivered(by: plan.name, before: durable)
        await noteSuccess()
    }

    /// The offset that a receipt calls durable. A cursor that moved beyond what was written would lose events, and a
    /// sink that never makes anything durable would be asked for ever.
    private func checked(
        _ receipt: DeliveryReceipt, _ durability: Durability, _ turn: Turn
    ) throws(ConnectorFailure) -> UInt64? {
        let least = durability == .required ? turn.next : turn.durable
        guard let durable = receipt.durableBefore else {
            if durability == .whenConvenient, receipt.rejected.isEmpty { return nil }
            throw wrongReceipt("nothing", least...turn.next)
        }
        guard (least...turn.next).contains(durable) else {
            throw wrongReceipt("log offset \(durable)", least...turn.next)
        }
        for rejected in receipt.rejected where rejected.offset < turn.durable || rejected.offset >= durable {
            throw wrongReceipt("log offset \(durable) with a rejection at \(rejected.offset)", least...turn.next)
        }
        return durable
    }

    func wrongReceipt(_ what: String, _ expected: ClosedRange<UInt64>) -> ConnectorFailure {
        ConnectorFailure(
            "pipeline.wrong_receipt", .stop,
            "the sink called \(what) durable where \(expected.lowerBound) to \(expected.upperBound) was possible",
            setting: "sinks.\(plan.name)",
            hint: "this is a fault of the sink connector: please report it; its cursor was left as it was")
    }

    /// Something was delivered, or there is nothing to deliver: pauses begin anew, and `status` shows no failure any
    /// more.
    private mutating func noteSuccess() async {
        backoff.reset()
        guard hasStoredError, trouble?.failure == nil else { return }
        // When that fails, for example on a full disk, the next success tries again.
        guard (try? await log.setError(of: plan.name, nil)) != nil else { return }
        hasStoredError = false
        logger.notice("sink works again")
    }
}
