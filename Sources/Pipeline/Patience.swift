import ConnectorKit

/// How long a part of the pipeline may fail without getting on, before a run that is to end does so without it.
struct Patience: Sendable {
    /// Nil for ever.
    let limit: Duration?
    /// When the first of the failures was that nothing came between; nil while none is known.
    private var failingSince: ContinuousClock.Instant?
    /// True when the part waited that long in one call already.
    private var isSpent = false
    /// How long a service waits for a sink that does not get on.
    private let requestLimit: Duration

    /// A patience that nothing tried yet.
    init(limit: Duration? = nil, requestLimit: Duration = DeliveryLimits().requestPatience) {
        (self.limit, self.requestLimit) = (limit, requestLimit)
    }

    /// True when it lasted long enough.
    var isOver: Bool {
        guard let limit, let failingSince else { return false }
        return isSpent || ContinuousClock.now - failingSince >= limit
    }

    /// True when a sink that tries by itself is not waited for any longer to do what somebody asked for at `start`. A
    /// run that is to end waits as long as for everything; a service goes on with what else there is.
    func isOver(for trouble: SinkTrouble, since start: ContinuousClock.Instant) -> Bool {
        if let limit { return trouble.lasts(for: limit) }
        return trouble.failure != nil && ContinuousClock.now - start >= requestLimit
    }

    /// Something failed.
    mutating func failed() { failingSince = failingSince ?? .now }

    /// What failed was tried as long as the limit says.
    mutating func spend() {
        failed()
        isSpent = limit != nil
    }

    /// Something was done.
    mutating func gotOn() { (failingSince, isSpent) = (nil, false) }

    /// A pause that does not go beyond the end; the pause itself once that is past.
    func shortened(_ pause: Duration) -> Duration {
        guard let limit, let failingSince else { return pause }
        let left = limit - (ContinuousClock.now - failingSince)
        return left > .zero ? min(pause, left) : pause
    }

    /// The failure, with how long it was tried. Its remedy stays: another run may have more luck.
    func givenUp(_ failure: ConnectorFailure) -> ConnectorFailure {
        guard let limit else { return failure }
        var failure = failure
        failure.message += "; it was tried for \(limit.components.seconds) s"
        return failure
    }
}
