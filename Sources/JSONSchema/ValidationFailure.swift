/// One reason why a document is not valid. It never quotes the document's values.
package struct ValidationFailure: Sendable, Hashable, CustomStringConvertible {
    /// Where in the document, as a JSON Pointer; empty for the whole. Names longer than 256 bytes are cut.
    package var instancePath: String
    /// Which keyword, as a JSON Pointer into the schema; behind a URI and `#` in another document.
    package var schemaPath: String
    /// What the keyword asks for.
    package var reason: String

    /// A failure of its parts.
    package init(instancePath: String, schemaPath: String, reason: String) {
        self.instancePath = instancePath
        self.schemaPath = schemaPath
        self.reason = reason
    }

    /// `/id must be integer (/properties/id/type)`.
    package var description: String {
        "\(instancePath.isEmpty ? "the document" : instancePath) \(reason) (\(schemaPath))"
    }
}

/// Why a validation ended without a verdict.
package enum ValidationLimit: Error, Sendable, Equatable {
    /// More steps than any sensible schema needs for a document of that size.
    case steps
    /// Checks nested deeper than any sensible schema needs.
    case depth
    /// A regular expression that would not end, or not in time.
    case pattern
}
