package import ByteKit

extension OutputBuffer {
    /// Appends a time as RFC 3339 text in UTC with six decimals: always 27 bytes, such as
    /// `2026-11-21T10:00:00.123456Z`.
    ///
    /// `microseconds` count from 1970-01-01 00:00 UTC. RFC 3339 has the years 0001 to 9999 only: an earlier or later
    /// time becomes the first or last one that it can say.
    package mutating func append(timestamp microseconds: Int64) {
        let clamped = min(max(microseconds, -62_135_596_800_000_000), 253_402_300_799_999_999)
        var days = clamped / 86_400_000_000
        var rest = clamped % 86_400_000_000
        if rest < 0 {
            rest += 86_400_000_000
            days -= 1
        }
        append(isoDate: CivilDate(daysSince1970: Int(days)))
        append(UInt8(ascii: "T"))
        let seconds = Int(rest / 1_000_000)
        append(digits: seconds / 3600, width: 2)
        append(UInt8(ascii: ":"))
        append(digits: seconds / 60 % 60, width: 2)
        append(UInt8(ascii: ":"))
        append(digits: seconds % 60, width: 2)
        append(UInt8(ascii: "."))
        append(digits: Int(rest % 1_000_000), width: 6)
        append(UInt8(ascii: "Z"))
    }

    private mutating func append(digits value: Int, width: Int) {
        var divisor = 1
        for _ in 1..<width { divisor *= 10 }
        while divisor > 0 {
            append(48 &+ UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
    }
}
