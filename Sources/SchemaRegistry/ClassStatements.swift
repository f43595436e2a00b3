package import ConnectorKit
package import JSONText

/// What one schema says about the sensitivity of its table's columns: the keyword `x-sensitivity`.
///
/// On a property it classifies the column, and anywhere inside of a property too: who sees a column sees all of it. At
/// the top it is the class of the table's other columns.
package struct ClassStatements: Sendable {
    /// The columns that the schema names.
    private(set) var named: Set<String> = []
    /// True when ``named`` are all columns of the table: the schema was derived from it.
    private(set) var namesAll = false
    /// The columns of the key, as far as the schema tells.
    private(set) var key: Set<String> = []
    /// The classes of columns.
    package private(set) var stated: [String: SensitivityClass] = [:]
    /// The class of columns without their own.
    package private(set) var table: SensitivityClass?
    /// What stands where a class should, and is none; it counts as the strictest.
    package private(set) var unknownWords: [String] = []

    /// The keyword.
    package static let keyword = "x-sensitivity"

    private let document: JSONValue
    private let documents: [String: [JSONValue]]
    /// References that were followed, so that none is followed for ever.
    private var followed: Set<String> = []

    /// Reads a schema of any kind. `documents` are schemas of others that it may refer to, by the names that it uses.
    package init(_ schema: JSONValue, documents: [String: [JSONValue]] = [:]) {
        document = schema
        self.documents = documents
        readTable(schema)
        if let columns = schema["x-millrace"]?["columns"]?.object {
            named.formUnion(columns.names)
            namesAll = true
        }
        let key = schema["x-millrace"]?["key"] ?? schema["required"]
        self.key = Set(key?.array?.compactMap(\.string) ?? [])
    }

    /// Reads a schema that holds for the row itself.
    private mutating func readTable(_ schema: JSONValue) {
        guard let members = schema.object?.members else { return }
        for member in members {
            switch member.name {
            case Self.keyword: table = Self.stricter(table, word(member.value))
            case "properties":
                for property in member.value.object?.members ?? [] { readColumn(property) }
            // Which columns these are for is not looked into: they are for all.
            case "patternProperties", "additionalProperties", "unevaluatedProperties":
                table = Self.stricter(table, strictest(in: member.value))
            case "allOf", "anyOf", "oneOf": for part in member.value.array ?? [] { readTable(part) }
            case "if", "then", "else", "not": readTable(member.value)
            case "dependentSchemas", "dependencies":
                for part in member.value.object?.members ?? [] { readTable(part.value) }
            case "$ref", "$dynamicRef", "$recursiveRef":
                guard let target = member.value.string, followed.insert("table " + target).inserted else { continue }
                readTable(resolve(target))
            default: continue
            }
        }
    }

    private mutating func readColumn(_ property: JSONObject.Member) {
        named.insert(property.name)
        followed = followed.filter { $0.hasPrefix("table ") }
        if let found = strictest(in: property.value) {
            stated[property.name] = Self.stricter(stated[property.name], found)
        }
    }

    /// The strictest class anywhere in a value; nil without any.
    private mutating func strictest(in value: JSONValue) -> SensitivityClass? {
        switch value {
        case .array(let elements):
            return elements.reduce(nil) { Self.stricter($0, strictest(in: $1)) }
        case .object(let object):
            var found: SensitivityClass?
            for member in object.members {
                // Below `properties` the word may be the name of a property, with a schema for it.
                if member.name == Self.keyword, member.value.object == nil {
                    found = Self.stricter(found, word(member.value))
                } else if ["$ref", "$dynamicRef", "$recursiveRef"].contains(member.name),
                    let target = member.value.string
                {
                    guard followed.insert(target).inserted else { continue }
                    found = Self.stricter(found, strictest(in: resolve(target)))
                } else {
                    found = Self.stricter(found, strictest(in: member.value))
                }
            }
            return found
        case .null, .bool, .number, .string: return nil
        }
    }

    private mutating func word(_ value: JSONValue) -> SensitivityClass {
        if let known = value.string.flatMap(SensitivityClass.init) { return known }
        unknownWords.append(value.string ?? value.compactText)
        return .restricted
    }

    private static func stricter(_ a: SensitivityClass?, _ b: SensitivityClass?) -> SensitivityClass? {
        guard let a, let b else { return a ?? b }
        return max(a, b)
    }

    /// What a reference means: the whole of another document, and all definitions where it cannot be told.
    private func resolve(_ reference: String) -> JSONValue {
        if reference == "#" { return document }
        let base = String(reference.prefix { $0 != "#" })
        if let others = documents[base] { return ["allOf": .array(others)] }
        let definitions: JSONValue = ["anyOf": [document["$defs"] ?? true, document["definitions"] ?? true]]
        guard reference.hasPrefix("#/") else { return definitions }
        var place = document
        for part in reference.dropFirst(2).split(separator: "/", omittingEmptySubsequences: false) {
            let name = String(part.replacing("~1", with: "/").replacing("~0", with: "~"))
            if let next = place[name] {
                place = next
            } else if let elements = place.array, let index = Int(name), elements.indices.contains(index) {
                place = elements[index]
            } else {
                return definitions
            }
        }
        return place
    }
}

extension JSONValue {
    /// The schema without what it says about sensitivity: by that alone, two schemas are not of different tables.
    var withoutClasses: JSONValue {
        switch self {
        case .object(let object):
            .object(
                JSONObject(
                    object.members.filter { $0.name != ClassStatements.keyword || $0.value.object != nil }
                        .map { .init(name: $0.name, value: $0.value.withoutClasses) }))
        case .array(let elements): .array(elements.map(\.withoutClasses))
        case .null, .bool, .number, .string: self
        }
    }
}
