internal import Glibc

/// The clock of subscriptions: what is stored with it holds in the next process too.
enum SubscriptionClock {
    /// Microseconds since 1970-01-01 00:00 UTC.
    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}
