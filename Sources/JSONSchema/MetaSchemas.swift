internal import JSONText

/// The meta-schemas of drafts 2020-12 and 07: what a schema itself must look like. Written out here from the
/// specifications, so that nothing is fetched.
enum MetaSchemas {
    /// Every document, with its `$id`.
    static let all: [JSONValue] =
        [draft2020, core, applicator, unevaluated, validation, metaData, content, draft7] + formats

    private static let base = "https://json-schema.org/draft/2020-12/"
    private static let schemaText: JSONValue = .string(base + "schema")

    private static let vocabularies = [
        "core", "applicator", "unevaluated", "validation", "meta-data", "format-annotation", "content",
    ]

    private static let draft2020: JSONValue = [
        "$schema": schemaText, "$id": schemaText, "$dynamicAnchor": "meta",
        "$vocabulary": .object(JSONObject(vocabularies.map { .init(name: "\(base)vocab/\($0)", value: true) })),
        "title": "Core and Validation specifications meta-schema",
        "allOf": .array(vocabularies.map { ["$ref": .string("meta/" + $0)] }),
        "type": ["object", "boolean"],
        "properties": [
            "definitions": schemas(meta),
            "dependencies": ["type": "object", "additionalProperties": ["anyOf": [meta, names]]],
            "$recursiveAnchor": ["type": "string"], "$recursiveRef": ["type": "string", "format": "uri-reference"],
        ],
    ]

    private static let core = vocabulary(
        "core",
        [
            "$id": ["type": "string", "format": "uri-reference", "pattern": "^[^#]*#?$"],
            "$schema": ["type": "string", "format": "uri"], "$ref": ["type": "string", "format": "uri-reference"],
            "$anchor": anchor, "$dynamicRef": ["type": "string", "format": "uri-reference"], "$dynamicAnchor": anchor,
            "$vocabulary": [
                "type": "object", "propertyNames": ["type": "string", "format": "uri"],
                "additionalProperties": ["type": "boolean"],
            ],
            "$comment": ["type": "string"], "$defs": schemas(meta),
        ])

    private static let applicator = vocabulary(
        "applicator",
        [
            "prefixItems": schemaList, "items": meta, "contains": meta, "additionalProperties": meta,
            "properties": schemas(meta), "patternProperties": patterns(meta), "dependentSchemas": schemas(meta),
            "propertyNames": meta, "if": meta, "then": meta, "else": meta, "allOf": schemaList, "anyOf": schemaList,
            "oneOf": schemaList, "not": meta,
        ])

    private static let unevaluated = vocabulary(
        "unevaluated", ["unevaluatedItems": meta, "unevaluatedProperties": meta])

    private static let validation = vocabulary(
        "validation",
        [
            "type": ["anyOf": [typeName, ["type": "array", "items": typeName, "minItems": 1, "uniqueItems": true]]],
            "const": true, "enum": ["type": "array", "items": true],
            "multipleOf": ["type": "number", "exclusiveMinimum": 0], "maximum": ["type": "number"],
            "exclusiveMaximum": ["type": "number"], "minimum": ["type": "number"],
            "exclusiveMinimum": ["type": "number"],
            "maxLength": count, "minLength": count, "pattern": ["type": "string", "format": "regex"], "maxItems": count,
            "minItems": count, "uniqueItems": ["type": "boolean"], "maxContains": count, "minContains": count,
            "maxProperties": count, "minProperties": count, "required": names,
            "dependentRequired": ["type": "object", "additionalProperties": names],
        ])

    private static let metaData = vocabulary("meta-data", annotations)

    private static let content = vocabulary(
        "content",
        [
            "contentEncoding": ["type": "string"], "contentMediaType": ["type": "string"], "contentSchema": meta,
        ])

    private static let formats = ["format-annotation", "format-assertion"].map {
        vocabulary($0, ["format": ["type": "string"]])
    }

    private static let draft7Name = "http://json-schema.org/draft-07/schema"
    private static let selfReference: JSONValue = ["$ref": "#"]

    private static let draft7: JSONValue = [
        "$schema": .string(draft7Name + "#"), "$id": .string(draft7Name + "#"), "title": "Core schema meta-schema",
        "type": ["object", "boolean"],
        "properties": .object(JSONObject(draft7Members.members + (annotations.object?.members ?? []))),
        "default": true,
    ]

    private static let draft7Members = JSONObject([
        member("$id", ["type": "string", "format": "uri-reference"]),
        member("$schema", ["type": "string", "format": "uri"]),
        member("$ref", ["type": "string", "format": "uri-reference"]), member("$comment", ["type": "string"]),
        member("multipleOf", ["type": "number", "exclusiveMinimum": 0]), member("maximum", ["type": "number"]),
        member("exclusiveMaximum", ["type": "number"]), member("minimum", ["type": "number"]),
        member("exclusiveMinimum", ["type": "number"]), member("maxLength", count), member("minLength", count),
        member("pattern", ["type": "string", "format": "regex"]), member("additionalItems", selfReference),
        member("items", ["anyOf": [selfReference, ["type": "array", "minItems": 1, "items": selfReference]]]),
        member("maxItems", count), member("minItems", count), member("uniqueItems", ["type": "boolean"]),
        member("contains", selfReference), member("maxProperties", count), member("minProperties", count),
        member("required", names), member("additionalProperties", selfReference),
        member("definitions", schemas(selfReference)), member("properties", schemas(selfReference)),
        member("patternProperties", patterns(selfReference)),
        member("dependencies", ["type": "object", "additionalProperties": ["anyOf": [selfReference, names]]]),
        member("propertyNames", selfReference), member("const", true),
        member("enum", ["type": "array", "items": true]),
        member(
            "type", ["anyOf": [typeName, ["type": "array", "items": typeName, "minItems": 1, "uniqueItems": true]]]),
        member("format", ["type": "string"]), member("contentMediaType", ["type": "string"]),
        member("contentEncoding", ["type": "string"]), member("if", selfReference), member("then", selfReference),
        member("else", selfReference), member("allOf", list(selfReference)), member("anyOf", list(selfReference)),
        member("oneOf", list(selfReference)), member("not", selfReference),
    ])

    // MARK: Parts

    private static let meta: JSONValue = ["$dynamicRef": "#meta"]
    private static let schemaList = list(meta)
    private static let anchor: JSONValue = ["type": "string", "pattern": "^[A-Za-z_][-A-Za-z0-9._]*$"]
    private static let count: JSONValue = ["type": "integer", "minimum": 0]
    private static let names: JSONValue = ["type": "array", "items": ["type": "string"], "uniqueItems": true]
    private static let typeName: JSONValue = [
        "enum": ["array", "boolean", "integer", "null", "number", "object", "string"]
    ]
    private static let annotations: JSONValue = [
        "title": ["type": "string"], "description": ["type": "string"], "default": true,
        "deprecated": ["type": "boolean"], "readOnly": ["type": "boolean"], "writeOnly": ["type": "boolean"],
        "examples": ["type": "array", "items": true],
    ]

    private static func member(_ name: String, _ value: JSONValue) -> JSONObject.Member {
        .init(name: name, value: value)
    }

    private static func list(_ schema: JSONValue) -> JSONValue { ["type": "array", "minItems": 1, "items": schema] }

    private static func schemas(_ schema: JSONValue) -> JSONValue {
        ["type": "object", "additionalProperties": schema]
    }

    private static func patterns(_ schema: JSONValue) -> JSONValue {
        ["type": "object", "additionalProperties": schema, "propertyNames": ["format": "regex"]]
    }

    private static func vocabulary(_ name: String, _ properties: JSONValue) -> JSONValue {
        [
            "$schema": schemaText, "$id": .string("\(base)meta/\(name)"), "$dynamicAnchor": "meta",
            "type": ["object", "boolean"], "properties": properties,
        ]
    }
}
