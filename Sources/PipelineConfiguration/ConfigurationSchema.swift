import ConnectorKit

/// The JSON Schema of configuration files, for editors: `Schemas/configuration.schema.json` is generated from it.
///
/// It is as strict as the loader about keys and as lenient about values: any value may come from a variable.
package struct ConfigurationSchema {
    private let tables: ConnectorTables

    /// The schema for these connectors.
    package init(tables: ConnectorTables) { self.tables = tables }

    /// The schema's text, draft 2020-12, the same for the same tables.
    package var text: String { root.text }

    private var root: JSONOutline {
        let own = object(PipelineSettings.top)
        let source = JSONOutline.object([
            ("description", .string("Where the changes come from: one connector.")),
            ("type", .string("object")),
            ("properties", .object(connectors(tables.sources))),
            ("additionalProperties", .flag(false)),
            ("minProperties", .integer(1)),
            ("maxProperties", .integer(1)),
        ])
        let sinks = JSONOutline.object([
            ("description", .string("Where the events go, by names of your choice.")),
            ("type", .array([.string("object"), .string("null")])),
            ("propertyNames", .object([("pattern", .string(Self.namePattern))])),
            ("additionalProperties", sink),
            ("maxProperties", .integer(SettingReader.sinkCountMax)),
        ])
        return .object([
            ("$schema", .string("https://json-schema.org/draft/2020-12/schema")),
            ("title", .string("Millrace configuration")),
            ("type", .string("object")),
            ("properties", .object(own.properties + [("source", source), ("sinks", sinks)])),
            ("required", .array((own.required + ["source"]).map(JSONOutline.string))),
            ("additionalProperties", .flag(false)),
        ])
    }

    private static let namePattern = "^[a-z][a-z0-9_-]{0,\(PipelineSettings.nameLengthMax - 1)}$"

    private var sink: JSONOutline {
        let common = object(PipelineSettings.sink)
        let kinds = tables.sinks.keys.sorted()
        let oneKind = kinds.map { JSONOutline.object([("required", .array([.string($0)]))]) }
        return .object(
            [
                ("type", .string("object")),
                ("properties", .object(connectors(tables.sinks) + common.properties)),
                ("additionalProperties", .flag(false)),
            ] + (kinds.isEmpty ? [] : [("oneOf", .array(oneKind))]))
    }

    private func connectors(_ tables: [String: [Setting]]) -> [(String, JSONOutline)] {
        tables.sorted { $0.key < $1.key }.map { ($0.key, group($0.value, "The `\($0.key)` connector.")) }
    }

    private func object(_ table: [Setting]) -> (properties: [(String, JSONOutline)], required: [String]) {
        (table.map { ($0.name, schema(of: $0)) }, table.filter(\.isRequired).map(\.name))
    }

    private func group(_ table: [Setting], _ description: String) -> JSONOutline {
        let (properties, required) = object(table)
        var result: [(String, JSONOutline)] = [
            ("description", .string(description)),
            ("type", .array([.string("object"), .string("null")])),
            ("properties", .object(properties)),
        ]
        if !required.isEmpty {
            result[1].1 = .string("object")
            result.append(("required", .array(required.map(JSONOutline.string))))
        }
        return .object(result + [("additionalProperties", .flag(false))])
    }

    private func schema(of setting: Setting) -> JSONOutline {
        if case .group(let table) = setting.kind { return group(table, setting.summary) }
        if case .groups(let table) = setting.kind {
            return .object([
                ("description", .string(setting.summary)), ("type", .string("array")),
                ("items", group(table, "One entry of `\(setting.name)`.")),
            ])
        }
        var result: [(String, JSONOutline)] = [("description", .string(setting.summary))]
        result += form(of: setting)
        if let value = setting.defaultValue.flatMap(Self.outline) { result.append(("default", value)) }
        return .object(result)
    }

    /// What the value looks like, apart from variables, which may stand anywhere in a text.
    private func form(of setting: Setting) -> [(String, JSONOutline)] {
        let orVariable = "|\\$\\{"
        switch setting.kind {
        case .text:
            return [("type", .array(["string", "number", "boolean"].map(JSONOutline.string)))]
        case .integer(let range):
            let bounds: [(String, JSONOutline)] = [
                ("minimum", .integer(range.lowerBound)), ("maximum", .integer(range.upperBound)),
            ]
            return [("type", .array([.string("integer"), .string("string")]))]
                + (range.upperBound == Int.max ? Array(bounds.prefix(1)) : bounds)
                + [("pattern", .string("^-?[0-9]+$" + orVariable))]
        case .flag:
            return [
                ("type", .array([.string("boolean"), .string("string")])),
                ("pattern", .string("^(true|false)$" + orVariable)),
            ]
        case .duration:
            return [("type", .string("string")), ("pattern", .string("^[0-9]+(ms|s|m|h|d)$" + orVariable))]
        case .size:
            return [("type", .string("string")), ("pattern", .string("^[0-9]+([KMGT]i)?B$" + orVariable))]
        case .list:
            let item = JSONOutline.array(["string", "number", "boolean"].map(JSONOutline.string))
            return [("type", .string("array")), ("items", .object([("type", item)]))]
        case .choice(let words):
            let variable = JSONOutline.object([("type", .string("string")), ("pattern", .string("\\$\\{"))])
            return [("anyOf", .array([.object([("enum", .array(words.map(JSONOutline.string)))]), variable]))]
        case .map(let pattern, _):
            let value = JSONOutline.object([
                ("type", .string("string")), ("pattern", .string("(\(pattern))" + orVariable)),
            ])
            return [("type", .array([.string("object"), .string("null")])), ("additionalProperties", value)]
        case .group, .groups:
            return []
        }
    }

    private static func outline(_ value: SettingValue) -> JSONOutline? {
        switch value {
        case .text(let text): .string(text)
        case .integer(let number): .integer(number)
        case .flag(let flag): .flag(flag)
        case .duration(let duration): .string(SettingText.text(of: duration))
        case .size(let bytes): .string(SettingText.text(ofSize: bytes))
        case .list(let texts): .array(texts.map(JSONOutline.string))
        case .group, .groups, .map: nil
        }
    }
}
