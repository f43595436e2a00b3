import ConnectorKit

/// A path with placeholders, as in `out/{schema}/{table}-{date}.jsonl`.
///
/// What comes from the database can only ever be part of one name: see ``safeName(_:)``.
package struct PathTemplate: Sendable, Equatable {
    enum Part: Sendable, Equatable {
        case literal(String)
        case schema, table, topic, date, hour, partition, offset
    }
    let parts: [Part]
    /// The template as it was written.
    let text: String

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
        self.text = text
    }

    /// True when records of one topic go to different files by their date.
    var hasDate: Bool { parts.contains(.date) }

    /// True when records of one topic go to different files by the hour.
    var hasHour: Bool { parts.contains(.hour) }

    /// The template with what names of rotated or compressed files have beyond what the user wrote: `-{offset}` before
    /// the extension, and the extension of the compression at the end.
    func completed(isRotated: Bool, _ compression: Compression) throws(SettingProblem) -> PathTemplate {
        var stem = text
        let hasSuffix = !compression.suffix.isEmpty && text.hasSuffix(compression.suffix)
        if hasSuffix { stem.removeLast(compression.suffix.count) }
        if isRotated, !parts.contains(.offset) {
            let name = stem.lastIndex(of: "/").map { stem.index(after: $0) } ?? stem.startIndex
            let dot = stem[name...].lastIndex(of: ".") ?? stem.endIndex
            stem.insert(contentsOf: "-{offset}", at: dot == name ? stem.endIndex : dot)
        }
        return try PathTemplate(stem + compression.suffix)
    }

    /// The folder that no placeholder has a part in; "." for the working folder.
    var literalFolder: String {
        guard case .literal(let text)? = parts.first, let slash = text.lastIndex(of: "/") else { return "." }
        return slash == text.startIndex ? "/" : String(text[..<slash])
    }

    /// Stands for the offset in the path of a lane. No name and no template has it.
    static let offsetMark: Character = "\u{0}"

    /// The path for records of `topic` and a partition that were committed in `period`; with ``offsetMark`` where the
    /// offset belongs.
    func path(_ topic: Topic, _ period: CommitPeriod, partition: String = "") -> String {
        var path = ""
        for part in parts {
            switch part {
            case .literal(let text): path += text
            case .schema: path += Self.safeName(topic.schema)
            case .table: path += Self.safeName(topic.table)
            case .topic: path += Self.shortName(topic.name)
            case .date: path += CalendarDay(period.day).text
            case .hour: path += CalendarDay.padded(period.hour, 2)
            case .partition: path += partition
            case .offset: path.append(Self.offsetMark)
            }
        }
        return path
    }

    /// The name of a partition: all have the same number of digits.
    static func name(ofPartition number: Int, of count: Int) -> String {
        CalendarDay.padded(Int64(number), String(count - 1).count)
    }

    /// The path of a lane with the offset of a file's first event in it, 20 digits, so that names sort as their files
    /// were begun. Where that name is taken, `-2` and so on stands behind it.
    static func path(ofLane lane: String, offset: UInt64, attempt: Int) -> String {
        let digits = String(offset)
        let number = String(repeating: "0", count: 20 - digits.count) + digits
        return lane.split(separator: offsetMark, omittingEmptySubsequences: false)
            .joined(separator: attempt < 2 ? number : "\(number)-\(attempt)")
    }

    /// The period that a commit belongs to, as far as the path tells periods apart.
    func period(ofCommit time: Int64) -> CommitPeriod {
        let day = CalendarDay.number(ofMicroseconds: time)
        let dayTimes = CalendarDay.times(ofDay: day)
        guard hasHour else {
            return CommitPeriod(day: day, hour: 0, times: hasDate ? dayTimes : Int64.min..<Int64.max)
        }
        let hour = max(0, min(23, (time &- dayTimes.lowerBound) / CalendarDay.hourMicroseconds))
        let start = dayTimes.lowerBound &+ hour * CalendarDay.hourMicroseconds
        let end = start.addingReportingOverflow(CalendarDay.hourMicroseconds)
        return CommitPeriod(
            day: day, hour: hour,
            times: start..<(hour == 23 || end.overflow ? dayTimes.upperBound : end.partialValue))
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
    private static let known =
        "the placeholders are {schema}, {table}, {topic}, {date}, {hour}, {partition} and {offset}"
    private static let placeholders: [(name: String, part: Part)] = [
        ("schema", .schema), ("table", .table), ("topic", .topic), ("date", .date), ("hour", .hour),
        ("partition", .partition), ("offset", .offset),
    ]

    private static func placeholder(_ name: String) throws(SettingProblem) -> Part {
        if let part = placeholders.first(where: { $0.name == name })?.part { return part }
        let nearest = placeholders.map(\.name).min { distance(name, $0) < distance(name, $1) }
        let isClose = nearest.map { distance(name.lowercased(), $0) <= 2 } ?? false
        throw SettingProblem(
            "path", "the path has the unknown placeholder {\(name)}",
            hint: isClose ? "did you mean {\(nearest ?? "table")}? \(known)" : known)
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
