import ChangeModel
import ConnectorKit
import EventLog
import Sensitivity

extension DeliveryStage {
    /// Tells the encoder what it cannot know from the events behind the cursor alone.
    mutating func prepare(_ encoder: ClearedEncoder, _ turn: inout Turn) async throws(ConnectorFailure) {
        turn.isPrepared = true
        guard encoder.countsRecords else { return }
        let database = try await log.source()?.fingerprint["database"]
        let events = events
        try await encoder.prepare(
            for: turn.next, database: database, clearing: &clearing, including: plan.wants
        ) { (offset) async throws(ConnectorFailure) in try await events.next(from: offset, orUntil: .now) }
    }
}
