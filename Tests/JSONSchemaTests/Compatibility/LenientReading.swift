import JSONSchema
import JSONText

/// What the lenient policy assumes, said once more without the comparison's own words: a document whose members are all
/// named by its writer's schema, and a reader for whom a required member with a default is optional.
struct LenientReading {
    let root: JSONValue
    let isOld: Bool

    init(_ root: JSONValue, isOld: Bool) {
        self.root = root
        self.isOld = isOld
    }

    private static let inPlaceLists = ["allOf", "anyOf", "oneOf"]
    private static let inPlace = ["not", "if", "then", "else"]

    /// The schema and all that look at the same value.
    private func inPlace(_ schemas: [JSONValue]) -> [JSONValue] {
        var found: [JSONValue] = []
        var waiting = schemas
        while let schema = waiting.popLast(), found.count < 1000 {
            found.append(schema)
            if let reference = schema["$ref"]?.string {
                let name = String(reference.split(separator: "/").last ?? "")
                if let target = root[isOld ? "definitions" : "$defs"]?[name] { waiting.append(target) }
                if isOld { continue }
            }
            for keyword in Self.inPlaceLists { waiting += schema[keyword]?.array ?? [] }
            waiting += Self.inPlace.compactMap { schema[$0] }
            for keyword in ["dependentSchemas", "dependencies"] {
                waiting += schema[keyword]?.object?.members.map(\.value).filter { $0.array == nil } ?? []
            }
        }
        return found
    }

    /// True when each member anywhere in the document is named by a schema that looks at its object.
    func names(_ document: JSONValue) throws -> Bool { try names(document, [root]) }

    private func names(_ value: JSONValue, _ schemas: [JSONValue]) throws -> Bool {
        let schemas = inPlace(schemas)
        func hides(_ schema: JSONValue) -> Bool { isOld && schema["$ref"] != nil }
        let telling = schemas.filter { !hides($0) }
        if let array = value.array {
            var inner: [JSONValue] = []
            for keyword in ["items", "prefixItems", "additionalItems", "contains", "unevaluatedItems"] {
                for schema in telling.compactMap({ $0[keyword] }) { inner += schema.array ?? [schema] }
            }
            return try array.allSatisfy { try names($0, inner) }
        }
        for member in value.object?.members ?? [] {
            var inner: [JSONValue] = []
            for schema in telling {
                if let property = schema["properties"]?[member.name] { inner.append(property) }
                for pattern in schema["patternProperties"]?.object?.members ?? [] {
                    let isFound = try JSONSchema(["pattern": .string(pattern.name)])
                        .accepts(JSONTape(.string(member.name)))
                    if isFound { inner.append(pattern.value) }
                }
                for keyword in ["additionalProperties", "unevaluatedProperties"] {
                    if let rest = schema[keyword], rest != true, rest.object?.members.isEmpty != true {
                        inner.append(rest)
                    }
                }
            }
            guard !inner.isEmpty, try names(member.value, inner) else { return false }
        }
        return true
    }

    /// The schema without what is required and has a default that is valid; inside of `oneOf` only when asked for.
    func relaxed(insideOneOf: Bool) -> JSONValue { relaxed(root, insideOneOf) }

    private func relaxed(_ schema: JSONValue, _ insideOneOf: Bool) -> JSONValue {
        guard var object = schema.object else { return schema }
        if let required = object["required"]?.array {
            object["required"] = .array(
                required.filter { name in !hasDefault(object["properties"]?[name.string ?? ""]) })
        }
        for place in object.members.indices {
            let value = object.members[place].value
            switch object.members[place].name {
            case "oneOf" where !insideOneOf: break
            case "allOf", "anyOf", "oneOf", "prefixItems", "items":
                object.members[place].value =
                    value.array.map { .array($0.map { relaxed($0, insideOneOf) }) } ?? relaxed(value, insideOneOf)
            case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies":
                object.members[place].value = .object(
                    JSONObject(
                        (value.object?.members ?? []).map {
                            .init(name: $0.name, value: relaxed($0.value, insideOneOf))
                        }))
            case "then", "else", "additionalProperties", "additionalItems", "unevaluatedProperties",
                "unevaluatedItems":
                object.members[place].value = relaxed(value, insideOneOf)
            default: break
            }
        }
        return .object(object)
    }

    private func hasDefault(_ property: JSONValue?) -> Bool {
        guard let value = property?["default"], let property else { return false }
        var whole: JSONObject = JSONObject()
        if isOld { whole["$schema"] = "http://json-schema.org/draft-07/schema#" }
        let keyword = isOld ? "definitions" : "$defs"
        if let definitions = root[keyword] { whole[keyword] = definitions }
        whole["allOf"] = [property]
        return (try? JSONSchema(.object(whole)).accepts(JSONTape(value))) ?? false
    }
}
