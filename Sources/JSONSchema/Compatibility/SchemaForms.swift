internal import JSONText

/// Numbers for subschemas such that two with the same number assert the same: order of members, spelling of numbers and
/// annotations aside.
struct SchemaForms {
    /// What has no number: it holds a reference, so its words do not say everything, or it is too large.
    static let none: Int64 = -1

    private var numbers: [[Part]: Int64] = [:]
    private var stepsLeft = 4_000_000

    private enum Part: Hashable {
        case word(String)
        case name([UInt8])
        case number(ExactNumber)
        case inner(Int64)
    }

    private static let single: Set<String> = [
        "additionalProperties", "propertyNames", "additionalItems", "contains", "not", "if", "then", "else",
        "unevaluatedItems", "unevaluatedProperties",
    ]
    private static let lists: Set<String> = ["allOf", "anyOf", "oneOf", "prefixItems"]
    private static let maps: Set<String> = ["properties", "patternProperties", "dependentSchemas", "dependencies"]
    private static let values: Set<String> = [
        "type", "const", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
        "minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems", "minContains",
        "maxContains", "minProperties", "maxProperties", "required", "dependentRequired",
    ]
    private static let references: Set<String> = ["$ref", "$dynamicRef", "$recursiveRef", "$schema"]

    /// The number of a schema.
    mutating func form(ofSchema schema: JSONValue) -> Int64 {
        guard let object = schema.object else { return form(of: schema) }
        var parts: [(name: [UInt8], form: Int64)] = []
        for member in object.members {
            guard let form = form(ofKeyword: member) else { continue }
            if form == Self.none { return Self.none }
            parts.append((Array(member.name.utf8), form))
        }
        return number("schema", parts)
    }

    /// The number of a keyword's value; nil for one that asserts nothing.
    private mutating func form(ofKeyword member: JSONObject.Member) -> Int64? {
        if Self.references.contains(member.name) { return Self.none }
        if Self.values.contains(member.name) { return form(of: member.value) }
        if Self.single.contains(member.name) { return form(ofSchema: member.value) }
        if Self.lists.contains(member.name) || member.name == "items" {
            guard let list = member.value.array else { return form(ofSchema: member.value) }
            return form(ofList: list)
        }
        guard Self.maps.contains(member.name) else { return nil }
        var parts: [(name: [UInt8], form: Int64)] = []
        for entry in member.value.object?.members ?? [] {
            let form = entry.value.array == nil ? form(ofSchema: entry.value) : form(of: entry.value)
            if form == Self.none { return Self.none }
            parts.append((Array(entry.name.utf8), form))
        }
        return number("map", parts)
    }

    private mutating func form(ofList list: [JSONValue]) -> Int64 {
        var parts: [Part] = [.word("list")]
        for schema in list {
            let form = form(ofSchema: schema)
            if form == Self.none { return Self.none }
            parts.append(.inner(form))
        }
        return number(parts)
    }

    /// The number of a value that is no schema.
    private mutating func form(of value: JSONValue) -> Int64 {
        switch value {
        case .null: return number([.word("null")])
        case .bool(let value): return number([.word(value ? "true" : "false")])
        case .number(let value): return number([.number(ExactNumber(Array(value.text.utf8)))])
        case .string(let value): return number([.word("string"), .name(Array(value.utf8))])
        case .array(let values):
            var parts: [Part] = [.word("array")]
            for value in values {
                let form = form(of: value)
                if form == Self.none { return form }
                parts.append(.inner(form))
            }
            return number(parts)
        case .object(let object):
            var parts: [(name: [UInt8], form: Int64)] = []
            for member in object.members {
                let form = form(of: member.value)
                if form == Self.none { return form }
                parts.append((Array(member.name.utf8), form))
            }
            return number("object", parts)
        }
    }

    private mutating func number(_ word: String, _ members: [(name: [UInt8], form: Int64)]) -> Int64 {
        let sorted = members.sorted { $0.name.lexicographicallyPrecedes($1.name) }
        return number([.word(word)] + sorted.flatMap { [.name($0.name), .inner($0.form)] })
    }

    private mutating func number(_ parts: [Part]) -> Int64 {
        stepsLeft -= parts.count
        guard stepsLeft > 0 else { return Self.none }
        if let known = numbers[parts] { return known }
        let number = Int64(numbers.count)
        numbers[parts] = number
        return number
    }
}
