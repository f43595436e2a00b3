/// When to read next: at once while little comes, in large spaced gulps during a backlog.
///
/// The server sends each change by itself. Whoever wakes for each of them makes both sides slow; one read every
/// millisecond doubles the rate and halves the server's work. But a pause costs latency, so it is taken only when reads
/// follow each other for a while, and given up as soon as a read after a pause brings little.
struct ReadPace {
    /// How long to wait before a read during a backlog.
    static let pause = Duration.milliseconds(1)
    /// Reads that follow each other within this time belong together.
    static let gap = Duration.microseconds(300)
    /// So many reads in a row are a backlog.
    static let runLength = 24
    /// So many bytes in one read are a backlog.
    static let gulp = 64 << 10
    /// Fewer bytes after a pause are a sign that it ends.
    static let trickle = 6 << 10
    /// So many such reads in a row are its end. One is not: on a busy machine the server may just have had no turn.
    static let trickleLength = 4

    /// True during a backlog.
    private(set) var isBacklog = false
    private var run = 0
    private var trickles = 0
    private var lastRead: ContinuousClock.Instant?

    /// A read brought `bytes` at `now`.
    mutating func didRead(_ bytes: Int, at now: ContinuousClock.Instant) {
        defer { lastRead = now }
        if isBacklog {
            trickles = bytes < Self.trickle ? trickles + 1 : 0
            if trickles >= Self.trickleLength { (isBacklog, run, trickles) = (false, 0, 0) }
            return
        }
        let follows = lastRead.map { $0.duration(to: now) <= Self.gap } ?? false
        run = follows ? run + 1 : 0
        isBacklog = run >= Self.runLength || bytes >= Self.gulp
    }
}
