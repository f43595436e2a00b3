import ConnectorKit

/// Reads parts of a file by tables of settings, and collects every problem on the way.
struct SettingReader {
    /// A list has no more entries than this.
    static let listCountMax = 10_000
    /// A secret's file is no larger than this.
    static let secretBytesMax = 1 << 16

    let file: String
    let folder: String
    let variables: VariableExpansion
    var standIns: Set<String> = []
    var problems: [ConfigurationProblem] = []
    var locations: SettingLocations
    var secrets: [String] = []

    init(file: String, folder: String, lookup: @escaping (String) -> String?) {
        self.file = file
        self.folder = folder
        variables = VariableExpansion(lookup: lookup)
        locations = SettingLocations(file: file)
    }

    /// A key of a mapping with its value.
    struct Entry {
        var name: String
        var keyPosition: FilePosition
        var value: YAMLNode
    }

    mutating func report(
        _ code: String, _ message: String, _ path: String, _ position: FilePosition, _ hint: String? = nil
    ) {
        let problem = ConfigurationProblem(
            code, message, path: path.isEmpty ? nil : path, file: file, position: position, hint: hint)
        problems.append(problem)
    }

    /// The entries of a mapping; nothing at all is a mapping without entries. Nil when it is something else.
    mutating func entries(of node: YAMLNode, _ path: String, at position: FilePosition) -> [Entry]? {
        guard !hasForeignTag(node, path) else { return nil }
        switch node.content {
        case .nothing:
            return []
        case .mapping(let pairs):
            return pairs.compactMap { pair in entry(pair.key, pair.value, path) }
        case .text, .sequence:
            let what = path.isEmpty ? "the file" : quoted(path)
            report(
                "config.wrong_type", "\(what) should hold keys with values, and is \(node.description)", path, position)
            return nil
        }
    }

    private mutating func entry(_ key: YAMLNode, _ value: YAMLNode, _ outer: String) -> Entry? {
        guard case .text(let name) = key.content else {
            report("config.wrong_type", "a key should be a name, and is \(key.description)", outer, key.position)
            return nil
        }
        if standIns.contains(name) { return nil }
        if name == "<<" {
            report(
                "config.not_available", "merge keys (<<) are not read", joined(outer, name), key.position,
                "write the keys out; an alias for a whole value works")
            return nil
        }
        let path = joined(outer, printable(name))
        var place = key.position
        if case .text = value.content { place = value.position }
        locations.record(path, place)
        return Entry(name: name, keyPosition: key.position, value: value)
    }

    /// The values of a table, filled up with defaults.
    mutating func values(of entries: [Entry], _ table: [Setting], _ path: String, at position: FilePosition)
        -> SettingValues
    {
        var values = SettingValues()
        var given: Set<String> = []
        for entry in entries {
            guard let setting = table.first(where: { $0.name == entry.name }) else {
                refuse(entry, path, candidates: table.map(\.name))
                continue
            }
            given.insert(entry.name)
            values[entry.name] = value(of: entry, setting, joined(path, entry.name))
            values.note(given: entry.name)
        }
        for setting in table where !given.contains(setting.name) {
            if setting.isRequired {
                reportMissing(setting, path, position)
            } else {
                values[setting.name] = Self.defaultValue(of: setting)
            }
        }
        return values
    }

    /// Says that a key is not known, or not yet.
    mutating func refuse(_ entry: Entry, _ outer: String, candidates: [String]) {
        let path = joined(outer, printable(entry.name))
        if PipelineSettings.isAnnounced(path) {
            report(
                "config.not_available", "\(quoted(entry.name)) is not available in this version", path,
                entry.keyPosition, "take it out")
            return
        }
        let hint =
            nearestName(to: entry.name, among: candidates).map { "did you mean \"\($0)\"?" }
            ?? "known here: \(candidates.sorted().joined(separator: ", "))"
        report("config.unknown_key", "unknown key \(quoted(entry.name))", path, entry.keyPosition, hint)
    }

    private mutating func reportMissing(_ setting: Setting, _ outer: String, _ position: FilePosition) {
        let place = outer.isEmpty ? "" : " in \"\(outer)\""
        report(
            "config.missing_key", "\"\(setting.name)\" is missing\(place)", joined(outer, setting.name), position,
            "add \(setting.name): \(setting.kind.example)")
    }

    mutating func hasForeignTag(_ node: YAMLNode, _ path: String) -> Bool {
        guard let tag = node.foreignTag else { return false }
        report("config.wrong_type", "the tag \(quoted(tag)) has no meaning here", path, node.position, "take it out")
        return true
    }

    /// The value of a setting that the file does not have: its default, or for a group the defaults inside of it,
    /// unless the group asks for something that only the file can say.
    static func defaultValue(of setting: Setting) -> SettingValue? {
        if let value = setting.defaultValue { return value }
        guard case .group(let inner) = setting.kind, !inner.contains(where: \.isRequired) else { return nil }
        var values = SettingValues()
        for setting in inner { values[setting.name] = defaultValue(of: setting) }
        return .group(values)
    }

    func joined(_ outer: String, _ name: String) -> String { outer.isEmpty ? name : "\(outer).\(name)" }

    /// A key of the user's as a part of a path.
    func printable(_ name: String) -> String { String(quoted(name).dropFirst().dropLast()) }
}

extension SettingKind {
    /// What a hint shows as a value.
    var example: String {
        switch self {
        case .text: "TEXT"
        case .integer(let range): "\(range.lowerBound)"
        case .flag: "true"
        case .duration: "30s"
        case .size: "64MiB"
        case .list: "[…]"
        case .choice(let words): words.first ?? "…"
        case .group, .map: "{…}"
        case .groups: "[{…}]"
        }
    }
}
