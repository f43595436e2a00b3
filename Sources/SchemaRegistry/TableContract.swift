internal import JSONText

/// What a schema says about its table: columns in the database's words, their JSON form, and the key.
///
/// Read from a derived schema's `x-millrace` block; of a schema without one, from `properties` and `required`, as far
/// as those go.
struct TableContract: Sendable {
    /// A column.
    struct Column: Sendable {
        var name: String
        /// The type in the database's words, or, without them, the JSON types.
        var type: String
        /// The JSON Schema of its values.
        var property: JSONValue
        var isNullable: Bool { property.allowsNull }
        /// The type without its modifiers: `numeric` of `numeric(10,2)`.
        var typeWord: Substring { type.prefix { $0 != "(" } }
        /// True for the types that take any text.
        var isText: Bool { ["text", "character varying", "character", "citext", "TEXT"].contains(String(typeWord)) }
    }

    /// The columns in the order of the table.
    let columns: [Column]
    /// The names of the key's columns.
    let key: [String]
    /// The columns outside of the key that the database promised never to be NULL, as far as it is known.
    let notNull: Set<String>

    /// Reads any schema.
    init(_ schema: JSONValue) {
        let properties = schema["properties"]?.object ?? JSONObject()
        let words = schema["x-millrace"]
        if let types = words?["columns"]?.object {
            columns = types.members.map { member in
                Column(name: member.name, type: Self.type(member.value), property: properties[member.name] ?? true)
            }
        } else {
            columns = properties.members.map { member in
                Column(
                    name: member.name, type: member.value["type"].map { Self.type($0) } ?? "any value",
                    property: member.value)
            }
        }
        key = (words?["key"] ?? schema["required"])?.array?.compactMap(\.string) ?? []
        notNull = Set(words?["not_null"]?.array?.compactMap(\.string) ?? [])
    }

    /// The column of a name, compared by code points.
    func column(_ name: String) -> Column? { columns.first { $0.name.utf8.elementsEqual(name.utf8) } }

    private static func type(_ value: JSONValue) -> String {
        value.string ?? value["type"]?.string ?? value.array?.compactMap(\.string).joined(separator: " or ")
            ?? value.compactText
    }
}

extension JSONValue {
    /// True when a JSON Schema lets `null` pass, as far as its type says.
    var allowsNull: Bool {
        guard let schema = object else { return bool ?? true }
        if let type = schema["type"] { return type.string == "null" || (type.array?.contains("null") ?? false) }
        let choices = schema["anyOf"]?.array ?? schema["oneOf"]?.array
        return choices.map { $0.contains(where: \.allowsNull) } ?? true
    }
}
