import ConnectorKit
import EventLog

extension EventLog {
    /// Discards what waits of a subject up to a number, in steps between which others have the log; how many changes
    /// that were.
    nonisolated func discardAll(of subject: String, through last: Int64) async throws(ConnectorFailure) -> Int {
        var count = 0
        while true {
            let step = try await discardDeadLetters(of: subject, through: last)
            count += step.changeCount
            if !step.isUnfinished { return count }
        }
    }
}
