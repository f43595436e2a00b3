import ConnectorKit

/// A path with placeholders, as in `out/{schema}/{table}-{date}.jsonl`.
///
/// What comes from the database can only ever be part of one name: see ``safeName(_:)``.
package struct PathTemplate: Sendable, Equatable {
    enum Part: Sendable, Equatable {
        case literal(String)
        case schema, table, topic, date
    }
    let parts: [Part]

    /// Reads a template, or says what is wrong with it.
    init(_ text: String) throws(SettingProblem) {
        var parts: [Part] = []
        var rest = text[...]
        while let open = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
            if open > rest.startIndex { parts.append(.literal(String(rest[..<open]))) }
            guard rest[open] == "{", let close = rest[open...].firstIndex(of: "}") else {
                throw SettingProblem("path", "the path has a brace without its partner", hint: Self.known)
            }
            parts.append(try Self.placeholder(String(rest[rest.index(after: open)..<close])))
            rest = rest[rest.index(after: close)...]
        }
        if !rest.isEmpty { parts.append(.literal(String(rest))) }
        guard !parts.isEmpty else { throw SettingProblem("path", "the path is empty", hint: "write \(Self.example)") }
        guard !text.hasSuffix("/") else {
            throw SettingProblem("path", "the path names a folder, not a file", hint: "write \(Self.example)")
        }
        guard !text.utf8.contains(0) else { throw SettingProblem("path", "the path has a zero byte in it") }
        self.parts = parts
    }

    /// True when records of one topic go to different files by their date.
    var hasDate: Bool { parts.contains(.date) }

    /// The folder that no placeholder has a part in; "." for the working folder.
    var literalFolder: String {
        guard case .literal(let text)? = parts.first, let slash = text.lastIndex(of: "/") else { return "." }
        return slash == text.startIndex ? "/" : String(text[..<slash])
    }

    /// The path for records of `topic` that were committed on `day` (days since 1970-01-01).
    func path(_ topic: Topic, day: Int64) -> String {
        var path = ""
        for part in parts {
            switch part {
            case .literal(let text): path += text
            case .schema: path += Self.safeName(topic.schema)
            case .table: path += Self.safeName(topic.table)
            case .topic: path += Self.shortName(topic.name)
            case .date: path += CalendarDay(day).text
            }
        }
        return path
    }

    /// A name from the database as a part of a file name: what could leave the folder or hide the file (`/`, a leading
    /// dot, control characters) and the percent sign itself become `%XX`, so that the name can be read back. An empty
    /// name is a lone `%`.
    package static func safeName(_ name: String) -> String {
        guard !name.isEmpty else { return "%" }
        var bytes: [UInt8] = []
        for byte in name.utf8 {
            let isLeadingDot = byte == UInt8(ascii: ".") && bytes.isEmpty
            if byte < 0x20 || byte == 0x7F || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "%") || isLeadingDot {
                let hex = String(byte, radix: 16, uppercase: true)
                bytes += Array("%\(byte < 16 ? "0" : "")\(hex)".utf8)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A topic's safe name, which rows may make longer than file systems take: its front then, `%~`, which stands in no
    /// safe name, and a hash of the whole.
    static func shortName(_ name: String) -> String {
        let bytes = Array(safeName(name).utf8)
        guard bytes.count > nameBytesMax else { return String(decoding: bytes, as: UTF8.self) }
        var end = nameBytesMax - 18
        while bytes[end] & 0xC0 == 0x80 { end -= 1 }
        if let percent = bytes[(end - 2)..<end].firstIndex(of: UInt8(ascii: "%")) { end = percent }
        let digits = String(hash(name), radix: 16, uppercase: true)
        let tail = "%~" + String(repeating: "0", count: 16 - digits.count) + digits
        return String(decoding: bytes[..<end], as: UTF8.self) + tail
    }

    /// Leaves room for what the template has around a topic: file systems take names of 255 bytes.
    private static let nameBytesMax = 200

    /// FNV-1a with 64 bits: the same at every start.
    private static func hash(_ name: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }

    private static let example = "out/{table}.jsonl"
    private static let known = "the placeholders are {schema}, {table}, {topic} and {date}"

    private static func placeholder(_ name: String) throws(SettingProblem) -> Part {
        switch name {
        case "schema": return .schema
        case "table": return .table
        case "topic": return .topic
        case "date": return .date
        default:
            let nearest = ["schema", "table", "topic", "date"].min { distance(name, $0) < distance(name, $1) }
            let isClose = nearest.map { distance(name.lowercased(), $0) <= 2 } ?? false
            throw SettingProblem(
                "path", "the path has the unknown placeholder {\(name)}",
                hint: isClose ? "did you mean {\(nearest ?? "table")}? \(known)" : known)
        }
    }

    /// How many letters must be changed, added or removed to make `b` of `a`.
    private static func distance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a.utf8), Array(b.utf8))
        var row = Array(0...b.count)
        for (i, letter) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in b.enumerated() {
                let replaced = diagonal + (letter == other ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[b.count]
    }
}

/// A date of the Gregorian calendar, also before its introduction.
struct CalendarDay {
    static let microseconds: Int64 = 86_400_000_000

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

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value.magnitude)
        return (value < 0 ? "-" : "") + String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
