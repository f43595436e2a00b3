internal import JSONText

/// Sets without a value, and cases.
extension InclusionProof {
    /// True when the set can be shown to hold nothing.
    func isEmpty(_ set: ValueSet) -> Bool {
        set.kinds.isEmpty || strictly { isProved(set, Self.nothing) }
    }

    /// Goes over what makes a set empty.
    func isEmptyByParts(_ set: ValueSet) -> Bool {
        if let values = values(of: set) { return values.isEmpty }
        let kinds = set.kinds.single
        if kinds.count > 1 { return kinds.allSatisfy { isEmpty(set.restricted(to: $0)) } }
        if isContradiction(set) { return true }
        if set.excluded.contains(where: { isProved(set, $0) }) { return true }
        guard let cases = cases(of: set) else { return false }
        return cases.allSatisfy { isEmpty($0) }
    }

    /// True when what is said about the one kind of values cannot hold together.
    private func isContradiction(_ set: ValueSet) -> Bool {
        let summary = summary(set)
        switch set.kinds {
        case .integer, .fraction:
            return summary.lowers.contains { lower in
                summary.uppers.contains { upper in
                    let (low, high) = (tightened(lower, set, by: 1), tightened(upper, set, by: -1))
                    if high.number < low.number { return true }
                    return !(low.number < high.number) && (low.isExclusive || high.isExclusive)
                }
            }
        case .string: return summary.minLength > summary.maxLength
        case .array: return isContradiction(array: set, summary)
        case .object: return isContradiction(object: set, summary)
        default: return false
        }
    }

    private func isContradiction(array set: ValueSet, _ summary: ValueSummary) -> Bool {
        let most = itemsMax(set, summary)
        if summary.minItems > most { return true }
        for index in 0..<min(summary.minItems, summary.prefixCount + 1) {
            if inside("*", { isEmpty(item(set, index)) }) { return true }
        }
        return summary.contains.contains { contains in
            if let limit = contains.most, limit < contains.least { return true }
            guard contains.least > 0 else { return false }
            return (0...summary.prefixCount).allSatisfy { index in
                index >= most || inside("*") { isEmpty(self.set(item(set, index), and: [contains.spot])) }
            }
        }
    }

    private func isContradiction(object set: ValueSet, _ summary: ValueSummary) -> Bool {
        if summary.minProperties > summary.maxProperties { return true }
        for name in summary.present.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            guard spend(1) else { return false }
            if isAbsent(name, set) || inside("*", { isEmpty(member(set, name)) }) { return true }
        }
        return false
    }

    /// The cases of the first choice that is not decided yet: together they are the set. Nil without one, and when
    /// enough were decided.
    func cases(of set: ValueSet) -> [ValueSet]? {
        guard set.decided.count < Self.decidedMax else { return nil }
        for spot in set.spots {
            let facts = facts(spot)
            let choice = Int64(spot) << 24
            func isOpen(_ number: Int64) -> Bool { !set.decided.contains(choice + number) }
            func decided(_ number: Int64) -> ValueSet {
                var set = set
                set.decide(choice + number)
                return set
            }
            if !facts.anyOf.isEmpty, isOpen(0) {
                return facts.anyOf.map { self.set(decided(0), and: [$0]) }
            }
            if !facts.oneOf.isEmpty, isOpen(1) { return cases(oneOf: facts.oneOf, decided(1)) }
            if let condition = facts.condition, isOpen(2) { return cases(condition, decided(2)) }
            for (number, dependency) in facts.dependencies.enumerated() {
                guard let then = dependency.spot, isOpen(Int64(number) + 3) else { continue }
                return cases(dependency.name, then, decided(Int64(number) + 3))
            }
        }
        return nil
    }

    private func cases(oneOf branches: [Spot], _ set: ValueSet) -> [ValueSet] {
        branches.indices.map { index in
            var one = self.set(set, and: [branches[index]])
            guard branches.count <= 64 else { return one }
            for other in branches.indices where other != index { one = self.set(one, without: branches[other]) }
            return one
        }
    }

    private func cases(_ condition: SchemaFacts.Condition, _ set: ValueSet) -> [ValueSet] {
        [
            self.set(set, and: [condition.test] + [condition.then].compactMap { $0 }),
            self.set(self.set(set, without: condition.test), and: [condition.otherwise].compactMap { $0 }),
        ]
    }

    private func cases(_ name: [UInt8], _ then: Spot, _ set: ValueSet) -> [ValueSet] {
        var (with, without) = (self.set(set, and: [then]), set)
        with.setPresent(number(of: name))
        without.setAbsent(number(of: name))
        var others = set
        // The schema is for objects only.
        others.kinds.remove(.object)
        with.kinds.formIntersection(.object)
        without.kinds.formIntersection(.object)
        return [with, without, others]
    }
}
