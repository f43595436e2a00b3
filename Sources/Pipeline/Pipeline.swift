package import ConnectorKit
package import EventLog
package import Logging
package import Masking
package import Outbox
package import SchemaRegistry
package import Sensitivity

/// One source, one log, any number of sinks: the running whole.
package struct Pipeline: Sendable {
    /// What a pipeline is made of.
    package struct Parts: Sendable {
        /// Prefix of ids and subjects.
        package var name: String
        /// The kind of the source, `postgres` or `sqlite`.
        package var sourceKind: String
        /// Where changes come from.
        package var source: any ChangeSource
        /// Where events go.
        package var sinks: [SinkPlan]
        /// The durable log.
        package var log: EventLog
        /// What capture writes to: the log, unless a test wraps it.
        package var captureLog: any CaptureLog
        /// The contracts.
        package var schemas: SchemaFolder
        /// What is masked before it is stored.
        package var masks: MaskRules
        /// How classified values are treated where they must not be seen.
        package var sensitivity: SensitivityRules
        /// Which tables are outboxes.
        package var outbox: OutboxRules
        /// What happens when a table is new or changed.
        package var policy: SchemaPolicy
        /// Where commands leave requests; nil for none.
        package var requests: RequestBox?
        /// When the source is told what it may forget.
        package var acknowledgement: Acknowledgement
        /// Bounds of the delivery to each sink.
        package var deliveryLimits = DeliveryLimits()

        /// The parts, named. Without a `captureLog`, capture writes to the log itself.
        package init(
            name: String, sourceKind: String, source: any ChangeSource, sinks: [SinkPlan], log: EventLog,
            captureLog: (any CaptureLog)? = nil, schemas: SchemaFolder, masks: MaskRules = MaskRules(),
            sensitivity: SensitivityRules = SensitivityRules(), outbox: OutboxRules = OutboxRules(),
            policy: SchemaPolicy = SchemaPolicy(), requests: RequestBox? = nil,
            acknowledgement: Acknowledgement = .logged
        ) {
            self.name = name
            self.sourceKind = sourceKind
            self.source = source
            self.sinks = sinks
            self.log = log
            self.captureLog = captureLog ?? log
            self.schemas = schemas
            self.masks = masks
            self.sensitivity = sensitivity
            self.outbox = outbox
            self.policy = policy
            self.requests = requests
            self.acknowledgement = acknowledgement
        }
    }

    /// What was done so far; readable while ``run(untilCaughtUp:)`` works.
    package let progress = PipelineProgress()
    /// What of the log may be seen, once the run has begun: for readers beside the sinks.
    package var feed: LogFeed? { feedSlot.value }
    private let feedSlot = Slot<LogFeed>()
    /// Ends the run soon and cleanly.
    package let stop = StopSignal()
    private let parts: Parts
    private let roster: SinkRoster
    private let reloads: AsyncStream<Void>
    private let reloading: AsyncStream<Void>.Continuation
    private let logger: Logger
    /// How often old events are looked for.
    static let retentionInterval = Duration.seconds(10)
    /// How often it is looked whether the log comes near its limit.
    static let fillingLookInterval = Duration.milliseconds(200)
    /// How often old events are looked for while capture waits for room.
    static let awaitedRetentionInterval = Duration.seconds(1)
    /// How long sinks may go on after capture failed for good.
    static let graceTime = Duration.seconds(5)

    /// A pipeline that does not run yet.
    package init(_ parts: Parts, logger: Logger) {
        self.parts = parts
        self.logger = logger
        roster = SinkRoster(parts.sinks)
        (reloads, reloading) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Has other sinks deliver from now on: those that are gone or `changed` end, new ones begin, and one that had
    /// stopped begins again. The others do not notice. Ends of the pipeline may come first.
    package func reload(_ sinks: [SinkPlan], changed: Set<String>) {
        roster.replace(by: sinks, changed: changed)
        reloading.yield()
    }

    /// Captures and delivers until asked to stop, or, with `untilCaughtUp`, until everything that was committed
    /// before the start is durable in every sink.
    ///
    /// A sink that fails for good stops alone: capture, retention and readers go on, with others or without, and
    /// ``reload(_:changed:)`` begins it again. Its failure ends the run only when it could not even be opened at the
    /// start, or when the run is to end: then everything ends with the last sink, and the failure is the run's. When
    /// capture fails for good, sinks may still deliver what was captured, for a few seconds. Cancelling the task asks
    /// to stop. A run that was asked to stop ends without the failures of sinks that had stopped before.
    ///
    /// A run that is to end has `patience`: capture that fails for so long without getting on fails for good, and so
    /// does a sink once everything is captured.
    package func run(untilCaughtUp: Bool, patience: Duration? = nil) async throws(ConnectorFailure) {
        // What runs is not cancelled with this task: what it waits for when it ends would end at once, undone.
        let run = Task { await runToTheEnd(untilCaughtUp, untilCaughtUp ? patience : nil) }
        let failure = await withTaskCancellationHandler {
            await run.value
        } onCancel: {
            stop.request()
        }
        if let failure { throw failure }
    }

    private func runToTheEnd(_ untilCaughtUp: Bool, _ patience: Duration?) async -> ConnectorFailure? {
        do throws(ConnectorFailure) {
            guard try await syncEarlierWork(patience) else { return nil }
            let feed = LogFeed(nextOffset: try await parts.log.statistics().nextOffset)
            feedSlot.value = feed
            return await runStages(feed, untilCaughtUp, patience)
        } catch {
            return error
        }
    }

    /// A process that was killed may have appended what no sync covered, and some of it must be durable before any
    /// sink sees it. False when asked to stop before it worked.
    private func syncEarlierWork(_ patience: Duration?) async throws(ConnectorFailure) -> Bool {
        var log = parts.captureLog
        return try await stop.retrying(
            "capture waits", logger, on: &log, for: patience
        ) { (log) async throws(ConnectorFailure) in
            _ = try await log.sync()
        } != nil
    }

    /// Runs all stages to their ends and returns the first failure.
    private func runStages(
        _ feed: LogFeed, _ untilCaughtUp: Bool, _ patience: Duration?
    ) async -> ConnectorFailure? {
        // The log offset at which delivery ends; none while capture goes on.
        let captureEnd = Slot<UInt64>()
        return await withTaskGroup(of: Outcome.self) { group in
            let desk = RequestDesk(parts.requests, logger: logger)
            desk.look()
            group.addTask { await capture(feed, captureEnd, desk, untilCaughtUp, patience) }
            var failures = RunFailures()
            /// True when the run came to its end before anybody asked for it.
            var endsByItself = false
            func end() {
                endsByItself = endsByItself || !stop.isRequested
                stop.request()
            }
            func startSinks() {
                for (plan, end) in roster.starting() {
                    failures.forget(plan.name)
                    group.addTask { await deliver(plan, feed, captureEnd, desk, end, patience) }
                }
                noteSinks()
            }
            startSinks()
            group.addTask { await serve(desk) }
            group.addTask { await retain(feed) }
            group.addTask { await endSinks() }
            group.addTask { await nextReload() }
            for await outcome in group {
                switch outcome.stage {
                case .capture:
                    guard let reason = outcome.failure else { break }
                    failures.capture = reason
                    captureEnd.value = feed.nextOffset
                    group.addTask { await endGrace() }
                case .delivery(let sink):
                    let (wasOriginal, restarts) = roster.ended(sink, failed: outcome.failure != nil)
                    if restarts && !stop.isRequested {
                        startSinks()
                    } else if let reason = outcome.failure {
                        // One that was waited for in vain is not wrong; the others end what they do.
                        let isWrong = reason.remedy == .stop
                        let neverOpened = wasOriginal && isWrong && progress.snapshot.cursors[sink] == nil
                        failures.add(reason, of: sink, endsRun: neverOpened)
                        if neverOpened { end() }
                    }
                case .reload where !stop.isRequested:
                    failures.forget(besides: roster.names)
                    startSinks()
                    group.addTask { await nextReload() }
                case .upkeep, .reload: break
                }
                noteSinks()
                let isToEnd = captureEnd.value != nil || (untilCaughtUp && failures.hasSinks)
                if isToEnd && roster.running.isEmpty { end() }
            }
            return failures.outcome(wasAsked: !endsByItself)
        }
    }

    /// Tells which sinks stopped. That none delivers any more while capture goes on is said loudly, once.
    private func noteSinks() {
        let wereSilent = progress.snapshot.areAllSinksStopped
        progress.sinks(stopped: roster.stopped)
        if wereSilent || stop.isRequested || !progress.snapshot.areAllSinksStopped { return }
        logger.error(
            "no sink delivers any more: capture goes on, and events wait in the log",
            metadata: ["hint": "mend the causes above, then reload the configuration (SIGHUP) or start again"])
    }

    private enum Stage { case capture, delivery(String), reload, upkeep }

    /// How a stage ended.
    private struct Outcome {
        var stage: Stage
        var failure: ConnectorFailure?
    }

    /// Ends the run once sinks had time to deliver what was captured before capture failed.
    private func endGrace() async -> Outcome {
        await stop.wait(upTo: Self.graceTime)
        stop.request()
        return Outcome(stage: .upkeep)
    }

    /// Hands out requests; those for sinks that do not deliver are answered here.
    private func serve(_ desk: RequestDesk) async -> Outcome {
        await desk.run(until: stop) {
            while let request = desk.nextStray(besides: roster.running) { await answer(request, desk) }
        }
        return Outcome(stage: .upkeep)
    }

    private func answer(_ request: OperatorRequest, _ desk: RequestDesk) async {
        guard let sink = request.action.sink else { return }
        do throws(ConnectorFailure) {
            switch request.action {
            case .replay(_, let offset, let skips):
                let plan = roster.plan(of: sink)
                desk.answer(request, try await DeliveryStage.replay(sink, plan, offset, skips, parts.log))
            case .discardDeadLetters(_, let last):
                desk.answer(request, try await DeliveryStage.discard(sink, through: last, parts.log))
            case .redeliver, .snapshot, .releaseDeadLetters, .discardInvalidRows:
                let text = "sink \(sink) does not run; mend it and reload the configuration (SIGHUP), or start again"
                desk.answer(request, RequestOutcome(isDone: false, text: text))
            }
        } catch {
            desk.answer(request, RequestOutcome(isDone: false, text: "[\(error.code)] \(error.message)"))
        }
    }

    /// Passes the request to stop on to the sinks.
    private func endSinks() async -> Outcome {
        await stop.wait()
        roster.stopAll()
        reloading.finish()
        return Outcome(stage: .upkeep)
    }

    private func nextReload() async -> Outcome {
        for await _ in reloads { return Outcome(stage: .reload) }
        return Outcome(stage: .upkeep)
    }

    private func capture(
        _ feed: LogFeed, _ end: Slot<UInt64>, _ desk: RequestDesk, _ untilCaughtUp: Bool, _ patience: Duration?
    ) async -> Outcome {
        let contracts = ContractBook(
            pipelineName: parts.name, schemas: parts.schemas, log: parts.captureLog, policy: parts.policy,
            logger: logger, readsChangedTablesAgain: parts.source.readsChangedTablesAgain)
        let routing = OutboxRouting(parts.outbox)
        let quarantine = Quarantine(
            log: parts.log, contracts: contracts, policy: parts.policy, routing: routing, logger: logger)
        do throws(ConnectorFailure) {
            var stage = CaptureStage(
                source: parts.source, masking: try BatchMasking(parts.masks), routing: routing, log: parts.captureLog,
                feed: feed, quarantine: quarantine, progress: progress, stop: stop, desk: desk, logger: logger,
                endsWhenCaughtUp: untilCaughtUp, patience: patience, acknowledgement: parts.acknowledgement,
                sinks: { roster.names }, caughtUp: { end.value = feed.nextOffset })
            try await stage.run()
            return Outcome(stage: .capture)
        } catch {
            logger.error("capture stopped", metadata: .failure(error))
            return Outcome(stage: .capture, failure: error)
        }
    }

    private func deliver(
        _ plan: SinkPlan, _ feed: LogFeed, _ end: Slot<UInt64>, _ desk: RequestDesk, _ sinkStop: StopSignal,
        _ patience: Duration?
    ) async -> Outcome {
        do throws(ConnectorFailure) {
            var stage = DeliveryStage(
                plan: plan, source: parts.sourceKind, pipelineName: parts.name, log: parts.log,
                events: LogConsumer(feed: feed, reader: try parts.log.makeReader(), isFollowed: true),
                clearing: try Clearing(plan.clearance, rules: parts.sensitivity, schemas: parts.schemas),
                progress: progress, stop: sinkStop, desk: desk, logger: logger.naming(sink: plan.name),
                patience: patience, limits: parts.deliveryLimits)
            try await stage.run(until: { end.value })
            try? await parts.log.rests(plan.name)
            return Outcome(stage: .delivery(plan.name))
        } catch {
            // Whoever sees what is said here may reload at once.
            roster.fails(plan.name)
            try? await parts.log.setError(of: plan.name, error)
            try? await parts.log.rests(plan.name)
            logger.naming(sink: plan.name).error("sink stopped", metadata: .failure(error))
            return Outcome(stage: .delivery(plan.name), failure: error)
        }
    }

    /// Removes old events now and then. A failure here costs disk space, not events, so it is said and tried again.
    private func retain(_ feed: LogFeed) async -> Outcome {
        var isReserveSpent = false
        while !stop.isRequested {
            do throws(ConnectorFailure) {
                if try await removeOldEvents(feed).isUnfinished { continue }
            } catch {
                logger.warning("old events could not be removed", metadata: .failure(error))
            }
            isReserveSpent = await tell(ofReserve: isReserveSpent)
            await waitForRetention()
        }
        return Outcome(stage: .upkeep)
    }

    /// Waits until old events are to be looked for again: sooner when capture waits for room, or would soon.
    private func waitForRetention() async {
        let start = ContinuousClock.now
        // What is there still belongs to a sink that lacks it.
        let isHeld = await parts.log.isFilling
        while !stop.isRequested, ContinuousClock.now - start < Self.retentionInterval {
            await stop.wait(upTo: Self.fillingLookInterval)
            let isFilling = await parts.log.isFilling
            if isFilling, !isHeld { return }
            let isAwaited = [EventLog.fullCode, EventLog.diskFullCode].contains(progress.snapshot.waitsFor)
            if isFilling || isAwaited, ContinuousClock.now - start >= Self.awaitedRetentionInterval { return }
        }
    }

    /// Removes some of the old events, and says for whom that was too early. Returns too which sinks never get how
    /// many of them.
    func removeOldEvents(
        _ feed: LogFeed, at now: Int64 = UTCTime.now()
    ) async throws(ConnectorFailure) -> (isUnfinished: Bool, lostBy: [String: Int]) {
        let step = try await parts.log.retain(activeSinks: roster.names, at: now)
        if step.changeCount > 0 { logger.info("old events removed", metadata: ["events": "\(step.changeCount)"]) }
        let (read, remembered) = (progress.snapshot.readUntil, feed.firstOffset)
        var lost: [String: Int] = [:]
        for (sink, passed) in step.passedSinks {
            // A sink that is open still gets what it has read, and what comes next where that is in memory.
            let start = max(passed.lowerBound, read[sink] ?? 0)
            let goesOn = read[sink].map { $0 >= remembered } ?? false
            if start < passed.upperBound, !goesOn { lost[sink] = Int(passed.upperBound - start) }
        }
        for (sink, count) in lost.sorted(by: { $0.key < $1.key }) {
            logger.naming(sink: sink).error(
                "retention removed events that the sink never gets, as log.retention.undelivered says",
                metadata: ["events": "\(count)"])
        }
        for (name, passed) in step.passedSubscriptions.sorted(by: { $0.key < $1.key }) {
            logger.error(
                "retention removed events that no consumer has acknowledged, as log.retention.undelivered says",
                metadata: ["subscription": "\(name)", "events": "\(passed.count)"])
        }
        return (step.isUnfinished, lost)
    }
}

extension Pipeline {
    /// Says when the log's reserve was given back, and when it is there again. Returns whether it is given back.
    private func tell(ofReserve wasSpent: Bool) async -> Bool {
        let isSpent = await parts.log.isReserveSpent
        if isSpent, !wasSpent {
            logger.error(
                """
                the disk is full: the log's reserve is given back to it, for cursors and retention; capture goes on \
                with room that retention makes in the log, or that somebody makes on the disk
                """,
                metadata: ["code": "\(EventLog.diskFullCode)"])
        } else if wasSpent, !isSpent {
            logger.notice("the disk has room again: the log's reserve is made")
        }
        return isSpent
    }
}

extension Logger {
    /// The same logger with the sink's name on every line.
    fileprivate func naming(sink: String) -> Logger {
        var copy = self
        copy[metadataKey: "sink"] = "\(sink)"
        return copy
    }
}
