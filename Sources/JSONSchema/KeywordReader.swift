internal import JSONText

/// Reads the keywords of one subschema into operations.
struct KeywordReader {
    typealias Operation = SchemaProgram.Operation

    let object: JSONObject
    let place: SchemaPlace
    let resource: Int
    let dialect: Dialect
    var types = SchemaProgram.Node.allTypes
    var any: [Operation] = []
    var objects: [Operation] = []
    var arrays: [Operation] = []
    var strings: [Operation] = []
    var numbers: [Operation] = []
    var last: [Operation] = []

    init(object: JSONObject, place: SchemaPlace, resource: Int, dialect: Dialect) {
        self.object = object
        self.place = place
        self.resource = resource
        self.dialect = dialect
    }

    /// Reads all keywords that the dialect has; others are left alone.
    mutating func read(_ compiler: inout SchemaCompiler) throws(SchemaProblem) {
        if let reference = object["$ref"] {
            try readReference(reference, &compiler)
            if dialect.isOld { return }
        }
        if dialect.draft != .draft7 { try readDynamicReference(&compiler) }
        if dialect.hasValidation {
            try readType(compiler)
            try readLiterals(&compiler)
            try readBounds(&compiler)
            try readText(&compiler)
        }
        try readFormat(&compiler)
        if dialect.hasApplicators {
            try readLogic(&compiler)
            try readArrays(&compiler)
        }
        try readMembers(&compiler)
        if dialect.hasUnevaluated && dialect.draft != .draft7 { try readUnevaluated(&compiler) }
    }

    /// Puts the operations behind each other into the program.
    func store(in program: inout SchemaProgram, _ number: Int) {
        program.nodes[number].types = types
        program.nodes[number].any = program.append(any)
        program.nodes[number].object = program.append(objects)
        program.nodes[number].array = program.append(arrays)
        program.nodes[number].string = program.append(strings)
        program.nodes[number].number = program.append(numbers)
        program.nodes[number].last = program.append(last)
    }
}

// MARK: - What keywords have in common

extension KeywordReader {
    func problem(_ keyword: String, _ message: String, _ compiler: SchemaCompiler) -> SchemaProblem {
        SchemaProblem(compiler.index.location(of: place.appending(keyword)), message)
    }

    func operation(
        _ code: SchemaProgram.Code, _ keyword: String, _ compiler: inout SchemaCompiler, a: Int32 = 0, b: Int32 = 0,
        c: Int32 = -1
    ) -> Operation {
        Operation(code: code, a: a, b: b, c: c, keyword: compiler.keyword(keyword))
    }

    /// A whole number from 0 on; what is larger than anything can be is cut.
    func count(_ keyword: String, _ compiler: SchemaCompiler) throws(SchemaProblem) -> Int32? {
        guard let value = object[keyword] else { return nil }
        guard let text = value.number?.text else { throw problem(keyword, "it must be a number", compiler) }
        let number = ExactNumber(Array(text.utf8))
        guard number.isWhole, !number.isNegative else {
            throw problem(keyword, "it must be a whole number that is not negative", compiler)
        }
        return number.clampedInt32
    }

    func list(_ keyword: String, _ compiler: SchemaCompiler) throws(SchemaProblem) -> [JSONValue]? {
        guard let value = object[keyword] else { return nil }
        guard let list = value.array, !list.isEmpty else {
            throw problem(keyword, "it must be a list that is not empty", compiler)
        }
        return list
    }

    func names(
        _ keyword: String, _ value: JSONValue?, _ compiler: SchemaCompiler
    ) throws(SchemaProblem) -> [String] {
        guard let value else { return [] }
        var names: [String] = []
        for entry in value.array ?? [.null] {
            guard let name = entry.string else { throw problem(keyword, "it must be a list of names", compiler) }
            names.append(name)
        }
        return names
    }

    func members(_ keyword: String, _ compiler: SchemaCompiler) throws(SchemaProblem) -> [JSONObject.Member] {
        guard let value = object[keyword] else { return [] }
        guard let members = value.object?.members else { throw problem(keyword, "it must be an object", compiler) }
        return members
    }

    func subschema(_ keyword: String, _ compiler: inout SchemaCompiler) throws(SchemaProblem) -> Int32? {
        object[keyword] == nil ? nil : try compiler.node(at: place.appending(keyword))
    }

    /// Nodes of a list of schemas as a range of ``SchemaProgram/nodeLists``.
    func subschemas(
        _ keyword: String, count: Int, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) -> (Int32, Int32) {
        var nodes: [Int32] = []
        for index in 0..<count { nodes.append(try compiler.node(at: place.appending(keyword, String(index)))) }
        let start = Int32(compiler.program.nodeLists.count)
        compiler.program.nodeLists += nodes
        return (start, start + Int32(count))
    }

    func pattern(
        _ text: String, _ keyword: String, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) -> Int32 {
        do throws(PatternProblem) { return try compiler.pattern(text) } catch {
            throw problem(keyword, error.message, compiler)
        }
    }
}

// MARK: - References and logic

extension KeywordReader {
    private func target(
        _ reference: JSONValue, _ keyword: String, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) -> SchemaIndex.Target {
        guard let text = reference.string else { throw problem(keyword, "it must be a URI reference", compiler) }
        do throws(SchemaProblem) { return try compiler.index.target(of: text, from: resource) } catch {
            // A problem inside of the document that is referred to has its own place.
            throw error.location.isEmpty ? problem(keyword, error.message, compiler) : error
        }
    }

    private mutating func readReference(
        _ reference: JSONValue, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) {
        let node = try compiler.node(at: try target(reference, "$ref", &compiler).place)
        any.append(operation(.reference, "$ref", &compiler, a: node))
    }

    private mutating func readDynamicReference(_ compiler: inout SchemaCompiler) throws(SchemaProblem) {
        let name = dialect.draft == .draft2020 ? "$dynamicRef" : "$recursiveRef"
        guard let reference = object[name] else { return }
        let target = try target(reference, name, &compiler)
        let node = try compiler.node(at: target.place)
        let anchor = dialect.draft == .draft2020 ? target.anchor : []
        guard let anchor, compiler.index.resources[target.resource].dynamicAnchors[anchor] == target.place else {
            any.append(operation(.reference, name, &compiler, a: node))
            return
        }
        compiler.program.hasDynamicReferences = true
        let number = compiler.dynamicAnchor(anchor)
        any.append(operation(.dynamicReference, name, &compiler, a: node, b: number))
    }

    private mutating func readLogic(_ compiler: inout SchemaCompiler) throws(SchemaProblem) {
        for (keyword, code) in [("allOf", SchemaProgram.Code.allOf), ("anyOf", .anyOf), ("oneOf", .oneOf)] {
            guard let list = try list(keyword, compiler) else { continue }
            let (start, end) = try subschemas(keyword, count: list.count, &compiler)
            any.append(operation(code, keyword, &compiler, a: start, b: end))
        }
        if let node = try subschema("not", &compiler) { any.append(operation(.not, "not", &compiler, a: node)) }
        guard let condition = try subschema("if", &compiler) else { return }
        let (then, otherwise) = (try subschema("then", &compiler), try subschema("else", &compiler))
        any.append(
            operation(.ifThenElse, "if", &compiler, a: condition, b: then ?? -1, c: otherwise ?? -1))
    }
}
