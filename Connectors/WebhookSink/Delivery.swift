internal import ByteKit
internal import ConnectorKit

/// A request from its first attempt to its end. Its body and id never change.
final class Delivery {
    /// The records in it, in the order of their lane.
    let tickets: [LaneSchedule.Ticket]
    /// Its `webhook-id`.
    let id: [UInt8]
    /// What the body lies in.
    let content: FrozenBytes
    /// Where the body lies.
    let body: Range<Int>
    /// Headers that are its own, beside the three of Standard Webhooks: `name: value` each.
    let headers: [[UInt8]]
    /// How many attempts failed.
    var failureCount = 0
    /// When it was sent for the first time.
    var firstAttempt: ContinuousClock.Instant?
    /// It is not sent again before.
    var notBefore: ContinuousClock.Instant?

    init(
        tickets: [LaneSchedule.Ticket], id: [UInt8], content: FrozenBytes, body: Range<Int>, headers: [[UInt8]] = []
    ) {
        self.tickets = tickets
        self.id = id
        self.content = content
        self.body = body
        self.headers = headers
    }
}
