internal import JSONText

/// `unevaluatedProperties` and `unevaluatedItems` of the reader: what surely was looked at passes, all else has to fit.
extension InclusionProof {
    func checkUnevaluated(_ set: ValueSet, _ spot: Spot, _ facts: SchemaFacts) -> Bool {
        var holds = true
        if let rest = facts.unevaluatedProperties, set.kinds.contains(.object) {
            var model = MemberModel(rest: rest, restKeyword: "unevaluatedProperties")
            var isWhole = false
            for other in evaluators(set, spot) {
                let known = self.facts(other)
                if known.additional != nil || (other != spot && known.unevaluatedProperties != nil) { isWhole = true }
                for property in known.properties {
                    model.properties.append(SchemaFacts.Property(name: property.name, spot: -1))
                    model.spotOfProperty[property.name] = -1
                }
                model.patterns += known.patternProperties.map {
                    SchemaFacts.PatternProperty(source: $0.source, pattern: $0.pattern, spot: -1)
                }
            }
            if !isWhole { holds = checkMembers(set, spot, model) }
        }
        if !holds && !isReporting { return false }
        guard let rest = facts.unevaluatedItems, set.kinds.contains(.array) else { return holds }
        var model = ItemModel(prefix: [], prefixCount: 0, rest: rest)
        for other in evaluators(set, spot) {
            let known = self.facts(other)
            if known.items != nil || (other != spot && known.unevaluatedItems != nil) { return holds }
            model.prefixCount = max(model.prefixCount, known.prefix.count)
        }
        return checkItems(set, spot, model) && holds
    }

    /// Subschemas in place that every value of the set fits, as far as that can be shown: what they look at counts.
    private func evaluators(_ set: ValueSet, _ spot: Spot) -> [Spot] {
        strictly {
            quietly {
                var found: [Spot] = []
                var seen: Set<Spot> = [spot]
                var waiting = [spot]
                while let next = waiting.popLast(), spend(1) {
                    found.append(next)
                    let facts = facts(next)
                    // These have to fit, or the value does not.
                    waiting += (facts.references + facts.allOf).filter { seen.insert($0).inserted }
                    let possible = facts.anyOf + facts.oneOf + [facts.condition?.test].compactMap { $0 }
                    for other in possible where !seen.contains(other) && isProved(set, other) {
                        seen.insert(other)
                        waiting.append(other)
                        if other == facts.condition?.test, let then = facts.condition?.then { waiting.append(then) }
                    }
                }
                return found
            }
        }
    }
}
