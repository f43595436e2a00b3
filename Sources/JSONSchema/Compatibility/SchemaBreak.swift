/// One reason why a document that is valid under the writer's schema may be invalid under the reader's.
package struct SchemaBreak: Sendable, Hashable, CustomStringConvertible {
    /// The rule that is broken.
    package var rule: SchemaRule
    /// Where in the schemas, as a JSON Pointer (behind a URI and `#` in another document): the reader's keyword, or the
    /// writer's where the reader has none.
    package var path: String
    /// Which values it is about, as a JSON Pointer into documents, with `*` for any element or other member; empty for
    /// the whole document.
    package var instancePath: String
    /// What the reader's schema says there, as short JSON; nil for nothing.
    package var reader: String?
    /// What the writer's schema says there, as short JSON; nil for nothing.
    package var writer: String?
    /// One sentence for people, without a full stop.
    package var sentence: String

    /// A break of its parts.
    package init(
        _ rule: SchemaRule, path: String, instancePath: String, reader: String?, writer: String?, sentence: String
    ) {
        self.rule = rule
        self.path = path
        self.instancePath = instancePath
        self.reader = reader
        self.writer = writer
        self.sentence = sentence
    }

    /// `/properties/id/maxLength: at most 10 characters now, 20 before (max-length-lowered)`.
    package var description: String { "\(path.isEmpty ? "the schema" : path): \(sentence) (\(rule.rawValue))" }
}

/// How strictly two schemas are compared.
package enum ComparisonPolicy: String, Sendable, CaseIterable {
    /// Nobody writes members that their schema does not name, and a required member with a default counts as optional.
    /// So a column may be added to a table.
    case lenient
    /// Whatever the writer's schema accepts must be valid under the reader's, without exception.
    case strict
}
