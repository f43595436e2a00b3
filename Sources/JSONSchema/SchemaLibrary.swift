package import JSONText

/// Schemas by their URIs: all that a reference can lead to. Nothing is ever fetched.
package struct SchemaLibrary: Sendable {
    /// By the bytes of the URI: Swift calls some strings equal that are different URIs.
    private var documents: [[UInt8]: JSONValue] = [:]

    /// A library that has the meta-schemas of drafts 2020-12 and 07.
    package init() {
        for document in MetaSchemas.all { if let id = document["$id"]?.string { add(document, under: id) } }
    }

    /// Makes a document known under a URI; one that is there is replaced.
    package mutating func add(_ document: JSONValue, under uri: String) {
        documents[Array(URIReference(uri).withoutFragment.utf8)] = document
    }

    /// The document of a URI without its fragment.
    func document(_ uri: String) -> JSONValue? { documents[Array(uri.utf8)] }
}
