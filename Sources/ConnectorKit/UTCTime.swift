internal import Glibc

/// Times as people write and read them: on the command line, in the configuration, in requests.
package enum UTCTime {
    /// Microseconds since 1970 of `yyyy-mm-ddThh:mm:ss[.ffffff]` with `Z`, `+hh:mm` or nothing behind it, or of a bare
    /// date; nil for anything else (RFC 3339).
    package static func microseconds(_ text: String) -> Int64? {
        var body = text[...]
        var zone: Int64 = 0
        if body.hasSuffix("Z") {
            body = body.dropLast()
        } else if let found = offset(of: body) {
            (body, zone) = found
        }
        let halves = body.split(separator: "T", maxSplits: 1)
        guard let date = halves.first, let day = numbers(date, "-", [4, 2, 2]) else { return nil }
        var seconds: [Int] = [0, 0, 0]
        var fraction = 0
        if halves.count == 2 {
            let parts = halves[1].split(separator: ".", maxSplits: 1)
            guard let clock = parts.first, let read = numbers(clock, ":", [2, 2, 2]) else { return nil }
            seconds = read
            if parts.count == 2 {
                guard parts[1].count <= 6, parts[1].utf8.allSatisfy(isDigit),
                    let digits = Int(parts[1] + String(repeating: "0", count: 6 - parts[1].count))
                else { return nil }
                fraction = digits
            }
        }
        guard (1...12).contains(day[1]), (1...31).contains(day[2]), seconds[0] < 24, seconds[1] < 60, seconds[2] <= 60
        else { return nil }
        var time = unsafe tm()
        unsafe (time.tm_year, time.tm_mon, time.tm_mday) = (Int32(day[0]) - 1900, Int32(day[1]) - 1, Int32(day[2]))
        unsafe (time.tm_hour, time.tm_min) = (Int32(seconds[0]), Int32(seconds[1]))
        let minute = unsafe Int64(timegm(&time))
        // A day that the month does not have became one of the next month.
        guard unsafe Int(time.tm_mday) == day[2] else { return nil }
        return (minute + Int64(seconds[2]) - zone) * 1_000_000 + Int64(fraction)
    }

    /// The seconds of `+hh:mm` at the end of a time, and what stands before it. A space is taken for a plus, which it
    /// stands for in the query of an address.
    private static func offset(of text: Substring) -> (rest: Substring, seconds: Int64)? {
        let tail = text.suffix(6)
        guard tail.count == 6, text.contains("T"), let sign = tail.first, "+- ".contains(sign),
            let parts = numbers(tail.dropFirst(), ":", [2, 2]), parts[0] < 24, parts[1] < 60
        else { return nil }
        let seconds = Int64(parts[0] * 3600 + parts[1] * 60)
        return (text.dropLast(6), sign == "-" ? -seconds : seconds)
    }

    /// Microseconds since 1970 now.
    package static func now() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }

    /// The text of microseconds since 1970, to the second.
    package static func text(_ microseconds: Int64) -> String {
        var seconds = time_t(microseconds / 1_000_000)
        var parts = unsafe tm()
        unsafe gmtime_r(&seconds, &parts)
        func pad(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return unsafe "\(parts.tm_year + 1900)-\(pad(parts.tm_mon + 1))-\(pad(parts.tm_mday))T\(pad(parts.tm_hour))"
            + ":\(pad(parts.tm_min)):\(pad(parts.tm_sec))Z"
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func numbers(_ text: Substring, _ separator: Character, _ widths: [Int]) -> [Int]? {
        let parts = text.split(separator: separator, omittingEmptySubsequences: false)
        guard parts.map(\.count) == widths else { return nil }
        let values = parts.compactMap { $0.utf8.allSatisfy(isDigit) ? Int($0) : nil }
        return values.count == widths.count ? values : nil
    }
}

extension Duration {
    /// Whole milliseconds, cut off; never below zero.
    package var milliseconds: Int { max(0, Int(clamping: microseconds / 1000)) }

    /// Whole microseconds; the most that there are for a time that is longer.
    package var microseconds: Int64 {
        let (seconds, attoseconds) = components
        let whole = seconds.multipliedReportingOverflow(by: 1_000_000)
        return whole.overflow ? Int64.max : whole.partialValue &+ attoseconds / 1_000_000_000_000
    }
}
