import Glibc

/// The time that this thread has spent on a processor, and how much of it may be spent.
///
/// It stands still while the thread waits or the machine sleeps, so that a busy machine alone never ends anything.
struct ThreadClock {
    private let end: Duration

    /// A clock that starts now.
    init(timeMax: Duration) { end = Self.now + timeMax }

    /// True until the time is over.
    var hasTime: Bool { Self.now < end }

    /// Time on a processor since the thread began.
    static var now: Duration {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}
