internal import JSONText

/// Keywords about values that are no containers.
extension InclusionProof {
    func checkTypes(_ set: ValueSet, _ spot: Spot, _ facts: SchemaFacts) -> Bool {
        let others = set.kinds.subtracting(facts.types)
        if others.isEmpty { return true }
        return require(set, others, spot, { _ in false }) { set in
            let left = set.kinds.single.filter { kind in !quietly { holdsNothing(set.restricted(to: kind), spot) } }
            let kinds = left.reduce(into: ValueKinds()) { $0.formUnion($1) }
            fail(.typeNarrowed, spot, "type", set, "the writer allows \(kinds.text), the reader does not")
        }
    }

    private func holdsNothing(_ set: ValueSet, _ spot: Spot) -> Bool {
        isEmpty(set) || (cases(of: set)?.allSatisfy { isEmpty($0) } ?? false)
    }

    func checkValues(_ set: ValueSet, _ spot: Spot, _ facts: SchemaFacts) -> Bool {
        guard facts.values != nil else { return true }
        // Sets with few values are looked at value by value before.
        return require(set, .all, spot, { _ in false }) { set in
            if facts.schema["const"] != nil {
                fail(.constAdded, spot, "const", set, "the reader allows one value only, the writer more")
            } else {
                fail(.enumAdded, spot, "enum", set, "the reader allows listed values only, the writer more")
            }
        }
    }

    func checkNumbers(_ set: ValueSet, _ spot: Spot, _ facts: SchemaFacts) -> Bool {
        guard set.kinds.intersection(.number) != [] else { return true }
        var holds = true
        for bound in facts.lowers + facts.uppers {
            let isLower = bound.keyword.lowercased().hasSuffix("minimum")
            let isImplied = require(set, .number, spot, { self.implies($0, bound, isLower: isLower) }) { set in
                let rule = isLower ? SchemaRule.minimumRaised : .maximumLowered
                fail(rule, spot, bound.keyword, set, bounds(set, facts, bound.keyword, isLower: isLower))
            }
            holds = isImplied && holds
            if !holds && !isReporting { return false }
        }
        guard let divisor = facts.multipleOf else { return holds }
        let isImplied = require(set, .number, spot, { self.implies($0, multipleOf: divisor) }) { set in
            fail(
                .multipleOfNarrowed, spot, "multipleOf", set,
                "the writer allows numbers that are no multiples of what the reader asks for")
        }
        return isImplied && holds
    }

    private func bounds(_ set: ValueSet, _ facts: SchemaFacts, _ keyword: String, isLower: Bool) -> String {
        let summary = summary(set)
        let mine = facts.schema[keyword]?.shortText ?? ""
        let theirs = (isLower ? summary.lowers : summary.uppers).first
        let word = isLower ? "lower" : "upper"
        let other = theirs.map { $0.isExclusive ? "exclusive " : "" } ?? ""
        guard theirs != nil, let text = boundText(set, isLower) else {
            return "the reader's \(word) bound is \(mine), the writer has none"
        }
        let own = keyword.hasPrefix("exclusive") ? "exclusive " : ""
        return "the reader's \(word) bound is \(own)\(mine), the writer's \(other)\(text)"
    }

    private func boundText(_ set: ValueSet, _ isLower: Bool) -> String? {
        for spot in set.spots {
            let facts = facts(spot)
            if let bound = (isLower ? facts.lowers : facts.uppers).first {
                return facts.schema[bound.keyword]?.shortText
            }
        }
        return nil
    }

    private func implies(_ set: ValueSet, _ bound: SchemaFacts.Bound, isLower: Bool) -> Bool {
        let summary = summary(set)
        let wanted = tightened(bound, set, by: isLower ? 1 : -1)
        return (isLower ? summary.lowers : summary.uppers).contains { other in
            let known = tightened(other, set, by: isLower ? 1 : -1)
            let (low, high) = isLower ? (wanted, known) : (known, wanted)
            if low.number < high.number { return true }
            return !(high.number < low.number) && (known.isExclusive || !wanted.isExclusive)
        }
    }

    /// Among whole numbers, above 3 is from 4 on.
    func tightened(_ bound: SchemaFacts.Bound, _ set: ValueSet, by step: Int) -> SchemaFacts.Bound {
        guard bound.isExclusive, !set.kinds.contains(.fraction), let small = bound.small else { return bound }
        var tight = bound
        tight.number = ExactNumber(Array(String(small + step).utf8))
        tight.isExclusive = false
        return tight
    }

    private func implies(_ set: ValueSet, multipleOf divisor: ExactNumber) -> Bool {
        if !set.kinds.contains(.fraction), ExactNumber([UInt8(ascii: "1")]).isMultiple(of: divisor) { return true }
        return summary(set).divisors.contains { $0.isMultiple(of: divisor) }
    }

    func checkText(_ set: ValueSet, _ spot: Spot, _ facts: SchemaFacts) -> Bool {
        guard set.kinds.contains(.string) else { return true }
        var holds = true
        if let least = facts.minLength {
            holds = require(set, .string, spot, { self.summary($0).minLength >= least }) { set in
                fail(.minLengthRaised, spot, "minLength", set, lengths("at least", least, summary(set).minLength))
            }
        }
        if !holds && !isReporting { return false }
        if let most = facts.maxLength {
            let isImplied = require(set, .string, spot, { self.summary($0).maxLength <= most }) { set in
                fail(.maxLengthLowered, spot, "maxLength", set, lengths("at most", most, summary(set).maxLength))
            }
            holds = isImplied && holds
        }
        if !holds && !isReporting { return false }
        holds = checkPattern(set, spot, facts) && holds
        return checkFormat(set, spot, facts) && holds
    }

    private func lengths(_ word: String, _ mine: Int, _ theirs: Int) -> String {
        let other = theirs > 0 && theirs < Int.max ? "\(word) \(theirs)" : "any number"
        return "the reader asks for \(word) \(mine) characters, the writer for \(other)"
    }

    private func checkPattern(_ set: ValueSet, _ spot: Spot, _ facts: SchemaFacts) -> Bool {
        guard let pattern = facts.pattern, !Self.isTrivial(pattern) else { return true }
        return require(set, .string, spot, { self.summary($0).patterns.contains(pattern) }) { set in
            if summary(set).patterns.isEmpty {
                fail(.patternAdded, spot, "pattern", set, "the reader asks for a pattern, the writer for none")
            } else {
                fail(
                    .patternChanged, spot, "pattern", set,
                    "the reader asks for another pattern; expressions are compared by their text")
            }
        }
    }

    /// True for expressions that are found in every text.
    private static func isTrivial(_ pattern: [UInt8]) -> Bool {
        ["", "^", "$", ".*", "^.*"].contains(String(decoding: pattern, as: UTF8.self))
    }

    private func checkFormat(_ set: ValueSet, _ spot: Spot, _ facts: SchemaFacts) -> Bool {
        guard let format = facts.format else { return true }
        return require(
            set, .string, spot, { self.summary($0).formats.contains { $0 == format || $0.wider.contains(format) } }
        ) { set in
            if summary(set).formats.isEmpty {
                fail(.formatAdded, spot, "format", set, "the reader asks for a format, the writer for none")
            } else {
                fail(.formatChanged, spot, "format", set, "the reader asks for another format")
            }
        }
    }
}

extension FormatCheck {
    /// Formats that take all text of this one.
    fileprivate var wider: [FormatCheck] {
        switch self {
        case .uri: [.uriReference, .iri, .iriReference]
        case .uriReference, .iri: [.iriReference]
        case .email: [.idnEmail]
        default: []
        }
    }
}
