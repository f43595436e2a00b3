internal import ByteKit

/// Dates, times and durations of RFC 3339.
enum DateTimeText {
    static func isDateTime(_ text: RawSpan) -> Bool {
        text.byteCount >= 20 && text.byte(10) | 0x20 == UInt8(ascii: "t") && isDate(text.extracting(0..<10))
            && isTime(text.extracting(11..<text.byteCount))
    }

    static func isDate(_ text: RawSpan) -> Bool {
        guard text.byteCount == 10, text.byte(4) == UInt8(ascii: "-"), text.byte(7) == UInt8(ascii: "-"),
            let century = twoDigits(text, 0), let rest = twoDigits(text, 2), let month = twoDigits(text, 5),
            let day = twoDigits(text, 8)
        else { return false }
        return (1...12).contains(month) && day >= 1 && day <= days(in: month, century * 100 + rest)
    }

    /// `partial-time` and an offset; a second of 60 only where a leap second may be: at the end of a day in UTC.
    static func isTime(_ text: RawSpan) -> Bool {
        guard text.byte(2) == UInt8(ascii: ":"), text.byte(5) == UInt8(ascii: ":"), let hour = twoDigits(text, 0),
            let minute = twoDigits(text, 3), let second = twoDigits(text, 6), hour <= 23, minute <= 59, second <= 60
        else { return false }
        var place = 8
        if text.byte(place) == UInt8(ascii: ".") {
            place += 1
            guard text.byte(place).isDigit else { return false }
            while text.byte(place).isDigit { place += 1 }
        }
        guard let offset = offset(text, place) else { return false }
        if second < 60 { return true }
        let utc = hour * 60 + minute - offset
        return (utc % 1440 + 1440) % 1440 == 1439
    }

    /// Minutes ahead of UTC, from `place` to the end.
    private static func offset(_ text: RawSpan, _ place: Int) -> Int? {
        let sign = text.byte(place)
        if text.byteCount == place + 1 { return sign | 0x20 == UInt8(ascii: "z") ? 0 : nil }
        guard text.byteCount == place + 6, text.byte(place + 3) == UInt8(ascii: ":"),
            let hour = twoDigits(text, place + 1), let minute = twoDigits(text, place + 4), hour <= 23, minute <= 59
        else { return nil }
        switch sign {
        case UInt8(ascii: "+"): return hour * 60 + minute
        case UInt8(ascii: "-"): return -(hour * 60 + minute)
        default: return nil
        }
    }

    /// Durations of RFC 3339, appendix A: units without gaps, weeks alone.
    static func isDuration(_ text: RawSpan) -> Bool {
        guard text.byte(0) == UInt8(ascii: "P"), text.byteCount > 1 else { return false }
        var place = 1
        if isUnitRun(text, &place, [UInt8(ascii: "W")]) && place == text.byteCount { return true }
        place = 1
        let hasDays = isUnitRun(text, &place, [UInt8(ascii: "Y"), UInt8(ascii: "M"), UInt8(ascii: "D")])
        if place == text.byteCount { return hasDays }
        guard text.byte(place) == UInt8(ascii: "T") else { return false }
        place += 1
        return isUnitRun(text, &place, [UInt8(ascii: "H"), UInt8(ascii: "M"), UInt8(ascii: "S")])
            && place == text.byteCount
    }

    /// Passes numbers with units that follow each other in a list; true when there is one at least.
    private static func isUnitRun(_ text: RawSpan, _ place: inout Int, _ units: [UInt8]) -> Bool {
        var next = 0
        var isFirst = true
        while next < units.count {
            var end = place
            while text.byte(end).isDigit { end += 1 }
            guard end > place, let unit = units[next...].firstIndex(of: text.byte(end)), isFirst || unit == next else {
                break
            }
            (place, next, isFirst) = (end + 1, unit + 1, false)
        }
        return !isFirst
    }

    private static func twoDigits(_ text: RawSpan, _ place: Int) -> Int? {
        let (tens, ones) = (text.byte(place), text.byte(place + 1))
        return tens.isDigit && ones.isDigit ? Int(tens &- 48) * 10 + Int(ones &- 48) : nil
    }

    private static func days(in month: Int, _ year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}
