/// Growing pauses between attempts: 0.2 s, doubled each time up to 30 s, each shortened by up to a third at random so
/// that many clients of one server do not come back together. A success starts over.
package struct Backoff: Sendable {
    private var attempts = 0
    /// The first pause before it is shortened.
    package static let pauseMin = Duration.milliseconds(200)
    /// The longest pause.
    package static let pauseMax = Duration.seconds(30)

    /// No failure yet.
    package init() {}

    /// How many failures came one after the other.
    package var failureCount: Int { attempts }

    /// Counts a failure and gives the pause before the next attempt.
    package mutating func nextPause(using random: inout some RandomNumberGenerator) -> Duration {
        let doubled = Self.pauseMin * (1 << min(attempts, 16))
        attempts += 1
        let whole = min(doubled, Self.pauseMax)
        return whole - whole * Double.random(in: 0...(1.0 / 3), using: &random)
    }

    /// Counts a failure and gives the pause before the next attempt, with the system's randomness.
    package mutating func nextPause() -> Duration {
        var random = SystemRandomNumberGenerator()
        return nextPause(using: &random)
    }

    /// Something worked: the next failure is the first again.
    package mutating func reset() { attempts = 0 }
}
