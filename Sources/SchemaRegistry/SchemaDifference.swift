package import JSONText

/// What changed in a table between two versions of its contract.
package struct SchemaDifference: Sendable {
    /// Whom a change breaks.
    package struct Breakage: OptionSet, Sendable {
        package let rawValue: Int
        package init(rawValue: Int) { self.rawValue = rawValue }
        /// Whoever reads events of the old version and expects the new one.
        package static let oldEvents = Breakage(rawValue: 1)
        /// Whoever knows the old version only and gets events of the new one.
        package static let oldConsumers = Breakage(rawValue: 2)
    }

    /// A line for each difference, such as `column price: numeric(10,2) → text`; empty when the tables are alike.
    package let lines: [String]
    /// Whom it breaks, as far as names, JSON types, nullability and keys tell.
    package let breakage: Breakage

    /// The differences of `new` from `old`.
    package init(from old: JSONValue, to new: JSONValue) {
        self.init(from: TableContract(old), to: TableContract(new))
    }

    init(from old: TableContract, to new: TableContract) {
        var comparison = Comparison(old: old, new: new)
        comparison.run()
        lines = comparison.lines
        breakage = comparison.breakage
    }

    /// True when nothing that the database knows differs.
    package var isEmpty: Bool { lines.isEmpty }

    /// Whom it breaks, in words.
    package var verdict: String {
        switch breakage {
        case []: "nothing breaks"
        case .oldEvents: "breaks reading older events by the new version"
        case .oldConsumers: "breaks consumers that know only the old version"
        default: "breaks both ways"
        }
    }

    /// All of it in one line, cut where it is very long.
    package var summary: String {
        let shown = lines.prefix(Self.linesShown).joined(separator: "; ")
        return lines.count > Self.linesShown ? shown + "; and \(lines.count - Self.linesShown) more" : shown
    }

    private static let linesShown = 20
}

/// The work of finding the differences.
private struct Comparison {
    let old: TableContract
    let new: TableContract
    var lines: [String] = []
    var breakage: SchemaDifference.Breakage = []

    mutating func run() {
        compareNames()
        for column in old.columns {
            if let now = new.column(column.name) { compare(column, now) }
        }
        if !old.key.elementsEqual(new.key, by: { $0.utf8.elementsEqual($1.utf8) }) {
            note("key: \(Self.list(old.key)) → \(Self.list(new.key))", [.oldEvents, .oldConsumers])
        }
        let common = old.columns.map(\.name).filter { new.column($0) != nil }
        let now = new.columns.map(\.name).filter { old.column($0) != nil }
        if common != now { note("order of columns: \(Self.list(common)) → \(Self.list(now))", []) }
    }

    /// A database that renames a column says so nowhere: a name that is gone and a new one of the same type in its
    /// place look like it, and are shown together.
    private mutating func compareNames() {
        var renamed: Set<String> = []
        for (place, column) in old.columns.enumerated() where new.column(column.name) == nil {
            let there = place < new.columns.count ? new.columns[place] : nil
            if let there, old.column(there.name) == nil, there.type == column.type {
                renamed.insert(there.name)
                note(
                    "column \(column.name): dropped (\(column.type)), and \(there.name) added in its place: renamed?",
                    added(there).union(.oldConsumers))
            } else {
                note("column \(column.name): dropped (\(column.type))", .oldConsumers)
            }
        }
        for column in new.columns where old.column(column.name) == nil && !renamed.contains(column.name) {
            note("column \(column.name): added (\(column.type))", added(column))
        }
    }

    /// Events of the old version do not have the column: that matters where it is required.
    private func added(_ column: TableContract.Column) -> SchemaDifference.Breakage {
        new.key.contains(column.name) ? .oldEvents : []
    }

    private mutating func compare(_ before: TableContract.Column, _ now: TableContract.Column) {
        if before.type != now.type {
            note("column \(before.name): \(before.type) → \(now.type)", retyped(before, now))
        } else {
            compareInside(before.property, now.property, "column \(before.name)")
        }
        if before.isNullable && !now.isNullable { note("column \(before.name): no longer null", .oldEvents) }
        if !before.isNullable && now.isNullable { note("column \(before.name): may be null", .oldConsumers) }
    }

    /// Values whose JSON has one form may still say other things: as a string, only text takes what every type writes.
    private func retyped(
        _ before: TableContract.Column, _ now: TableContract.Column
    ) -> SchemaDifference.Breakage {
        guard before.property.withoutNull.isEquivalentType(to: now.property.withoutNull) else {
            return [.oldEvents, .oldConsumers]
        }
        if before.property.withoutNull["type"]?.string != "string" || before.typeWord == now.typeWord { return [] }
        switch (before.isText, now.isText) {
        case (true, true): return []
        case (false, true): return .oldConsumers
        case (true, false): return .oldEvents
        case (false, false): return [.oldEvents, .oldConsumers]
        }
    }

    /// A type of the same name may have other labels or attributes than before.
    private mutating func compareInside(_ before: JSONValue, _ now: JSONValue, _ place: String) {
        if let old = before["x-millrace"]?["labels"]?.array, let new = now["x-millrace"]?["labels"]?.array {
            let (gone, come) = (old.filter { !new.contains($0) }, new.filter { !old.contains($0) })
            if !gone.isEmpty { note("\(place): labels \(Self.labels(gone)) are gone", .oldEvents) }
            if !come.isEmpty { note("\(place): labels \(Self.labels(come)) are new", .oldConsumers) }
        }
        if let old = before["items"], let new = now["items"] { compareInside(old, new, "\(place)[]") }
        guard let old = before["properties"]?.object, let new = now["properties"]?.object else { return }
        for member in old.members {
            let inner = "\(place).\(member.name)"
            guard let other = new[member.name] else {
                note("\(inner): dropped", .oldConsumers)
                continue
            }
            if member.value.isEquivalentType(to: other) {
                compareInside(member.value, other, inner)
            } else {
                note("\(inner): another type", [.oldEvents, .oldConsumers])
            }
        }
        for member in new.members where old[member.name] == nil { note("\(place).\(member.name): added", []) }
    }

    private static func labels(_ labels: [JSONValue]) -> String {
        labels.map { "'\($0.string ?? $0.compactText)'" }.joined(separator: ", ")
    }

    private mutating func note(_ line: String, _ breaks: SchemaDifference.Breakage) {
        lines.append(line)
        breakage.formUnion(breaks)
    }

    private static func list(_ names: [String]) -> String {
        names.isEmpty ? "none" : "(" + names.joined(separator: ", ") + ")"
    }
}

extension JSONValue {
    /// True when both let values of the same JSON types pass.
    fileprivate func isEquivalentType(to other: JSONValue) -> Bool {
        func types(_ value: JSONValue) -> Set<String> {
            guard let type = value["type"] else { return [] }
            return Set(type.array?.compactMap(\.string) ?? [type.string ?? ""])
        }
        return types(self) == types(other)
    }

    /// The schema without `null` among its types.
    fileprivate var withoutNull: JSONValue {
        guard var schema = object, let types = schema["type"]?.array else { return self }
        let rest = types.filter { $0 != "null" }
        schema["type"] = rest.count == 1 ? rest[0] : .array(rest)
        return .object(schema)
    }
}
