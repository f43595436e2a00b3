/// Reads the texts of settings that are not plain text, and writes them back for manuals.
enum SettingText {
    /// Why a text is not what its kind asks for. Neither part quotes the text.
    struct Malformed: Error, Equatable {
        /// Goes on after the quoted value: "has no unit".
        var what: String
        var hint: String
        /// What was most likely meant; said only of values that may be shown.
        var suggestion: String?
    }

    private static let durationUnits: [(name: String, milliseconds: Int64)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ]
    private static let sizeUnits: [(name: String, bytes: Int)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
    ]
    static let durationHint = "write a whole number with ms, s, m, h or d, such as 30s"
    static let sizeHint = "write a whole number with B, KiB, MiB, GiB or TiB, such as 64MiB"

    /// A whole number without leading zeros.
    static func integer(_ text: String, in range: ClosedRange<Int>) throws(Malformed) -> Int {
        let hint = "write a whole number \(words(for: range))"
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw Malformed(what: "is not a whole number", hint: hint)
        }
        guard digits.count == 1 || !digits.hasPrefix("0") else {
            throw Malformed(what: "begins with a zero, which some read as octal", hint: hint)
        }
        guard let value = Int(text), range.contains(value) else {
            throw Malformed(what: "is out of range", hint: hint)
        }
        return value
    }

    /// A range in words.
    static func words(for range: ClosedRange<Int>) -> String {
        range.upperBound == Int.max
            ? "from \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
    }

    /// `true` or `false`, and none of the other words that YAML knows for them.
    static func flag(_ text: String) throws(Malformed) -> Bool {
        switch text {
        case "true": return true
        case "false": return false
        default:
            let meant = ["yes": "true", "on": "true", "no": "false", "off": "false"][text.lowercased()]
            throw Malformed(what: "is neither true nor false", hint: "write true or false", suggestion: meant)
        }
    }

    /// A number of time units.
    static func duration(_ text: String) throws(Malformed) -> Duration {
        let (number, unit) = try split(text, durationHint, example: "s")
        guard let factor = durationUnits.first(where: { $0.name == unit })?.milliseconds else {
            throw Malformed(what: "has a unit that is not known", hint: durationHint)
        }
        let (milliseconds, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow, milliseconds <= 100_000 * 86_400_000 else {
            throw Malformed(what: "is too long", hint: "write 100000d at most")
        }
        return .milliseconds(milliseconds)
    }

    /// A number of bytes.
    static func size(_ text: String) throws(Malformed) -> Int {
        let (number, unit) = try split(text, sizeHint, example: "MiB")
        guard let factor = sizeUnits.first(where: { $0.name == unit })?.bytes else {
            let meant = sizeUnits.dropLast().first { unit.lowercased().hasPrefix($0.name.lowercased().prefix(1)) }
            throw Malformed(
                what: "has a unit that is not known", hint: sizeHint, suggestion: meant.map { "\(number)\($0.name)" })
        }
        let (bytes, overflow) = Int(number).multipliedReportingOverflow(by: factor)
        guard !overflow else { throw Malformed(what: "is too large", hint: sizeHint) }
        return bytes
    }

    private static func split(
        _ text: String, _ hint: String, example: String
    ) throws(Malformed) -> (number: Int64, unit: String) {
        let digits = text.prefix { ("0"..."9").contains($0) }
        let unit = text[digits.endIndex...]
        guard !digits.isEmpty else { throw Malformed(what: "is not a number with a unit", hint: hint) }
        guard !unit.isEmpty else {
            throw Malformed(what: "has no unit", hint: hint, suggestion: text == "0" ? "0\(example)" : nil)
        }
        guard unit.allSatisfy(\.isLetter) else {
            throw Malformed(what: "is not a whole number with a unit", hint: hint)
        }
        guard let number = Int64(digits) else { throw Malformed(what: "is too large", hint: hint) }
        return (number, String(unit))
    }

    /// A duration as the file would have it, in the largest unit that is exact.
    static func text(of duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds =
            seconds.multipliedReportingOverflow(by: 1000).partialValue + attoseconds / 1_000_000_000_000_000
        if milliseconds == 0 { return "0s" }
        let unit = durationUnits.first { milliseconds % $0.milliseconds == 0 } ?? ("ms", 1)
        return "\(milliseconds / unit.milliseconds)\(unit.name)"
    }

    /// A size as the file would have it, in the largest unit that is exact.
    static func text(ofSize bytes: Int) -> String {
        if bytes == 0 { return "0B" }
        let unit = sizeUnits.first { bytes % $0.bytes == 0 } ?? ("B", 1)
        return "\(bytes / unit.bytes)\(unit.name)"
    }
}
