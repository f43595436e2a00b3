internal import JSONText

/// Keywords about arrays and objects.
extension KeywordReader {
    mutating func readArrays(_ compiler: inout SchemaCompiler) throws(SchemaProblem) {
        if dialect.hasValidation {
            if let least = try count("minItems", compiler) {
                arrays.append(operation(.minItems, "minItems", &compiler, a: least))
            }
            if let most = try count("maxItems", compiler) {
                arrays.append(operation(.maxItems, "maxItems", &compiler, a: most))
            }
            if let value = object["uniqueItems"] {
                guard let isAsked = value.bool else {
                    throw problem("uniqueItems", "it must be true or false", compiler)
                }
                if isAsked { arrays.append(operation(.uniqueItems, "uniqueItems", &compiler)) }
            }
        }
        try readItems(&compiler)
        guard let node = try subschema("contains", &compiler) else { return }
        let hasCounts = dialect.draft != .draft7 && dialect.hasValidation
        let least = hasCounts ? try count("minContains", compiler) ?? 1 : 1
        let most = hasCounts ? try count("maxContains", compiler) ?? -1 : -1
        arrays.append(operation(.contains, "contains", &compiler, a: node, b: least, c: most))
    }

    private mutating func readItems(_ compiler: inout SchemaCompiler) throws(SchemaProblem) {
        var (start, end, rest): (Int32, Int32, Int32) = (0, 0, -1)
        var keyword = "items"
        if dialect.hasItemLists, let list = object["items"]?.array {
            (start, end) = try subschemas("items", count: list.count, &compiler)
            rest = try subschema("additionalItems", &compiler) ?? -1
        } else {
            if !dialect.hasItemLists, let list = try list("prefixItems", compiler) {
                (start, end) = try subschemas("prefixItems", count: list.count, &compiler)
                keyword = "prefixItems"
            }
            if let node = try subschema("items", &compiler) { (rest, keyword) = (node, "items") }
        }
        guard end > start || rest >= 0 else { return }
        arrays.append(operation(.items, keyword, &compiler, a: start, b: end, c: rest))
    }

    mutating func readMembers(_ compiler: inout SchemaCompiler) throws(SchemaProblem) {
        var rules = ObjectRulesDraft()
        if dialect.hasApplicators { try readMemberSchemas(&rules, &compiler) }
        if dialect.hasValidation {
            for name in try names("required", object["required"], compiler) { rules.require(name) }
            if let least = try count("minProperties", compiler) {
                objects.append(operation(.minProperties, "minProperties", &compiler, a: least))
            }
            if let most = try count("maxProperties", compiler) {
                objects.append(operation(.maxProperties, "maxProperties", &compiler, a: most))
            }
        }
        if !rules.isEmpty {
            compiler.program.objectRules.append(ObjectRules(rules))
            let number = Int32(compiler.program.objectRules.count - 1)
            objects.append(operation(.members, "properties", &compiler, a: number))
        }
        try readDependencies(&compiler)
    }

    private func readMemberSchemas(
        _ rules: inout ObjectRulesDraft, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) {
        for member in try members("properties", compiler) {
            rules.set(member.name, node: try compiler.node(at: place.appending("properties", member.name)))
        }
        for member in try members("patternProperties", compiler) {
            let number = try pattern(member.name, "patternProperties", &compiler)
            let node = try compiler.node(at: place.appending("patternProperties", member.name))
            rules.patterns.append((compiler.program.patterns[Int(number)], node))
        }
        rules.additional = try subschema("additionalProperties", &compiler) ?? -1
        rules.nameNode = try subschema("propertyNames", &compiler) ?? -1
    }

    private mutating func readDependencies(_ compiler: inout SchemaCompiler) throws(SchemaProblem) {
        if dialect.draft != .draft7, dialect.hasValidation {
            let members = try members("dependentRequired", compiler)
            try addRequired(members, "dependentRequired", &compiler)
        }
        if dialect.draft != .draft7, dialect.hasApplicators {
            try addSchemas(try members("dependentSchemas", compiler), "dependentSchemas", &compiler)
        }
        let members = try members("dependencies", compiler)
        try addRequired(members.filter { $0.value.array != nil }, "dependencies", &compiler)
        try addSchemas(members.filter { $0.value.array == nil }, "dependencies", &compiler)
    }

    private mutating func addRequired(
        _ members: [JSONObject.Member], _ keyword: String, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) {
        var entries: [Dependency] = []
        for member in members {
            let required = try names(keyword, member.value, compiler).map { Array($0.utf8) }
            entries.append(Dependency(name: Array(member.name.utf8), required: required))
        }
        add(entries, .dependentRequired, keyword, &compiler)
    }

    private mutating func addSchemas(
        _ members: [JSONObject.Member], _ keyword: String, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) {
        var entries: [Dependency] = []
        for member in members {
            let node = try compiler.node(at: place.appending(keyword, member.name))
            entries.append(Dependency(name: Array(member.name.utf8), node: node))
        }
        add(entries, .dependentSchemas, keyword, &compiler)
    }

    private mutating func add(
        _ entries: [Dependency], _ code: SchemaProgram.Code, _ keyword: String, _ compiler: inout SchemaCompiler
    ) {
        if entries.isEmpty { return }
        compiler.program.dependencies.append(entries)
        objects.append(operation(code, keyword, &compiler, a: Int32(compiler.program.dependencies.count - 1)))
    }

    mutating func readUnevaluated(_ compiler: inout SchemaCompiler) throws(SchemaProblem) {
        if let node = try subschema("unevaluatedItems", &compiler) {
            last.append(operation(.unevaluatedItems, "unevaluatedItems", &compiler, a: node))
        }
        if let node = try subschema("unevaluatedProperties", &compiler) {
            last.append(operation(.unevaluatedProperties, "unevaluatedProperties", &compiler, a: node))
        }
    }
}
