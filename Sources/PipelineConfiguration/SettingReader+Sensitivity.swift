import ConnectorKit

/// The section `sensitivity`, and the clearance of sinks.
extension SettingReader {
    private static let classNames = SensitivityClass.allCases.map(\.rawValue)

    /// What the section says; what is wrong with it is reported.
    mutating func sensitivity(_ top: SettingValues, at position: FilePosition) -> SensitivityConfiguration {
        let section = top.group("sensitivity") ?? SettingValues()
        return SensitivityConfiguration(
            unclassified: section.text("unclassified").flatMap(SensitivityClass.init) ?? .internal,
            masks: classMasks(section.map("masks") ?? [:], top, at: position),
            commands: clearance(section.list("commands"), "sensitivity.commands", at: position))
    }

    /// A list of classes as a clearance. Classes are steps: a list that leaves one out below another is a mistake.
    mutating func clearance(_ words: [String]?, _ path: String, at position: FilePosition) -> Clearance {
        // What is missing was reported already.
        guard let words else { return .usual }
        let place = locations.position(of: path) ?? position
        var classes: [SensitivityClass] = []
        for (index, word) in words.enumerated() {
            if let known = SensitivityClass(rawValue: word) {
                classes.append(known)
                continue
            }
            let itemPath = "\(path)[\(index)]"
            let nearest = nearestName(to: word, among: Self.classNames)
            report(
                "config.bad_value", "\(quoted(word)) is not one of \(Self.classNames.joined(separator: ", "))",
                itemPath,
                locations.position(of: itemPath) ?? place, nearest.map { "did you mean \"\($0)\"?" })
        }
        guard let highest = classes.max() else {
            if words.isEmpty {
                report(
                    "config.bad_value", "the list of classes is empty", path, place,
                    "write [public], or take the key out for [public, internal]")
            }
            return .usual
        }
        let all = SensitivityClass.allCases.filter { $0 <= highest }
        if classes.count == words.count, let missing = all.first(where: { !classes.contains($0) }) {
            report(
                "config.bad_value", "\(missing.rawValue) is left out, which is less sensitive than \(highest.rawValue)",
                path, place, "write [\(all.map(\.rawValue).joined(separator: ", "))]")
        }
        return Clearance(highest)
    }

    private mutating func classMasks(
        _ texts: [String: String], _ top: SettingValues, at position: FilePosition
    ) -> [SensitivityClass: ColumnMask] {
        var masks: [SensitivityClass: ColumnMask] = [:]
        for (name, mask) in self.masks(texts, "sensitivity.masks") {
            if let known = SensitivityClass(rawValue: name) {
                masks[known] = mask
                continue
            }
            let path = "sensitivity.masks.\(printable(name))"
            let nearest = nearestName(to: name, among: Self.classNames)
            report(
                "config.bad_value", "\(quoted(name)) is not one of \(Self.classNames.joined(separator: ", "))", path,
                locations.position(of: path) ?? position, nearest.map { "did you mean \"\($0)\"?" })
        }
        if masks.values.contains(.hash) { requireSalt(top, at: position) }
        return masks
    }
}
