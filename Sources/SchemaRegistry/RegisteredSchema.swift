/// A schema that somebody hands in.
package struct SubmittedSchema: Sendable {
    /// Its text.
    package var text: String
    /// Its language; only `JSON` is taken.
    package var type: String
    /// The schemas that it uses.
    package var references: [SchemaReference]
    /// The id that it must get: only where schemas are imported.
    package var id: Int?
    /// The version that it must become.
    package var version: Int?

    /// A schema of its parts.
    package init(
        _ text: String, type: String = "JSON", references: [SchemaReference] = [], id: Int? = nil, version: Int? = nil
    ) {
        self.text = text
        self.type = type
        self.references = references
        self.id = id
        self.version = version
    }
}

/// A schema in the registry. Its language is always JSON Schema.
package struct RegisteredSchema: Sendable, Equatable {
    /// Its subject.
    package var subject: String
    /// Its version.
    package var version: Int
    /// Its number in the whole registry: the same under every subject that has it.
    package var id: Int
    /// Its name in the whole world: a UUID that its content alone decides.
    package var guid: String
    /// Its text on one line.
    package var text: String
    /// The schemas that it uses.
    package var references: [SchemaReference]
    /// True when it was deleted softly.
    package var isDeleted: Bool
}
