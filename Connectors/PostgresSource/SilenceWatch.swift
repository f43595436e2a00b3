/// Tells a server that has nothing to say from one that is gone, as a value.
///
/// An idle server is silent, and so is one behind a cut network that goes on taking our bytes. After half of the
/// patience it is asked for an answer; after the other half without one it counts as gone.
struct SilenceWatch {
    /// What is to be done about the silence.
    enum Step {
        case wait
        case ask
        case giveUp
    }

    /// How long the server may be silent.
    let patience: Duration
    private var lastHeard: ContinuousClock.Instant
    private var asked: ContinuousClock.Instant?

    /// We are as patient with the server as it is with us; `senderTimeout` is its wal_sender_timeout, nil when off.
    init(senderTimeout: Duration?, now: ContinuousClock.Instant) {
        patience = max(.seconds(1), senderTimeout ?? .seconds(60))
        lastHeard = now
    }

    /// Something came, or nobody listened.
    mutating func heard(at now: ContinuousClock.Instant) {
        lastHeard = now
        asked = nil
    }

    /// When ``step(at:)`` has something new to say.
    var due: ContinuousClock.Instant { (asked ?? lastHeard) + patience / 2 }

    /// The next step; the question is asked once.
    mutating func step(at now: ContinuousClock.Instant) -> Step {
        if now < due { return .wait }
        if asked != nil { return .giveUp }
        asked = now
        return .ask
    }
}
