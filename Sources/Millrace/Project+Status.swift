import ChangeModel
import ConnectorKit
import Glibc
import JSONText
import PipelineConfiguration
import PostgresSource
import SQLiteSource

extension Project {
    /// Asks the source's database where it is, against the checkpoint that the log holds.
    func sourceStatus(_ checkpoint: SourceCheckpoint?) async -> SourceReport {
        do throws(ConnectorFailure) {
            switch source {
            case .postgres(let settings):
                return report(
                    try await PostgresStatus.look(settings, at: checkpoint),
                    unread: PostgresStatus.unreadTables(checkpoint))
            case .sqlite(let settings):
                return report(try SQLiteStatus.read(settings, checkpoint: checkpoint))
            }
        } catch {
            return SourceReport(
                figures: [], kind: configuration.sourceKind, failure: "[\(error.code)] \(error.message)")
        }
    }

    private func report(_ status: PostgresStatus, unread: [PostgresStatus.UnreadTable]) -> SourceReport {
        let figures: [(String, JSONValue)] = [
            ("slot", .string(status.slot)), ("exists", .bool(status.exists)), ("lag_bytes", number(status.lagBytes)),
            ("lag_seconds", number(lagSeconds(status))),
            ("retained_bytes", number(status.retainedBytes)), ("confirmed", text(status.confirmed)),
            ("restart", text(status.restart)), ("server_end", text(status.serverEnd)),
            ("wal_status", status.walStatus.map { .string($0) } ?? .null), ("safe_bytes", number(status.safeBytes)),
            ("active_process", status.activeProcess.map { .string($0) } ?? .null),
            ("written_bytes_per_second", number(status.writtenPerSecond)),
            ("seconds_until_lost", number(status.secondsUntilLost)),
            ("lost_because", status.lostBecause.map { .string($0) } ?? .null),
            ("waits_for", status.waitsFor.map { .string($0) } ?? .null),
            ("snapshot_tables_left", number(unread.count)),
            ("snapshot_of", unread.first.map { .string($0.name) } ?? .null),
            ("snapshot_rows", unread.first?.rowCount.map { number(Int(clamping: $0)) } ?? .null),
            ("snapshot_rows_estimate", unread.first.map { number(Int(clamping: $0.estimate)) } ?? .null),
        ]
        var words = words(status) + words(unread)
        if let holder = status.waitsFor { words.append("the oldest transaction is \(holder)") }
        return SourceReport(figures: figures, kind: configuration.sourceKind, words: words)
    }

    private func words(_ unread: [PostgresStatus.UnreadTable]) -> [String] {
        guard let first = unread.first else { return [] }
        var line = "snapshot of \(first.name)"
        if let count = first.rowCount {
            line += ": \(count)" + (first.estimate > 0 ? " of about \(first.estimate)" : "") + " rows"
        } else {
            line += ": not begun"
        }
        return [unread.count > 1 ? line + "; further tables to read: \(unread.count - 1)" : line]
    }

    /// While the slot is read, what the reader needs to confirm; else how long it is not read, where the server knows.
    private func lagSeconds(_ status: PostgresStatus) -> Int? {
        status.lagBytes == 0 ? 0 : status.confirmSeconds ?? status.inactiveSeconds
    }

    /// The same as sentences.
    private func words(_ status: PostgresStatus) -> [String] {
        guard status.exists else {
            return ["slot \(status.slot) does not exist; a first millrace run makes it, a later one says what to do"]
        }
        if let reason = status.lostBecause {
            return ["slot \(status.slot) is LOST (\(reason)): millrace run --recover snapshot"]
        }
        if status.isBeingMade {
            return ["slot \(status.slot) is being made: it waits for the transactions that were open before it"]
        }
        let reader = status.activeProcess.map { "read by server process \($0)" } ?? "not read by anybody now"
        var lag =
            status.lagBytes.map { $0 == 0 ? "up to date" : "\(ByteCount.text($0)) behind the server" } ?? "never read"
        if let seconds = lagSeconds(status), seconds > 0 { lag += ", \(Elapsed.text(seconds))" }
        var lines = ["slot \(status.slot), \(reader)", lag]
        if let confirmed = status.confirmed {
            lines[1] += " (confirmed \(confirmed), the server is at \(status.serverEnd))"
        }
        if let retained = status.retainedBytes {
            var line = "the server keeps \(ByteCount.text(retained)) of WAL for it"
            if let safe = status.safeBytes {
                line += "; \(ByteCount.text(max(0, safe))) of room before it is lost"
                if let rate = status.writtenPerSecond, let left = status.secondsUntilLost {
                    line += ", \(Elapsed.text(left)) at \(ByteCount.text(rate))/s if the slot does not move"
                }
            } else {
                line += "; no limit is set"
            }
            lines.append(line)
        }
        return lines
    }

    private func report(_ status: SQLiteStatus?) -> SourceReport {
        guard let status else {
            return SourceReport(figures: [("installed", false)], kind: configuration.sourceKind)
        }
        let now = Int64(time(nil)) * 1_000_000
        let lag = status.waitingSince.map { max(0, (now - $0) / 1_000_000) } ?? 0
        let figures: [(String, JSONValue)] = [
            ("tables", number(status.capturedTables.count)), ("waiting_changes", number(Int(status.waiting))),
            ("lag_seconds", number(Int(lag))), ("stored_changes", number(Int(status.stored))),
            ("snapshot_of", status.snapshotTable.map { .string($0) } ?? .null),
        ]
        return SourceReport(figures: figures, kind: configuration.sourceKind)
    }

    private func number(_ value: Int?) -> JSONValue { value.map { .number(JSONNumber($0)) } ?? .null }
    private func text(_ position: LSN?) -> JSONValue { position.map { .string($0.description) } ?? .null }
}
