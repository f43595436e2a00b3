internal import JSONText

/// Where a subschema stands: its document and a path in it.
struct SchemaPlace: Hashable {
    /// Index into ``SchemaIndex/documents``.
    var document: Int
    var pointer: JSONPointer

    /// The place of a schema inside of this one.
    func appending(_ names: String...) -> SchemaPlace {
        var place = self
        for name in names { place.pointer.append(name: name.utf8) }
        return place
    }
}

/// Every subschema, resource, anchor and base URI in the schema documents that are used, found by walking over the
/// keywords that hold schemas.
struct SchemaIndex {
    /// A document that was walked over.
    struct Document {
        var root: JSONValue
        var uri: String
    }
    /// A schema with a URI of its own, and its anchors.
    struct Resource {
        var uri: URIReference
        var place: SchemaPlace
        var dialect: Dialect
        var anchors: [[UInt8]: SchemaPlace] = [:]
        var dynamicAnchors: [[UInt8]: SchemaPlace] = [:]
    }
    /// A subschema, and the resource that it belongs to: the innermost one around it.
    struct Entry {
        var schema: JSONValue
        var resource: Int
    }
    /// What a reference leads to.
    struct Target {
        var place: SchemaPlace
        var resource: Int
        /// The name of the anchor, when the reference has one.
        var anchor: [UInt8]?
    }

    let library: SchemaLibrary
    private(set) var documents: [Document] = []
    private(set) var resources: [Resource] = []
    /// The places of the first document's subschemas.
    private(set) var rootPlaces: [SchemaPlace] = []
    /// Resources that have a dynamic anchor of a name, in the order in which they were found.
    private(set) var resourcesOfDynamicAnchor: [[UInt8]: [Int]] = [:]
    private var entries: [SchemaPlace: Entry] = [:]
    private var resourceOfURI: [[UInt8]: Int] = [:]
    private var pointerBytes = 0

    /// A document that nobody gave a URI has this one.
    static let unnamed = "urn:millrace:schema"
    /// All paths of subschemas together may be this long: long names in deep nesting fill memory otherwise.
    private static let pointerBytesMax = 32 << 20
    private static let depthMax = 512

    init(_ library: SchemaLibrary) { self.library = library }

    /// The subschema at a place.
    func entry(at place: SchemaPlace) -> Entry? { entries[place] }

    /// A place as messages have it: in the first document without its URI.
    func location(of place: SchemaPlace) -> String {
        (place.document == 0 ? "" : documents[place.document].uri) + "#" + place.pointer.text
    }

    /// Walks over a document.
    @discardableResult
    mutating func add(_ root: JSONValue, uri: String, _ inherited: Dialect) throws(SchemaProblem) -> SchemaPlace {
        let place = SchemaPlace(document: documents.count, pointer: JSONPointer())
        documents.append(Document(root: root, uri: uri))
        var reference = URIReference(uri)
        reference.fragment = nil
        let dialect = try dialect(of: root, place, inherited)
        let resource = Resource(uri: reference, place: place, dialect: dialect)
        resources.append(resource)
        resourceOfURI[Array(reference.text.utf8)] = resources.count - 1
        var walk = Walk(resource: resources.count - 1, depth: 0, findsNames: true)
        walk.isRoot = true
        try self.walk(root, place, walk)
        return place
    }

    /// What a reference from within a resource leads to. The problem's location is left empty.
    mutating func target(of reference: String, from resource: Int) throws(SchemaProblem) -> Target {
        let uri = URIReference(reference).resolved(against: resources[resource].uri)
        let name = uri.withoutFragment
        let key = Array(name.utf8)
        if resourceOfURI[key] == nil, let document = library.document(name) {
            try add(document, uri: name, resources[resource].dialect)
        }
        guard let found = resourceOfURI[key] else {
            throw SchemaProblem(
                "", "\"\(reference)\" leads to \(name), which is not among the schemas at hand; nothing is fetched")
        }
        guard let fragment = uri.fragment, !fragment.isEmpty else {
            return Target(place: resources[found].place, resource: found)
        }
        guard let decoded = URIReference.decoded(fragment) else {
            throw SchemaProblem("", "the fragment of \"\(reference)\" is not UTF-8")
        }
        if let pointer = JSONPointer(decoded) { return try target(of: pointer, in: found, reference) }
        let anchor = Array(decoded.utf8)
        guard let place = resources[found].anchors[anchor] else {
            throw SchemaProblem("", "\"\(reference)\" leads to nothing: \(name) has no anchor \"\(decoded)\"")
        }
        return Target(place: place, resource: entries[place]?.resource ?? found, anchor: anchor)
    }

    private mutating func target(
        of pointer: JSONPointer, in resource: Int, _ reference: String
    ) throws(SchemaProblem) -> Target {
        let start = resources[resource].place
        let place = SchemaPlace(document: start.document, pointer: start.pointer.appending(pointer))
        if let entry = entries[place] { return Target(place: place, resource: entry.resource) }
        guard let schema = Self.value(at: place.pointer, in: documents[place.document].root) else {
            throw SchemaProblem("", "\"\(reference)\" leads to nothing")
        }
        guard schema.object != nil || schema.bool != nil else {
            throw SchemaProblem("", "\"\(reference)\" leads to what is no schema")
        }
        // No keyword that is known holds it, so names inside of it are not taken for names of schemas.
        let depth = place.pointer.bytes.count { $0 == UInt8(ascii: "/") }
        try walk(schema, place, Walk(resource: innermostResource(around: place), depth: depth, findsNames: false))
        return Target(place: place, resource: entries[place]?.resource ?? resource)
    }

    private func innermostResource(around place: SchemaPlace) -> Int {
        var around = place
        while let slash = around.pointer.bytes.lastIndex(of: UInt8(ascii: "/")) {
            around.pointer.cut(to: slash)
            if let entry = entries[around] { return entry.resource }
        }
        return 0
    }

    private static func value(at pointer: JSONPointer, in root: JSONValue) -> JSONValue? {
        var value = root
        for step in pointer.steps {
            if let object = value.object, let next = object[step] {
                value = next
            } else if let array = value.array, let index = Int(step), String(index) == step,
                array.indices.contains(index)
            {
                value = array[index]
            } else {
                return nil
            }
        }
        return value
    }
}

// MARK: - Walking

extension SchemaIndex {
    /// What a walk knows where it is.
    private struct Walk {
        var resource: Int
        var depth: Int
        /// False where `$id` and anchors name nothing.
        var findsNames: Bool
        var isRoot = false
    }

    /// Keywords whose value is a schema.
    private static let single: Set<String> = [
        "additionalProperties", "propertyNames", "additionalItems", "contains", "not", "if", "then", "else", "items",
        "unevaluatedItems", "unevaluatedProperties", "contentSchema",
    ]
    /// Keywords whose value is a list of schemas.
    private static let lists: Set<String> = ["allOf", "anyOf", "oneOf", "prefixItems", "items"]
    /// Keywords whose members are schemas.
    private static let maps: Set<String> = [
        "properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies",
    ]

    private mutating func walk(_ schema: JSONValue, _ place: SchemaPlace, _ walk: Walk) throws(SchemaProblem) {
        guard schema.object != nil || schema.bool != nil, entries[place] == nil else { return }
        var walk = walk
        if let object = schema.object, walk.findsNames, !hidesSiblings(object, walk) {
            try readNames(object, place, &walk)
        }
        pointerBytes += place.pointer.bytes.count
        guard pointerBytes <= Self.pointerBytesMax, walk.depth <= Self.depthMax else {
            throw SchemaProblem(location(of: place), "the schema is too large: its parts are nested in too long paths")
        }
        entries[place] = Entry(schema: schema, resource: walk.resource)
        if place.document == 0 { rootPlaces.append(place) }
        guard let object = schema.object else { return }
        try refuseRepeatedNames(object, place)
        walk.depth += 1
        walk.isRoot = false
        let isHidden = hidesSiblings(object, walk)
        for member in object.members {
            if isHidden && member.name != "definitions" && member.name != "$defs" { continue }
            try self.walk(member, place, walk)
        }
    }

    /// True where a reference hides its siblings: only definitions count there.
    private func hidesSiblings(_ object: JSONObject, _ walk: Walk) -> Bool {
        resources[walk.resource].dialect.isOld && object["$ref"] != nil
    }

    private func dialect(
        of schema: JSONValue, _ place: SchemaPlace, _ inherited: Dialect
    ) throws(SchemaProblem) -> Dialect {
        do throws(SchemaProblem) { return try Dialect(of: schema, inherited, library) } catch {
            throw SchemaProblem(location(of: place.appending("$schema")), error.message)
        }
    }

    private mutating func walk(
        _ member: JSONObject.Member, _ place: SchemaPlace, _ walk: Walk
    ) throws(SchemaProblem) {
        if Self.lists.contains(member.name), let list = member.value.array {
            for (index, schema) in list.enumerated() {
                try self.walk(schema, place.appending(member.name, String(index)), walk)
            }
        } else if Self.single.contains(member.name) {
            try self.walk(member.value, place.appending(member.name), walk)
        } else if Self.maps.contains(member.name), let object = member.value.object {
            let base = place.appending(member.name)
            try refuseRepeatedNames(object, base)
            for entry in object.members { try self.walk(entry.value, base.appending(entry.name), walk) }
        }
    }

    private func refuseRepeatedNames(_ object: JSONObject, _ place: SchemaPlace) throws(SchemaProblem) {
        var seen: Set<[UInt8]> = []
        for member in object.members where !seen.insert(Array(member.name.utf8)).inserted {
            throw SchemaProblem(location(of: place.appending(member.name)), "the name is there twice")
        }
    }

    /// Notes the URI and the anchors of a schema; the walk goes on in the resource that begins here.
    private mutating func readNames(
        _ object: JSONObject, _ place: SchemaPlace, _ walk: inout Walk
    ) throws(SchemaProblem) {
        if let id = try text("$id", object, place) { try begin(id, object, place, &walk) }
        let resource = walk.resource
        if resources[resource].dialect.isOld { return }
        if let anchor = try text("$anchor", object, place) { try addAnchor(anchor, "$anchor", place, resource) }
        if let anchor = try text("$dynamicAnchor", object, place) {
            try addAnchor(anchor, "$dynamicAnchor", place, resource)
            addDynamicAnchor(Array(anchor.utf8), place, resource)
        }
        if object["$recursiveAnchor"]?.bool == true { addDynamicAnchor([], place, resource) }
    }

    private func text(
        _ keyword: String, _ object: JSONObject, _ place: SchemaPlace
    ) throws(SchemaProblem) -> String? {
        guard let value = object[keyword] else { return nil }
        guard let text = value.string else {
            throw SchemaProblem(location(of: place.appending(keyword)), "it must be a string")
        }
        return text
    }

    private mutating func begin(
        _ id: String, _ object: JSONObject, _ place: SchemaPlace, _ walk: inout Walk
    ) throws(SchemaProblem) {
        let outer = resources[walk.resource]
        if id.utf8.first == UInt8(ascii: "#") {
            if outer.dialect.isOld { try addAnchor(String(id.dropFirst()), "$id", place, walk.resource) }
            return
        }
        var uri = URIReference(id).resolved(against: outer.uri)
        let fragment = uri.fragment ?? ""
        uri.fragment = nil
        let key = Array(uri.text.utf8)
        if walk.isRoot {
            resources[walk.resource].uri = uri
            if resourceOfURI[key] == nil { resourceOfURI[key] = walk.resource }
        } else {
            if let other = resourceOfURI[key], resources[other].place.document == place.document {
                throw SchemaProblem(location(of: place.appending("$id")), "another schema has the URI \(uri.text) too")
            }
            let dialect = try dialect(of: .object(object), place, outer.dialect)
            resources.append(Resource(uri: uri, place: place, dialect: dialect))
            walk.resource = resources.count - 1
            resourceOfURI[key] = walk.resource
        }
        if resources[walk.resource].dialect.isOld, !fragment.isEmpty {
            try addAnchor(fragment, "$id", place, walk.resource)
        }
    }

    private mutating func addAnchor(
        _ name: String, _ keyword: String, _ place: SchemaPlace, _ resource: Int
    ) throws(SchemaProblem) {
        let other = resources[resource].anchors.updateValue(place, forKey: Array(name.utf8))
        if let other, other != place {
            throw SchemaProblem(location(of: place.appending(keyword)), "the anchor \"\(name)\" is there twice")
        }
    }

    private mutating func addDynamicAnchor(_ name: [UInt8], _ place: SchemaPlace, _ resource: Int) {
        resources[resource].dynamicAnchors[name] = place
        resourcesOfDynamicAnchor[name, default: []].append(resource)
    }
}
