internal import Glibc

/// What time it is, for who says when an event was written.
enum WallClock {
    /// Nanoseconds since 1970-01-01 00:00 UTC.
    static func nanoseconds() -> Int64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }
}
