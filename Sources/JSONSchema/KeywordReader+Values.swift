internal import JSONText

/// Keywords about a value that is not a container.
extension KeywordReader {
    mutating func readType(_ compiler: SchemaCompiler) throws(SchemaProblem) {
        guard let value = object["type"] else { return }
        var names: [String] = []
        if let name = value.string { names = [name] } else { names = try self.names("type", value, compiler) }
        guard !names.isEmpty else { throw problem("type", "it must name a type", compiler) }
        var (mask, hasInteger): (UInt8, Bool) = (0, false)
        for name in names {
            switch name {
            case "null": mask |= 1 << JSONTape.Kind.null.rawValue
            case "boolean": mask |= 1 << JSONTape.Kind.bool.rawValue
            case "number": mask |= 1 << JSONTape.Kind.number.rawValue
            case "integer": hasInteger = true
            case "string": mask |= 1 << JSONTape.Kind.string.rawValue
            case "array": mask |= 1 << JSONTape.Kind.array.rawValue
            case "object": mask |= 1 << JSONTape.Kind.object.rawValue
            default: throw problem("type", "\"\(name)\" is no type", compiler)
            }
        }
        let number: UInt8 = 1 << JSONTape.Kind.number.rawValue
        if hasInteger && mask & number == 0 { mask |= number | SchemaProgram.Node.wholeNumbers }
        types = mask
    }

    mutating func readLiterals(_ compiler: inout SchemaCompiler) throws(SchemaProblem) {
        if let value = object["const"] { try addLiterals([value], "const", .constant, &compiler) }
        guard let value = object["enum"] else { return }
        guard let list = value.array else { throw problem("enum", "it must be a list", compiler) }
        try addLiterals(list, "enum", .enumeration, &compiler)
    }

    private mutating func addLiterals(
        _ values: [JSONValue], _ keyword: String, _ code: SchemaProgram.Code, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) {
        let literals: Literals
        do throws(JSONError) { literals = try Literals(values, summary: Self.summary(values)) } catch {
            throw problem(keyword, error.message, compiler)
        }
        compiler.program.literals.append(literals)
        any.append(operation(code, keyword, &compiler, a: Int32(compiler.program.literals.count - 1)))
    }

    /// A few short values in full, else how many there are.
    private static func summary(_ values: [JSONValue]) -> String {
        if (1...8).contains(values.count) {
            let list = values.map(\.compactText).joined(separator: ", ")
            if list.utf8.count <= 200 { return values.count == 1 ? list : "one of \(list)" }
        }
        return values.count == 1 ? "the value that the schema names" : "one of the \(values.count) listed values"
    }

    mutating func readBounds(_ compiler: inout SchemaCompiler) throws(SchemaProblem) {
        let keywords: [(String, SchemaProgram.Code)] = [
            ("minimum", .minimum), ("maximum", .maximum), ("exclusiveMinimum", .exclusiveMinimum),
            ("exclusiveMaximum", .exclusiveMaximum), ("multipleOf", .multipleOf),
        ]
        for (keyword, code) in keywords {
            guard let value = object[keyword] else { continue }
            guard let text = value.number?.text else { throw problem(keyword, "it must be a number", compiler) }
            let exact = ExactNumber(Array(text.utf8))
            if code == .multipleOf {
                guard !exact.isNegative, !exact.digits.isEmpty else {
                    throw problem(keyword, "it must be above 0", compiler)
                }
                guard exact.digits.count <= ExactNumber.divisorDigitsMax else {
                    let most = ExactNumber.divisorDigitsMax
                    throw problem(keyword, "it has more than \(most) significant digits", compiler)
                }
            }
            compiler.program.bounds.append(exact)
            compiler.program.shortBounds.append(ShortNumber(exact))
            compiler.program.boundTexts.append(text.utf8.count <= 40 ? text : String(text.prefix(40)) + "…")
            numbers.append(operation(code, keyword, &compiler, a: Int32(compiler.program.bounds.count - 1)))
        }
    }

    mutating func readText(_ compiler: inout SchemaCompiler) throws(SchemaProblem) {
        if let least = try count("minLength", compiler) {
            strings.append(operation(.minLength, "minLength", &compiler, a: least))
        }
        if let most = try count("maxLength", compiler) {
            strings.append(operation(.maxLength, "maxLength", &compiler, a: most))
        }
        guard let value = object["pattern"] else { return }
        guard let text = value.string else { throw problem("pattern", "it must be a regular expression", compiler) }
        let number = try pattern(text, "pattern", &compiler)
        strings.append(operation(.pattern, "pattern", &compiler, a: number))
    }

    mutating func readFormat(_ compiler: inout SchemaCompiler) throws(SchemaProblem) {
        guard compiler.assertsFormats || dialect.assertsFormats, let value = object["format"] else { return }
        guard let name = value.string else { throw problem("format", "it must be a name", compiler) }
        guard let check = FormatCheck(name: name, dialect.draft) else { return }
        strings.append(operation(.format, "format", &compiler, a: Int32(check.rawValue)))
    }
}
