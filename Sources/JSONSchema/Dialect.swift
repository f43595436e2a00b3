internal import JSONText

/// Which rules the keywords of a schema follow.
struct Dialect: Sendable, Hashable {
    enum Draft: Sendable { case draft7, draft2019, draft2020 }

    var draft: Draft
    /// False when the meta-schema leaves the vocabulary of assertions out.
    var hasValidation = true
    var hasApplicators = true
    var hasUnevaluated = true
    /// True when the meta-schema asks for formats to be asserted.
    var assertsFormats = false

    init(draft: Draft) { self.draft = draft }

    /// The dialect that a known URI names.
    init?(metaSchema: String) {
        switch metaSchema.hasSuffix("#") ? String(metaSchema.dropLast()) : metaSchema {
        case "https://json-schema.org/draft/2020-12/schema": draft = .draft2020
        case "https://json-schema.org/draft/2019-09/schema": draft = .draft2019
        case "http://json-schema.org/draft-07/schema", "https://json-schema.org/draft-07/schema": draft = .draft7
        default: return nil
        }
    }

    /// The dialect of a schema by its `$schema`, which is a known one or a meta-schema of the library. The problem's
    /// location is left empty.
    init(of schema: JSONValue, _ inherited: Dialect, _ library: SchemaLibrary) throws(SchemaProblem) {
        var (schema, owners): (JSONValue, [JSONValue]) = (schema, [])
        var dialect = inherited
        while let value = schema["$schema"] {
            guard let uri = value.string else { throw SchemaProblem("", "it must be a URI") }
            if let known = Dialect(metaSchema: uri) {
                dialect = known
                break
            }
            guard let meta = library.document(URIReference(uri).withoutFragment) else {
                throw SchemaProblem("", "no meta-schema is known under \(uri)")
            }
            if owners.contains(meta) { break }
            guard owners.count < Self.ownersMax else {
                throw SchemaProblem("", "more than \(Self.ownersMax) meta-schemas describe each other")
            }
            owners.append(meta)
            schema = meta
        }
        for meta in owners.reversed() { try dialect.use(vocabularyOf: meta) }
        self = dialect
    }

    private static let ownersMax = 16

    /// The vocabularies that are known, by their URIs without the draft's beginning.
    private static let vocabularies: [Draft: (base: String, names: Set<String>)] = [
        .draft2019: (
            "https://json-schema.org/draft/2019-09/vocab/",
            ["core", "applicator", "validation", "meta-data", "format", "content"]
        ),
        .draft2020: (
            "https://json-schema.org/draft/2020-12/vocab/",
            [
                "core", "applicator", "unevaluated", "validation", "meta-data", "format-annotation", "format-assertion",
                "content",
            ]
        ),
    ]

    /// Takes over the vocabularies that a meta-schema of somebody else's declares (core, section 8.1.2).
    private mutating func use(vocabularyOf metaSchema: JSONValue) throws(SchemaProblem) {
        guard let members = metaSchema["$vocabulary"]?.object?.members, let known = Self.vocabularies[draft] else {
            return
        }
        var found: [String: Bool] = [:]
        for member in members {
            let name = String(member.name.dropFirst(known.base.count))
            if member.name.hasPrefix(known.base), known.names.contains(name) {
                found[name] = member.value.bool ?? false
            } else if member.value.bool == true {
                throw SchemaProblem(
                    "#/$schema", "its meta-schema needs the vocabulary \(member.name), which is not known")
            }
        }
        hasValidation = found["validation"] != nil
        hasApplicators = found["applicator"] != nil
        hasUnevaluated = draft == .draft2020 ? found["unevaluated"] != nil : hasApplicators
        assertsFormats = found["format-assertion"] != nil || found["format"] == true
    }

    /// Draft 7 and earlier: `$ref` hides its siblings, anchors are fragments of `$id`.
    var isOld: Bool { draft == .draft7 }
    /// True where `items` may be a list with `additionalItems` behind it.
    var hasItemLists: Bool { draft != .draft2020 }
}
