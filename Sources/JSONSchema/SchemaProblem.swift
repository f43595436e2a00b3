/// Why a document is no schema that can be used.
package struct SchemaProblem: Error, Sendable, Equatable, CustomStringConvertible {
    /// Where in the schema, as a JSON Pointer in a URI fragment (`#/properties/id/type`); in another document behind
    /// its URI.
    package var location: String
    /// What is wrong there.
    package var message: String

    /// A problem of its parts.
    package init(_ location: String, _ message: String) {
        self.location = location
        self.message = message
    }

    /// `#/properties/id/type: "strin" is no type`.
    package var description: String { "\(location): \(message)" }
}
