package import ChangeModel
package import JSONSchema
package import JSONText

/// Why rows cannot be checked by a schema.
package struct RowRuleProblem: Error, Sendable, CustomStringConvertible {
    /// Where and what, such as `#/properties/id/type: "strin" is no type`.
    package var description: String
}

/// What the rows of a table have to be checked for, so that each is valid under a version of its contract: its schema
/// without what the types of the columns guarantee, divided by columns. Never changed, shared by all threads.
///
/// What is valid or not is the row as an event has it under `after`.
package final class RowRules: Sendable {
    let schema: RowSchema
    /// The columns whose values are looked at, by themselves or together with others.
    let columns: [Int]

    /// True when every row is valid because of the types of its columns.
    package let isProved: Bool
    /// Why no row of the table can be valid, such as a required member that is no column; nil in most cases.
    package var contradiction: String? { schema.contradictions.first?.description }

    /// The rules of a schema for the rows of a table. `derived` is the schema that is derived from the table, and
    /// `library` what the schema refers to. Throws when the schema is none that can be used.
    package init(
        _ relation: Relation, schema: JSONValue, library: SchemaLibrary = SchemaLibrary(), derived: JSONValue
    ) throws(RowRuleProblem) {
        let compiled: JSONSchema
        do throws(SchemaProblem) {
            // Also what is left out below may hold no mistake.
            let whole = try JSONSchema(schema, library: library)
            let asking = Self.leavingOut(structuresOf: derived, relation, from: schema)
            compiled = try asking.map { (part) throws(SchemaProblem) in try JSONSchema(part) } ?? whole
        } catch {
            throw RowRuleProblem(description: error.description)
        }
        self.schema = RowSchema(
            compiled, columns: relation.columns.map { ($0.name, ValueGuarantee(of: $0)) })
        let (parts, hasRest) = (self.schema.columns, self.schema.hasRest)
        columns = parts.indices.filter { parts[$0].isChecked || (hasRest && parts[$0].isInRest) }
        isProved = columns.isEmpty && !hasRest && self.schema.contradictions.isEmpty
    }

    /// The schema without what it says of arrays, composite values and ranges in the words of the derived one: values
    /// are written in that form, or else as a string, and nothing needs to walk through them. Nil when nothing is left
    /// out.
    private static func leavingOut(
        structuresOf derived: JSONValue, _ relation: Relation, from schema: JSONValue
    ) -> JSONValue? {
        guard var object = schema.object, var properties = object["properties"]?.object,
            // A reference may lead to what is left out.
            !schema.hasReferences
        else { return nil }
        var isShorter = false
        for column in relation.columns where column.shape != nil {
            guard let own = properties[column.name]?.object, let known = derived["properties"]?[column.name]?.object,
                own.members.filter(Self.asserts).count == known.members.filter(Self.asserts).count,
                known.members.filter(Self.asserts).allSatisfy({ member in
                    own[member.name]?.isEquivalent(to: member.value) ?? false
                })
            else { continue }
            properties[column.name] = .object(JSONObject(own.members.filter { !Self.asserts($0) }))
            isShorter = true
        }
        guard isShorter else { return nil }
        object["properties"] = .object(properties)
        return .object(object)
    }

    private static func asserts(_ member: JSONObject.Member) -> Bool {
        !member.name.hasPrefix("x-") && !["title", "description", "$comment"].contains(member.name)
    }
}

extension JSONValue {
    /// True when a schema refers to another one, or to a part of itself.
    fileprivate var hasReferences: Bool {
        switch self {
        case .object(let object):
            object.members.contains { member in
                ["$ref", "$dynamicRef", "$recursiveRef"].contains(member.name) || member.value.hasReferences
            }
        case .array(let list): list.contains { $0.hasReferences }
        default: false
        }
    }
}

extension ValueGuarantee {
    /// What the type of a column says of all values that events have of it (`docs/reference/events.md`).
    fileprivate init(of column: Column) {
        self.init(kinds: .string)
        switch column.shape {
        case .array, .vector, .multirange: kinds = [.array, .string]
        case .composite, .range: kinds = [.object, .string]
        case .json: kinds = .all
        // Labels may be added while values are on their way.
        case .enumeration: break
        case nil: self.init(of: column.type)
        }
        if column.shape == nil || column.shape?.isText ?? false { lengthMax = column.lengthMax }
        if column.isNullable { kinds.insert(.null) }
    }

    private init(of type: ValueType) {
        switch type {
        case .boolean: self.init(kinds: .bool)
        case .int16: self.init(wholeNumbersOf: Int16.self)
        case .int32: self.init(wholeNumbersOf: Int32.self)
        case .int64: self.init(wholeNumbersOf: Int64.self)
        case .float32, .float64, .number:
            self.init(kinds: [.number, .string], texts: ["NaN", "Infinity", "-Infinity"])
        case .dynamic: self.init(kinds: [.number, .string])
        case .uuid: self.init(kinds: .string, lengthMin: 36, lengthMax: 36, formats: ["uuid"])
        case .numeric, .text, .bytes, .json, .date, .time, .timeTZ, .timestamp, .timestampTZ, .interval, .other:
            self.init(kinds: .string)
        }
    }

    private init<T: FixedWidthInteger>(wholeNumbersOf type: T.Type) {
        self.init(kinds: .number, areNumbersWhole: true, numbers: Int(T.min)...Int(T.max))
    }
}

extension TypeShape {
    /// True for a shape whose values are always strings.
    fileprivate var isText: Bool { if case .enumeration = self { true } else { false } }
}
