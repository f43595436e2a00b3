import ConnectorTesting
import JSONText

/// Schemas over a few names, texts and numbers, so that their keywords often meet.
struct RandomSchemas {
    var random: SeededGenerator
    var isOld = false
    /// Also what refers to definitions, which the caller puts beside.
    var hasReferences = true

    static let names = ["a", "b", "c", "ab"]
    static let texts = ["", "a", "ab", "b", "abc", "2024-01-01", "a@b.c"]
    static let numbers = ["-1", "0", "1", "1.5", "2", "2.5", "3", "4", "6"]
    static let patterns = ["^a", "b$", "^a+$", "c", ".*"]
    static let formats = ["date", "email", "idn-email", "uri", "uri-reference"]
    static let definitions = ["d", "e"]

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func pick<T>(_ list: [T], or other: T) -> T { list.randomElement(using: &random) ?? other }
    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
    mutating func number(_ range: ClosedRange<Int>) -> JSONValue {
        .number(JSONNumber(Int.random(in: range, using: &random)))
    }
    mutating func name() -> String { pick(Self.names, or: "a") }

    mutating func decimal() -> JSONValue {
        JSONNumber(text: pick(Self.numbers, or: "0")).map { .number($0) } ?? 0
    }

    mutating func scalar() -> JSONValue {
        switch Int.random(in: 0..<10, using: &random) {
        case 0: .null
        case 1: .bool(chance(50))
        case 2..<6: decimal()
        default: .string(pick(Self.texts, or: ""))
        }
    }

    mutating func value(_ depth: Int) -> JSONValue {
        guard depth > 0, chance(65) else { return scalar() }
        if chance(40) {
            return .array((0..<Int.random(in: 0...3, using: &random)).map { _ in value(depth - 1) })
        }
        var object = JSONObject()
        for _ in 0..<Int.random(in: 0...3, using: &random) { object[name()] = value(depth - 1) }
        return .object(object)
    }

    /// A whole schema with definitions.
    mutating func document(_ depth: Int) -> JSONValue {
        guard var schema = schema(depth).object else { return .bool(chance(80)) }
        var definitions = JSONObject()
        for name in Self.definitions { definitions[name] = self.schema(depth: depth - 1, guarded: true) }
        schema[isOld ? "definitions" : "$defs"] = .object(definitions)
        if isOld { schema["$schema"] = "http://json-schema.org/draft-07/schema#" }
        return .object(schema)
    }

    mutating func schema(_ depth: Int) -> JSONValue { schema(depth: depth, guarded: false) }

    /// A definition (`guarded`) refers to others only one step further inside, so that nothing refers to itself.
    private mutating func schema(depth: Int, guarded: Bool) -> JSONValue {
        if chance(8) { return .bool(chance(75)) }
        if hasReferences, !guarded, depth > 0, chance(10) {
            return ["$ref": .string("#/\(isOld ? "definitions" : "$defs")/\(pick(Self.definitions, or: "d"))")]
        }
        var schema = JSONObject()
        for _ in 0..<Int.random(in: 1...3, using: &random) { addKeyword(&schema, depth, guarded) }
        return .object(schema)
    }

    private mutating func types() -> JSONValue {
        let all: [JSONValue] = ["null", "boolean", "integer", "number", "string", "array", "object"]
        if chance(60) { return pick(all, or: "null") }
        return .array(Array(all.shuffled(using: &random).prefix(Int.random(in: 1...4, using: &random))))
    }

    mutating func addKeyword(_ schema: inout JSONObject, _ depth: Int, _ guarded: Bool) {
        switch Int.random(in: 0..<12, using: &random) {
        case 0, 1: schema["type"] = types()
        case 2:
            if chance(30) {
                schema["const"] = value(1)
            } else {
                schema["enum"] = .array((0..<Int.random(in: 1...4, using: &random)).map { _ in value(1) })
            }
        case 3:
            schema[pick(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], or: "")] = decimal()
            if chance(30) {
                schema["multipleOf"] = pick([1, 2, 3, 4, .number(JSONNumber(text: "0.5") ?? JSONNumber(1))], or: 1)
            }
        case 4:
            schema[pick(["minLength", "maxLength"], or: "")] = number(0...3)
            if chance(40) { schema["pattern"] = .string(pick(Self.patterns, or: "a")) }
            if chance(20) { schema["format"] = .string(pick(Self.formats, or: "date")) }
        case 5, 6: addArrayKeyword(&schema, depth)
        case 7, 8, 9: addObjectKeyword(&schema, depth)
        default: addLogic(&schema, depth, guarded)
        }
    }

    private mutating func list(_ depth: Int, _ guarded: Bool) -> JSONValue {
        .array((0..<Int.random(in: 1...3, using: &random)).map { _ in schema(depth: depth - 1, guarded: guarded) })
    }

    private mutating func addArrayKeyword(_ schema: inout JSONObject, _ depth: Int) {
        guard depth > 0 else {
            schema[pick(["minItems", "maxItems"], or: "")] = number(0...3)
            return
        }
        switch Int.random(in: 0..<6, using: &random) {
        case 0: schema[pick(["minItems", "maxItems"], or: "")] = number(0...3)
        case 1: schema["uniqueItems"] = .bool(chance(80))
        case 2: schema[isOld ? "items" : "prefixItems"] = list(depth, false)
        case 3:
            schema["contains"] = self.schema(depth - 1)
            if !isOld, chance(40) { schema["minContains"] = number(0...2) }
            if !isOld, chance(30) { schema["maxContains"] = number(0...2) }
        case 4:
            schema[isOld ? "additionalItems" : "unevaluatedItems"] = self.schema(depth - 1)
            if !isOld, chance(50) { schema["prefixItems"] = list(depth, false) }
        default: schema["items"] = self.schema(depth - 1)
        }
    }

    private mutating func members(_ depth: Int) -> JSONObject {
        var members = JSONObject()
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            var inner = schema(depth - 1)
            if chance(15), var object = inner.object {
                object["default"] = scalar()
                inner = .object(object)
            }
            members[name()] = inner
        }
        return members
    }

    private mutating func addObjectKeyword(_ schema: inout JSONObject, _ depth: Int) {
        guard depth > 0 else {
            schema["required"] = [.string(name())]
            return
        }
        switch Int.random(in: 0..<12, using: &random) {
        case 0...3: schema["properties"] = .object(members(depth))
        case 4: schema["required"] = .array(Set((0..<2).map { _ in name() }).sorted().map { .string($0) })
        case 5: schema[pick(["minProperties", "maxProperties"], or: "")] = number(0...3)
        case 6:
            schema["patternProperties"] = .object(
                JSONObject([.init(name: pick(Self.patterns, or: "a"), value: self.schema(depth - 1))]))
        case 7: schema["additionalProperties"] = chance(50) ? false : self.schema(depth - 1)
        case 8: schema["propertyNames"] = self.schema(0)
        case 9:
            schema[isOld ? "dependencies" : "dependentRequired"] = .object(
                JSONObject([.init(name: name(), value: [.string(name())])]))
        case 10:
            schema[isOld ? "dependencies" : "dependentSchemas"] = .object(
                JSONObject([.init(name: name(), value: self.schema(depth - 1))]))
        default:
            if !isOld { schema["unevaluatedProperties"] = chance(50) ? false : self.schema(depth - 1) }
            if chance(50) { schema["properties"] = .object(members(depth)) }
        }
    }

    private mutating func addLogic(_ schema: inout JSONObject, _ depth: Int, _ guarded: Bool) {
        guard depth > 0 else { return }
        switch Int.random(in: 0..<5, using: &random) {
        case 0: schema["anyOf"] = list(depth, guarded)
        case 1: schema["oneOf"] = list(depth, guarded)
        case 2: schema["allOf"] = list(depth, guarded)
        case 3: schema["not"] = self.schema(depth: depth - 1, guarded: guarded)
        default:
            schema["if"] = self.schema(depth: depth - 1, guarded: guarded)
            if chance(70) { schema["then"] = self.schema(depth: depth - 1, guarded: guarded) }
            if chance(50) { schema["else"] = self.schema(depth: depth - 1, guarded: guarded) }
        }
    }
}

extension RandomSchemas {
    /// The schema with one to three small changes anywhere.
    mutating func changed(_ schema: JSONValue) -> JSONValue {
        var schema = schema
        for _ in 0..<Int.random(in: 1...3, using: &random) { schema = changedOnce(schema, isSchema: true) }
        return schema
    }

    private mutating func changedOnce(_ value: JSONValue, isSchema: Bool) -> JSONValue {
        guard var object = value.object else { return isSchema && chance(30) ? schema(1) : value }
        let places = object.members.indices.filter { object.members[$0].name != "$schema" }
        if isSchema, chance(30) || places.isEmpty {
            addKeyword(&object, 1, true)
            return .object(object)
        }
        guard let place = places.randomElement(using: &random) else { return value }
        let member = object.members[place]
        switch member.name {
        case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas":
            object.members[place].value = changedMember(member.value, of: member.name)
        case "anyOf", "oneOf", "allOf", "prefixItems":
            object.members[place].value = changedList(member.value)
        case "items", "additionalProperties", "not", "if", "then", "else", "contains", "unevaluatedProperties":
            if chance(25) {
                object.members.remove(at: place)
            } else if member.value.array == nil {
                object.members[place].value = changedOnce(member.value, isSchema: true)
            }
        case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum": object.members[place].value = decimal()
        case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties":
            object.members[place].value = number(0...3)
        case "enum": object.members[place].value = .array((member.value.array ?? []) + [scalar()])
        default: object.members.remove(at: place)
        }
        return .object(object)
    }

    private mutating func changedMember(_ value: JSONValue, of keyword: String) -> JSONValue {
        guard var object = value.object, let place = object.members.indices.randomElement(using: &random) else {
            return value
        }
        if keyword == "properties", chance(20) {
            object[name()] = schema(1)
        } else if keyword == "properties", chance(20) {
            object.members.remove(at: place)
        } else {
            object.members[place].value = changedOnce(object.members[place].value, isSchema: true)
        }
        return .object(object)
    }

    private mutating func changedList(_ value: JSONValue) -> JSONValue {
        guard var list = value.array, let place = list.indices.randomElement(using: &random) else { return value }
        if chance(25) {
            list.append(schema(1))
        } else if chance(25), list.count > 1 {
            list.remove(at: place)
        } else {
            list[place] = changedOnce(list[place], isSchema: true)
        }
        return .array(chance(30) ? list.shuffled(using: &random) : list)
    }
}
