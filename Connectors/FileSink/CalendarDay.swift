/// A day or an hour that commits belong to.
struct CommitPeriod: Equatable {
    /// Days since 1970-01-01.
    var day: Int64
    var hour: Int64
    /// The times that a path does not tell apart, in microseconds since 1970-01-01 00:00 UTC.
    var times: Range<Int64>
    /// When it is over; nil when it never is.
    var end: Int64? { times.upperBound == Int64.max ? nil : times.upperBound }
}

/// A date of the Gregorian calendar, also before its introduction.
struct CalendarDay {
    static let microseconds: Int64 = 86_400_000_000
    static let hourMicroseconds: Int64 = 3_600_000_000

    var year: Int64
    var month: Int64
    var day: Int64

    /// The date that lies `days` after 1970-01-01.
    ///
    /// Counts in years that begin on 1 March, so that the leap day is the last of its year: eras of 400 years have
    /// 146,097 days, and the months from March on have 30.6 days on average.
    init(_ days: Int64) {
        let sinceEpoch = days + 719_468
        let era = Self.floored(sinceEpoch, 146_097)
        let dayOfEra = sinceEpoch - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// The day of a time in microseconds since 1970-01-01 00:00 UTC.
    static func number(ofMicroseconds time: Int64) -> Int64 { floored(time, microseconds) }

    /// The times of a day, in microseconds since 1970-01-01 00:00 UTC; cut off at the ends of what 64 bits can hold.
    static func times(ofDay day: Int64) -> Range<Int64> {
        let start = day.multipliedReportingOverflow(by: microseconds)
        let end = (day + 1).multipliedReportingOverflow(by: microseconds)
        return (start.overflow ? Int64.min : start.partialValue)..<(end.overflow ? Int64.max : end.partialValue)
    }

    /// `2026-11-21`.
    var text: String { Self.padded(year, 4) + "-" + Self.padded(month, 2) + "-" + Self.padded(day, 2) }

    private static func floored(_ value: Int64, _ divisor: Int64) -> Int64 {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }

    static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value.magnitude)
        return (value < 0 ? "-" : "") + String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
