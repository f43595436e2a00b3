internal import ConnectorKit

/// What keeps snapshots from getting on for longer than a moment, as a value: mostly a transaction that somebody left
/// open.
struct SnapshotHold {
    /// Since when no chunk was told and one was thrown away because the server showed it a past.
    private var since: ContinuousClock.Instant?
    private var nextLook = ContinuousClock.now
    private var nextWord = ContinuousClock.now
    /// Why nothing is told; nil while chunks are told, and before it is known.
    private(set) var failure: ConnectorFailure?

    /// So long others may be committing.
    static let firstLook = Duration.seconds(1)
    /// Who holds it up is looked for this often.
    static let lookInterval = Duration.seconds(5)
    /// It is said once it has lasted so long, and again after each of the longer spans.
    static let firstWord = Duration.seconds(5)
    static let wordInterval = Duration.seconds(600)

    /// A chunk was thrown away.
    mutating func begins(at now: ContinuousClock.Instant = .now) {
        guard since == nil else { return }
        (since, nextLook, nextWord) = (now, now + Self.firstLook, now + Self.firstWord)
    }

    /// A chunk was told.
    mutating func ends() { (since, failure) = (nil, nil) }

    /// True when it is time to look for who is waited for; then not again for a while.
    mutating func isLookDue(at now: ContinuousClock.Instant = .now) -> Bool {
        guard since != nil, now >= nextLook else { return false }
        nextLook = now + Self.lookInterval
        return true
    }

    /// A table cannot be read for now, for a reason that is known.
    mutating func meets(_ failure: ConnectorFailure) { self.failure = failure }

    /// Takes what was found; true when it should be said. A chunk may have been told meanwhile.
    mutating func takes(_ failure: ConnectorFailure, at now: ContinuousClock.Instant = .now) -> Bool {
        guard since != nil else { return false }
        self.failure = failure
        guard now >= nextWord else { return false }
        nextWord = now + Self.wordInterval
        return true
    }
}
