import ConnectorKit
import EventLog
import HTTPAPI
import JSONText
import Pipeline

/// The figures of a running pipeline for Prometheus: what it did since its start, and what the status says.
struct RunMetrics {
    let progress: PipelineProgress.Snapshot
    let replyCounts: [Int: UInt64]
    /// Nil when the log could not be read now.
    let status: StatusReport?

    /// The figures as text.
    var text: MetricsText {
        var text = MetricsText()
        text.addProgram(replyCounts)
        text.add(
            "millrace_capturing", .gauge, "1 while the source is open and its changes go into the log.",
            progress.isCapturing ? 1 : 0)
        text.add(
            "millrace_captured_changes_total", .counter, "Row changes that were appended to the log since the start.",
            progress.capturedCount)
        text.add(
            "millrace_newest_commit_timestamp_seconds", .gauge,
            "When the newest change of this run was committed at the source.", progress.newestCommit.map(Self.seconds))
        text.add(
            "millrace_sink_stopped", .gauge,
            "1 once the sink failed for good: it waits for somebody to mend the cause and reload.",
            progress.isStopped.sorted { $0.key < $1.key }.map { ([("sink", $0.key)], $0.value ? "1" : "0") })
        if let status { add(status, to: &text) }
        return text
    }

    private func add(_ status: StatusReport, to text: inout MetricsText) {
        addSource(status.source, to: &text)
        let log = status.log
        text.add("millrace_log_first_offset", .gauge, "The oldest offset that the log still has.", log.firstOffset)
        text.add("millrace_log_next_offset", .gauge, "The offset that the next change gets.", log.nextOffset)
        text.add("millrace_log_bytes", .gauge, "Bytes of the log that hold something.", log.byteCount)
        text.add("millrace_log_file_bytes", .gauge, "Bytes of the log's file.", log.fileByteCount)
        text.add(
            "millrace_log_reserve_bytes", .gauge, "Bytes of the log's reserve; fewer while the disk is full.",
            log.disk.reserveByteCount)
        text.add(
            "millrace_sink_offset", .gauge, "The offset before which the sink has everything durable.",
            status.sinks.compactMap { sink in sink.cursor.map { ([("sink", sink.name)], "\($0.offset)") } })
        text.add(
            "millrace_sink_lag_events", .gauge,
            "Events that the sink does not have yet, also those that retention removed behind its cursor.",
            status.sinks.map {
                ([("sink", $0.name)], "\(status.lag(of: $0.cursor) + status.removed(before: $0.cursor))")
            })
        text.add(
            "millrace_sink_failing", .gauge, "1 while the sink's last attempt failed.",
            status.sinks.map { ([("sink", $0.name)], $0.cursor?.lastError == nil ? "0" : "1") })
        addSubscriptions(log, to: &text)
        text.add(
            "millrace_dead_letter_changes", .gauge, "Changes that were set aside and wait.",
            log.deadLetters.filter { $0.changeCount > 0 }.map { ([("subject", $0.subject)], "\($0.changeCount)") })
    }

    private func addSubscriptions(_ log: LogStatistics, to text: inout MetricsText) {
        func figures(_ figure: (SubscriptionReport) -> UInt64) -> [([(String, String)], String)] {
            log.subscriptions.map { ([("subscription", $0.subscription.name)], "\(figure($0))") }
        }
        text.add(
            "millrace_subscription_lag_events", .gauge, "Events of the log behind the subscription's cursor.",
            figures { log.nextOffset - min(log.nextOffset, $0.subscription.cursor) })
        text.add(
            "millrace_subscription_in_flight", .gauge, "Events that consumers have.",
            figures { UInt64($0.inFlightCount) })
        text.add(
            "millrace_subscription_dead_letters", .gauge, "Events that were given out too often, and wait.",
            figures { UInt64($0.deadCount) })
    }

    /// Every figure of the source that is a number, under its name in the status.
    private func addSource(_ source: SourceReport, to text: inout MetricsText) {
        text.add(
            "millrace_source_answers", .gauge, "1 when the source's database could be asked.",
            source.failure == nil ? 1 : 0)
        for (name, value) in source.figures {
            guard let number = value.number else { continue }
            let words = name.replacing("_", with: " ")
            text.add(
                "millrace_source_\(name)", .gauge, "The source's \(words), as in millrace status --json.",
                [([], number.text)])
        }
    }

    private static func seconds(_ microseconds: Int64) -> Int64 { microseconds / 1_000_000 }
}

extension MetricsText {
    /// Adds what every process that listens tells.
    mutating func addProgram(_ replyCounts: [Int: UInt64]) {
        add("millrace_build_info", .gauge, "The program's version.", [([("version", Version.text)], "1")])
        add(
            "millrace_http_replies_total", .counter, "Answers to HTTP requests by the class of their status.",
            replyCounts.sorted { $0.key < $1.key }.map { ([("class", "\($0.key)xx")], "\($0.value)") })
    }
}
