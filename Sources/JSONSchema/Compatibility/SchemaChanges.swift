internal import JSONText

/// Every difference between two versions of a schema, with what it breaks.
package struct SchemaChanges: Sendable {
    /// A difference.
    package struct Line: Sendable, Hashable, CustomStringConvertible {
        /// Where in the schemas, as a JSON Pointer; in the old one for what is gone.
        package var path: String
        /// What the old schema says there, as short JSON; nil for nothing.
        package var old: String?
        /// What the new schema says there, as short JSON; nil for nothing.
        package var new: String?
        /// What it breaks, with the direction.
        package var breaks: [CompatibilityBreak]
        /// True where it can never break anything: titles, descriptions, `x-…`.
        package var isAnnotation: Bool

        /// `/properties/id/maxLength: 20 → 10`.
        package var description: String {
            "\(path.isEmpty ? "the schema" : path): \(old ?? "nothing") → \(new ?? "nothing")"
        }
    }

    /// The differences in the order of the schemas; empty when both say the same, whatever the order of members.
    package let lines: [Line]
    /// What breaks for whoever reads old documents by the new schema.
    package let backward: [SchemaBreak]
    /// What breaks for whoever reads new documents by the old schema.
    package let forward: [SchemaBreak]

    /// Compares two versions in both directions.
    package init(from old: VersionedSchema, to new: VersionedSchema, policy: ComparisonPolicy = .lenient) {
        backward = CompatibilityDirection.backward.breaks(from: old, to: new, policy: policy)
        forward = CompatibilityDirection.forward.breaks(from: old, to: new, policy: policy)
        var walk = SchemaWalk()
        walk.compare(old.schema, new.schema)
        let breaks =
            backward.map { CompatibilityBreak(direction: .backward, version: old.version, reason: $0) }
            + forward.map { CompatibilityBreak(direction: .forward, version: old.version, reason: $0) }
        lines = Self.attach(breaks, to: walk.lines)
    }

    /// Puts each break to the differences that it comes from; one without any gets a line of its own.
    private static func attach(_ breaks: [CompatibilityBreak], to lines: [Line]) -> [Line] {
        var lines = lines
        for found in breaks {
            let path = found.reason.path
            let inside = lines.indices.filter { isWithin(path, lines[$0].path) && !lines[$0].isAnnotation }
            let around = lines.indices.filter { isWithin(lines[$0].path, path) && !lines[$0].isAnnotation }
            if let closest = inside.max(by: { lines[$0].path.utf8.count < lines[$1].path.utf8.count }) {
                lines[closest].breaks.append(found)
            } else if !around.isEmpty {
                for index in around { lines[index].breaks.append(found) }
            } else {
                let isBackward = found.direction == .backward
                lines.append(
                    Line(
                        path: path, old: isBackward ? found.reason.writer : found.reason.reader,
                        new: isBackward ? found.reason.reader : found.reason.writer, breaks: [found],
                        isAnnotation: false))
            }
        }
        return lines
    }

    /// True for a path that is another one, or leads further inside.
    private static func isWithin(_ path: String, _ other: String) -> Bool {
        path.utf8.elementsEqual(other.utf8) || path.utf8.starts(with: (other + "/").utf8)
    }
}

/// A walk over two versions of a schema side by side, by the places of their keywords.
private struct SchemaWalk {
    private(set) var lines: [SchemaChanges.Line] = []
    private var path = JSONPointer()

    private static let single: Set<String> = [
        "additionalProperties", "propertyNames", "additionalItems", "contains", "not", "if", "then", "else", "items",
        "unevaluatedItems", "unevaluatedProperties",
    ]
    private static let lists: Set<String> = ["allOf", "anyOf", "oneOf", "prefixItems", "items"]
    private static let maps: Set<String> = [
        "properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies",
    ]
    /// Keywords beside those above that say something about values.
    private static let assertions: Set<String> = [
        "type", "const", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
        "minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems", "minContains",
        "maxContains", "minProperties", "maxProperties", "required", "dependentRequired", "$ref", "$dynamicRef",
        "$schema",
    ]
    private static let linesMax = 10_000

    /// Compares two schemas at the current place.
    mutating func compare(_ old: JSONValue?, _ new: JSONValue?) {
        guard let old, let new, let before = old.object, let now = new.object else {
            return note(old, new, isAnnotation: false)
        }
        for member in before.members { compareKeyword(member.name, member.value, now[member.name]) }
        for member in now.members where before[member.name] == nil {
            compareKeyword(member.name, nil, member.value)
        }
    }

    private mutating func compareKeyword(_ name: String, _ old: JSONValue?, _ new: JSONValue?) {
        step(name) { walk in
            if Self.lists.contains(name), let before = old?.array, let now = new?.array {
                walk.compareLists(before, now)
            } else if Self.single.contains(name), old != nil, new != nil {
                walk.compare(old, new)
            } else if Self.maps.contains(name), let before = old?.object, let now = new?.object {
                walk.compareMaps(before, now)
            } else if Self.maps.contains(name), let object = (old ?? new)?.object {
                for member in object.members {
                    walk.step(member.name) { walk in
                        walk.note(
                            old == nil ? nil : member.value, new == nil ? nil : member.value, isAnnotation: false)
                    }
                }
            } else {
                let isKnown = [Self.lists, Self.single, Self.maps, Self.assertions].contains { $0.contains(name) }
                walk.note(old, new, isAnnotation: !isKnown)
            }
        }
    }

    private mutating func compareMaps(_ old: JSONObject, _ new: JSONObject) {
        for member in old.members {
            step(member.name) { $0.compare(member.value, new[member.name]) }
        }
        for member in new.members where old[member.name] == nil {
            step(member.name) { $0.compare(nil, member.value) }
        }
    }

    /// Equal branches belong together wherever they stand; the others in their order.
    private mutating func compareLists(_ old: [JSONValue], _ new: [JSONValue]) {
        var left = Array(new.indices)
        var rest: [Int] = []
        for index in old.indices {
            if let same = left.firstIndex(where: { new[$0].isEquivalent(to: old[index]) }) {
                left.remove(at: same)
            } else {
                rest.append(index)
            }
        }
        for place in 0..<max(rest.count, left.count) {
            let before = place < rest.count ? rest[place] : nil
            let now = place < left.count ? left[place] : nil
            guard let index = now ?? before else { continue }
            step(String(index)) { $0.compare(before.map { old[$0] }, now.map { new[$0] }) }
        }
    }

    private mutating func step(_ name: String, _ body: (inout SchemaWalk) -> Void) {
        let count = path.bytes.count
        path.append(name: name.utf8)
        body(&self)
        path.cut(to: count)
    }

    private mutating func note(_ old: JSONValue?, _ new: JSONValue?, isAnnotation: Bool) {
        if let old, let new, old.isEquivalent(to: new) { return }
        guard lines.count < Self.linesMax else { return }
        lines.append(
            SchemaChanges.Line(
                path: path.text, old: old?.shortText, new: new?.shortText, breaks: [], isAnnotation: isAnnotation))
    }
}
