import ChangeModel
package import ConnectorKit
package import EventLog

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

    /// Moves a sink's cursor as ``replay(_:from:skipping:forgetting:)`` does, and takes back the letters whose events
    /// come again, in steps likewise; where the cursor was, and how many letters those were. `tables` are those that
    /// the sink takes; letters of others would be lost, and refuse the replay (`replay.loses_letters`).
    package nonisolated func replayWithLetters(
        _ sink: String, from offset: UInt64, skipping: Bool, forgetting: Bool, tables: [TablePattern]
    ) async throws(ConnectorFailure) -> (former: UInt64, letterCount: Int) {
        try await checkLetters(of: sink, from: offset) { relation in
            tables.contains { $0.matches(schema: relation.schema, table: relation.name) }
        }
        let former = try await replay(sink, from: offset, skipping: skipping, forgetting: forgetting)
        return (former, try await takeBackAllLetters(of: sink))
    }

    /// Takes back the letters of a sink whose events its cursor is before; how many that were.
    @discardableResult
    nonisolated func takeBackAllLetters(of sink: String) async throws(ConnectorFailure) -> Int {
        var count = 0
        while true {
            let step = try await takeBackLetters(of: sink)
            count += step.changeCount
            if !step.isUnfinished { return count }
        }
    }
}
