internal import JSONText

/// One of the two schemas of a comparison: compiled, so that it is known to be one, with the places of its parts.
struct ComparedSchema {
    private var compiler: SchemaCompiler
    private let compiled: CompiledSchema
    /// The place of the whole.
    let root: SchemaPlace

    init(_ schema: JSONValue, _ library: SchemaLibrary) throws(SchemaProblem) {
        guard schema.object != nil || schema.bool != nil else {
            throw SchemaProblem("#", "a schema is an object, true or false")
        }
        var compiler = SchemaCompiler(library, assertsFormats: true)
        try compiler.compile(schema, uri: SchemaIndex.unnamed, Dialect(draft: .draft2020))
        compiled = CompiledSchema(compiler.program)
        self.compiler = compiler
        root = SchemaPlace(document: 0, pointer: JSONPointer())
    }

    /// True when both are the same documents with the same meaning of every reference.
    func isEquivalent(to other: ComparedSchema) -> Bool {
        let (mine, theirs) = (compiler.index.documents, other.compiler.index.documents)
        guard mine[0].root.isEquivalent(to: theirs[0].root) else { return false }
        return mine.count == theirs.count
            && mine.dropFirst().allSatisfy { document in
                theirs.contains { $0.uri == document.uri && $0.root.isEquivalent(to: document.root) }
            }
    }

    /// The schema at a place.
    func schema(at place: SchemaPlace) -> JSONValue? { compiler.index.entry(at: place)?.schema }

    /// The rules that a place follows.
    func dialect(at place: SchemaPlace) -> Dialect? {
        compiler.index.entry(at: place).map { compiler.index.resources[$0.resource].dialect }
    }

    /// A place as paths of breaks have it.
    func location(of place: SchemaPlace) -> String {
        place.document == 0 ? place.pointer.text : compiler.index.location(of: place)
    }

    /// The place that a reference leads to.
    mutating func target(of reference: String, from place: SchemaPlace) -> SchemaPlace? {
        guard let resource = compiler.index.entry(at: place)?.resource else { return nil }
        return (try? compiler.index.target(of: reference, from: resource))?.place
    }

    /// The place that a dynamic reference leads to; nil when that depends on the way by which it is reached.
    mutating func dynamicTarget(of reference: String, from place: SchemaPlace) -> SchemaPlace? {
        guard let resource = compiler.index.entry(at: place)?.resource,
            let target = try? compiler.index.target(of: reference, from: resource)
        else { return nil }
        guard let anchor = target.anchor,
            compiler.index.resources[target.resource].dynamicAnchors[anchor] == target.place
        else { return target.place }
        return compiler.index.resourcesOfDynamicAnchor[anchor]?.count == 1 ? target.place : nil
    }

    /// Whether a value is valid at a place. Where references lead depends on the way to the place with dynamic ones:
    /// then only the whole can be asked.
    mutating func verdict(on value: JSONTape, at place: SchemaPlace) -> Verdict {
        guard let node = try? compiler.node(at: place), Int(node) < compiled.program.nodes.count,
            !compiled.program.hasDynamicReferences || place == root
        else { return .unknown }
        var run = SchemaRun(compiled, value)
        run.begin()
        defer { run.end() }
        let isValid = run.check(node, 0)
        if run.limit != nil { return .unknown }
        return isValid ? .valid : .invalid
    }

    /// The first reason why a value is not valid at a place.
    mutating func firstFailure(of value: JSONTape, at place: SchemaPlace) -> ValidationFailure? {
        guard let node = try? compiler.node(at: place), Int(node) < compiled.program.nodes.count else { return nil }
        var run = SchemaRun(compiled, value)
        run.begin(failuresMax: 1)
        defer { run.end() }
        _ = run.check(node, 0)
        return run.failures.first
    }

    /// What is known about a value.
    enum Verdict { case valid, invalid, unknown }
}
