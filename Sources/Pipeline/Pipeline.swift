package import ConnectorKit
package import EventLog
package import Logging
package import SchemaRegistry
private import Synchronization

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
        /// The contracts.
        package var schemas: SchemaFolder

        /// The parts, named.
        package init(
            name: String, sourceKind: String, source: any ChangeSource, sinks: [SinkPlan], log: EventLog,
            schemas: SchemaFolder
        ) {
            self.name = name
            self.sourceKind = sourceKind
            self.source = source
            self.sinks = sinks
            self.log = log
            self.schemas = schemas
        }
    }

    /// What was done so far; readable while ``run(untilCaughtUp:)`` works.
    package let progress = PipelineProgress()
    /// Ends the run soon and cleanly.
    package let stop = StopSignal()
    private let parts: Parts
    private let logger: Logger
    /// How often old events are looked for.
    static let retentionInterval = Duration.seconds(10)

    /// A pipeline that does not run yet.
    package init(_ parts: Parts, logger: Logger) {
        self.parts = parts
        self.logger = logger
    }

    /// Captures and delivers until asked to stop, or, with `untilCaughtUp`, until everything that was committed before
    /// the start is durable in every sink.
    ///
    /// A sink that fails for good stops alone while others go on. The run ends with its failure when it could not even
    /// be opened, when it was the last one, or at the end of the run.
    package func run(untilCaughtUp: Bool) async throws(ConnectorFailure) {
        let feed = LogFeed(nextOffset: try await parts.log.statistics().nextOffset)
        let captureEnd = CaptureEnd()
        var failure: ConnectorFailure?
        await withTaskGroup(of: Outcome.self) { group in
            group.addTask { await capture(feed, captureEnd, untilCaughtUp) }
            for plan in parts.sinks { group.addTask { await deliver(plan, feed, captureEnd) } }
            group.addTask { await retain() }
            var delivering = parts.sinks.count
            for await outcome in group {
                if case .delivery = outcome.stage { delivering -= 1 }
                if let new = outcome.failure {
                    failure = failure ?? new
                    if isFatal(outcome, delivering) { stop.request() }
                }
                if delivering == 0 && (captureEnd.offset != nil || failure != nil) { stop.request() }
            }
        }
        if let failure { throw failure }
    }

    private enum Stage { case capture, delivery(String), retention }

    /// How a stage ended.
    private struct Outcome {
        var stage: Stage
        var failure: ConnectorFailure?
    }

    private func isFatal(_ outcome: Outcome, _ delivering: Int) -> Bool {
        switch outcome.stage {
        case .capture, .retention: true
        case .delivery(let sink): delivering == 0 || progress.snapshot.cursors[sink] == nil
        }
    }

    private func capture(_ feed: LogFeed, _ end: CaptureEnd, _ untilCaughtUp: Bool) async -> Outcome {
        var stage = CaptureStage(
            source: parts.source, log: parts.log, feed: feed, schemas: parts.schemas, pipelineName: parts.name,
            progress: progress, stop: stop, logger: logger, endsWhenCaughtUp: untilCaughtUp)
        do throws(ConnectorFailure) {
            try await stage.run()
            if untilCaughtUp { end.offset = try await parts.log.statistics().nextOffset }
            return Outcome(stage: .capture)
        } catch {
            logger.error("capture stopped", metadata: .failure(error))
            return Outcome(stage: .capture, failure: error)
        }
    }

    private func deliver(_ plan: SinkPlan, _ feed: LogFeed, _ end: CaptureEnd) async -> Outcome {
        do throws(ConnectorFailure) {
            var stage = DeliveryStage(
                plan: plan, source: parts.sourceKind, pipelineName: parts.name, log: parts.log,
                events: LogConsumer(feed: feed, reader: try parts.log.makeReader()), progress: progress, stop: stop,
                logger: logger.naming(sink: plan.name))
            try await stage.run(until: { end.offset })
            return Outcome(stage: .delivery(plan.name))
        } catch {
            logger.naming(sink: plan.name).error("sink stopped", metadata: .failure(error))
            return Outcome(stage: .delivery(plan.name), failure: error)
        }
    }

    /// Removes old events now and then. A failure here costs disk space, not events, so it is said and tried again.
    private func retain() async -> Outcome {
        let names = parts.sinks.map(\.name)
        while !stop.isRequested {
            do throws(ConnectorFailure) {
                let step = try await parts.log.retain(activeSinks: names)
                if step.changeCount > 0 {
                    logger.info("old events removed", metadata: ["events": "\(step.changeCount)"])
                }
                if step.isUnfinished { continue }
            } catch {
                logger.warning("old events could not be removed", metadata: .failure(error))
            }
            await stop.wait(upTo: Self.retentionInterval)
        }
        return Outcome(stage: .retention)
    }
}

/// The log offset at which a run until caught up ends; nil while capture goes on.
private final class CaptureEnd: Sendable {
    private let value = Mutex<UInt64?>(nil)

    var offset: UInt64? {
        get { value.withLock { $0 } }
        set { value.withLock { $0 = newValue } }
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
