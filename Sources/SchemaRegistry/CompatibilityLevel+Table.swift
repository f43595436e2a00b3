package import JSONSchema

extension CompatibilityLevel {
    /// Compares the schema of a table with earlier versions, newest first, and counts also what JSON cannot say of a
    /// table: other types whose values are text as before, another key, labels, columns that are gone.
    package func verdict(
        onTable new: VersionedSchema, against earlier: [VersionedSchema], policy: ComparisonPolicy = .lenient
    ) -> CompatibilityVerdict {
        let versions = isTransitive ? earlier[...] : earlier.prefix(1)
        let breaks =
            directions.isEmpty
            ? []
            : versions.flatMap { SchemaDifference(from: $0, to: new, policy: policy).breaks }
        return CompatibilityVerdict(breaks: breaks.filter { directions.contains($0.direction) })
    }
}
