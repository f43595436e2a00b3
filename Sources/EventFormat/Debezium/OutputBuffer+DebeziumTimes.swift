internal import ByteKit

/// Dates and times as Debezium spells them. Each function says false for text that it cannot read, when it may have
/// appended a part.
extension OutputBuffer {
    /// What Debezium's numbers for an infinite date are: the driver's own, counted on from 1970.
    private static let infiniteDays = (positive: -2_147_472_692, negative: -2_147_472_691)
    /// The same for timestamps, in microseconds.
    private static let infiniteMicroseconds: (positive: Int64, negative: Int64) = (
        9_223_372_036_825_200_000, -9_223_372_036_832_400_000
    )

    mutating func append(date text: RawSpan, isISO: Bool) -> Bool {
        let days: Int
        if let isPositive = infinity(text) {
            days = isPositive ? Self.infiniteDays.positive : Self.infiniteDays.negative
        } else {
            var clock = ClockText(text)
            guard let date = clock.date() else { return false }
            days = clock.era(date).daysSince1970
            guard clock.isAtEnd else { return false }
        }
        if !isISO {
            append(decimal: days)
            return true
        }
        append(UInt8(ascii: "\""))
        append(isoDate: CivilDate(daysSince1970: days))
        append("Z\"")
        return true
    }

    mutating func append(time text: RawSpan, _ form: DebeziumForm) -> Bool {
        var clock = ClockText(text)
        guard let time = clock.time(), clock.isAtEnd else { return false }
        switch form {
        case .timeMillis: append(decimal: time / 1000)
        case .timeNanos: append(decimal: time * 1000)
        case .isoTime:
            append(UInt8(ascii: "\""))
            append(isoTime: time % 86_400_000_000)
            append("Z\"")
        default: append(decimal: time)
        }
        return true
    }

    mutating func append(timestamp text: RawSpan, _ form: DebeziumForm) -> Bool {
        let time: Int64
        if let isPositive = infinity(text) {
            time = isPositive ? Self.infiniteMicroseconds.positive : Self.infiniteMicroseconds.negative
        } else {
            var clock = ClockText(text)
            guard let date = clock.date(), clock.take(" "), let ofDay = clock.time() else { return false }
            let (days, isTooLong) = Int64(clock.era(date).daysSince1970).multipliedReportingOverflow(by: 86_400_000_000)
            let (sum, isTooLate) = days.addingReportingOverflow(ofDay)
            guard clock.isAtEnd, !isTooLong, !isTooLate else { return false }
            time = sum
        }
        switch form {
        case .timestampMillis: append(decimal: dividedDown(time, 1000).quotient)
        case .timestampNanos:
            let (nanoseconds, isTooLong) = time.multipliedReportingOverflow(by: 1000)
            if isTooLong { return false }
            append(decimal: nanoseconds)
        case .isoTimestamp:
            let (days, ofDay) = dividedDown(time, 86_400_000_000)
            append(UInt8(ascii: "\""))
            append(isoDate: CivilDate(daysSince1970: Int(days)))
            append(UInt8(ascii: "T"))
            append(isoTime: ofDay)
            append("Z\"")
        default: append(decimal: time)
        }
        return true
    }

    /// The text is in UTC already.
    mutating func append(zonedTimestamp text: RawSpan, decimals: Int) -> Bool {
        if infinity(text) != nil { return append(jsonString: text) }
        var clock = ClockText(text)
        guard let date = clock.date(), clock.take(" "), let time = clock.time(), clock.zone() == 0 else { return false }
        append(UInt8(ascii: "\""))
        append(isoDate: clock.era(date))
        append(UInt8(ascii: "T"))
        append(isoTime: time, decimals: decimals)
        append("Z\"")
        return clock.isAtEnd
    }

    /// The time of day in UTC. The end of a day in UTC stays its end.
    mutating func append(timeInUTC text: RawSpan) -> Bool {
        var clock = ClockText(text)
        guard let time = clock.time(), let zone = clock.zone(), clock.isAtEnd else { return false }
        let day: Int64 = 86_400_000_000
        let isEnd = zone == 0 && time == day
        append(UInt8(ascii: "\""))
        append(isoTime: isEnd ? day : dividedDown(time - zone * 1_000_000, day).rest)
        append("Z\"")
        return true
    }

    // MARK: Intervals

    /// `P1Y2M-3DT4H5M6.789S`: each part may be missing and has a sign of its own.
    mutating func append(interval text: RawSpan, isISO: Bool) -> Bool {
        guard let parts = IntervalParts(text) else { return false }
        if !isISO {
            append(decimal: parts.microseconds)
            return true
        }
        append("\"P")
        append(decimal: parts.years)
        append(UInt8(ascii: "Y"))
        append(decimal: parts.months)
        append(UInt8(ascii: "M"))
        append(decimal: parts.days)
        append("DT")
        append(decimal: parts.hours)
        append(UInt8(ascii: "H"))
        append(decimal: parts.minutes)
        append(UInt8(ascii: "M"))
        if parts.secondsInMicroseconds < 0 { append(UInt8(ascii: "-")) }
        let (seconds, fraction) = parts.secondsInMicroseconds.magnitude.quotientAndRemainder(dividingBy: 1_000_000)
        append(decimal: seconds)
        if fraction > 0 { append(UInt8(ascii: ".")) }
        var (rest, unit) = (fraction, UInt64(100_000))
        while rest > 0 {
            append(48 &+ UInt8(truncatingIfNeeded: rest / unit))
            (rest, unit) = (rest % unit, unit / 10)
        }
        append("S\"")
        return true
    }

    private func infinity(_ text: RawSpan) -> Bool? {
        if text.byteCount == 8, text.begins(with: "infinity") { return true }
        return text.byteCount == 9 && text.begins(with: "-infinity") ? false : nil
    }
}

/// Quotient and rest with the rest not below zero.
private func dividedDown(_ value: Int64, _ divisor: Int64) -> (quotient: Int64, rest: Int64) {
    let (quotient, rest) = value.quotientAndRemainder(dividingBy: divisor)
    return rest < 0 ? (quotient - 1, rest + divisor) : (quotient, rest)
}

/// The parts of an interval.
private struct IntervalParts {
    var years: Int64 = 0
    var months: Int64 = 0
    var days: Int64 = 0
    var hours: Int64 = 0
    var minutes: Int64 = 0
    var secondsInMicroseconds: Int64 = 0

    init?(_ text: RawSpan) {
        guard text.byte(0) == UInt8(ascii: "P"), text.byteCount > 1 else { return nil }
        var (place, isTime) = (1, false)
        while place < text.byteCount {
            if text.byte(place) == UInt8(ascii: "T"), !isTime {
                isTime = true
                place += 1
                continue
            }
            guard let (value, fraction) = Self.number(text, &place) else { return nil }
            let unit = text.byte(place)
            place += 1
            switch (unit, isTime) {
            case (UInt8(ascii: "Y"), false): years = value
            case (UInt8(ascii: "M"), false): months = value
            case (UInt8(ascii: "D"), false): days = value
            case (UInt8(ascii: "H"), true): hours = value
            case (UInt8(ascii: "M"), true): minutes = value
            case (UInt8(ascii: "S"), true): secondsInMicroseconds = value * 1_000_000 + fraction
            default: return nil
            }
        }
    }

    /// A whole number of at most twelve digits with its sign, and up to six decimals in millionths.
    private static func number(_ text: RawSpan, _ place: inout Int) -> (Int64, Int64)? {
        let isNegative = text.byte(place) == UInt8(ascii: "-")
        if isNegative { place += 1 }
        let start = place
        var value: Int64 = 0
        while isDigit(text, place), place - start < 12 {
            value = value * 10 + Int64(text.byte(place) - 48)
            place += 1
        }
        guard place > start else { return nil }
        var fraction: Int64 = 0
        if text.byte(place) == UInt8(ascii: ".") {
            place += 1
            var unit: Int64 = 100_000
            while isDigit(text, place) {
                fraction += Int64(text.byte(place) - 48) * unit
                unit /= 10
                place += 1
            }
        }
        return isNegative ? (-value, -fraction) : (value, fraction)
    }

    /// The length in microseconds, a month being a twelfth of 365.25 days. The nearest number that there is for one
    /// that is too long.
    var microseconds: Int64 {
        // No sum of numbers of twelve digits is too long for so many bits.
        let dates = (Int128(years) * 12 + Int128(months)) * 2_629_800 + Int128(days) * 86_400
        let seconds = dates + Int128(hours) * 3600 + Int128(minutes) * 60
        return Int64(clamping: seconds * 1_000_000 + Int128(secondsInMicroseconds))
    }
}
