/// Whether the slot will lose its WAL, and when, as a value: samples in, announcements out.
///
/// The room that the server leaves (`safe_wal_size`) shrinks as WAL is written and grows as the slot moves. What counts
/// is how fast it shrinks on balance over the last minutes, so that a slot that keeps up never alarms, however much is
/// written. Without a limit (`max_slot_wal_keep_size = -1`) there is nothing to foretell.
struct WALForecast {
    /// What the server said at a moment.
    struct Sample: Equatable {
        var time: ContinuousClock.Instant
        /// Bytes that may be written before the slot is in danger; nil without a limit.
        var safeBytes: Int?
        /// reserved, extended, unreserved or lost.
        var status: String?
    }

    /// What is to be said.
    enum Announcement: Equatable {
        /// At this pace the slot is lost in so many seconds; bytes left, and bytes a second by which they shrink.
        case endangered(seconds: Int, safeBytes: Int, rate: Int)
        /// The room is used up: the next checkpoint of the server removes WAL that the slot needs.
        case unreserved
        /// The danger is over.
        case recovered
    }

    /// A loss that is farther away than this is not spoken of.
    static let horizon = 3600
    /// How long samples count.
    static let window = Duration.seconds(300)
    /// Two samples nearer to each other than this foretell nothing.
    static let spanMin = Duration.seconds(20)
    /// Less than two files of WAL say nothing.
    static let shrinkMin = 32 << 20
    /// Said again when the time left falls below each of these.
    private static let steps = [horizon, 900, 300, 60]

    private var samples: [Sample] = []
    /// How many of ``steps`` were announced; one more for ``Announcement/unreserved``.
    private var level = 0

    /// Takes a sample; gives what is to be said about it, mostly nothing.
    mutating func take(_ sample: Sample) -> Announcement? {
        samples.removeAll { $0.time + Self.window < sample.time || $0.safeBytes == nil }
        samples.append(sample)
        if sample.status == "unreserved" { return raise(to: Self.steps.count + 1, .unreserved) }
        guard let safe = sample.safeBytes, let first = samples.first, let before = first.safeBytes else {
            return recover()
        }
        let span = first.time.duration(to: sample.time)
        guard span >= Self.spanMin else { return nil }
        let rate = Double(before - safe) / span.inSeconds
        guard rate > 0, Double(safe) / rate < Double(2 * Self.horizon) else { return recover() }
        // WAL goes by whole files: what goes up and down by a few of them is no trend.
        guard before - safe >= max(safe / 16, Self.shrinkMin) else { return nil }
        let left = Int(max(0, Double(safe) / rate))
        let reached = Self.steps.count { left < $0 }
        return raise(to: reached, .endangered(seconds: left, safeBytes: safe, rate: Int(rate)))
    }

    /// The seconds that are left by the samples so far; nil when none can be foretold.
    var secondsLeft: Int? {
        guard let first = samples.first, let last = samples.last, let before = first.safeBytes,
            let safe = last.safeBytes, first.time.duration(to: last.time) >= Self.spanMin, before > safe
        else { return nil }
        return Int(Double(safe) * first.time.duration(to: last.time).inSeconds / Double(before - safe))
    }

    private mutating func raise(to reached: Int, _ announcement: Announcement) -> Announcement? {
        guard reached > level else { return nil }
        level = reached
        return announcement
    }

    private mutating func recover() -> Announcement? {
        defer { level = 0 }
        return level > 0 ? .recovered : nil
    }
}

extension Duration {
    /// Seconds with their fraction.
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
