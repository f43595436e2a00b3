import Glibc

/// The time that this thread has spent on a processor, and how much of it may be spent.
///
/// It stands still while the thread waits or the machine sleeps, so that a busy machine alone never ends anything.
struct ThreadClock {
    private let timeMax: Duration
    private var began: Duration?

    /// A clock that starts when it is asked for the first time.
    init(timeMax: Duration) { self.timeMax = timeMax }

    /// True until the time is over.
    mutating func hasTime() -> Bool {
        let now = Self.now
        guard let began else {
            began = now
            return true
        }
        return now - began < timeMax
    }

    /// Time on a processor since the thread began.
    static var now: Duration {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}
