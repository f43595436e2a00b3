import ConnectorKit
import EventLog
import HTTPAPI
import JSONText
import PipelineConfiguration

/// What `status` says, as text and as JSON.
struct StatusReport: Sendable {
    /// The configuration.
    let project: Project
    /// What is in the log.
    let log: LogStatistics
    /// What the source's database says.
    let source: SourceReport

    /// In microseconds: a cursor that was moved longer ago moves no more.
    private static let rateAgeMax: Int64 = 10_000_000

    /// Looks at the log, and asks the source's database.
    init(of project: Project) async throws(ConnectorFailure) {
        let log = try LogReader(directory: project.logDirectory).statistics()
        self.init(project: project, log: log, source: await project.sourceStatus(log.checkpoint))
    }

    /// A report of its parts.
    init(project: Project, log: LogStatistics, source: SourceReport) {
        self.project = project
        self.log = log
        self.source = source
    }

    /// The sinks of the configuration; one that never ran has no cursor yet.
    var sinks: [(name: String, cursor: SinkCursor?)] {
        project.configuration.sinks.map { sink in (sink.name, log.sinks.first { $0.sink == sink.name }) }
    }

    /// The room of the log.
    private var disk: LogDiskReport { LogDiskReport(log, project.retention) }

    /// How many events of the log a sink does not have yet.
    func lag(of cursor: SinkCursor?) -> UInt64 {
        let offset = max(cursor?.offset ?? 0, log.firstOffset)
        return log.nextOffset > offset ? log.nextOffset - offset : 0
    }

    /// How many events behind a sink's cursor retention has removed. The sink may have some of them in memory.
    func removed(before cursor: SinkCursor?) -> UInt64 {
        guard let offset = cursor?.offset, offset < log.firstOffset else { return 0 }
        return log.firstOffset - offset
    }

    /// As `status --json` and HTTP show it.
    var json: JSONValue {
        [
            "name": .string(project.configuration.name),
            "source": source.json,
            "log": [
                "first_offset": .number(JSONNumber(log.firstOffset)),
                "next_offset": .number(JSONNumber(log.nextOffset)),
                "bytes": .number(JSONNumber(log.byteCount)), "file_bytes": .number(JSONNumber(log.fileByteCount)),
                "oldest_at": stamp(log.oldestAppendedAt), "newest_commit_at": stamp(log.newestCommittedAt),
                "reserve_bytes": log.disk.reserveByteCount.map { .number(JSONNumber($0)) } ?? .null,
                "disk_free_bytes": log.disk.freeByteCount.map { .number(JSONNumber($0)) } ?? .null,
                "failure": disk.code.map { .string($0) } ?? .null,
            ],
            "sinks": .array(sinks.map { json(of: $0.name, $0.cursor) }),
            "subscriptions": .array(log.subscriptions.map { SubscriptionsAPI.json(($0, log.nextOffset)) }),
            "dead_letters": .array(log.deadLetters.map(DeadLettersListCommand.json)),
        ]
    }

    private func json(of name: String, _ cursor: SinkCursor?) -> JSONValue {
        var error = JSONValue.null
        if let last = cursor?.lastError {
            error = ["code": .string(last.code), "message": .string(last.message), "at": stamp(last.at)]
        }
        return [
            "name": .string(name), "cursor": cursor.map { .number(JSONNumber($0.offset)) } ?? .null,
            "lag_events": .number(JSONNumber(lag(of: cursor))),
            "removed_events": .number(JSONNumber(removed(before: cursor))), "moved_at": stamp(cursor?.movedAt),
            "events_per_second": rate(of: cursor).map { .number(JSONNumber($0)) } ?? .null,
            "last_error": error, "next_attempt_at": stamp(cursor?.retryAt), "stopped": .bool(isStopped(cursor)),
            "set_aside": .number(JSONNumber(setAside(for: name))),
        ]
    }

    /// What would be lost if retention did not wait for a sink; nil when it does not.
    private func keptBeyondRetention(for cursor: SinkCursor?) -> String? {
        let retention = project.retention
        if retention.dropsUndelivered { return nil }
        let isLarge = retention.byteCount.map { log.byteCount > $0 } ?? false
        let isOld = retention.age.map { age in
            log.oldestAppendedAt.map { UTCTime.now() - $0 > age.components.seconds * 1_000_000 } ?? false
        }
        let lag = lag(of: cursor)
        let total = log.nextOffset - log.firstOffset
        guard isLarge || isOld ?? false, lag > 0, total > 0 else { return nil }
        let bytes = Int(Double(log.byteCount) * min(1, Double(lag) / Double(total)))
        return "the log keeps \(counted(lag, "event")) for it, about \(ByteCount.text(bytes)), beyond log.retention"
    }

    /// True when a sink waits for somebody to mend what it failed with.
    private func isStopped(_ cursor: SinkCursor?) -> Bool { cursor?.lastError != nil && cursor?.retryAt == nil }

    private var stopped: String { "it stopped: mend the cause, then reload the configuration (SIGHUP) or start again" }

    /// How many events a second the sink took lately; nil when that was never measured.
    func rate(of cursor: SinkCursor?) -> Int? {
        guard let cursor, let rate = cursor.eventsPerSecond else { return nil }
        return UTCTime.now() - cursor.movedAt > Self.rateAgeMax ? 0 : Int(rate.rounded())
    }

    /// How many events wait for a sink alone.
    func setAside(for sink: String) -> Int {
        log.deadLetters.first { $0.subject == DeadLetter.subject(ofSink: sink) }?.changeCount ?? 0
    }

    private func stamp(_ microseconds: Int64?) -> JSONValue { microseconds.map { .string(UTCTime.text($0)) } ?? .null }

    /// As `status` shows it.
    var text: String {
        var lines = ["pipeline  \(project.configuration.name)"]
        lines += source.lines
        let age = log.newestCommittedAt.map { ", newest commit \(UTCTime.text($0))" } ?? ""
        lines.append(
            "log       offsets \(log.firstOffset) to \(log.nextOffset), \(ByteCount.text(log.byteCount)) on disk\(age)")
        if let words = disk.text { lines += words.map { "          " + $0 } }
        for (name, cursor) in sinks {
            let behind = lag(of: cursor)
            let place = cursor.map { "cursor \($0.offset), " } ?? "never opened, "
            let pace = rate(of: cursor).map { $0 > 0 ? ", \(counted($0, "event")) a second" : "" } ?? ""
            let gone = removed(before: cursor)
            let lag = behind == 0 && gone == 0 ? "up to date" : "\(counted(behind, "event")) behind"
            lines.append("sink      \(name): \(place)\(lag)\(pace)")
            if gone > 0 { lines.append("          \(counted(gone, "event")) behind its cursor removed by retention") }
            if let kept = keptBeyondRetention(for: cursor) { lines.append("          \(kept)") }
            if let error = cursor?.lastError {
                lines.append("          last error \(UTCTime.text(error.at)) [\(error.code)] \(error.message)")
                lines.append("          " + (cursor?.retryAt.map { "next attempt \(UTCTime.text($0))" } ?? stopped))
            }
        }
        if !sinks.isEmpty, sinks.allSatisfy({ isStopped($0.cursor) }) {
            lines.append("          NO SINK DELIVERS: events wait in the log until one is mended")
        }
        for report in log.subscriptions { lines += Self.lines(of: report, end: log.nextOffset) }
        for group in log.deadLetters where group.changeCount > 0 {
            let since = group.since.map { " since \(UTCTime.text($0))" } ?? ""
            lines.append("aside     \(counted(group.changeCount, "change")) of \(group.subject) waiting\(since)")
            if let code = group.code, let message = group.message { lines.append("          [\(code)] \(message)") }
        }
        return lines.joined(separator: "\n")
    }

    private static func lines(of report: SubscriptionReport, end: UInt64) -> [String] {
        let stored = report.subscription
        let lag = end > stored.cursor ? "\(counted(end - stored.cursor, "event")) behind" : "up to date"
        var line = "consumer  \(stored.name): cursor \(stored.cursor), \(lag)"
        if report.inFlightCount > 0 { line += ", \(report.inFlightCount) in flight" }
        if report.waitingCount > 0 { line += ", \(report.waitingCount) to be given out again" }
        if report.deadCount == 0 { return [line] }
        return [
            line,
            "          \(counted(report.deadCount, "dead letter")): GET /v1/subscriptions/\(stored.name)/deadletters",
        ]
    }
}
