internal import JSONText

/// Whether a version of a contract describes a table as it is now.
///
/// A version may ask for more than the table's columns guarantee: that is what rows are checked for. It may not speak
/// of another table: other columns, other types in the database's words, another key.
enum ContractFit: Equatable {
    /// It describes the table.
    case fits
    /// It was made for another form of the table.
    case otherForm
    /// It was made for this form, or for none in particular, but hardly a row of the table could ever be valid under
    /// it, for this reason.
    case impossible(String)

    /// Compares a version with the schema that is derived from the table.
    init(of version: JSONValue, to derived: JSONValue) {
        let (mine, table) = (TableContract(version), TableContract(derived))
        if version["x-millrace"]?["columns"]?.object != nil, !Self.hasForm(mine, of: table) {
            self = .otherForm
            return
        }
        if let reason = Self.obstacle(version, table) {
            self = .impossible(reason)
            return
        }
        self = .fits
    }

    /// True when the database's words are the same, whatever the order of the columns.
    private static func hasForm(_ mine: TableContract, of table: TableContract) -> Bool {
        guard mine.columns.count == table.columns.count, mine.key.count == table.key.count,
            zip(mine.key, table.key).allSatisfy({ $0.utf8.elementsEqual($1.utf8) }), mine.notNull == table.notNull
        else { return false }
        return table.columns.allSatisfy { column in
            guard let own = mine.column(column.name) else { return false }
            return own.type.utf8.elementsEqual(column.type.utf8)
                && ValueShape.isAlike(own.property, column.property)
        }
    }

    private static func obstacle(_ version: JSONValue, _ table: TableContract) -> String? {
        guard let schema = version.object else {
            return version.bool == false ? "it lets nothing pass" : nil
        }
        let types = ValueShape.types(version)
        if !types.isEmpty, !types.contains("object") { return "a row is an object" }
        for name in schema["required"]?.array?.compactMap(\.string) ?? [] where table.column(name) == nil {
            return "it requires \"\(name)\", and there is no such column"
        }
        let properties = schema["properties"]?.object ?? JSONObject()
        let isClosed = schema["additionalProperties"]?.bool == false && schema["patternProperties"] == nil
        for column in table.columns {
            guard let property = properties[column.name] else {
                if isClosed { return "it has no place for column \(column.name)" }
                continue
            }
            if !ValueShape.allows(property, column.property) {
                let types = ValueShape.types(property).joined(separator: " or ")
                let has = ValueShape.usualTypes(column.property).joined(separator: " or ")
                return types.isEmpty
                    ? "it has no place for column \(column.name)"
                    : "column \(column.name) is \(has), and it wants \(types)"
            }
        }
        return nil
    }
}

/// What the schema of a column says about the form of its values.
enum ValueShape {
    /// The JSON types that a schema names; empty without any.
    static func types(_ schema: JSONValue) -> [String] {
        guard let type = schema["type"] else { return [] }
        return type.string.map { [$0] } ?? type.array?.compactMap(\.string) ?? []
    }

    /// True when what both say of labels, elements and fields is alike. What one of them does not say is alike.
    static func isAlike(_ mine: JSONValue, _ table: JSONValue) -> Bool {
        if let labels = mine["x-millrace"]?["labels"], let present = table["x-millrace"]?["labels"],
            !labels.isEquivalent(to: present)
        {
            return false
        }
        if let items = mine["items"], let present = table["items"] {
            guard allows(items, present), isAlike(items, present) else { return false }
        }
        guard let fields = mine["properties"]?.object, let present = table["properties"]?.object else { return true }
        guard fields.members.count == present.members.count else { return false }
        return present.members.allSatisfy { member in
            guard let own = fields[member.name] else { return false }
            return allows(own, member.value) && isAlike(own, member.value)
        }
    }

    /// True when a schema lets values of the types pass that a column has as a rule.
    static func allows(_ schema: JSONValue, _ derived: JSONValue) -> Bool {
        if let verdict = schema.bool { return verdict }
        let (allowed, usual) = (types(schema), usualTypes(derived))
        if allowed.isEmpty || usual.isEmpty { return true }
        return usual.contains { type in
            allowed.contains(type) || (type == "integer" && allowed.contains("number"))
                || (type == "number" && allowed.contains("integer"))
        }
    }

    /// The types that values have as a rule: not NULL, not the text that stands for a structure which could not be
    /// read, nor for a number that JSON has no spelling of.
    static func usualTypes(_ derived: JSONValue) -> [String] {
        let all = types(derived).filter { $0 != "null" }
        guard let first = all.first else { return [] }
        if first == "array" || first == "object" { return [first] }
        return first == "number" && derived["pattern"] != nil ? [first] : all
    }
}
