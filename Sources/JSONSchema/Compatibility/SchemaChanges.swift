
/// Every difference between two versions of a schema, with what it breaks.
package struct SchemaChanges: Sendable {
    /// A difference.
    package struct Line: Sendable, Hashable, CustomStringConvertible {
        /// Where in the schemas, as a JSON Pointer.
        package var path: String
        /// What the old schema says there, as short JSON; nil for nothing.
        package var old: String?
        /// What the new schema says there, as short JSON; nil for nothing.
        package var new: String?
        /// What it breaks, with the direction.
        package var breaks: [CompatibilityBreak]
        /// True where it can never break anything: titles, descriptions, `x-…`.
        package var isAnnotation: Bool

        /// `/properties/id/maxLength: 20 → 10`.
        package var description: String { "\(path): \(old ?? "nothing") → \(new ?? "nothing")" }
    }

    /// The differences in the order of the schemas; empty when both say the same, whatever the order of members.
    package let lines: [Line]
    /// What breaks for whoever reads old documents by the new schema.
    package let backward: [SchemaBreak]
    /// What breaks for whoever reads new documents by the old schema.
    package let forward: [SchemaBreak]

    /// Compares two versions in both directions.
    package init(from old: VersionedSchema, to new: VersionedSchema, policy: ComparisonPolicy = .lenient) {
        backward = CompatibilityDirection.backward.breaks(from: old, to: new, policy: policy)
        forward = CompatibilityDirection.forward.breaks(from: old, to: new, policy: policy)
        lines = []
    }
}
