internal import JSONText

/// Reads the keywords of a subschema into ``SchemaFacts``. The schema was compiled, so that every keyword has the kind
/// of value that it must have.
struct FactsReader {
    let object: JSONObject
    let dialect: Dialect
    /// The number of a part by the names that lead to it.
    let part: ([String]) -> Int32
    /// The number of a reference's target; nil for one that is not known.
    let target: (_ reference: String, _ isDynamic: Bool) -> Int32?

    func read(into facts: SchemaFacts) {
        if let reference = object["$ref"]?.string {
            refer(reference, isDynamic: false, facts)
            if dialect.isOld { return }
        }
        if dialect.draft == .draft2020, let reference = object["$dynamicRef"]?.string {
            refer(reference, isDynamic: true, facts)
        }
        if dialect.draft == .draft2019, object["$recursiveRef"] != nil { facts.hasUnknownReference = true }
        if dialect.hasValidation {
            readType(facts)
            readNumbers(facts)
            readCounts(facts)
        }
        if let name = object["format"]?.string { facts.format = FormatCheck(name: name, dialect.draft) }
        if dialect.hasApplicators {
            readLogic(facts)
            readArrays(facts)
            readMembers(facts)
        }
        readDependencies(facts)
        if dialect.hasUnevaluated, dialect.draft != .draft7 {
            facts.unevaluatedItems = single("unevaluatedItems")
            facts.unevaluatedProperties = single("unevaluatedProperties")
        }
    }

    private func refer(_ reference: String, isDynamic: Bool, _ facts: SchemaFacts) {
        if let spot = target(reference, isDynamic) {
            facts.references.append(spot)
        } else {
            facts.hasUnknownReference = true
        }
    }

    private func single(_ keyword: String) -> Int32? { object[keyword] == nil ? nil : part([keyword]) }

    private func list(_ keyword: String) -> [Int32] {
        (object[keyword]?.array ?? []).indices.map { part([keyword, String($0)]) }
    }

    private func count(_ keyword: String) -> Int? {
        object[keyword]?.number.map { Int(ExactNumber(Array($0.text.utf8)).clampedInt32) }
    }

    private func readType(_ facts: SchemaFacts) {
        if let value = object["type"] {
            let names = value.string.map { [$0] } ?? value.array?.compactMap(\.string) ?? []
            facts.types = names.compactMap { ValueKinds(typeName: $0) }.reduce(into: []) { $0.formUnion($1) }
            facts.kinds = facts.types
        }
        for values in [object["const"].map { [$0] }, object["enum"]?.array] {
            guard let values else { continue }
            facts.kinds.formIntersection(values.reduce(into: []) { $0.formUnion(ValueKinds(of: $1)) })
            // A value has to be in both: either list has them all.
            if facts.values == nil { facts.values = values }
        }
    }

    private func readNumbers(_ facts: SchemaFacts) {
        for keyword in ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"] {
            guard let text = object[keyword]?.number?.text else { continue }
            let bound = SchemaFacts.Bound(
                number: ExactNumber(Array(text.utf8)), isExclusive: keyword.hasPrefix("exclusive"),
                small: text.utf8.count <= 15 ? Int(text) : nil, keyword: keyword)
            if keyword.lowercased().hasSuffix("minimum") {
                facts.lowers.append(bound)
            } else {
                facts.uppers.append(bound)
            }
        }
        guard let text = object["multipleOf"]?.number?.text else { return }
        let divisor = ExactNumber(Array(text.utf8))
        facts.multipleOf = divisor
        if divisor.isWhole { facts.kinds.remove(.fraction) }
    }

    private func readCounts(_ facts: SchemaFacts) {
        facts.minLength = count("minLength")
        facts.maxLength = count("maxLength")
        facts.pattern = object["pattern"]?.string.map { Array($0.utf8) }
        facts.minItems = count("minItems")
        facts.maxItems = count("maxItems")
        facts.isUnique = object["uniqueItems"]?.bool ?? false
        facts.minProperties = count("minProperties")
        facts.maxProperties = count("maxProperties")
        var seen: Set<[UInt8]> = []
        for name in object["required"]?.array?.compactMap(\.string) ?? [] where seen.insert(Array(name.utf8)).inserted {
            facts.required.append(Array(name.utf8))
        }
    }

    private func readLogic(_ facts: SchemaFacts) {
        facts.allOf = list("allOf")
        facts.anyOf = list("anyOf")
        facts.oneOf = list("oneOf")
        facts.not = single("not")
        guard let test = single("if") else { return }
        let (then, otherwise) = (single("then"), single("else"))
        if then != nil || otherwise != nil {
            facts.condition = SchemaFacts.Condition(test: test, then: then, otherwise: otherwise)
        }
    }

    private func readArrays(_ facts: SchemaFacts) {
        if dialect.hasItemLists, object["items"]?.array != nil {
            facts.prefix = list("items")
            facts.items = single("additionalItems")
        } else {
            if !dialect.hasItemLists { facts.prefix = list("prefixItems") }
            facts.items = single("items")
        }
        guard let spot = single("contains") else { return }
        var contains = SchemaFacts.Contains(spot: spot)
        if dialect.draft != .draft7, dialect.hasValidation {
            contains.least = count("minContains") ?? 1
            contains.most = count("maxContains")
        }
        facts.contains = contains
    }

    private func readMembers(_ facts: SchemaFacts) {
        for member in object["properties"]?.object?.members ?? [] {
            let property = SchemaFacts.Property(name: Array(member.name.utf8), spot: part(["properties", member.name]))
            facts.properties.append(property)
            facts.spotOfProperty[property.name] = property.spot
        }
        for member in object["patternProperties"]?.object?.members ?? [] {
            // Few names are looked for: an automaton would not pay.
            var automatonWork = 0
            guard let pattern = try? TextPattern(member.name, work: &automatonWork) else {
                // It was compiled before; should it fail now, nothing may rest on it.
                facts.hasUnknownReference = true
                continue
            }
            facts.patternProperties.append(
                SchemaFacts.PatternProperty(
                    source: Array(member.name.utf8), pattern: pattern,
                    spot: part(["patternProperties", member.name])))
        }
        facts.additional = single("additionalProperties")
        facts.names = single("propertyNames")
    }

    private func readDependencies(_ facts: SchemaFacts) {
        var keywords = ["dependencies"]
        if dialect.draft != .draft7, dialect.hasApplicators { keywords.insert("dependentSchemas", at: 0) }
        if dialect.draft != .draft7, dialect.hasValidation { keywords.insert("dependentRequired", at: 0) }
        for keyword in keywords {
            for member in object[keyword]?.object?.members ?? [] {
                var dependency = SchemaFacts.Dependency(name: Array(member.name.utf8), keyword: keyword)
                if let names = member.value.array?.compactMap(\.string), keyword != "dependentSchemas" {
                    dependency.required = names.map { Array($0.utf8) }
                } else {
                    dependency.spot = part([keyword, member.name])
                }
                facts.dependencies.append(dependency)
            }
        }
    }
}
