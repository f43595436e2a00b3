package import JSONText

extension SchemaLibrary {
    /// Makes a document known to a schema that refers to it by `name`: under the URI that the name is when it is read
    /// in that schema, which lives at `uri` (nil: nowhere) unless its `$id` says more. Returns that URI.
    ///
    /// Throws when the URI already leads to another document.
    package mutating func add(
        _ document: JSONValue, named name: String, in referrer: JSONValue, at uri: String? = nil
    ) throws(SchemaProblem) -> String {
        let place = URIReference(uri ?? SchemaIndex.unnamed)
        let base = URIReference(referrer["$id"]?.string ?? "").resolved(against: place)
        let target = URIReference(name).resolved(against: base).withoutFragment
        if let known = self.document(target), !known.isEquivalent(to: document) {
            throw SchemaProblem("#", "\"\(name)\" would lead to two different schemas")
        }
        add(document, under: target)
        return target
    }
}
