package import JSONSchema
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
    /// True when rows may have got other values with it, of which no event tells: a column came, or has another type.
    package let mayChangeValues: Bool
    /// What it breaks: by the comparison of the schemas, and by what JSON cannot say of a table.
    package let breaks: [CompatibilityBreak]

    /// The differences of `new` from `old`.
    package init(from old: JSONValue, to new: JSONValue) {
        self.init(from: VersionedSchema(old), to: VersionedSchema(new))
    }

    /// The differences of two versions, which may refer to other schemas.
    package init(from old: VersionedSchema, to new: VersionedSchema, policy: ComparisonPolicy = .lenient) {
        var comparison = Comparison(old: TableContract(old.schema), new: TableContract(new.schema))
        comparison.run()
        lines = comparison.lines
        mayChangeValues = comparison.mayChangeValues
        breaks =
            CompatibilityDirection.allCases.flatMap { direction in
                direction.breaks(from: old, to: new, policy: policy).map {
                    CompatibilityBreak(direction: direction, version: old.version, reason: $0)
                }
            }
            + comparison.breaks.map { CompatibilityBreak(direction: $0, version: old.version, reason: $1) }
    }

    /// Whom it breaks.
    package var breakage: Breakage {
        breaks.reduce(into: []) { $0.insert($1.direction == .backward ? .oldEvents : .oldConsumers) }
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
    var mayChangeValues = false
    /// What JSON cannot say.
    var breaks: [(CompatibilityDirection, SchemaBreak)] = []

    mutating func run() {
        compareNames()
        for column in old.columns {
            if let now = new.column(column.name) { compare(column, now) }
        }
        if !old.key.elementsEqual(new.key, by: { $0.utf8.elementsEqual($1.utf8) }) {
            let line = "key: \(Self.list(old.key)) → \(Self.list(new.key))"
            note(line, .keyChanged, CompatibilityDirection.allCases, Self.list(old.key), Self.list(new.key))
        }
        let common = old.columns.map(\.name).filter { new.column($0) != nil }
        let now = new.columns.map(\.name).filter { old.column($0) != nil }
        if common != now { note("order of columns: \(Self.list(common)) → \(Self.list(now))") }
    }

    /// A database that renames a column says so nowhere: a name that is gone and a new one of the same type in its
    /// place look like it, and are shown together.
    private mutating func compareNames() {
        var renamed: Set<String> = []
        for (place, column) in old.columns.enumerated() where new.column(column.name) == nil {
            let there = place < new.columns.count ? new.columns[place] : nil
            if let there, old.column(there.name) == nil, there.type == column.type {
                renamed.insert(there.name)
                drop(
                    "column \(column.name): dropped (\(Self.word(column.type))), and \(there.name) added in its place: "
                        + "renamed?",
                    column.type)
            } else {
                drop("column \(column.name): dropped (\(Self.word(column.type)))", column.type)
            }
        }
        for column in new.columns where old.column(column.name) == nil && !renamed.contains(column.name) {
            mayChangeValues = true
            note("column \(column.name): added (\(Self.word(column.type)))")
        }
    }

    /// SQLite has columns that are declared without a type.
    private static func word(_ type: String) -> String { type.isEmpty ? "no type" : type }

    /// Whoever knows the column waits for it, whether or not the schema requires it.
    private mutating func drop(_ line: String, _ type: String) { note(line, .columnDropped, [.forward], type, nil) }

    private mutating func compare(_ before: TableContract.Column, _ now: TableContract.Column) {
        if before.type != now.type {
            mayChangeValues = true
            let line = "column \(before.name): \(Self.word(before.type)) → \(Self.word(now.type))"
            note(line, .columnRetyped, retyped(before, now), before.type, now.type)
        } else {
            compareInside(before.property, now.property, "column \(before.name)")
        }
        if before.isNullable && !now.isNullable { note("column \(before.name): no longer null") }
        if !before.isNullable && now.isNullable { note("column \(before.name): may be null") }
    }

    /// Values whose JSON has one form may still say other things: as a string, only text takes what every type writes.
    private func retyped(_ before: TableContract.Column, _ now: TableContract.Column) -> [CompatibilityDirection] {
        // Other types of JSON are the schemas' own difference.
        guard before.property.withoutNull.isEquivalentType(to: now.property.withoutNull),
            before.property.withoutNull["type"]?.string == "string", before.typeWord != now.typeWord
        else { return [] }
        switch (before.isText, now.isText) {
        case (true, true): return []
        case (false, true): return [.forward]
        case (true, false): return [.backward]
        case (false, false): return [.backward, .forward]
        }
    }

    /// A type of the same name may have other labels or attributes than before.
    private mutating func compareInside(_ before: JSONValue, _ now: JSONValue, _ place: String) {
        if let old = before["x-millrace"]?["labels"]?.array, let new = now["x-millrace"]?["labels"]?.array {
            let (gone, come) = (old.filter { !new.contains($0) }, new.filter { !old.contains($0) })
            if !gone.isEmpty {
                note(
                    "\(place): labels \(Self.labels(gone)) are gone", .labelUnknown, [.backward], Self.labels(gone), nil
                )
            }
            if !come.isEmpty {
                note("\(place): labels \(Self.labels(come)) are new", .labelUnknown, [.forward], nil, Self.labels(come))
            }
        }
        if let old = before["items"], let new = now["items"] { compareInside(old, new, "\(place)[]") }
        guard let old = before["properties"]?.object, let new = now["properties"]?.object else { return }
        for member in old.members {
            let inner = "\(place).\(member.name)"
            guard let other = new[member.name] else {
                drop("\(inner): dropped", Self.word(member.value))
                continue
            }
            if member.value.isEquivalentType(to: other) {
                compareInside(member.value, other, inner)
            } else {
                note("\(inner): another type")
            }
        }
        for member in new.members where old[member.name] == nil { note("\(place).\(member.name): added") }
    }

    private static func labels(_ labels: [JSONValue]) -> String {
        labels.map { "'\($0.string ?? $0.compactText)'" }.joined(separator: ", ")
    }

    private static func word(_ property: JSONValue) -> String { property["type"]?.compactText ?? "any value" }

    private mutating func note(_ line: String) { lines.append(line) }

    /// Notes a difference with what it breaks beyond what the schemas say; its line is the sentence.
    private mutating func note(
        _ line: String, _ rule: SchemaRule, _ directions: [CompatibilityDirection], _ before: String?, _ now: String?
    ) {
        lines.append(line)
        for direction in directions {
            let (reader, writer) = direction == .backward ? (now, before) : (before, now)
            breaks.append(
                (
                    direction,
                    SchemaBreak(
                        rule, path: "/x-millrace", instancePath: "", reader: reader, writer: writer, sentence: line)
                ))
        }
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
