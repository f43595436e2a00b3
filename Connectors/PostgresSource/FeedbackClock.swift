internal import ChangeModel

/// When the server is told what it may forget, as a value.
///
/// Promptly after an advance but at most ten times a second, at once when the server asks, and always before it could
/// lose patience.
struct FeedbackClock {
    /// Advances are told at most this often.
    static let spacing = Duration.milliseconds(100)

    private let interval: Duration
    private var lastSent: ContinuousClock.Instant
    /// What the server was told last.
    private(set) var told: LSN

    /// `senderTimeout` is the server's wal_sender_timeout; nil when it is off.
    init(interval: Duration, senderTimeout: Duration?, told: LSN, now: ContinuousClock.Instant) {
        let patience = senderTimeout.map { $0 / 3 } ?? interval
        self.interval = max(.milliseconds(20), min(interval, patience))
        self.told = told
        lastSent = now
    }

    /// When the next update is due.
    func due(acknowledged: LSN) -> ContinuousClock.Instant {
        lastSent + (acknowledged > told ? min(Self.spacing, interval) : interval)
    }

    /// An update was sent.
    mutating func sent(_ flushed: LSN, at now: ContinuousClock.Instant) {
        told = max(told, flushed)
        lastSent = now
    }
}
