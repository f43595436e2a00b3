package import JSONText

/// A compiled JSON Schema (drafts 2020-12 and 07), used by any number of threads.
///
/// See <https://json-schema.org/draft/2020-12/json-schema-core> and
/// <https://json-schema.org/draft/2020-12/json-schema-validation>. References lead to documents of the library that it
/// was compiled with; no network is ever touched.
package struct JSONSchema: Sendable {
    /// The draft of a schema that does not name one by `$schema`.
    package enum Draft: Sendable { case draft7, draft2020 }

    let compiled: CompiledSchema

    /// The text of a schema may be this long.
    package static let byteCountMax = 16 << 20

    /// Compiles the text of a schema. `uri` is where it lives, for relative references; `draft` holds when it does not
    /// say itself. With `assertsFormats` a `format` is checked, which draft 2020-12 leaves to whoever uses the schema.
    ///
    /// Throws for text that is no JSON or no schema, for a reference that leads to nothing, for a regular expression
    /// that is not supported, and for a schema that applies itself to one value without end.
    package init(
        compiling text: [UInt8], at uri: String? = nil, library: SchemaLibrary = SchemaLibrary(),
        draft: Draft = .draft2020, assertsFormats: Bool = true
    ) throws(SchemaProblem) {
        guard text.count <= Self.byteCountMax else {
            throw SchemaProblem("#", "the schema is longer than \(Self.byteCountMax >> 20) MiB")
        }
        let document: JSONValue
        do throws(JSONError) { document = try JSONValue(parsing: text) } catch {
            throw SchemaProblem("#", "\(error)")
        }
        try self.init(document, at: uri, library: library, draft: draft, assertsFormats: assertsFormats)
    }

    /// Compiles a schema that was parsed.
    package init(
        _ document: JSONValue, at uri: String? = nil, library: SchemaLibrary = SchemaLibrary(),
        draft: Draft = .draft2020, assertsFormats: Bool = true
    ) throws(SchemaProblem) {
        guard document.object != nil || document.bool != nil else {
            throw SchemaProblem("#", "a schema is an object, true or false")
        }
        var compiler = SchemaCompiler(library, assertsFormats: assertsFormats)
        try compiler.compile(
            document, uri: uri ?? SchemaIndex.unnamed, Dialect(draft: draft == .draft7 ? .draft7 : .draft2020))
        compiled = CompiledSchema(compiler.program)
    }

    /// True when the document is valid. Throws when deciding would take too long.
    package func accepts(_ document: JSONTape) throws(ValidationLimit) -> Bool {
        var run = SchemaRun(compiled, document)
        run.begin()
        let verdict = run.check(compiled.program.root, 0)
        run.end()
        if let limit = run.limit { throw limit }
        return verdict
    }

    /// Why the document is not valid, in its own order, at most `most` reasons; empty for a valid one. Throws when
    /// deciding would take too long.
    package func failures(of document: JSONTape, most: Int = 100) throws(ValidationLimit) -> [ValidationFailure] {
        if try accepts(document) { return [] }
        var run = SchemaRun(compiled, document)
        run.begin(failuresMax: max(1, most))
        _ = run.check(compiled.program.root, 0)
        run.end()
        if let limit = run.limit { throw limit }
        return run.failures
    }

    /// Reads a document and says why it is not valid, at most `most` reasons; empty for a valid one. Throws `JSONError`
    /// for text that is no JSON, and `ValidationLimit` when deciding would take too long.
    package func validate(_ text: [UInt8], most: Int = 100) throws -> [ValidationFailure] {
        try failures(of: try JSONTape(parsing: text), most: most)
    }
}
