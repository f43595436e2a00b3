import ChangeModel
import ConnectorKit
import EventLog
import JSONText
import PostgresSource
import SQLiteSource

/// What `status` knows about the source: named figures, or why it could not ask.
struct SourceReport: Sendable {
    /// Figures in the order in which they are shown.
    var figures: [(name: String, value: JSONValue)]
    /// The kind of the source.
    var kind: String
    /// Why the database could not be asked; nil when it answered.
    var failure: String?
    /// The figures as sentences, for people; without them the figures are shown by their names.
    var words: [String] = []

    /// As `status --json` shows it.
    var json: JSONValue {
        var members = [JSONObject.Member(name: "kind", value: .string(kind))]
        members += figures.map { JSONObject.Member(name: $0.name, value: $0.value) }
        members.append(JSONObject.Member(name: "error", value: failure.map { .string($0) } ?? .null))
        return .object(JSONObject(members))
    }

    /// As `status` shows it.
    var lines: [String] {
        if let first = words.first {
            return ["source    \(kind), \(first)"] + words.dropFirst().map { "          \($0)" }
        }
        var text = "source    \(kind)"
        for (name, value) in figures where !value.isNull { text += ", \(Self.label(name)) \(Self.shown(name, value))" }
        return failure.map { [text, "          \($0)"] } ?? [text]
    }

    private static func label(_ name: String) -> String {
        let words = name.hasSuffix("_bytes") ? String(name.dropLast(6)) : name
        return words.replacing("_", with: " ")
    }

    private static func shown(_ name: String, _ value: JSONValue) -> String {
        if name.hasSuffix("_bytes"), let count = value.number?.integer { return ByteCount.text(count) }
        return value.string ?? value.compactText
    }
}

/// Lengths of time as people read them.
enum Elapsed {
    /// Such as `40 s`, `12 min`, `3 h` or `2 d`.
    static func text(_ seconds: Int) -> String {
        switch seconds {
        case ..<120: "\(seconds) s"
        case ..<7200: "\(seconds / 60) min"
        case ..<172_800: "\(seconds / 3600) h"
        default: "\(seconds / 86_400) d"
        }
    }
}

/// Byte counts as people read them.
enum ByteCount {
    /// Such as `512 B` or `1.5 MiB`.
    static func text(_ count: Int) -> String {
        var value = Double(count)
        var units = ["B", "KiB", "MiB", "GiB", "TiB"][...]
        while value >= 1024, units.count > 1 {
            value /= 1024
            units = units.dropFirst()
        }
        return units.first == "B" ? "\(count) B" : "\((value * 10).rounded() / 10) \(units.first ?? "B")"
    }
}
