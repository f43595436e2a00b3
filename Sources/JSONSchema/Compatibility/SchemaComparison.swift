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
        let (mine, theirs): (ComparedSchema, ComparedSchema)
        do throws(SchemaProblem) { mine = try ComparedSchema(reader, readerLibrary) } catch {
            breaks = [Self.unusable(error, isReader: true)]
            return
        }
        do throws(SchemaProblem) { theirs = try ComparedSchema(writer, writerLibrary) } catch {
            breaks = [Self.unusable(error, isReader: false)]
            return
        }
        if mine.isEquivalent(to: theirs) {
            breaks = []
            return
        }
        let proof = InclusionProof(SpotTable(reader: mine, writer: theirs), policy)
        proof.run()
        breaks = proof.breaks
    }

    private static func unusable(_ problem: SchemaProblem, isReader: Bool) -> SchemaBreak {
        SchemaBreak(
            .schemaNotUsable, path: problem.location, instancePath: "", reader: nil, writer: nil,
            sentence: "the \(isReader ? "reader" : "writer")'s schema cannot be used: \(problem.message)")
    }
}
