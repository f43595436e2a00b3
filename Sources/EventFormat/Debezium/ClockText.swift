internal import ByteKit

/// A point in time in PostgreSQL's ISO text, read from left to right.
struct ClockText: ~Escapable {
    private let text: RawSpan
    private var place = 0

    @_lifetime(copy text)
    init(_ text: RawSpan) { self.text = text }

    var isAtEnd: Bool { place == text.byteCount }

    /// Days since 1970-01-01 of `YYYY-MM-DD`; the year has four digits or more. Years before 1 are told by
    /// ``era(_:)`` behind everything else.
    @_lifetime(self: copy self)
    mutating func date() -> CivilDate? {
        guard let year = number(4, 7), take("-"), let month = number(2, 2), take("-"), let day = number(2, 2),
            (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        return CivilDate(year: year, month: month, day: day)
    }

    /// Microseconds since midnight of `hh:mm:ss` with up to six decimals.
    @_lifetime(self: copy self)
    mutating func time() -> Int64? {
        guard let hours = number(2, 2), take(":"), let minutes = number(2, 2), take(":"), let seconds = number(2, 2)
        else { return nil }
        return Int64(hours * 3600 + minutes * 60 + seconds) * 1_000_000 + microseconds()
    }

    /// Seconds east of Greenwich of `+hh`, `+hh:mm` or `+hh:mm:ss`.
    @_lifetime(self: copy self)
    mutating func zone() -> Int64? {
        let isWest = text.byte(place) == UInt8(ascii: "-")
        guard take("-") || take("+"), let hours = number(2, 2) else { return nil }
        let minutes = take(":") ? number(2, 2) : 0
        let seconds = take(":") ? number(2, 2) : 0
        guard let minutes, let seconds else { return nil }
        let offset = Int64(hours * 3600 + minutes * 60 + seconds)
        return isWest ? -offset : offset
    }

    /// A date whose era follows: `0044-03-15 BC` is in the year -43.
    @_lifetime(self: copy self)
    mutating func era(_ date: CivilDate) -> CivilDate {
        var date = date
        if take(" BC") { date.year = 1 - date.year }
        return date
    }

    @_lifetime(self: copy self)
    mutating func take(_ literal: StaticString) -> Bool {
        guard text.extracting(min(place, text.byteCount)..<text.byteCount).begins(with: literal) else { return false }
        place &+= literal.utf8CodeUnitCount
        return true
    }

    @_lifetime(self: copy self)
    private mutating func number(_ least: Int, _ most: Int) -> Int? {
        let start = place
        var value = 0
        while place &- start < most, isDigit(text, place) {
            value = value &* 10 &+ Int(text.byte(place) &- 48)
            place &+= 1
        }
        return place &- start >= least ? value : nil
    }

    @_lifetime(self: copy self)
    private mutating func microseconds() -> Int64 {
        guard take(".") else { return 0 }
        var (value, unit): (Int64, Int64) = (0, 100_000)
        while isDigit(text, place) {
            value += Int64(text.byte(place) &- 48) * unit
            unit /= 10
            place &+= 1
        }
        return value
    }
}

/// A day of the proleptic Gregorian calendar; the year before 1 is 0.
struct CivilDate: BitwiseCopyable {
    var year: Int
    var month: Int
    var day: Int

    init(year: Int, month: Int, day: Int) {
        (self.year, self.month, self.day) = (year, month, day)
    }

    /// The day so many days after 1970-01-01. Years are counted from March here, so that the leap day is the last.
    init(daysSince1970 days: Int) {
        let fromMarch0 = days + 719_468
        let era = (fromMarch0 >= 0 ? fromMarch0 : fromMarch0 - 146_096) / 146_097
        let dayOfEra = fromMarch0 - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    var daysSince1970: Int {
        let marchYear = month <= 2 ? year - 1 : year
        let era = (marchYear >= 0 ? marchYear : marchYear - 399) / 400
        let yearOfEra = marchYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}

extension OutputBuffer {
    /// Appends a date in ISO 8601 as Java writes it: a year of more than four digits has a sign.
    mutating func append(isoDate date: CivilDate) {
        if date.year > 9999 { append(UInt8(ascii: "+")) }
        if date.year < 0 { append(UInt8(ascii: "-")) }
        append(padded: date.year.magnitude, width: 4)
        append(UInt8(ascii: "-"))
        append(padded: date.month.magnitude, width: 2)
        append(UInt8(ascii: "-"))
        append(padded: date.day.magnitude, width: 2)
    }

    /// Appends a time of day with the decimals that it needs, or with `decimals` of them.
    mutating func append(isoTime microseconds: Int64, decimals: Int? = nil) {
        let seconds = Int(microseconds / 1_000_000)
        append(padded: (seconds / 3600).magnitude, width: 2)
        append(UInt8(ascii: ":"))
        append(padded: (seconds / 60 % 60).magnitude, width: 2)
        append(UInt8(ascii: ":"))
        append(padded: (seconds % 60).magnitude, width: 2)
        let fraction = UInt(microseconds % 1_000_000)
        if decimals == 0 || decimals == nil && fraction == 0 { return }
        append(UInt8(ascii: "."))
        append(padded: fraction, width: 6)
        if let decimals { return truncate(to: count &- max(6 - decimals, 0)) }
        while bytes.byte(count &- 1) == UInt8(ascii: "0") { truncate(to: count &- 1) }
    }

    private mutating func append(padded number: UInt, width: Int) {
        var limit: UInt = 10
        for _ in 1..<width {
            if number < limit { append(UInt8(ascii: "0")) }
            limit *= 10
        }
        append(decimal: number)
    }
}
