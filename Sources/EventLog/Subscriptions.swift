import ConnectorKit

/// A subscription as the log keeps it.
package struct StoredSubscription: Sendable, Equatable {
    /// Its name.
    package var name: String
    /// What it wants, in the form of whoever made it.
    package var settings: String
    /// Tells it from others that had its name before, and from itself before it was moved.
    package var epoch: Int64
    /// Everything before this offset is settled.
    package var cursor: UInt64
    /// When it was made, in microseconds since 1970-01-01 00:00 UTC.
    package var createdAt: Int64
    /// When its cursor or one of its events last changed, likewise.
    package var movedAt: Int64
    /// What it did so far.
    package var counts = Counts()

    /// What a subscription did so far.
    package struct Counts: Sendable, Equatable {
        /// Events that were given out, each time anew.
        package var delivered = 0
        /// Events that were acknowledged.
        package var acknowledged = 0
        /// Events that were handed back, or whose time was over.
        package var returned = 0

        /// Nothing so far.
        package init() {}
    }

    /// A subscription that begins at a cursor now.
    package init(name: String, settings: String, cursor: UInt64) {
        self.name = name
        self.settings = settings
        self.cursor = cursor
        epoch = Self.newEpoch()
        createdAt = UTCTime.now()
        movedAt = createdAt
    }

    /// An epoch that no subscription had before.
    package static func newEpoch() -> Int64 { Int64.random(in: 0 ... .max) }
}

/// What came of adding a subscription.
package enum SubscriptionAddition: Sendable {
    /// It was stored.
    case added
    /// There is one of its name already; nothing was stored.
    case known
    /// There are as many as there may be; nothing was stored.
    case tooMany
}

/// How a subscription stands, for `status`.
package struct SubscriptionReport: Sendable, Equatable {
    /// The subscription.
    package var subscription: StoredSubscription
    /// Events that consumers have.
    package var inFlightCount: Int
    /// Events that were given out, and wait to be given out again.
    package var waitingCount: Int
    /// Events that were given out too often.
    package var deadCount: Int
}

/// Where an event of a subscription stands that was given out at least once.
package struct StoredDelivery: Sendable, Equatable {
    /// What is with it.
    package enum Phase: Int, Sendable {
        case inFlight = 1
        case resting = 2
        case settled = 3
        case dead = 4
    }

    /// Its offset in the log.
    package var offset: UInt64
    /// What is with it.
    package var phase: Phase
    /// How often it was given out.
    package var deliveryCount: Int
    /// Until when, in microseconds since 1970-01-01 00:00 UTC.
    package var until: Int64

    /// A delivery of its parts.
    package init(offset: UInt64, phase: Phase, deliveryCount: Int, until: Int64) {
        self.offset = offset
        self.phase = phase
        self.deliveryCount = deliveryCount
        self.until = until
    }
}

/// What of a subscription is to be stored, all of it or nothing.
package struct SubscriptionChanges: Sendable, Equatable {
    /// Everything before this offset is settled.
    package var cursor: UInt64
    /// Events that changed.
    package var deliveries: [StoredDelivery] = []
    /// Events of which nothing is to be remembered any more.
    package var removed: [UInt64] = []
    /// How many events were given out since the last changes.
    package var deliveredCount = 0
    /// How many were acknowledged.
    package var acknowledgedCount = 0
    /// How many were handed back.
    package var rejectedCount = 0
    /// Of how many the time was over.
    package var expiredCount = 0

    /// No changes.
    package init(cursor: UInt64) { self.cursor = cursor }
}
