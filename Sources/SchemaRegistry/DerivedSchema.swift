internal import ChangeModel
internal import JSONText

extension JSONValue {
    /// The JSON Schema (draft 2020-12) of a row of `relation` as events spell it (`docs/reference/events.md`).
    ///
    /// The model is open, only key columns are required and numbers have no bounds, so that everyday changes of a table
    /// are compatible. What COMMENT said about the table and its columns is their description. `x-millrace` keeps the
    /// database's own words, by which a changed table is told from an unchanged one.
    static func schema(derivedFrom relation: Relation) -> JSONValue {
        let key = relation.keyColumns.map { JSONValue.string(relation.columns[$0].name) }
        var schema: JSONObject = JSONObject([
            .init(name: "$schema", value: "https://json-schema.org/draft/2020-12/schema"),
            .init(name: "title", value: .string(relation.qualifiedName)),
            .init(name: "type", value: "object"),
            .init(
                name: "properties",
                value: .object(
                    JSONObject(relation.columns.map { .init(name: $0.name, value: property(of: $0)) }))),
        ])
        if let comment = relation.comment { schema.insert("description", .string(comment), behind: "title") }
        if !key.isEmpty { schema["required"] = .array(key) }
        let types = JSONObject(relation.columns.map { .init(name: $0.name, value: .string($0.typeName)) })
        var words = JSONObject([
            .init(name: "schema", value: .string(relation.schema)),
            .init(name: "table", value: .string(relation.name)), .init(name: "key", value: .array(key)),
            .init(name: "columns", value: .object(types)),
        ])
        let notNull = relation.columns.filter { !$0.isNullable && $0.keyPosition == nil }
        if !notNull.isEmpty { words["not_null"] = .array(notNull.map { .string($0.name) }) }
        schema["x-millrace"] = .object(words)
        return .object(schema)
    }

    private static func property(of column: Column) -> JSONValue {
        var form = ValueForm(column.type, column.shape)
        if form.isStructure { form.allow("string") }
        if column.isNullable { form.allow("null") }
        if let lengthMax = column.lengthMax { form.keywords["maxLength"] = .number(JSONNumber(lengthMax)) }
        guard let comment = column.comment, var schema = form.schema.object else { return form.schema }
        schema.members.insert(.init(name: "description", value: .string(comment)), at: 0)
        return .object(schema)
    }
}

extension JSONObject {
    fileprivate mutating func insert(_ name: String, _ value: JSONValue, behind other: String) {
        let place = members.firstIndex { $0.name == other }.map { $0 + 1 } ?? members.count
        members.insert(.init(name: name, value: value), at: place)
    }
}
