internal import JSONText

/// The next version of a contract whose table changed: what people wrote into the version before stays, as far as the
/// table still has what it is about.
struct CarriedSchema {
    /// The schema.
    private(set) var schema: JSONValue
    /// Columns whose constraints were left out, because their values have another form now.
    private(set) var lostColumns: [String] = []

    /// Puts the form of the table into the version before. `derived` is the schema that is derived from the table.
    init(of latest: JSONValue, onto derived: JSONValue) {
        guard var result = latest.object else {
            schema = derived
            return
        }
        schema = latest
        let (before, now) = (TableContract(latest), TableContract(derived))
        let hadWords = latest["x-millrace"]?["columns"] != nil
        let properties = latest["properties"]?.object ?? JSONObject()
        var carried = JSONObject()
        for column in now.columns {
            guard let own = properties[column.name] else {
                // What has no words was never meant to name all columns.
                if hadWords || latest["additionalProperties"]?.bool == false {
                    carried.members.append(.init(name: column.name, value: column.property))
                }
                continue
            }
            let property = carry(own, column, hadWords ? before.column(column.name)?.type : nil, before, now)
            carried.members.append(.init(name: column.name, value: property))
        }
        result["properties"] = .object(carried)
        let required = Self.required(latest, before, now)
        result["required"] = required.isEmpty ? nil : .array(required.map { .string($0) })
        result["x-millrace"] = derived["x-millrace"]
        schema = .object(result)
        if ContractFit(of: schema, to: derived) != .fits {
            schema = derived
            lostColumns = now.columns.map(\.name)
        }
    }

    private static func required(_ latest: JSONValue, _ before: TableContract, _ now: TableContract) -> [String] {
        let oldKey = latest["x-millrace"]?["key"]?.array?.compactMap(\.string) ?? []
        var names = (latest["required"]?.array?.compactMap(\.string) ?? []).filter { name in
            now.column(name) != nil && (now.key.contains(name) || !oldKey.contains(name))
        }
        names += now.key.filter { !names.contains($0) }
        let isDerived = names.allSatisfy(now.key.contains)
        return isDerived ? now.key : names
    }

    /// A column's schema in the new version; `words` are those of the version before.
    private mutating func carry(
        _ own: JSONValue, _ column: TableContract.Column, _ words: String?, _ before: TableContract,
        _ now: TableContract
    ) -> JSONValue {
        let allows = ValueShape.allows(own, column.property)
        if allows, words == nil || (words == column.type && ValueShape.isAlike(own, column.property)) {
            // What a key column must have goes with the key.
            let loosened = before.notNull.contains(column.name) && column.isNullable
            return loosened ? own.allowingNull : (column.isNullable ? own : own.refusingNull)
        }
        guard let members = own.object, var result = column.property.object else { return column.property }
        let lengthWords = members["maxLength"].map { "(\($0.compactText))" }
        var isLost = false
        for member in members.members where result[member.name] == nil && member.name != "type" {
            let isDerived =
                Self.formKeywords.contains(member.name)
                || (member.name == "maxLength" && words?.hasSuffix(lengthWords ?? "") ?? false)
                || (member.name == "pattern" && member.value.string == ValueForm.numberPattern)
                || (member.name == "format" && member.value.string == "uuid")
            if isDerived { continue }
            if allows || member.name.hasPrefix("x-") || Self.remarks.contains(member.name) {
                result.members.append(member)
            } else {
                isLost = true
            }
        }
        if isLost { lostColumns.append(column.name) }
        return .object(result)
    }

    /// What the form of a type alone says.
    private static let formKeywords: Set<String> = [
        "items", "properties", "required", "contentEncoding", "contentMediaType", "x-millrace",
    ]
    /// What is for people only.
    private static let remarks: Set<String> = ["title", "description", "$comment", "deprecated", "examples"]
}

extension JSONValue {
    /// The schema with `null` among its types.
    fileprivate var allowingNull: JSONValue {
        guard var schema = object, let type = schema["type"] else { return self }
        let types = type.array ?? [type]
        if types.contains("null") { return self }
        schema["type"] = .array(types + ["null"])
        return .object(schema)
    }

    /// The schema without `null` among its types, if another one is left.
    fileprivate var refusingNull: JSONValue {
        guard var schema = object, let types = schema["type"]?.array else { return self }
        let rest = types.filter { $0 != "null" }
        guard !rest.isEmpty, rest.count < types.count else { return self }
        schema["type"] = rest.count == 1 ? rest[0] : .array(rest)
        return .object(schema)
    }
}
