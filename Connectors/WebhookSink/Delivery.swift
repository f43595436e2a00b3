internal import ConnectorKit

/// A request from its first attempt to its end. Its body and id never change.
final class Delivery {
    /// The first record in it, and those of its lane that follow it there.
    let ticket: LaneSchedule.Ticket
    let followers: [LaneSchedule.Ticket]
    let content: RequestContent
    /// How many attempts failed.
    var failureCount = 0
    /// When it was sent for the first time.
    var firstAttempt: ContinuousClock.Instant?
    /// It is not sent again before.
    var notBefore: ContinuousClock.Instant?

    init(
        _ ticket: LaneSchedule.Ticket, _ followers: [LaneSchedule.Ticket] = [], _ content: RequestContent
    ) {
        self.ticket = ticket
        self.followers = followers
        self.content = content
    }

    /// All records in it, in the order of their lane.
    var tickets: [LaneSchedule.Ticket] { [ticket] + followers }
}
