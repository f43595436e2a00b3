import Glibc

/// The time as the file sink sees it, in microseconds. Tests bring their own.
package struct FileClock: Sendable {
    /// The time of day, since 1970-01-01 00:00 UTC; may jump, back as well as forward.
    var wall: @Sendable () -> Int64
    /// A clock that only goes forward, from anywhere.
    var steady: @Sendable () -> Int64

    /// The machine's clocks.
    package static let system = FileClock(
        wall: { read(CLOCK_REALTIME) }, steady: { read(CLOCK_MONOTONIC) })

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}
