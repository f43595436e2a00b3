/// How long the capture of bulk may wait for sinks that keep up.
///
/// Time that was not waited earns a quarter of itself, up to ``creditMax``. So sinks delay the rows of a snapshot, and
/// the changes of the stream behind those rows, by a fifth of the time at most, whatever they do.
package struct BulkPatience {
    /// The longest single wait, and what there is at the beginning. As much again is earned in four times the time.
    package static let creditMax = Duration.milliseconds(500)
    private static let earnedPart = 4

    private var credit = Self.creditMax
    private var countedUntil: ContinuousClock.Instant

    /// Nothing was waited before `start`.
    package init(_ start: ContinuousClock.Instant) { countedUntil = start }

    /// How long may be waited from now on.
    package mutating func available(at now: ContinuousClock.Instant) -> Duration {
        credit = min(Self.creditMax, credit + (now - countedUntil) / Self.earnedPart)
        countedUntil = now
        return credit
    }

    /// So long was waited.
    package mutating func spent(from start: ContinuousClock.Instant, to end: ContinuousClock.Instant) {
        credit = max(.zero, credit - (end - start))
        countedUntil = end
    }
}
