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
                return report(try await PostgresStatus.look(settings, at: checkpoint?.resume))
            case .sqlite(let settings):
                return report(try SQLiteStatus.read(settings, checkpoint: checkpoint))
            }
        } catch {
            return SourceReport(
                figures: [], kind: configuration.sourceKind, failure: "[\(error.code)] \(error.message)")
        }
    }

    private func report(_ status: PostgresStatus) -> SourceReport {
        let figures: [(String, JSONValue)] = [
            ("slot", .string(status.slot)), ("exists", .bool(status.exists)), ("lag_bytes", number(status.lagBytes)),
            ("retained_bytes", number(status.retainedBytes)), ("confirmed", text(status.confirmed)),
            ("restart", text(status.restart)), ("server_end", text(status.serverEnd)),
            ("wal_status", status.walStatus.map { .string($0) } ?? .null), ("safe_bytes", number(status.safeBytes)),
            ("active_process", status.activeProcess.map { .string($0) } ?? .null),
        ]
        return SourceReport(figures: figures, kind: configuration.sourceKind)
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
