/// A schema taken apart for rows whose columns are known: what it says of single columns, and what is left for rows.
///
/// A row is a JSON object with a member for each column. It is valid by the schema exactly when ``contradictions`` is
/// empty, no required column is absent, the value of each column with `isChecked` passes ``RowCheck``, and, with
/// ``hasRest``, the row of all columns with `isInRest` does. It is made once for a schema and a relation.
package struct RowSchema: Sendable {
    /// What has to be done about a column.
    package struct Column: Sendable {
        /// The member's name.
        package let name: String
        /// True when no row may be without it.
        package let isRequired: Bool
        /// True when its values have to be checked; false when all that are possible are valid.
        package let isChecked: Bool
        /// True when what is left for whole rows looks at it.
        package let isInRest: Bool
        /// The subschemas that each value has to fit.
        let nodes: [Int32]
    }

    /// In the order in which they were given.
    package let columns: [Column]
    /// Why no row with these columns can be valid: a required member that is no column, or a column that may not be
    /// there. Empty for nearly every schema.
    package let contradictions: [ValidationFailure]
    /// True when something is said about whole rows that no column answers for by itself, such as `if` and
    /// `dependentRequired`.
    package var hasRest: Bool { !rest.isEmpty }

    let compiled: CompiledSchema
    /// Subschemas that a whole row has to fit.
    let rest: [Int32]

    /// Takes a schema apart for columns of different names, of which something may be known.
    package init(_ schema: JSONSchema, columns: [(name: String, values: ValueGuarantee)]) {
        var split = SchemaSplit(schema.compiled, names: columns.map { Array($0.name.utf8) })
        split.run()
        let compiled = CompiledSchema(split.program)
        let inRest = split.columnsOfRest
        var proof = SchemaProof(compiled)
        self.compiled = compiled
        rest = split.rest
        contradictions = split.contradictions
        self.columns = columns.enumerated().map { place, column in
            let nodes = split.nodes[place]
            return Column(
                name: column.name, isRequired: split.isRequired[place],
                isChecked: !nodes.allSatisfy { proof.holds($0, column.values) }, isInRest: inRest[place], nodes: nodes)
        }
    }
}
