internal import ByteKit
internal import ConnectorKit

/// A request from its first attempt to its end. Its body and id never change.
final class Delivery {
    /// The first record in it, and those of its lane that follow it there.
    let ticket: LaneSchedule.Ticket
    let followers: [LaneSchedule.Ticket]
    /// Its `webhook-id`.
    let id: RequestID
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
        _ ticket: LaneSchedule.Ticket, _ followers: [LaneSchedule.Ticket] = [], id: RequestID, content: FrozenBytes,
        body: Range<Int>, headers: [[UInt8]] = []
    ) {
        self.ticket = ticket
        self.followers = followers
        self.id = id
        self.content = content
        self.body = body
        self.headers = headers
    }

    /// All records in it, in the order of their lane.
    var tickets: [LaneSchedule.Ticket] { [ticket] + followers }
}
